"""The metrics that wake somebody are above 0 when there is something to be woken for, and at no other time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.listing import retried
from oneshelf.storage import catalog, publishing
from oneshelf.storage.database import now
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

MUG = ChannelSku("MUG")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Two live channels with mugs, whose units they share."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        for name in ("left", "right"):
            (await shop.connect(name)).books[MUG] = 0
        await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "guarded"})
        await shop.command("receipt", type="receive", sku="MUG", units=6)
        await shop.settle()
        await shop.sweep()
        await shop.settle()
        yield shop


async def told(shop: Shop, name: str, **labels: str) -> float:
    """The figure of one metric now."""
    text = (await shop.client.get("/metrics")).text
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"oneshelf_{name}" and sample.labels == labels
    ]
    [value] = found
    return value


async def test_what_listings_may_sell_adds_up_to_what_is_there(shop: Shop) -> None:
    rights = [await told(shop, "rights_units", channel=name) for name in ("left", "right")]
    assert sum(rights) == 6
    assert await told(shop, "exposure_guarded_units") == 0
    assert await told(shop, "units_short") == 0


@pytest.mark.long
async def test_units_that_somebody_raised_by_hand_could_be_sold_twice(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await catalog.set_mode(tx, Channel("left"), "watch")
    shop.connectors["left"].books[MUG] += 5
    await shop.sweep()
    await shop.settle()
    assert await told(shop, "exposure_guarded_units") == 5
    assert await told(shop, "exposure_units") == 5


@pytest.mark.long
async def test_a_zero_that_is_refused_is_told_until_it_takes(shop: Shop) -> None:
    left = shop.connectors["left"]
    assert left.books[MUG] > 0
    left.refuses.add(MUG)
    await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "frozen"})
    await shop.settle()
    assert await told(shop, "zeros_failing", channel="left") == 1
    assert await told(shop, "zeros_failing", channel="right") == 0
    left.refuses.clear()
    async with shop.database.transaction() as tx:
        [parked] = await publishing.lock(tx, [(Channel("left"), MUG)], lease=None)
        await publishing.save(tx, [retried(parked, now=await now(tx))])
    await shop.settle()
    assert (left.books[MUG], await told(shop, "zeros_failing", channel="left")) == (0, 0)


@pytest.mark.long
async def test_a_zero_that_nobody_signed_off_is_not_ours(shop: Shop) -> None:
    (await shop.connect("watched", mode="watch")).books[MUG] = 3
    await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "frozen"})
    await shop.sweep()
    await shop.settle()
    assert await told(shop, "zeros_failing", channel="watched") == 0
    assert await told(shop, "channel_live", channel="watched") == 0


@pytest.mark.long
async def test_what_is_sold_and_not_there_is_told_with_its_age(shop: Shop) -> None:
    await shop.order("left", "o-1", MUG=2)
    await shop.order("right", "o-2", MUG=2)
    await shop.command("gone", type="adjust", sku="MUG", delta_units=-2)
    await shop.order("left", "o-3", MUG=1)
    await shop.settle()
    assert await told(shop, "units_short") >= 1
    assert await told(shop, "short_oldest_seconds") > 0
