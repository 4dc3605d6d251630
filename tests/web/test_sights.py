"""What pages say where it is easily said wrong: frozen SKUs, channels without figures, orders, throttles, clocks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.domain.identity import ChannelSku
from oneshelf.storage import tallies, views
from oneshelf.web import wording
from web.paper import Shop, open_shop

MUG = ChannelSku("MUG")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        paper = await shop.connect("paper")
        await shop.name_skus(MUG)
        paper.books |= {MUG: 0}
        await shop.command("m", type="receive", sku=MUG, units=10)
        await shop.settle()
        yield shop


async def page(shop: Shop, path: str) -> str:
    answer = await shop.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


async def run(shop: Shop, statement: str, **said: Any) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(statement.encode(), said)


@pytest.mark.pg
async def test_a_frozen_sku_says_so_and_is_thawed_only_by_a_form_that_says_it(shop: Shop) -> None:
    before = await page(shop, "/skus/MUG")
    assert 'id="frozen"' not in before
    assert "Yes, freeze it" in before
    await run(shop, "update skus set mode = 'frozen'")
    text = await page(shop, "/skus/MUG")
    assert 'id="frozen"' in text
    assert "Sell it again so" in text
    assert "Yes, freeze it" not in text
    assert "Share it so" not in text


@pytest.mark.pg
async def test_a_channel_without_figures_is_signed_off_by_nobody_and_counted_nowhere(shop: Shop) -> None:
    await shop.connect("till", mode="watch")
    await run(shop, "update channels set shows_figures = false where channel = 'till'")
    await run(
        shop, "insert into listings (channel, channel_sku, sku) values ('till', 'MUG', 'MUG'), ('till', 'X', null)"
    )
    async with shop.database.transaction() as tx:
        overview = await views.overview(tx, tally=await tallies.count(tx))
    assert (overview.listing_count, overview.held_count, overview.unlinked_count) == (2, 0, 1)
    assert 'href="/go-live/till"' not in await page(shop, "/go-live")
    plan = await page(shop, "/go-live/till")
    assert "nothing to sign off" in plan
    assert "Sign off" not in plan
    for path in ("/channels/till", "/channels"):
        assert "heard only" in await page(shop, path)
    text = await page(shop, "/channels/till/check")
    assert "See its plan" not in text
    assert "See its devices" in text


@pytest.mark.pg
async def test_orders_are_the_newest_first_page_by_page_found_by_number_and_named_cancelled(shop: Shop) -> None:
    await shop.connect("aaa")
    await run(
        shop,
        """
        insert into orders (channel, order_id, placed_at, seen_at)
        select case mod(n, 2) when 0 then 'aaa' else 'paper' end, 'N' || n, now() - make_interval(hours => n / 3), now()
        from generate_series(1, 120) as n
        """,
    )
    await run(
        shop,
        """
        insert into order_lines (sku, location, channel, order_id, line_id, channel_sku, placed_at, is_pending,
            pack_units, units_pending, units_committed, units_shipped, units_short, units_off_listing, units_returned,
            units_restocked)
        select 'MUG', 'BERLIN', channel, order_id, '1', 'MUG', placed_at, false, 1, 0, 0, 0, 0, 0, 0, 0
        from orders where order_id = 'N1'
        """,
    )
    seen: list[str] = []
    address = "/orders"
    while address:
        text = await page(shop, address)
        seen += re.findall(r'data-order="\w+/(N\d+)"', text)
        found = re.search(r'href="([^"]*)" rel="next"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert sorted(seen) == sorted(f"N{n}" for n in range(1, 121))
    hours = [int(name[1:]) // 3 for name in seen]
    assert hours == sorted(hours)
    found_by_number = await page(shop, "/orders?number=N11")
    assert set(re.findall(r'data-order="\w+/(N\d+)"', found_by_number)) == {"N11", *(f"N11{n}" for n in range(10))}
    assert "cancelled" in await page(shop, "/orders?channel=paper&number=N1")
    assert (await shop.client.get("/orders", params={"after": "none"})).status_code == 422


@pytest.mark.pg
async def test_what_is_plentiful_does_not_lose_money_and_what_is_scarce_does(shop: Shop) -> None:
    (await shop.connect("pulp")).books |= {MUG: 0}
    await shop.settle()
    async with shop.database.transaction() as tx:
        plentiful = (await tallies.count(tx)).exposure
    await run(shop, "update skus set is_guarded = true")
    async with shop.database.transaction() as tx:
        scarce = (await tallies.count(tx)).exposure
    assert (plentiful.scarce_units, plentiful.scarce_count) == (0, 0)
    assert scarce.scarce_units == scarce.units
    assert scarce.scarce_count == scarce.place_count


@pytest.mark.pg
async def test_what_is_tried_again_is_not_called_done(shop: Shop) -> None:
    assert "Every delivery was read" in await page(shop, "/errors")
    assert (await shop.order("paper", "O-1", MUG=1)).is_success
    assert "being tried" in await page(shop, "/errors")
    await shop.settle()
    assert "Every delivery was read" in await page(shop, "/errors")


@pytest.mark.pg
async def test_the_forms_of_stock_are_folded_until_one_is_asked_for(shop: Shop) -> None:
    text = await page(shop, "/stock")
    assert text.count('<details class="fold">') == text.count('class="fold"') > 15
    assert '<details class="fold" open>' in await page(shop, "/stock?shipment=PO-1")


@pytest.mark.parametrize(
    ("ahead_s", "said"), [(None, ""), (-78.2, "78 s behind"), (3.0, "3 s ahead"), (0.2, "right"), (-0.4, "right")]
)
def test_a_clock_is_ahead_or_behind(ahead_s: float | None, said: str) -> None:
    assert wording.clock(ahead_s) == said


def test_purchase_orders_are_sorted_as_people_count() -> None:
    assert sorted(["PO-10", "PO-2", "PO-1", "PO"], key=wording.natural) == ["PO", "PO-1", "PO-2", "PO-10"]


@pytest.mark.parametrize(("count", "said"), [(0, "0 listings"), (1, "1 listing"), (2000, "2,000 listings")])
def test_one_is_no_plural(count: int, said: str) -> None:
    assert wording.counted(count, "listing") == said


@pytest.mark.pg
async def test_a_throttle_is_no_alarm_and_shows_the_sentence_of_the_channel(shop: Shop) -> None:
    words = 'searchOrders: 429 {"errors":[{"code":"QuotaExceeded","message":"You exceeded your quota."}]}'
    await run(shop, "update channels set last_fault = %(words)s", words=words)
    text = await page(shop, "/channels")
    assert "throttled: searchOrders: 429 You exceeded your quota." in text
    assert "errors" not in text.partition("Last fault")[2].partition("</tr>")[0]
