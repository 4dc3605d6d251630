"""The pages of Settings, Connect, Conflicts and Files in a real browser, of a shop in which people log in."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, expect

from browser.visit import Scheme, Visit, assert_legible, browser, looking_at, looks, served
from oneshelf.domain.access import Role, Scope
from oneshelf.flow import follow
from oneshelf.storage import api_tokens, conflicts, imports, users
from oneshelf.web.passwords import Passwords
from web.paper import Shop, open_shop

__all__ = ["browser"]  # A fixture.

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "five small words make one"
SKUS = ["MUG-BLUE", "MUG-RED", "PLATE-27CM", "BOWL"]
# Who is added, by how the page is looked at.
NAMES = {"1280-light": "carla", "390-dark": "dora", "1280-dark": "emil", "390-light": "frida"}
COUNTS = "sku,location,on_hand\nMUG-BLUE,BERLIN,40\nMUG-RED,BERLIN,12\nPLATE-27CM,BERLIN,many\nNOBODY,BERLIN,3\n"

# Every page, and words that stand on it.
PAGES = {
    "connect": ("/connect", "read-only"),
    "connect-kind": ("/connect/shopify", "shown nowhere again"),
    "check": ("/channels/web-shop/check", "See its plan"),
    "conflicts": ("/conflicts", "equivocation"),
    "conflicts-none": ("/conflicts?kind=drift", "Nothing waits for you"),
    "conflict": ("/conflicts/{statement}", "Was it decided wrongly?"),
    "equivocation": ("/conflicts/{equivocation}", "says two things"),
    "files": ("/files", "counts.csv"),
    "file": ("/files/{file}", "cannot be applied"),
    "health": ("/settings", "Durability"),
    "people": ("/settings/people", "ben"),
    "tokens": ("/settings/tokens", "till"),
    "activity": ("/settings/activity", "PUT /v1/sources"),
    "events": ("/settings/events", "erp.example"),
    "second-factor": ("/account/second-factor", "Set it up"),
    "account": ("/account", "Second factor"),
}


async def furnish(shop: Shop) -> dict[str, str]:
    """A shop with a conflict of each kind, a file, people and programs; names -> their ids."""
    await shop.connect("web-shop", mode="watch")
    await shop.name_skus(*SKUS)
    async with shop.database.transaction() as tx:
        new = api_tokens.NewToken("till", {Scope.STOCK_WRITE}, "anna", 90 * 86_400, 100)
        await api_tokens.add(tx, new)
        await api_tokens.add(tx, api_tokens.NewToken("old-erp", {Scope.READ}, "anna", None, 20))
        await api_tokens.revoke(tx, "old-erp")
        setter = await api_tokens.add(tx, api_tokens.NewToken("erp", {Scope.ADMIN}, "anna", None, 1e4))
        for name, role in (("anna", Role.ADMIN), ("ben", Role.WAREHOUSE)):
            await users.add(tx, shop.clock.new_id(), name=name, role=role, created_by="anna")
        login = {row.name for row in await users.listed(tx)}
        assert login == {"anna", "ben"}
    await follow.define(
        shop.database, follow.wish_from("erp", "https://erp.example/stock", event_types=[], allows_http=False)
    )
    shop.client.headers["authorization"] = f"Bearer {setter}"
    await set_password(shop, "anna")
    assert (await shop.client.put("/v1/sources", json={"source": "erp"})).status_code == 200
    mug = {"sku": "MUG-BLUE", "location": "BERLIN"}
    documents = [
        {"document": "GR-1", **mug, "figure": "delta", "units": 30},
        {"document": "INV-7", **mug, "figure": "on_hand", "units": 25, "seen": {"documents": [seen("GR-1")]}},
    ]
    for one in (*documents, {**documents[0], "units": 3}):
        answer = await shop.client.post("/v1/statements", json={"source": "erp", "statements": [one]})
        assert answer.status_code == 200, answer.text
    answer = await shop.client.post(
        "/v1/imports", params={"kind": "counts", "taken_at": "now", "atomic": "row", "name": "counts.csv"},
        content=COUNTS.encode(), headers={"content-type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    async with shop.database.transaction() as tx:
        found = {row.kind: str(row.conflict_id) for row in await conflicts.listed(tx)}
        [file] = await imports.listed(tx, limit=2)
    return {**found, "file": file.import_id}


def seen(number: str) -> dict[str, str]:
    return {"source": "erp", "number": number}


async def set_password(shop: Shop, name: str) -> None:
    kept = await Passwords().hashed(PASSWORD)
    async with shop.database.transaction() as tx:
        found = await tx.execute("select user_id from users where name = %(name)s", {"name": name})
        row = await found.fetchone()
        assert row is not None
        await users.set_password(tx, row[0], kept)


async def log_in(visit: Visit, name: str = "anna") -> None:
    await visit.page.goto(f"{visit.address}/login")
    await visit.page.get_by_label("Name").fill(name)
    await visit.page.get_by_label("Password").fill(PASSWORD)
    await visit.page.get_by_role("button", name="Log in").click()
    await visit.page.wait_for_load_state()


@pytest.mark.long
async def test_every_page_is_whole_legible_and_usable_wide_and_narrow_in_light_and_dark(
    browser: Browser, dsn: str
) -> None:
    async with open_shop(dsn) as shop:
        ids = await furnish(shop)
        async with served(shop.app) as address:
            for width, scheme in looks():
                async with looking_at(browser, address, width=width, scheme=scheme) as visit:
                    await log_in(visit)
                    for name, (path, words) in PAGES.items():
                        print(f"{name}, {width} pixels wide, {scheme}")  # shown when it fails
                        await visit.page.goto(visit.address + path.format_map(ids))
                        await assert_legible(visit, words, f"{name}-{width}-{scheme}", scheme)
                    await look_at_what_is_shown_once(visit, width, scheme)


async def look_at_what_is_shown_once(visit: Visit, width: int, scheme: Scheme) -> None:
    """A link, a token, a preview, and the picture of a second factor."""
    page, looked = visit.page, f"{width}-{scheme}"
    await page.goto(f"{visit.address}/settings/people")
    await page.get_by_label("Name").fill(NAMES[looked])
    await page.get_by_role("button", name="Add, and show the link").click()
    await assert_legible(visit, "Good once", f"people-link-{looked}", scheme)
    await page.locator('[data-person="ben"] summary').click()
    await assert_legible(visit, "Give role", f"people-change-{looked}", scheme)
    await page.goto(f"{visit.address}/settings/tokens")
    await page.get_by_label("Which program").fill(f"reports of {NAMES[looked]}")
    await page.get_by_role("button", name="Make it").click()
    await assert_legible(visit, "not shown again", f"token-once-{looked}", scheme)
    await page.goto(f"{visit.address}/files")
    await page.locator("#bring input[type=file]").set_input_files(
        {"name": "stocktaking.csv", "mimeType": "text/csv", "buffer": COUNTS.encode()}
    )
    await page.get_by_label("Counts and receipts are of").select_option("now")
    await page.get_by_label("apply the good rows").check()
    await page.get_by_role("button", name="Show what each row would do").click()
    await expect(page.locator("#outcome [data-line]")).to_have_count(2)
    await assert_legible(visit, "Nothing is changed yet", f"files-preview-{looked}", scheme)
    await page.goto(f"{visit.address}/account/second-factor")
    await page.get_by_role("button", name="Set it up").click()
    await assert_legible(visit, "No camera?", f"second-factor-picture-{looked}", scheme)


@pytest.mark.long
async def test_a_file_is_looked_at_applied_and_taken_back(browser: Browser, dsn: str, tmp_path: Path) -> None:
    async with open_shop(dsn) as shop:
        await furnish(shop)
        (tmp_path / "receipts.csv").write_text("sku,location,received\nBOWL,BERLIN,7\n")
        async with served(shop.app) as address, looking_at(browser, address) as visit:
            await log_in(visit)
            page = visit.page
            await page.goto(f"{address}/files")
            await page.locator("#bring input[type=file]").set_input_files(tmp_path / "receipts.csv")
            await page.get_by_label("What it says").select_option("receipts")
            await page.get_by_role("button", name="Show what each row would do").click()
            await expect(page.locator("#outcome [role=alert]")).to_contain_text("received_at")
            await page.get_by_label("Counts and receipts are of").select_option("now")
            await page.get_by_role("button", name="Show what each row would do").click()
            await expect(page.locator('#outcome [data-effect="2"]')).to_contain_text("7")
            assert await available(shop) == 0
            await page.get_by_role("button", name="Apply it").click()
            await expect(page.locator("h1")).to_contain_text("receipts.csv")
            assert await available(shop) == 7
            await page.get_by_text("Take the whole file back").click()
            await page.get_by_role("button", name="Yes, take it back").click()
            await expect(page.locator(".said")).to_contain_text("1 of 1 changes are taken back")
            assert await available(shop) == 0
            await page.get_by_text("Take the whole file back").click()
            await page.get_by_role("button", name="Yes, take it back").click()
            await expect(page.locator(".said")).to_contain_text("Nothing is left to take back")
            assert visit.complaints == []


async def available(shop: Shop) -> int:
    return int((await shop.client.get("/v1/skus/BOWL")).json()["available"])


@pytest.mark.long
async def test_a_person_sets_a_second_factor_up_and_logs_in_with_it(browser: Browser, dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await furnish(shop)
        async with served(shop.app) as address:
            async with looking_at(browser, address) as visit:
                await log_in(visit)
                await visit.page.goto(f"{address}/account/second-factor")
                await visit.page.get_by_role("button", name="Set it up").click()
                secret = (await visit.page.locator(".scan code").inner_text()).replace(" ", "")
                await visit.page.get_by_label("The code of the app").fill(pyotp.TOTP(secret).now())
                await visit.page.get_by_role("button", name="Switch it on").click()
                codes = await visit.page.locator(".codes code").all_inner_texts()
                assert len(set(codes)) == 10
                await assert_legible(visit, "Print them", "second-factor-codes", "light")
            async with looking_at(browser, address) as visit:
                await log_in(visit)
                await assert_legible(visit, "One more step", "login-second", "light")
                await visit.page.get_by_label("recovery code").fill(codes[0].lower())
                await visit.page.get_by_role("button", name="Log in").click()
                await expect(visit.page.get_by_role("link", name="Account")).to_be_visible()


@pytest.mark.long
async def test_who_is_logged_out_while_typing_is_told_and_loses_nothing(browser: Browser, dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await furnish(shop)
        async with served(shop.app) as address, looking_at(browser, address) as visit:
            await log_in(visit)
            await visit.page.goto(f"{visit.address}/stock#receive")
            await visit.page.locator("form#receive").get_by_label("Units").fill("12")
            async with shop.database.transaction() as tx:
                await users.sign_out(tx, "anna")
            notice = visit.page.locator("#logged-out")
            await expect(notice).to_contain_text("not logged in any more")
            await expect(notice).to_be_in_viewport()
            await expect(visit.page.locator("#stale")).to_be_hidden()
            await expect(visit.page.locator("h1")).to_have_text("Stock")
            await expect(visit.page.locator("form#receive").get_by_label("Units")).to_have_value("12")
