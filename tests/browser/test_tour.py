"""The tour of the demo with a keyboard alone, under the policy that lets no foreign script in, legible."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from browser.visit import assert_legible, browser, looking_at, served, violations
from oneshelf.web.pages.tour import STOPS
from web.paper import open_shop

__all__ = ["browser"]  # A fixture.

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.long
async def test_a_keyboard_goes_on_and_ends_it(browser: Browser, dsn: str) -> None:
    async with open_shop(dsn) as shop:
        shop.app.state.engine = replace(shop.app.state.engine, shows_tour=True)
        async with served(shop.app) as address, looking_at(browser, address) as visit:
            page = visit.page
            await expect(page.get_by_role("complementary")).to_contain_text(STOPS[0].title)
            await assert_legible(visit, STOPS[0].title, "tour", "light")
            await page.get_by_role("link", name="Next").focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("complementary")).to_contain_text(STOPS[1].title)
            await page.get_by_role("link", name="End the tour").focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("complementary")).to_have_count(0)
            await expect(page.get_by_role("link", name="Show the tour")).to_be_visible()
            assert await violations(visit) == []
            assert visit.complaints == []
