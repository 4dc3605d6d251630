"""Webhooks of the simulated shop: signed, late, repeated, out of order or lost, as the switches say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import msgspec

from oneshelf.connectors.shopify.address import is_loopback
from oneshelf.connectors.shopify.simulator_payloads import stamp
from oneshelf.connectors.shopify.simulator_shop import SHOP_DOMAIN
from oneshelf.errors import MalformedError
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulator import Simulator

# "1 second to connect, 5 seconds in all; 8 retries over 4 hours; a redirect is a failure"
# (https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, checked 2026-11-23). The spacing is not published;
# each wait is twice the one before, and together they make four hours.
_TIMEOUT = httpx2.Timeout(5.0, connect=1.0)
RETRIES = 8
_FIRST_RETRY_S = 4 * 3600 / (2**RETRIES - 1)

# A delivery usually comes within one or two seconds. One that is overtaken comes half a minute late.
_SOONEST_S, _LATEST_S = 0.3, 1.5
_OVERTAKEN_S = 30.0


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One delivery. Its headers and body are the same on each attempt."""

    address: str
    headers: Mapping[str, str]
    body: bytes


class Webhooks:
    """Sends to one address once there is one. Loopback addresses may be http, which Shopify itself refuses."""

    def __init__(self, simulator: Simulator, client: httpx2.AsyncClient | None) -> None:
        self._simulator = simulator
        self._client = client
        self._is_ours = client is None
        self._address = ""
        self._secret = ""
        self.delivered = 0
        self.failed = 0

    def connect(self, *, address: str, secret: str) -> None:
        """Raises MalformedError for an address to which nothing may be sent."""
        url = urlsplit(address)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
            raise MalformedError(f"webhooks go to https, or to http on this machine, not to {address[:80]!r}")
        self._address, self._secret = address, secret

    def new_event(self) -> str:
        """An id that all deliveries of one action share."""
        return self._new_id()

    def send(self, topic: str, payload: Mapping[str, object], *, event_id: str) -> None:
        """Announce `payload` as it is now. Nothing happens as long as nobody is connected."""
        if not self._address:
            return
        switches, random = self._simulator.switches, self._simulator.random
        parcel = self._parcel(topic, payload, event_id)
        delay_s = random.uniform(_SOONEST_S, _LATEST_S)
        if switches.strikes("webhook_lost"):
            return
        if switches.strikes("webhook_reorder"):
            delay_s += _OVERTAKEN_S
        copies = 2 if switches.strikes("webhook_duplicate") else 1
        for copy in range(copies):
            self._after(delay_s + copy * random.uniform(0.0, _LATEST_S), parcel, attempt=0)

    async def aclose(self) -> None:
        """Close the client that was made here. One that was given stays open, and goes on being used."""
        if self._client is not None and self._is_ours:
            await self._client.aclose()
            self._client = None

    def _parcel(self, topic: str, payload: Mapping[str, object], event_id: str) -> _Parcel:
        body = msgspec.json.encode(payload)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": hmac_sha256_base64(self._secret, body),
            "X-Shopify-Shop-Domain": SHOP_DOMAIN,
            "X-Shopify-API-Version": "2026-10",
            "X-Shopify-Webhook-Id": self._new_id(),
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Triggered-At": stamp(self._simulator.channel_now()),
        }
        return _Parcel(self._address, headers, body)

    def _new_id(self) -> str:
        return str(UUID(int=self._simulator.random.getrandbits(128), version=4))

    def _after(self, seconds: float, parcel: _Parcel, *, attempt: int) -> None:
        async def deliver() -> None:
            if await self._is_delivered(parcel):
                self.delivered += 1
            elif attempt < RETRIES:
                self._after(_FIRST_RETRY_S * 2**attempt, parcel, attempt=attempt + 1)
            else:
                self.failed += 1

        self._simulator.after(seconds, deliver)

    async def _is_delivered(self, parcel: _Parcel) -> bool:
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        try:
            reply = await self._client.post(
                parcel.address, content=parcel.body, headers=parcel.headers, timeout=_TIMEOUT
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return reply.is_success
