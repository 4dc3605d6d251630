"""The devices of simulated tills: each with a clock and numbers of its own, off line now and then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from oneshelf.sdk.signature import standard_signature

# A till that cannot reach us tries again, later each time.
TIMEOUT_S = 10.0
BURST_MAX = 250

Event = dict[str, Any]


@dataclass(slots=True)
class Device:
    """One device. `waiting`: events that it has not told yet; `kept_back`: one that it forgot, and will tell later."""

    name: str
    skew_s: float
    sequence: int = 0
    is_online: bool = True
    tries: int = 0
    waiting: list[Event] = field(default_factory=list)
    kept_back: list[Event] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence


class Sender:
    """Posts signed deliveries to whoever is connected."""

    def __init__(self, client: httpx2.AsyncClient | None) -> None:
        self._client = client
        self.address = ""
        self.secret = ""
        self.sent_count = 0

    async def post(self, document: object, *, delivery_id: str, timestamp: int) -> bool:
        """Whether it was taken."""
        if not self.address:
            return False
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        body = msgspec.json.encode(document)
        headers = signed_headers(body, delivery_id=delivery_id, timestamp=timestamp, secret=self.secret)
        try:
            reply = await self._client.post(self.address, content=body, headers=headers, timeout=TIMEOUT_S)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        self.sent_count += 1
        return reply.is_success


def signed_headers(body: bytes, *, delivery_id: str, timestamp: int, secret: str) -> Mapping[str, str]:
    """The headers of Standard Webhooks."""
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(timestamp)}
    signature = standard_signature(headers, body, secret=secret)
    return {"Content-Type": "application/json", **headers, "webhook-signature": signature}
