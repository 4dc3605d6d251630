"""The pages in a real browser: true figures that refresh themselves, legible in light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from playwright.async_api import Browser, expect

from browser.visit import Scheme, Visit, assert_legible, browser, looking_at, looks, photograph, served, violations
from oneshelf.domain.identity import ChannelSku
from oneshelf.storage import drift_views
from web.paper import Shop, open_shop

__all__ = ["browser"]  # A fixture.

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SKUS = ["MUG-BLUE", "MUG-RED", "PLATE-27CM", "BOWL", "TEAPOT", "VASE-TALL", "CANDLE", "APRON-L"]


@asynccontextmanager
async def visited(browser: Browser, dsn: str, *, is_busy: bool = True) -> AsyncIterator[tuple[Shop, Visit]]:
    """A shop, and a visitor on its dashboard; a busy one shows every state there is to look at."""
    async with open_shop(dsn) as shop:
        if is_busy:
            await trade(shop)
        async with served(shop.app) as address, looking_at(browser, address) as visit:
            yield shop, visit


async def trade(shop: Shop) -> None:
    """Leave the shop with listings that are proved, waiting, suspect, refused and watched, a drift and a shortage."""
    web, market, outlet = await shop.connect("web-shop"), await shop.connect("market"), await shop.connect("outlet")
    kiosk = await shop.connect("kiosk", mode="watch")
    await shop.name_skus(*SKUS)
    for at, sku in enumerate(SKUS):
        for connector in (web, market, outlet, kiosk)[: 4 - at % 3]:
            connector.books[ChannelSku(sku)] = 0
        await shop.command(f"first-{sku}", type="receive", sku=sku, units=17 * (at + 1) ** 2)
    market.books[ChannelSku("NOT-OURS")] = 5
    outlet.refuses.add(ChannelSku("MUG-BLUE"))
    await shop.settle()
    await shop.order("web-shop", "1001", **{"MUG-RED": 3, "BOWL": 2})
    await shop.order("market", "A-77", **{"MUG-BLUE": 20})
    await shop.order("market", "B-1", **{"NOT-OURS": 1})
    await shop.settle()
    market.books[ChannelSku("PLATE-27CM")] += 12
    await shop.sweep()
    await shop.settle()
    await shop.judge_suspicions()
    market.books[ChannelSku("TEAPOT")] += 3
    await shop.sweep()
    del shop.channels[next(name for name in shop.channels if name == "web-shop")]
    await shop.command("second-CANDLE", type="receive", sku="CANDLE", units=40)
    rule = {"channel": "market", "terms": {"buffer_units": 2}}
    assert (await shop.client.put("/v1/policies", json=rule)).status_code == 200
    await shop.plan_and_look()
    # The engine has not planned it yet: pages tell what it comes to.
    shares = {"pools": [{"channel": "web-shop", "percent": 80}, {"channel": "market", "units": 20, "kind": "soft"}]}
    assert (await shop.client.put("/v1/policies/allocations", json={"sku": "BOWL", **shares})).status_code == 200


def sums(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            """
            select sum(available + committed + reserved + damaged + quality_control + safety_stock), sum(available),
                   sum(committed), (select count(*) from orders),
                   (select count(*) from drifts where resolved_at is null)
            from balances
            """
        ).fetchone()
    assert row is not None
    return dict(zip(("on_hand", "available", "committed", "orders", "drifts"), map(int, row), strict=True))


# Every page of a busy shop, and words that stand on it.
PAGES = {
    "home": ("/", "Losing money now"),
    "skus": ("/skus", "APRON-L"),
    "sku": ("/skus/MUG-RED", "Latest movements"),
    "ask-why": ("/explain", "four layers"),
    "explain": ("/explain?channel=web-shop&listing=MUG-RED", "available to sell"),
    "drifts": ("/drifts", "foreign edit"),
    "drift": ("/drifts/{drift}", "What becomes of it"),
    "errors": ("/errors", "order B-1"),
    "short": ("/short", "order market/A-77"),
    "orders": ("/orders", "A-77"),
    "stock": ("/stock?sku=BOWL", "A transfer arrived"),
    "go-live": ("/go-live", "Listings that nobody linked"),
    "plan": ("/go-live/kiosk", "Sign off"),
    "rules": ("/rules", "keep back"),
    "history": ("/rules/history", "buffer units"),
    "pools": ("/rules/pools?sku=BOWL", "The pools of"),
    "architecture": ("/rules/architecture", "What the shop has now"),
    "channels": ("/channels", "kiosk"),
    "channel": ("/channels/market", "Stop writing to it"),
    "missing": ("/skus/NOBODY", "No SKU NOBODY"),
    "problem": ("/explain?channel=market&listing=NOBODY", "has shown no listing"),
}


@pytest.mark.long
async def test_every_page_is_whole_legible_and_usable_wide_and_narrow_in_light_and_dark(
    browser: Browser, dsn: str
) -> None:
    async with open_shop(dsn) as shop:
        await trade(shop)
        async with served(shop.app) as address:
            for width, scheme in looks():
                async with looking_at(browser, address, width=width, scheme=scheme) as visit:
                    for name in PAGES:
                        print(f"{name}, {width} pixels wide, {scheme}")  # shown when it fails
                        await assert_usable(shop, visit, name, f"{name}-{width}-{scheme}", scheme)


async def assert_usable(shop: Shop, visit: Visit, name: str, picture: str, scheme: Scheme) -> None:
    path, words = PAGES[name]
    await visit.page.goto(visit.address + path.replace("{drift}", await drift_of(shop)))
    await assert_legible(visit, words, picture, scheme, is_refused=name in {"missing", "problem"})


async def drift_of(shop: Shop) -> str:
    """The oldest drift."""
    async with shop.database.transaction() as tx:
        rows = await drift_views.listed(tx, only_open=False, limit=100)
    return str(rows[-1].drift_id)


@pytest.mark.long
async def test_the_pages_show_the_figures_of_the_database(browser: Browser, dsn: str) -> None:
    async with visited(browser, dsn) as (_, visit):
        for name, value in sums(dsn).items():
            assert value > 0, name
            shown = visit.page.locator(f"#figure-{name} .value")
            await expect(shown).to_have_attribute("data-value", str(value))
            await expect(shown).to_have_text(f"{value:,}")
        await visit.page.goto(f"{visit.address}/skus")
        states = {await cell.get_attribute("data-state") for cell in await visit.page.locator("[data-state]").all()}
        assert states >= {"verified", "waiting", "drifting", "suspect", "parked", "held"}


@pytest.mark.long
async def test_the_page_refreshes_itself_after_a_receipt_and_keeps_what_a_person_is_typing(
    browser: Browser, dsn: str
) -> None:
    async with visited(browser, dsn) as (shop, visit):
        before = sums(dsn)["available"]
        await shop.command("third", type="receive", sku="VASE-TALL", units=1000)
        shown = visit.page.locator("#figure-available .value")
        await expect(shown).to_have_attribute("data-value", str(before + 1000))
        await visit.page.goto(f"{visit.address}/skus")
        search = visit.page.get_by_label("SKU begins with")
        await search.fill("MU")
        await shop.command("fourth", type="receive", sku="VASE-TALL", units=1000)
        await expect(visit.page.locator('tr[data-sku="VASE-TALL"] [data-figure="available"]')).to_have_text("2,612")
        await expect(search).to_have_value("MU")
        await search.press("Enter")
        await expect(visit.page.locator("tr[data-sku]")).to_have_count(2)
        await shop.name_skus("MUG-GREEN")
        await expect(visit.page.locator("tr[data-sku]")).to_have_count(3)
        assert (visit.complaints, await violations(visit)) == ([], [])


@pytest.mark.long
async def test_figures_that_are_no_longer_refreshed_are_called_old(browser: Browser, dsn: str) -> None:
    async with visited(browser, dsn) as (shop, visit):
        notice = visit.page.locator("#stale")
        await expect(notice).to_be_hidden()
        await shop.database._pool.close()
        await expect(notice).to_be_visible()
        await expect(visit.page.locator("#figure-on_hand .value")).to_have_attribute(
            "data-value", str(sums(dsn)["on_hand"])
        )


@pytest.mark.long
async def test_the_pages_can_be_used_by_keyboard_alone(browser: Browser, dsn: str) -> None:
    async with visited(browser, dsn) as (shop, visit):
        await visit.page.keyboard.press("Tab")
        await expect(visit.page.locator(".skip")).to_be_focused()
        await visit.page.keyboard.press("Enter")
        await visit.page.get_by_role("link", name="SKUs", exact=True).press("Enter")
        link = visit.page.get_by_role("link", name="APRON-L")
        await link.focus()
        await shop.command("third", type="receive", sku="APRON-L", units=1)
        await expect(visit.page.locator('tr[data-sku="APRON-L"] [data-figure="available"]')).to_have_text("1,089")
        await expect(link).to_be_focused()
        await visit.page.keyboard.press("Enter")
        await expect(visit.page).to_have_url(f"{visit.address}/skus/APRON-L")


async def test_an_empty_shop_says_what_to_do_first(browser: Browser, dsn: str) -> None:
    async with visited(browser, dsn, is_busy=False) as (_, visit):
        await expect(visit.page.get_by_text("oneshelf channel add")).to_be_visible()
        await expect(visit.page.get_by_text("oneshelf stock receive")).to_be_visible()
        await photograph(visit, "empty")
        assert (visit.complaints, await violations(visit)) == ([], [])
