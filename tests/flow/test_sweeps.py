"""A sweep reads the whole stock of a channel, however many pages that takes, and keeps what it has read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.listing import Phase
from oneshelf.flow import reconcile
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.stock_source import GATHER_READINGS
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.message import StockPage, StockReading
from oneshelf.storage import publishing, schedules
from oneshelf.storage.database import Database
from storage.locks import until_somebody_waits
from web.paper import CAPABILITY, PaperConnector, Shop, open_shop

pytestmark = pytest.mark.pg

CLOCK = SystemClock()
NAME = Channel("catalogue")


class Catalogue(PaperConnector):
    """Its stock is these pages. `fails_at`: the page that it cannot give."""

    def __init__(self, pages: Sequence[Sequence[StockReading]], *, fails_at: int | None = None) -> None:
        super().__init__(NAME)
        self._pages = pages
        self._fails_at = fails_at

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        number = int(cursor or 0)
        if number == self._fails_at:
            raise RetryLaterError("come back later", retry_after_s=5)
        return StockPage(tuple(self._pages[number]), str(number + 1) if number + 1 < len(self._pages) else None)


def reading(number: int, title: str = "") -> StockReading:
    return StockReading(ChannelSku(f"entry-{number:05}"), 5, title=title)


async def swept(shop: Shop, connector: PaperConnector) -> int:
    await shop.connect(NAME)
    channel = OpenChannel(name=NAME, kind="paper", connector=connector, capability=CAPABILITY)
    return await reconcile.sweep(shop.database, channel, CLOCK)


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as tx:
        return await (await tx.execute(query.encode())).fetchall()


TASK = "select last_done_at is not null, lease is null, last_fault from schedules where task = 'stock'"


async def test_a_stock_of_more_than_ten_thousand_pages_is_read_to_its_end(dsn: str) -> None:
    """With twenty listings in a page, as Amazon gives them, a large catalogue has as many."""
    count = 10_020
    async with open_shop(dsn) as shop:
        assert await swept(shop, Catalogue([[reading(number)] for number in range(count)])) == count
        assert await rows(shop.database, TASK) == [(True, True, "")]
        assert await rows(shop.database, "select count(*) from listings") == [(count,)]


async def test_what_was_read_before_a_channel_failed_is_kept(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        assert await swept(shop, Catalogue([[reading(1)], [reading(2)], [reading(3)]], fails_at=2)) == 2
        assert await rows(shop.database, TASK) == [(False, True, "come back later")]
        assert await rows(shop.database, "select channel_sku from listings order by 1") == [
            ("entry-00001",), ("entry-00002",)
        ]  # fmt: skip


async def test_the_next_part_is_told_while_one_is_stored(dsn: str) -> None:
    """Both take long for a million listings: neither waits for the other, and they are stored in their order."""

    class Watched(Catalogue):
        told = 0

        async def fetch_stock(self, cursor: str | None) -> StockPage:
            self.told += 1
            return await super().fetch_stock(cursor)

    pages = [[reading(page * GATHER_READINGS + n) for n in range(GATHER_READINGS)] for page in range(3)]
    async with open_shop(dsn) as shop:
        catalogue = Watched(pages)
        async with shop.database.transaction() as tx:
            await tx.execute("lock table listings in exclusive mode")
            sweeping = asyncio.ensure_future(swept(shop, catalogue))
            async with asyncio.timeout(30):
                while catalogue.told < 2:
                    await CLOCK.sleep(0.02)
            assert not sweeping.done()
        assert await sweeping == len(pages) * GATHER_READINGS
        assert await rows(shop.database, "select count(*) from listings") == [(len(pages) * GATHER_READINGS,)]
        assert await rows(shop.database, TASK) == [(True, True, "")]


async def test_a_sweep_that_ends_while_it_stores_has_lost_nothing(dsn: str) -> None:
    pages = [[reading(page * GATHER_READINGS + n) for n in range(GATHER_READINGS)] for page in range(2)]
    async with open_shop(dsn) as shop:
        async with shop.database.transaction() as tx:
            await tx.execute("lock table listings in exclusive mode")
            sweeping = asyncio.ensure_future(swept(shop, Catalogue(pages)))
            await until_somebody_waits(shop.database)
            sweeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sweeping
        assert await rows(shop.database, "select count(*) from listings") == [(0,)]
        async with shop.database.transaction() as tx:
            await tx.execute("update schedules set lease_until = db_now() - interval '1 second'")
        assert await swept(shop, Catalogue(pages)) == 2 * GATHER_READINGS
        assert await rows(shop.database, TASK) == [(True, True, "")]


async def test_a_listing_that_moved_between_two_pages_is_as_the_later_one_says(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        pages = [[reading(1, "before"), reading(2)], [reading(1, "after")]]
        assert await swept(shop, Catalogue(pages)) == 3
        assert await rows(shop.database, "select channel_sku, title from listings order by 1") == [
            ("entry-00001", "after"), ("entry-00002", "")
        ]  # fmt: skip


async def test_a_title_that_is_not_told_this_time_stays_what_it_was(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect(NAME)
        for title, kept in (("mug", "mug"), ("", "mug"), ("cup", "cup"), ("", "cup")):
            async with shop.database.transaction() as tx:
                await schedules.hurry(tx, NAME, "stock", at_most_every_s=0)
            assert await swept(shop, Catalogue([[reading(1, title)]])) == 1
            assert await rows(shop.database, "select title from listings") == [(kept,)]


# Of each: what it should show, what it shows as we believe, and when it is written.
WAITING = {
    "cut to 1": (1, 5),
    "cut to 2": (2, 3),
    "same": (0, 0),
    "raise to 1": (1, 0),
    "raise to 9": (9, 3),
}


async def test_cuts_are_written_first_and_the_scarcest_of_them_before_the_others(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect(NAME)
        await shop.name_skus("MUG")
        async with shop.database.transaction() as tx:
            for name, (desired, belief) in WAITING.items():
                await tx.execute(
                    """
                    insert into listings (channel, channel_sku, sku, desired_units, desired_version, base_units,
                                          net_units)
                    values (%(channel)s, %(name)s, 'MUG', %(desired)s, 1, %(base)s, 7)
                    """,
                    {"channel": NAME, "name": name, "desired": desired, "base": belief + 7},
                )
        found: list[str] = []
        while True:
            async with shop.database.transaction() as tx:
                claimed = await publishing.claim_to_push(
                    tx, NAME, phases=list(Phase), limit=1, lease=CLOCK.new_id(), lease_s=60
                )
            if not claimed:
                break
            found += [listing.channel_sku for listing in claimed]
    assert found == list(WAITING)
