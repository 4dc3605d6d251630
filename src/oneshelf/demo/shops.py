"""The simulated shops as the demo sees them: their switches and books, under `/_sim/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import httpx2
import msgspec

from oneshelf.clock import Clock
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.sdk.simulator import BookListing, BookOrder, CatalogueItem

START_S_MAX = 120.0
POLL_S = 0.05


class Books(msgspec.Struct, frozen=True):
    """A shop's own truth, which the engine never reads."""

    kind: str
    listings: list[BookListing]
    orders: list[BookOrder]
    turned_away: int
    faults_hit: dict[str, int]


class SimulatedShop:
    """One simulator process."""

    def __init__(self, kind: str, port: int, client: httpx2.AsyncClient, clock: Clock) -> None:
        self.kind = kind
        self.address = f"http://127.0.0.1:{port}"
        self._client = client
        self._clock = clock

    async def wait_until_up(self) -> Mapping[str, Any]:
        """What the simulator says of itself. Raises ConfigurationError when it does not start."""
        give_up_at = self._clock.monotonic() + START_S_MAX
        while self._clock.monotonic() < give_up_at:
            try:
                reply = await self._client.get(f"{self.address}/_sim/health")
            except httpx2.TransportError:
                await self._clock.sleep(POLL_S)
                continue
            told: Mapping[str, Any] = msgspec.json.decode(reply.content)
            return told
        raise ConfigurationError(f"the {self.kind} simulator did not start within {START_S_MAX:.0f} s")

    async def stock(self, items: Sequence[CatalogueItem]) -> None:
        """Put the catalogue on sale."""
        await self.tell("catalogue", {"items": [asdict(item) for item in items]})

    async def shop(self, plan: ShoppersPlan) -> None:
        """Let buyers behave like this from now on."""
        await self.tell("shoppers", asdict(plan))

    async def tell(self, path: str, body: Mapping[str, object]) -> None:
        """Turn a switch. Raises ConfigurationError with the simulator's words where it refuses."""
        reply = await self._asked("POST", path, content=msgspec.json.encode(body))
        if not reply.is_success:
            raise ConfigurationError(f"the {self.kind} simulator refuses {path}: {reply.text[:200]}")

    async def books(self) -> Books:
        """What really happened at this shop, until now."""
        return msgspec.json.decode((await self._asked("GET", "books")).content, type=Books)

    async def _asked(self, method: str, path: str, content: bytes | None = None) -> httpx2.Response:
        try:
            return await self._client.request(method, f"{self.address}/_sim/{path}", content=content)
        except httpx2.TransportError as failure:
            words = f"the {self.kind} simulator does not answer ({type(failure).__name__}); its log tells why"
            raise ConfigurationError(words) from failure
