"""A shop that does not do what its connector declares, buyers who use the moment, and whoever finds it out in time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random

import httpx2
import msgspec

from oneshelf.app import open_channels
from oneshelf.clock import Clock
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.probing import Ability, Check
from oneshelf.errors import ConfigurationError
from oneshelf.flow.probe import probe
from oneshelf.simulation.faults import Faults
from oneshelf.simulation.network import Network, written_listings
from oneshelf.storage.database import Database

# So soon after a write what it shows is bought.
HASTE_S = 0.3
# Of the writes of zero, which do no harm.
ZERO_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Honesty:
    """What a shop does not do of what is declared of it: switches that are always on. `is_probed`: it was tried.

    `is_hourly`: it lets the engine in by tokens that end, and forgets what the engine subscribed to.
    """

    lies: frozenset[str] = frozenset()
    is_probed: bool = False
    is_hourly: bool = False


class Haste:
    """Buyers who take all that a listing shows in the very moment in which a write arrives, and again just after it.

    Where nobody compares, the write is written over the first of these sales, and the second sells the units again.
    """

    def __init__(self, seed: int, simulator: ShopifySimulator, network: Network, faults: Faults) -> None:
        self._random = Random(f"{seed}:haste")  # noqa: S311  # repeatable, not a secret
        self._simulator = simulator
        self._network = network
        self._faults = faults

    def arrives(self, channel: str, request: httpx2.Request) -> None:
        """A request is about to be done at this channel."""
        if channel != self._simulator.kind or not written_listings(request):
            return
        for row in msgspec.json.decode(request.content)["variables"]["input"]["quantities"]:
            item = row["inventoryItemId"].rpartition("/")[2]
            if (row["quantity"] > 0 or self._random.random() < ZERO_SHARE) and self._buy_out(item):
                self._faults.saw("a listing was bought out in the moment of a write")
                self._network.later(HASTE_S, partial(self._soon, item))

    async def _soon(self, item: str) -> None:
        self._buy_out(item)

    def _buy_out(self, item: str) -> bool:
        article = self._simulator.shop.by_item[item]
        units = article.units["available"]
        if self._network.before_request is None or units <= 0 or not article.can_sell(units):
            return False
        return self._simulator.place([(article.variant_id, units)]) is not None


async def find_out(
    database: Database, clock: Clock, simulator: ShopifySimulator, channel: Channel, *, pause_s: float
) -> None:
    """Somebody tries what the shop does, on a listing that shows nothing, once the engine has read that.

    From a machine of their own: what they send is nothing that the network loses or watches.
    """
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(simulator.app()), trust_env=False)
    async with open_channels(database, clock, client) as channels:
        empty = next(ChannelSku(one.channel_sku) for one in simulator.listings() if one.units == 0)
        checks: Sequence[Check] = ()
        while not any(check.ability is Ability.COMPARE for check in checks):
            await clock.sleep(pause_s)
            with suppress(ConfigurationError):
                checks = await probe(database, channels.by_name[channel], clock, channel_sku=empty, writes=True)
