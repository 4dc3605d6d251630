"""How people come in, in a real browser: with a password, by the account of their company, and who is not let in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from browser.visit import Scheme, Visit, assert_legible, browser, looking_at, looks, served
from oneshelf.domain.access import Role
from web.issuer import Desk, open_desk
from web.test_login import PASSWORD, a_person, add

__all__ = ["browser"]  # A fixture.

pytestmark = [pytest.mark.browser, pytest.mark.pg, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.long
async def test_every_way_in_is_legible_and_usable_wide_and_narrow_in_light_and_dark(browser: Browser, dsn: str) -> None:
    async with open_desk(dsn) as desk:
        await a_person(desk.house)
        async with served(desk.house.app) as address:
            for width, scheme in looks():
                looked = f"{width}-{scheme}"
                await add(desk.house, looked, Role.WAREHOUSE)
                async with looking_at(browser, address, width=width, scheme=scheme) as visit:
                    await come_in(visit, looked, scheme)
                    await assert_an_account_is_linked(visit, looked, scheme)
            await assert_no_other_account_is_spoken_of(browser, desk, address)


async def come_in(visit: Visit, looked: str, scheme: Scheme) -> None:
    """Turned away first, then let in."""
    page = visit.page
    await page.goto(f"{visit.address}/login/oidc/return")
    await assert_legible(visit, "You are not logged in", f"not-let-in-{looked}", scheme, is_refused=True)
    await page.goto(f"{visit.address}/login")
    await expect(page.get_by_role("link", name="Log in with Shop & Co")).to_be_visible()
    await assert_legible(visit, "Log in to oneshelf", f"login-{looked}", scheme)
    await page.get_by_label("Name").fill("anna")
    await page.get_by_label("Password").fill("not this one, surely")
    await page.get_by_label("Password").press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await assert_legible(visit, "Log in to oneshelf", f"login-wrong-{looked}", scheme, is_refused=True)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Password").press("Enter")
    await expect(page.locator("main")).to_contain_text("Losing money now")


async def assert_an_account_is_linked(visit: Visit, looked: str, scheme: Scheme) -> None:
    """An admin says whose an account of the company is, and it is said again."""
    page = visit.page
    await page.goto(f"{visit.address}/settings/people")
    row = page.locator(f'[data-person="{looked}"]')
    await row.locator("summary").click()
    await assert_legible(visit, "Link the account", f"people-account-{looked}", scheme)
    await row.get_by_label("Subject of").fill(f"subject-{looked}")
    await row.get_by_role("button", name="Link the account").click()
    await expect(row).to_contain_text("by the account elsewhere")
    await row.locator("summary").click()
    await assert_legible(visit, "Unlink the account elsewhere", f"people-linked-{looked}", scheme)


async def assert_no_other_account_is_spoken_of(browser: Browser, desk: Desk, address: str) -> None:
    """Where there is no issuer there are passwords, and nothing else on the page."""
    state = desk.house.app.state
    state.engine = replace(state.engine, issuer=None)
    async with looking_at(browser, address) as visit:
        await visit.page.goto(f"{address}/login")
        await expect(visit.page.get_by_role("button", name="Log in")).to_be_visible()
        await expect(visit.page.get_by_role("link", name="Log in with")).to_have_count(0)
        await assert_legible(visit, "Log in to oneshelf", "login-password", "light")
