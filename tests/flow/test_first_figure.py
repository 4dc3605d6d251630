"""The first figure of a listing waits for the orders from before it was first read, and not for the turn of the poll.

A simulated shop with its documented timing, and an engine, both on a clock that the test turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import httpx2
import pytest

from connectors.amazon.harness import Wiretap
from connectors.life import living
from flow.market import ADDRESS, MARKET, MUG, Market, MarketClock
from oneshelf.app import OpenChannels
from oneshelf.connectors.shopify.polling import ORDERS_LAG_S
from oneshelf.domain.identity import Location
from oneshelf.domain.rights import Mode
from oneshelf.flow import reconcile
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.simulator import CatalogueItem, Simulator
from oneshelf.storage import catalog, rights
from storage.pinned import pinned
from web.paper import PaperConnector

pytestmark = pytest.mark.pg

EVERY_S = load_kinds()["shopify"].capability.poll_orders_s
# The gap between two polls that are asked for, and a second for each step of a figure on its way.
SOON_S = max(ORDERS_LAG_S, EVERY_S / reconcile.HURRIED_POLLS) + 5.0


@dataclass
class NewShop(Market[Simulator]):
    """A shop that is connected now. `polls`: when its orders were asked for."""

    polls: list[datetime] = field(default_factory=list)

    async def second(self) -> None:
        await self.live(1.0, every_s=1.0)
        rows = await self.rows("select last_done_at from schedules where task = 'orders'")
        self.polls = sorted({*self.polls, *(row["last_done_at"] for row in rows if row["last_done_at"])})

    async def until_shown(self, units: int, *, at_most_s: float = 200.0) -> float:
        """The seconds from now until a buyer sees this figure."""
        begun_s = self.clock.monotonic()
        while self.shown() != units:
            assert self.clock.monotonic() - begun_s < at_most_s, f"{self.shown()} is shown"
            await self.second()
        return self.clock.monotonic() - begun_s

    async def until_sent(self) -> float:
        """The seconds from now until the first figure is sent."""
        begun_s = self.clock.monotonic()
        while await self.rows("select 1 from listings where sent_at is not null") == []:
            assert self.clock.monotonic() - begun_s < 1200
            await self.second()
        return self.clock.monotonic() - begun_s

    async def name_mugs(self) -> None:
        async with self.database.transaction() as tx:
            await catalog.add_skus(tx, {MUG: ""})
            await rights.set_mode(tx, [MUG], Mode.POOLED, guard_at_units=0)

    def shown(self, sku: str = MUG) -> int:
        return next(one.units for one in self.place.listings() if one.merchant_sku == sku)

    def sell(self, units: int) -> None:
        listing = next(one.channel_sku for one in self.place.listings())
        assert self.place.place([(listing, units)])


@asynccontextmanager
async def new_shop(dsn: str, *, mode: str = "live", kind: str = "shopify") -> AsyncIterator[NewShop]:
    """It shows 20 mugs, and nothing is named yet."""
    clock = MarketClock()
    place = load_kinds()[kind].simulator(seed=7, speed=1.0, clock=clock)
    place.stock_catalogue([CatalogueItem(MUG, "Mug", 20)])
    account = place.account(address=ADDRESS)
    async with pinned(dsn) as pin:
        wiretap = Wiretap(httpx2.ASGITransport(app=place.app()))
        async with pin.database.transaction() as tx:
            await catalog.add_channel(
                tx, catalog.NewChannel(MARKET, place.kind, Location("BER"), account.settings, account.secrets, {})
            )
            await catalog.set_mode(tx, MARKET, mode)
        async with httpx2.AsyncClient(transport=wiretap) as client, living(place, clock.lives):
            opened = OpenChannels(pin.database, clock, client)
            await opened.refresh()
            channels = {MARKET: opened.by_name[MARKET]}
            yield NewShop(pin, clock, place, PaperConnector(MARKET), channels, wiretap, opened.refresh)


async def test_a_shop_that_is_connected_shows_its_first_figure_within_seconds(dsn: str) -> None:
    async with new_shop(dsn) as shop:
        await shop.name_mugs()
        await shop.restock(12, key="first")
        assert await shop.until_shown(12) <= SOON_S
        # At once, when the listing was read, and when the orders from before that can be known.
        assert len(shop.polls) <= 3
        assert (shop.polls[-1] - shop.polls[0]).total_seconds() > ORDERS_LAG_S


@pytest.mark.long
@pytest.mark.parametrize(("kind", "polls"), [("square", 1), ("amazon", 2)])
async def test_where_orders_show_late_the_first_figure_waits_for_that_and_no_turn_of_the_poll(
    dsn: str, kind: str, polls: int
) -> None:
    """Amazon has to be asked twice: for what was placed and for what was changed, in turns. A call is dear there."""
    lag_s = load_kinds()[kind].capability.orders_lag_s
    async with new_shop(dsn, kind=kind) as shop:
        await shop.name_mugs()
        await shop.restock(12, key="first")
        waited_s = await shop.until_sent()
        assert lag_s < waited_s < polls * lag_s + 10
        assert len(shop.polls) <= 2 + polls


@pytest.mark.long
async def test_a_sku_that_is_named_later_is_shown_within_seconds_without_a_sweep(dsn: str) -> None:
    async with new_shop(dsn) as shop:
        for _ in range(70):
            await shop.second()
        sweeps = "select last_done_at from schedules where task = 'stock'"
        before = await shop.rows(sweeps)
        await shop.name_mugs()
        await shop.restock(12, key="first")
        assert await shop.until_shown(12) <= SOON_S
        assert await shop.rows(sweeps) == before


@pytest.mark.long
async def test_a_shop_that_was_watched_before_is_written_as_soon_as_it_goes_live(dsn: str) -> None:
    async with new_shop(dsn, mode="watch") as shop:
        await shop.name_mugs()
        await shop.restock(12, key="first")
        for _ in range(30):
            await shop.second()
        assert shop.shown() == 20
        async with shop.database.transaction() as tx:
            await catalog.set_mode(tx, MARKET, "live")
        polls = len(shop.polls)
        assert await shop.until_shown(12) <= 2
        assert len(shop.polls) - polls <= 1, "its orders were known already"


@pytest.mark.long
async def test_an_order_that_was_in_the_first_reading_and_is_told_late_is_counted_once(dsn: str) -> None:
    """What shortens the wait asks for orders; it never writes before they are known."""
    async with new_shop(dsn) as shop:
        await shop.name_mugs()
        await shop.restock(12, key="first")
        shop.sell(3)
        await shop.second()
        assert shop.shown() == 17, "the orders of its last seconds cannot be known yet"
        assert await shop.until_shown(9) <= SOON_S
        assert await shop.figures() == {"available": 9, "committed": 3}
        for _ in range(70):
            await shop.second()
        assert shop.shown() == 9
        assert await shop.drifts() == []


@pytest.mark.long
async def test_where_nothing_waits_orders_are_asked_for_on_time_alone(dsn: str) -> None:
    async with new_shop(dsn) as shop:
        await shop.name_mugs()
        await shop.restock(12, key="first")
        await shop.until_shown(12)
        for _ in range(30):
            await shop.second()
        settled = len(shop.polls)
        for _ in range(300):
            await shop.second()
        assert settled + 4 <= len(shop.polls) <= settled + 5


@pytest.mark.long
async def test_a_shop_that_sells_all_the_time_is_asked_no_more_often_than_is_allowed(dsn: str) -> None:
    async with new_shop(dsn) as shop:
        await shop.name_mugs()
        await shop.restock(400, key="first")
        for number in range(120):
            if number % 3 == 0 and shop.shown() > 1:
                shop.sell(1)
            await shop.second()
        gaps = [(later - one).total_seconds() for one, later in pairwise(shop.polls)]
        # Unexplained readings ask at once, and those alone.
        assert len(shop.polls) <= 120 / (EVERY_S / reconcile.HURRIED_POLLS) + 5, gaps
        assert await shop.drifts() == []
