"""Webhooks of the simulated shop: signed, late, repeated, out of order or lost, as the switches say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import httpx2
import msgspec

from oneshelf.connectors.shopify.simulator_payloads import stamp
from oneshelf.connectors.shopify.simulator_shop import SHOP_DOMAIN
from oneshelf.connectors.shopify.simulator_subscriptions import Subscription, Subscriptions
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulated_sender import Caller

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator

# "1 second to connect, 5 seconds in all; 8 retries over 4 hours; a redirect is a failure"
# (https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, checked 2026-11-23). The spacing is not published;
# each wait is twice the one before, and together they make four hours.
_TIMEOUT = httpx2.Timeout(5.0, connect=1.0)
RETRIES = 8
_FIRST_RETRY_S = 4 * 3600 / (2**RETRIES - 1)

# A delivery usually comes within one or two seconds. One that is overtaken comes half a minute late, and the latest
# "up to a day" (https://shopify.dev/docs/apps/build/webhooks/best-practices, checked 2026-11-23).
_SOONEST_S, _LATEST_S = 0.3, 1.5
_OVERTAKEN_S = 30.0
_DAY_S = 86_400.0
# A subscription to some fields is told once of what comes again unchanged "in a short window"; which is not published.
_DEBOUNCE_S = 5.0

Payload = Mapping[str, object]


@dataclass(slots=True)
class _Parcel:
    """One delivery. Its headers and body are the same on each attempt. `is_late`: assembled when it leaves."""

    subscription: Subscription
    headers: dict[str, str]
    assemble: Callable[[], Payload]
    secret: str
    body: bytes = b""


class Webhooks(Caller):
    """Sends to whoever has subscribed."""

    def __init__(self, simulator: ShopifySimulator, client: httpx2.AsyncClient | None) -> None:
        super().__init__(client)
        self._simulator = simulator
        self.subscriptions = Subscriptions(simulator)
        self.delivered = 0
        self.failed = 0

    def new_event(self) -> str:
        """An id that all deliveries of one action share."""
        return self._new_id()

    def send(self, topic: str, payload: Payload | Callable[[], Payload], *, event_id: str) -> None:
        """Announce `payload` to each subscription, as it is now. Given a way to make it, `webhook_assembled_late` lets
        a delivery show what there is when it leaves, so that two changes look like the second one twice.
        """
        for subscription in self.subscriptions.to(topic):
            self._send(subscription, topic, payload, event_id)

    def _send(
        self, subscription: Subscription, topic: str, payload: Payload | Callable[[], Payload], event_id: str
    ) -> None:
        switches, random = self._simulator.switches, self._simulator.random
        made = payload() if callable(payload) else payload
        told = subscription.part_of(made)
        if told is None or self._is_debounced(subscription, told):
            return
        parcel = self._parcel(subscription, topic, told, event_id)
        delay_s = random.uniform(_SOONEST_S, _LATEST_S)
        if switches.strikes("webhook_lost"):
            return
        if switches.strikes("webhook_reorder"):
            delay_s += _OVERTAKEN_S
        if switches.strikes("webhook_day_late"):
            delay_s += self._simulator.chance.uniform(_DAY_S / 2, _DAY_S)
        if callable(payload) and switches.strikes("webhook_assembled_late"):
            parcel.body, again = b"", payload
            parcel.assemble = lambda: subscription.part_of(again()) or {}
        copies = 2 if switches.strikes("webhook_duplicate") else 1
        for copy in range(copies):
            self._after(delay_s + copy * random.uniform(0.0, _LATEST_S), parcel, attempt=0)

    def _is_debounced(self, subscription: Subscription, told: Payload) -> bool:
        now = self._simulator.clock.monotonic()
        last, subscription.last = subscription.last, (now, told)
        if not subscription.include_fields or last is None:
            return False
        return last[1] == told and now - last[0] < _DEBOUNCE_S / self._simulator.speed

    def _parcel(self, subscription: Subscription, topic: str, payload: Payload, event_id: str) -> _Parcel:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": SHOP_DOMAIN,
            "X-Shopify-API-Version": "2026-10",
            "X-Shopify-Webhook-Id": self._new_id(),
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Triggered-At": stamp(self._simulator.channel_now()),
        }
        secret = self._simulator.installed.signing_secret
        # Already as it is now: what it shows may change before it leaves.
        body = msgspec.json.encode(payload)
        return _Parcel(subscription, headers, lambda: payload, secret, body)

    def _new_id(self) -> str:
        return str(UUID(int=self._simulator.random.getrandbits(128), version=4))

    def _after(self, seconds: float, parcel: _Parcel, *, attempt: int) -> None:
        async def deliver() -> None:
            if await self._is_delivered(parcel):
                self.delivered += 1
                parcel.subscription.failure_count = 0
                return
            parcel.subscription.failure_count += 1
            if attempt < RETRIES:
                self._after(_FIRST_RETRY_S * 2**attempt, parcel, attempt=attempt + 1)
                return
            self.failed += 1
            if parcel.subscription.failure_count >= RETRIES:
                self.subscriptions.drop(parcel.subscription)

        self._simulator.after(seconds, deliver)

    async def _is_delivered(self, parcel: _Parcel) -> bool:
        if not parcel.body:
            parcel.body = msgspec.json.encode(parcel.assemble())
        parcel.headers["X-Shopify-Hmac-Sha256"] = hmac_sha256_base64(parcel.secret, parcel.body)
        try:
            reply = await self.client().post(
                parcel.subscription.uri, content=parcel.body, headers=parcel.headers, timeout=_TIMEOUT
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return reply.is_success
