"""The page Stock in a real browser: what waits is legible wide and narrow, and a count is made by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from browser.visit import (
    barriers,
    browser,
    looking_at,
    looks,
    photograph,
    served,
    violations,
)
from web.paper import BERLIN, Shop, open_shop

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["browser"]

SKUS = ("MUG-BLUE", "PLATE-27CM", "VASE-TALL")
PAGES = {"stock": ("/stock", "Returns and others to look at"), "count": ("/stock/counts/week-48", "To look at")}


async def work(shop: Shop) -> None:
    """Leave something that waits of each kind."""
    await shop.connect("paper")
    await shop.name_skus(*SKUS)
    assert (await shop.client.post("/v1/locations", json={"locations": [{"location": "HAMBURG"}]})).is_success

    async def ask(**command: Any) -> None:
        key = f"k{shop.clock.new_id()}"
        answer = await shop.client.post("/v1/commands", json={"commands": [{"key": key, **command}]})
        assert answer.is_success, answer.text

    for sku in SKUS:
        await ask(type="receive", sku=sku, location=BERLIN, units=40)
        line = {"sku": sku, "shipment_id": "PO-2026-117"}
        await ask(type="announce", **line, location=BERLIN, units=24, expected_on="2026-10-12", tolerance_percent=10)
    await ask(type="unload", sku="MUG-BLUE", shipment_id="PO-2026-117", units=30)
    send = {"origin": BERLIN, "target": "HAMBURG", "transfer_id": "T-9"}
    await ask(type="dispatch", sku="VASE-TALL", **send, units=6)
    assert (await shop.client.put("/v1/reorder-rules", json={"units": 38, "by": "Ben"})).is_success
    count = {"task": "week-48", "location": BERLIN, "by": "Ben"}
    assert (await shop.client.post("/v1/count-tasks", json=count)).is_success
    entries = "/v1/count-tasks/week-48/entries"
    for sku, units in (("MUG-BLUE", 75), ("PLATE-27CM", 31)):
        assert (await shop.client.post(entries, json={"sku": sku, "units": units, "by": "Ada"})).is_success


@pytest.mark.long
async def test_what_waits_is_whole_legible_and_usable_wide_and_narrow_in_light_and_dark(
    browser: Browser,
    dsn: str,
) -> None:
    async with open_shop(dsn) as shop:
        await work(shop)
        async with served(shop.app) as address:
            for width, scheme in looks():
                async with looking_at(browser, address, width=width, scheme=scheme) as visit:
                    for name, (path, words) in PAGES.items():
                        await visit.page.goto(visit.address + path)
                        await expect(visit.page.locator("main")).to_contain_text(words)
                        await photograph(visit, f"warehouse-{name}-{width}-{scheme}")
                        is_wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                        assert not await visit.page.evaluate(is_wider), name
                        assert await barriers(visit) == []
                        assert (visit.complaints, await violations(visit)) == ([], [])


@pytest.mark.long
async def test_a_count_is_entered_and_ruled_by_keyboard_on_a_phone(browser: Browser, dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await work(shop)
        async with served(shop.app) as address, looking_at(browser, address, width=390) as visit:
            await visit.page.goto(f"{visit.address}/stock")
            await visit.page.get_by_role("link", name="week-48").press("Enter")
            vase = visit.page.locator('form[data-enter="VASE-TALL"]')
            await vase.get_by_label("Units counted").fill("34")
            await vase.get_by_label("Your name").fill("Ada")
            await vase.get_by_label("Your name").press("Enter")
            await expect(visit.page.locator('tr[data-done="VASE-TALL"]')).to_contain_text("posted")
            plate = visit.page.locator('form[data-rule="PLATE-27CM"]')
            await expect(plate).to_contain_text("the ledger had 40")
            await plate.get_by_label("Reason").fill("nine are broken")
            await plate.get_by_role("button", name="Accept").press("Enter")
            await expect(visit.page.locator('tr[data-done="PLATE-27CM"]')).to_contain_text("nine are broken")
            assert (visit.complaints, await violations(visit)) == ([], [])
        told = (await shop.client.get("/v1/skus/PLATE-27CM")).json()
        assert told["available"] == 31


@pytest.mark.long
async def test_a_refused_form_is_mended_by_keyboard_where_it_stands(browser: Browser, dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await work(shop)
        async with served(shop.app) as address, looking_at(browser, address, width=390) as visit:
            await visit.page.goto(f"{visit.address}/stock?sku=VASE-TALL&shipment=PO-2026-117#unload")
            form = visit.page.locator("form#unload")
            units = form.get_by_label("Units")
            await units.fill("2.5")
            await units.press("Enter")
            await expect(form.get_by_role("status")).to_contain_text("whole number")
            await expect(units).to_be_focused()
            await expect(units).to_be_in_viewport()
            await expect(form.get_by_label("Number of the shipment")).to_have_value("PO-2026-117")
            assert await barriers(visit) == []
            visit.complaints.clear()  # Of the status 422.
            await units.fill("2")
            await units.press("Enter")
            await expect(form.get_by_role("status")).to_contain_text("22 are still to come")
            await expect(units).to_have_value("")
            assert (visit.complaints, await violations(visit)) == ([], [])
