"""Events of the simulated Square: signed, late, repeated, out of order or lost, as the switches say.

"typically sent within 60 seconds", "Unsuccessful deliveries are retried for up to 24 hours" and no word on the
spacing any more: https://developer.squareup.com/docs/webhooks/troubleshooting; an earlier page had 1, 2, 4, 8, 16,
32 and then every 60 minutes (checked 2026-11-26). Ten seconds are waited for an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

import httpx2
import msgspec

from oneshelf.connectors.square.simulator_documents import MERCHANT_ID, stamp
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.sdk.simulated_sender import Caller

if TYPE_CHECKING:
    from oneshelf.connectors.square.simulator import SquareSimulator

_TIMEOUT = httpx2.Timeout(10.0, connect=2.0)
_SOONEST_S, _LATEST_S = 0.5, 8.0
_OVERTAKEN_S = 45.0
RETRIES_S = (60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, *[3600.0] * 22)


class Webhooks(Caller):
    """One subscription to all events. `address`: empty until somebody subscribes."""

    def __init__(self, simulator: SquareSimulator, client: httpx2.AsyncClient | None) -> None:
        super().__init__(client)
        self._simulator = simulator
        self._random = Random(f"square:{simulator.seed}:webhooks")  # noqa: S311  # repeatable, not a secret
        self.address = ""
        self.key = ""
        self.delivered = 0
        self.failed = 0

    def send(self, topic: str, kind: str, name: str, told: Mapping[str, object]) -> None:
        """Announce the object `name`, of this kind."""
        if not self.address:
            return
        strikes = self._simulator.switches.strikes
        event = {
            "merchant_id": MERCHANT_ID,
            "type": topic,
            "event_id": str(UUID(int=self._random.getrandbits(128), version=4)),
            "created_at": stamp(self._simulator.channel_now()),
            "data": {"type": kind, "id": name, "object": told},
        }
        body = msgspec.json.encode(event)
        delay_s = self._random.uniform(_SOONEST_S, _LATEST_S)
        again_s = self._random.uniform(0.0, _LATEST_S)
        if strikes("webhook_lost"):
            return
        if strikes("webhook_reorder"):
            delay_s += _OVERTAKEN_S
        self._after(delay_s, self.address, self.key, body, attempt=0)
        if strikes("webhook_duplicate"):
            self._after(delay_s + again_s, self.address, self.key, body, attempt=0)

    def _after(self, seconds: float, address: str, key: str, body: bytes, *, attempt: int) -> None:
        async def deliver() -> None:
            if await self._is_taken(address, key, body, attempt):
                self.delivered += 1
            elif attempt < len(RETRIES_S):
                self._after(RETRIES_S[attempt], address, key, body, attempt=attempt + 1)
            else:
                self.failed += 1

        self._simulator.after(seconds, deliver)

    async def _is_taken(self, address: str, key: str, body: bytes, attempt: int) -> bool:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Square Connect v2",
            "square-environment": "Sandbox",
            "x-square-hmacsha256-signature": signature_of(key, address, body),
        }
        if attempt:
            headers["square-retry-number"] = str(attempt)
        try:
            reply = await self.client().post(address, content=body, headers=headers, timeout=_TIMEOUT)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return reply.is_success


def signature_of(key: str, address: str, body: bytes) -> str:
    """The header over the address and the body."""
    return hmac_sha256_base64(key, address.encode() + body)
