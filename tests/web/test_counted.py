"""What adds up the whole catalogue is counted anew for a small one, and kept for a while for a large one."""

from __future__ import annotations

import asyncio

from oneshelf.storage.database import Database
from oneshelf.web.pages.counted import ALWAYS_COUNTED, Tally
from web.paper import open_shop

MANY = 2 * ALWAYS_COUNTED


async def name_many(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("insert into skus (sku, title) select 'S' || n, '' from generate_series(1, %s) n", (MANY,))


async def test_a_small_catalogue_is_counted_each_time(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        tally = Tally(shop.database, lambda: 0.0)
        assert (await tally.read()).overview.sku_count == 0
        await shop.name_skus("MUG")
        assert (await tally.read()).overview.sku_count == 1


async def test_a_large_one_is_kept_for_a_while_and_counted_once_for_all_who_wait(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await name_many(shop.database)
        seconds = 0.0
        tally = Tally(shop.database, lambda: seconds)
        first, other = await asyncio.gather(tally.read(), tally.read())
        assert first is other
        assert first.kept_s == MANY / 1e6 * 20
        await shop.name_skus("MUG")
        assert (await tally.read()) is first
        seconds = first.kept_s
        assert (await tally.read()).overview.sku_count == MANY + 1
