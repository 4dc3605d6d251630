"""What adds up the whole catalogue is counted anew for a small one, and kept for a while for a large one."""

from __future__ import annotations

import pytest

from oneshelf.flow.survey import survey
from oneshelf.storage import tallies
from oneshelf.storage.database import Database
from oneshelf.storage.tallies import ALWAYS_COUNTED, Tally
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

MANY = 2 * ALWAYS_COUNTED


async def name_many(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("insert into skus (sku, title) select 'S' || n, '' from generate_series(1, %s) n", (MANY,))


async def told(shop: Shop) -> Tally:
    async with shop.database.transaction() as tx:
        return await tallies.read(tx)


async def age(shop: Shop, seconds: float) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("update tallies set counted_at = counted_at - make_interval(secs => %s)", (seconds,))


async def test_a_small_catalogue_is_counted_each_time(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await survey(shop.database)
        assert (await told(shop)).totals["sku_count"] == 0
        await shop.name_skus("MUG")
        await survey(shop.database)
        assert (await told(shop)).totals["sku_count"] == 1


async def test_a_large_one_is_kept_for_a_while_with_its_age(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect("paper", mode="watch")
        await name_many(shop.database)
        # Nobody has counted yet: whoever asks first waits.
        assert (await told(shop)).totals["sku_count"] == MANY
        await survey(shop.database)
        first = await told(shop)
        assert first.kept_s == MANY / 1e6 * 20
        await shop.name_skus("MUG")
        await survey(shop.database)
        assert (await told(shop)) == first
        await age(shop, first.kept_s)
        assert (await told(shop)).totals["sku_count"] == MANY
        await survey(shop.database)
        assert (await told(shop)).totals["sku_count"] == MANY + 1
        await age(shop, 60)
        assert "what counts all listings is 1 min old" in (await shop.client.get("/")).text
        assert "what counts all listings is 1 min old" in (await shop.client.get("/channels")).text
        assert (await shop.client.get("/v1/channels")).json()["channels"][0]["listing_count"] == 0
