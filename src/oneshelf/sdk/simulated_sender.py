"""Who calls from a simulated channel, and posts signed deliveries for one without an API of its own."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from oneshelf.sdk.signature import standard_signature

TIMEOUT_S = 10.0


class Caller:
    """Calls the outside: with the client that was given, or with one that is made when it is needed."""

    def __init__(self, client: httpx2.AsyncClient | None) -> None:
        self._client = client
        self._is_ours = client is None

    def client(self) -> httpx2.AsyncClient:
        """What calls the outside."""
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        return self._client

    async def aclose(self) -> None:
        """Close the client that was made here. One that was given stays open, and goes on being used."""
        if self._client is not None and self._is_ours:
            await self._client.aclose()
            self._client = None


class Sender(Caller):
    """Posts signed deliveries to whoever is connected."""

    def __init__(self, client: httpx2.AsyncClient | None) -> None:
        super().__init__(client)
        self.address = ""
        self.secret = ""
        self.sent_count = 0

    async def post(self, body: bytes, *, delivery_id: str, timestamp: int) -> bool:
        """Whether it was taken."""
        if not self.address:
            return False
        headers = signed_headers(body, delivery_id=delivery_id, timestamp=timestamp, secret=self.secret)
        try:
            reply = await self.client().post(self.address, content=body, headers=headers, timeout=TIMEOUT_S)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        self.sent_count += 1
        return reply.is_success


def signed_headers(body: bytes, *, delivery_id: str, timestamp: int, secret: str) -> Mapping[str, str]:
    """The headers of Standard Webhooks."""
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(timestamp)}
    signature = standard_signature(headers, body, secret=secret)
    kind = "application/json" if body[:1] in b"[{" else "application/edi-x12"
    return {"Content-Type": kind, **headers, "webhook-signature": signature}
