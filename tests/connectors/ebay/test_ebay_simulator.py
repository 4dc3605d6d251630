"""The simulated eBay behaves as the documents say eBay does: tokens, quotas, and the Inventory API."""

from __future__ import annotations

import httpx2
import pytest

from connectors.ebay.stall import ADDRESS, INVENTORY, SCOPE, Stall, basic, errors, stall
from oneshelf.connectors.ebay.simulator import SIMULATED_SECRETS
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import CatalogueItem

REFRESH = {"grant_type": "refresh_token", "refresh_token": SIMULATED_SECRETS["refresh_token"]}
APPLICATION = {"grant_type": "client_credentials", "scope": SCOPE}
ITEMS = f"{INVENTORY}/inventory_item"
RATES = "/developer/analytics/v1_beta/rate_limit/"


async def with_token(desk: Stall, token: str, path: str = ITEMS) -> httpx2.Response:
    return await desk.client.get(ADDRESS + path, headers={"authorization": f"Bearer {token}"})


# OAuth ------------------------------------------------------------------------------------------------------------


async def test_a_token_lives_two_hours_of_ebays_time() -> None:
    async with stall({"MUG": 1}, speed=10.0) as desk:
        granted = (await desk.grant(REFRESH)).json()
        assert (granted["token_type"], granted["expires_in"]) == ("User Access Token", 720)
        await desk.clock.advance(719)
        alive = await with_token(desk, granted["access_token"])
        await desk.clock.advance(2)
        dead = await with_token(desk, granted["access_token"])
        assert (alive.status_code, dead.status_code, errors(dead)) == (200, 401, [1001])


@pytest.mark.parametrize(
    ("form", "authorization", "status", "error"),
    [
        (REFRESH, basic(client_secret="wrong"), 401, "invalid_client"),
        (REFRESH, "", 401, "invalid_client"),
        ({**REFRESH, "refresh_token": "stale"}, basic(), 400, "invalid_grant"),
        ({**REFRESH, "scope": f"{SCOPE} {SCOPE}/sell.finances"}, basic(), 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": f"{SCOPE}/sell.inventory"}, basic(), 400, "invalid_scope"),
        ({"grant_type": "client_credentials"}, basic(), 400, "invalid_scope"),
        ({"grant_type": "password"}, basic(), 400, "unsupported_grant_type"),
    ],
)
async def test_a_bad_token_request_is_refused_in_the_words_of_oauth(
    form: dict[str, str], authorization: str, status: int, error: str
) -> None:
    async with stall() as desk:
        answer = await desk.grant(form, authorization=authorization)
        assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_refresh_may_ask_for_fewer_scopes_and_then_can_do_less() -> None:
    async with stall({"MUG": 1}) as desk:
        granted = await desk.grant({**REFRESH, "scope": f"{SCOPE}/sell.fulfillment"})
        refused = await with_token(desk, granted.json()["access_token"])
        assert (refused.status_code, errors(refused)) == (403, [1100])


async def test_an_application_has_a_token_of_its_own_that_reads_no_listing() -> None:
    async with stall({"MUG": 1}) as desk:
        token = await desk.token(is_user=False)
        assert (await with_token(desk, token)).status_code == 403
        assert (await with_token(desk, token, RATES)).status_code == 200


async def test_a_withdrawn_consent_refuses_tokens_until_it_is_given_again() -> None:
    async with stall({"MUG": 1}) as desk:
        token = await desk.token()
        desk.simulator.revoke()
        refused, no_grant = await with_token(desk, token), await desk.grant(REFRESH)
        assert (refused.status_code, no_grant.json()["error"]) == (401, "invalid_grant")
        desk.simulator.grant()
        assert (await with_token(desk, token)).status_code == 200
        assert desk.simulator.switches.hits["token_revoked"] == 2


# Quotas -----------------------------------------------------------------------------------------------------------


async def test_a_quota_is_counted_told_and_refused_and_ends_with_the_day() -> None:
    async with stall({"MUG": 1}) as desk:
        desk.simulator.gate.quotas["inventory"] = 3
        answers = [await desk.call("GET", ITEMS) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert errors(answers[3]) == [2001]
        assert "retry-after" not in {name.lower() for name in answers[3].headers}
        told = await desk.call("GET", RATES, is_user=False, params={"api_name": "inventory", "api_context": "sell"})
        (rate,) = told.json()["rateLimits"][0]["resources"][0]["rates"]
        assert rate == {"limit": 3, "remaining": 0, "reset": "2026-01-06T07:00:00.000Z", "timeWindow": 86400}
        await desk.clock.advance(19 * 3600 - 1)
        assert (await desk.call("GET", ITEMS)).status_code == 429
        await desk.clock.advance(1)
        assert (await desk.call("GET", ITEMS)).status_code == 200


async def test_each_sort_of_token_is_granted_so_often_in_a_day_whether_or_not_the_request_is_good() -> None:
    async with stall({"MUG": 1}) as desk:
        assert desk.simulator.gate.mints == {"client_credentials": 1_000, "refresh_token": 50_000}
        desk.simulator.gate.mints.update(client_credentials=2, refresh_token=3)
        token = await desk.token()
        stale = await desk.grant({**REFRESH, "refresh_token": "stale"})
        assert (stale.status_code, (await desk.grant(REFRESH)).status_code) == (400, 200)
        refused = await desk.grant(REFRESH)
        assert (refused.status_code, errors(refused)) == (429, [2001])
        assert "retry-after" not in {name.lower() for name in refused.headers}
        assert [(await desk.grant(APPLICATION)).status_code for _ in range(3)] == [200, 200, 429]
        assert (await with_token(desk, token)).status_code == 200, "what was granted is good"
        assert (await desk.grant({"grant_type": "password"})).status_code == 400
        await desk.clock.advance(19 * 3600)
        assert (await desk.grant(REFRESH)).status_code == (await desk.grant(APPLICATION)).status_code == 200


async def test_a_consent_lives_18_months_and_a_new_one_as_long() -> None:
    async with stall() as desk:
        await desk.clock.advance(47_304_000 - 1)
        assert (await desk.grant(REFRESH)).status_code == 200
        await desk.clock.advance(1)
        ended = await desk.grant(REFRESH)
        assert (ended.status_code, ended.json()["error"]) == (400, "invalid_grant")
        desk.simulator.grant()
        assert (await desk.grant(REFRESH)).status_code == 200


async def test_the_quotas_of_all_apis_are_told_and_of_an_unknown_one_nothing() -> None:
    async with stall() as desk:
        told = (await desk.call("GET", RATES, is_user=False)).json()["rateLimits"]
        limits = {one["apiName"]: one["resources"][0]["rates"][0]["limit"] for one in told}
        assert (limits["TradingAPI"], limits["fulfillment"], limits["inventory"]) == (5000, 100_000, 2_000_000)
        nothing = await desk.call("GET", RATES, is_user=False, params={"api_name": "browse"})
        assert (nothing.status_code, nothing.content) == (204, b"")
        of_user = await desk.call("GET", "/developer/analytics/v1_beta/user_rate_limit/")
        assert {one["apiName"] for one in of_user.json()["rateLimits"]} == set(limits)


# Items and offers -------------------------------------------------------------------------------------------------


async def test_the_offset_of_items_counts_pages() -> None:
    async with stall({f"MUG-{n}": n for n in range(5)}) as desk:
        pages = [await desk.read(ITEMS, limit=2, offset=page) for page in range(4)]
        skus = [[item["sku"] for item in page.get("inventoryItems", [])] for page in pages]
        assert skus == [["MUG-0", "MUG-1"], ["MUG-2", "MUG-3"], ["MUG-4"], []]
        assert [(page["total"], "next" in page, "prev" in page) for page in pages] == [
            (5, True, False),
            (5, True, True),
            (5, False, True),
            (5, False, True),
        ]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"offset": "-1"}])
async def test_a_page_beyond_the_bounds_is_refused_and_not_cut(query: dict[str, str]) -> None:
    async with stall({"MUG": 1}) as desk:
        answer = await desk.call("GET", ITEMS, params=query)
        assert (answer.status_code, errors(answer)) == (400, [25706])


async def test_many_items_are_read_at_once_and_an_unknown_one_makes_it_207() -> None:
    async with stall({"MUG": 3, "CUP": 4}, {"JUG": 5}) as desk:
        asked = {"requests": [{"sku": sku} for sku in ("CUP", "JUG", "MUG", "NONE")]}
        answer = await desk.call("POST", f"{INVENTORY}/bulk_get_inventory_item", json=asked)
        rows = answer.json()["responses"]
        assert answer.status_code == 207
        assert [(row["sku"], row["statusCode"]) for row in rows] == [
            ("CUP", 200),
            ("JUG", 404),
            ("MUG", 200),
            ("NONE", 404),
        ]
        shown = [row["inventoryItem"]["availability"]["shipToLocationAvailability"]["quantity"] for row in rows[::2]]
        assert shown == [4, 3]
        too_many = {"requests": [{"sku": f"{n}"} for n in range(26)]}
        assert (await desk.call("POST", f"{INVENTORY}/bulk_get_inventory_item", json=too_many)).status_code == 400


async def test_a_listing_of_the_trading_api_does_not_exist_here() -> None:
    async with stall({"MUG": 3}, {"JUG": 5}) as desk:
        assert [item["sku"] for item in (await desk.read(ITEMS))["inventoryItems"]] == ["MUG"]
        item = await desk.call("GET", f"{ITEMS}/JUG")
        offers = await desk.call("GET", f"{INVENTORY}/offer", params={"sku": "JUG"})
        assert [(answer.status_code, errors(answer)) for answer in (item, offers)] == [(404, [25702])] * 2


async def test_offers_are_read_by_sku_alone() -> None:
    async with stall({"A/B #1%": 3}) as desk:
        assert errors(await desk.call("GET", f"{INVENTORY}/offer")) == [25709]
        (offer,) = (await desk.read(f"{INVENTORY}/offer", sku="A/B #1%"))["offers"]
        assert (offer["availableQuantity"], offer["status"]) == (3, "PUBLISHED")
        assert offer["listing"]["listingStatus"] == "ACTIVE"
        assert await desk.read(f"{INVENTORY}/offer/{offer['offerId']}") == offer
        assert errors(await desk.call("GET", f"{INVENTORY}/offer/7")) == [25713]


# Quantities -------------------------------------------------------------------------------------------------------


async def test_a_quantity_is_written_at_both_levels_and_shows_a_little_later() -> None:
    async with stall({"MUG": 3, "CUP": 4}) as desk:
        answer = await desk.update(desk.row("MUG", 7), desk.row("CUP", 2))
        offer_ids = [desk.simulator.ebay.catalogue[sku].offer_id for sku in ("MUG", "CUP")]
        assert answer.status_code == 200
        assert answer.json()["responses"] == [
            {"sku": "MUG", "offerId": offer_ids[0], "statusCode": 200},
            {"sku": "CUP", "offerId": offer_ids[1], "statusCode": 200},
        ]
        assert desk.units() == {"MUG": 3, "CUP": 4}
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 7, "CUP": 2}


@pytest.mark.parametrize(("item", "offer", "shown"), [(5, 9, 5), (9, 5, 5), (5, None, 3), (None, 2, 2)])
async def test_a_listing_shows_the_smaller_one_of_item_and_offer(
    item: int | None, offer: int | None, shown: int
) -> None:
    async with stall({"MUG": 3}) as desk:
        row = desk.row("MUG", offer or 0, item=item)
        if item is None:
            del row["shipToLocationAvailability"]
        if offer is None:
            del row["offers"]
        assert (await desk.update(row)).json()["responses"][0]["statusCode"] == 200
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": shown}


async def test_of_two_writes_to_a_listing_the_later_one_stays() -> None:
    async with stall({"MUG": 3}) as desk:
        for units in range(10, 30):
            await desk.update(desk.row("MUG", units))
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 29}


async def test_a_write_buries_a_sale_that_came_before_it_shows() -> None:
    async with stall({"MUG": 3}) as desk:
        await desk.update(desk.row("MUG", 3))
        desk.simulator.place([("MUG", 2)])
        assert desk.units() == {"MUG": 1}
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 3}


async def test_a_zero_without_out_of_stock_control_is_refused_and_the_old_quantity_stays_on_sale() -> None:
    async with stall({"MUG": 3, "CUP": 4}) as desk:
        desk.simulator.habits.has_out_of_stock_control = False
        answer = await desk.update(desk.row("MUG", 0), desk.row("CUP", 1))
        failed, written = answer.json()["responses"]
        assert (answer.status_code, failed["statusCode"], written["statusCode"]) == (207, 400, 200)
        assert failed["errors"][0]["errorId"] == 25004
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 3, "CUP": 1}


async def test_with_out_of_stock_control_a_listing_stays_with_nothing_left() -> None:
    async with stall({"MUG": 3}) as desk:
        await desk.update(desk.row("MUG", 0))
        await desk.clock.advance(5)
        (offer,) = (await desk.read(f"{INVENTORY}/offer", sku="MUG"))["offers"]
        assert (offer["status"], offer["listing"]["listingStatus"]) == ("PUBLISHED", "OUT_OF_STOCK")
        assert desk.units() == {"MUG": 0}


async def test_what_is_sold_out_without_out_of_stock_control_ends() -> None:
    async with stall({"MUG": 3}) as desk:
        desk.simulator.habits.has_out_of_stock_control = False
        desk.simulator.place([("MUG", 3)])
        (offer,) = (await desk.read(f"{INVENTORY}/offer", sku="MUG"))["offers"]
        assert (offer["status"], "listing" in offer) == ("UNPUBLISHED", False)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sku": "NONE"}, 25702),
        ({"offers": [{"offerId": "7", "availableQuantity": 1}]}, 25713),
        ({"shipToLocationAvailability": {"quantity": -1}}, 25004),
        ({"shipToLocationAvailability": {"quantity": True}}, 25004),
        ({"shipToLocationAvailability": {"quantity": "5"}}, 25004),
        ({"shipToLocationAvailability": {"quantity": 10**12}}, 25004),
    ],
)
async def test_a_bad_row_is_refused_and_nothing_of_it_is_written(change: dict[str, object], error: int) -> None:
    async with stall({"MUG": 3}) as desk:
        answer = await desk.update({**desk.row("MUG", 9), **change})
        (row,) = answer.json()["responses"]
        assert (answer.status_code, row["statusCode"], row["errors"][0]["errorId"]) == (207, 400, error)
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 3}


async def test_a_batch_has_25_rows_and_no_sku_twice() -> None:
    async with stall({f"MUG-{n}": 1 for n in range(26)}) as desk:
        rows = [desk.row(f"MUG-{n}", 2) for n in range(26)]
        assert (await desk.update(*rows[:25])).status_code == 200
        assert errors(await desk.update(*rows)) == [25709]
        assert errors(await desk.update(rows[0], rows[0])) == [25002]


async def test_a_listing_is_revised_250_times_a_day_and_then_not_before_the_next() -> None:
    async with stall({"MUG": 3, "CUP": 3}) as desk:
        desk.simulator.habits.apply_s = (0.0, 0.0)
        for n in range(250):
            assert (await desk.update(desk.row("MUG", 1 + n))).status_code == 200
        answer = await desk.update(desk.row("MUG", 9), desk.row("CUP", 9))
        assert [row["statusCode"] for row in answer.json()["responses"]] == [400, 200]
        assert answer.json()["responses"][0]["errors"][0]["errorId"] == 25019
        await desk.clock.advance(19 * 3600)
        assert (await desk.update(desk.row("MUG", 9))).status_code == 200


async def test_two_writes_at_once_to_one_sku_or_group_are_refused_as_concurrent() -> None:
    async with stall({"MUG-1": 3, "MUG-2": 3, "MUG-3": 3}, group_share=1.0) as desk:
        desk.simulator.habits.busy_s = 2.0
        groups = {desk.simulator.ebay.catalogue[sku].listing.group_key for sku in ("MUG-1", "MUG-2")}
        assert len(groups) == 1
        assert (await desk.update(desk.row("MUG-1", 7))).status_code == 200
        refused = await desk.update(desk.row("MUG-2", 7))
        assert (refused.status_code, errors(refused)) == (500, [25025])
        await desk.clock.advance(2)
        assert (await desk.update(desk.row("MUG-2", 7))).status_code == 200


async def test_what_is_on_hold_can_be_neither_bought_nor_revised() -> None:
    async with stall({"MUG": 3}) as desk:
        desk.simulator.ebay.catalogue["MUG"].listing.is_on_hold = True
        assert desk.simulator.place([("MUG", 1)]) is None
        (row,) = (await desk.update(desk.row("MUG", 9))).json()["responses"]
        assert row["errors"][0]["errorId"] == 25097
        (offer,) = (await desk.read(f"{INVENTORY}/offer", sku="MUG"))["offers"]
        assert offer["listing"]["listingOnHold"] is True


async def test_a_replaced_item_loses_what_is_not_named() -> None:
    async with stall({"MUG": 3}) as desk:
        body = {"availability": {"shipToLocationAvailability": {"quantity": 8}}}
        missing = await desk.call("PUT", f"{ITEMS}/MUG", json=body)
        assert (missing.status_code, errors(missing)) == (400, [25709])
        answer = await desk.call("PUT", f"{ITEMS}/MUG", json=body, headers={"content-language": "en-US"})
        await desk.clock.advance(5)
        item = await desk.read(f"{ITEMS}/MUG")
        assert (answer.status_code, "product" in item, "condition" in item) == (204, False, False)
        assert item["availability"]["shipToLocationAvailability"]["quantity"] == 8
        wiped = await desk.call("PUT", f"{ITEMS}/MUG", json={}, headers={"content-language": "en-US"})
        await desk.clock.advance(5)
        assert (wiped.status_code, desk.units()) == (204, {"MUG": 0})


# Ending and coming back -------------------------------------------------------------------------------------------


async def test_a_withdrawn_offer_comes_back_as_another_listing() -> None:
    async with stall({"MUG": 3}) as desk:
        offer_id, before = desk.simulator.ebay.catalogue["MUG"].offer_id, desk.item_id("MUG")
        offer = f"{INVENTORY}/offer/{offer_id}"
        assert (await desk.call("POST", f"{offer}/withdraw")).status_code == 411
        withdrawn = await desk.call("POST", f"{offer}/withdraw", json={})
        assert (withdrawn.json(), desk.units()) == ({"listingId": before}, {"MUG": 0})
        (row,) = (await desk.update(desk.row("MUG", 9))).json()["responses"]
        assert row["errors"][0]["errorId"] == 25713
        published = await desk.call("POST", f"{offer}/publish", json={})
        assert published.json()["listingId"] == desk.item_id("MUG") != before
        assert desk.units() == {"MUG": 3}
        assert errors(await desk.call("POST", f"{offer}/publish", json={})) == [25002]


async def test_variations_are_withdrawn_and_published_as_a_group() -> None:
    async with stall({"MUG-1": 3, "MUG-2": 4}, group_share=1.0) as desk:
        one = desk.simulator.ebay.catalogue["MUG-1"]
        group = await desk.read(f"{INVENTORY}/inventory_item_group/{one.listing.group_key}")
        assert group["variantSKUs"] == ["MUG-1", "MUG-2"]
        assert errors(await desk.call("POST", f"{INVENTORY}/offer/{one.offer_id}/withdraw", json={})) == [25002]
        body = {"inventoryItemGroupKey": one.listing.group_key, "marketplaceId": "EBAY_US"}
        gone = await desk.call("POST", f"{INVENTORY}/offer/withdraw_by_inventory_item_group", json=body)
        assert (gone.status_code, desk.units()) == (204, {"MUG-1": 0, "MUG-2": 0})
        back = await desk.call("POST", f"{INVENTORY}/offer/publish_by_inventory_item_group", json=body)
        assert back.json()["listingId"] == desk.item_id("MUG-1") == desk.item_id("MUG-2")
        assert desk.units() == {"MUG-1": 3, "MUG-2": 4}


async def test_a_location_is_listed_and_read() -> None:
    async with stall() as desk:
        (location,) = (await desk.read(f"{INVENTORY}/location"))["locations"]
        assert await desk.read(f"{INVENTORY}/location/{location['merchantLocationKey']}") == location
        assert (await desk.call("GET", f"{INVENTORY}/location/none")).status_code == 404


# The catalogue ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", [("MUG", 1), ("", 1), ("CUP", -1)])
async def test_what_cannot_be_listed_is_refused_with_the_whole_delivery(item: tuple[str, int]) -> None:
    async with stall({"MUG": 1}) as desk:
        with pytest.raises(MalformedError):
            desk.simulator.stock_catalogue([CatalogueItem("JUG", "Jug", 1), CatalogueItem(item[0], "", item[1])])
        assert desk.units() == {"MUG": 1}


async def test_the_seed_puts_about_half_in_each_world_and_some_as_variations() -> None:
    async with stall() as desk:
        print("seed 7")
        desk.simulator.habits.group_share = 0.3
        desk.simulator.stock_catalogue([CatalogueItem(f"MUG-{n}", "", 1) for n in range(400)])
        listings = list(desk.simulator.ebay.listings.values())
        lanes = [one.listing.lane.value for one in desk.simulator.ebay.catalogue.values()]
        assert 120 < lanes.count("inventory") < 280
        assert 40 < sum(len(listing.variations) > 1 for listing in listings) < 160
