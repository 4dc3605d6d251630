"""The simulated Amazon behaves as the documents say Amazon does."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from connectors.amazon.harness import ADDRESS, Bench, bench
from oneshelf.connectors.amazon.simulator import (
    MARKETPLACE_ID,
    SELLER_ID,
    SIMULATED_SECRETS,
    TOKEN_PATH,
)

ITEMS = f"/listings/2021-08-01/items/{SELLER_ID}"
ORDERS = "/orders/2026-01-01/orders"
STORE = {"marketplaceIds": MARKETPLACE_ID}


async def granted(desk: Bench) -> str:
    answer = await desk.client.post(ADDRESS + TOKEN_PATH, data={"grant_type": "refresh_token", **SIMULATED_SECRETS})
    assert answer.status_code == 200
    return str(answer.json()["access_token"])


async def call(desk: Bench, method: str, path: str, **request: Any) -> httpx2.Response:
    headers = {"x-amz-access-token": await granted(desk)}
    return await desk.client.request(method, ADDRESS + path, headers=headers, **request)


def patch(op: str, **row: object) -> dict[str, object]:
    value = [{"fulfillment_channel_code": "DEFAULT", **row}]
    change = {"op": op, "path": "/attributes/fulfillment_availability", "value": value}
    return {"productType": "PRODUCT", "patches": [change]}


async def item(desk: Bench, sku: str) -> dict[str, Any]:
    query = {**STORE, "includedData": "summaries,attributes,fulfillmentAvailability,issues"}
    answer = await call(desk, "GET", f"{ITEMS}/{sku}", params=query)
    document: dict[str, Any] = answer.json()
    return document


# Login ------------------------------------------------------------------------------------------------------------


async def test_a_token_lives_an_hour_of_amazons_time() -> None:
    async with bench({"MUG": 1}, speed=10.0) as desk:
        form = {"grant_type": "refresh_token", **SIMULATED_SECRETS}
        grant = (await desk.client.post(ADDRESS + TOKEN_PATH, data=form)).json()
        assert (grant["token_type"], grant["expires_in"]) == ("bearer", 360)
        headers = {"x-amz-access-token": grant["access_token"]}
        await desk.clock.advance(359)
        alive = await desk.client.get(ADDRESS + ITEMS, params=STORE, headers=headers)
        await desk.clock.advance(2)
        dead = await desk.client.get(ADDRESS + ITEMS, params=STORE, headers=headers)
        assert (alive.status_code, dead.status_code) == (200, 403)
        assert dead.json()["errors"][0]["details"] == "The access token you provided has expired."


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"refresh_token": "stale"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_bad_token_request_gets_the_error_of_login_with_amazon(
    change: dict[str, str], status: int, error: str
) -> None:
    async with bench({}) as desk:
        form = {"grant_type": "refresh_token", **SIMULATED_SECRETS, **change}
        answer = await desk.client.post(ADDRESS + TOKEN_PATH, data=form)
        assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_another_seller_or_store_is_forbidden() -> None:
    async with bench({"MUG": 1}) as desk:
        other_seller = await call(desk, "GET", "/listings/2021-08-01/items/OTHER", params=STORE)
        other_store = await call(desk, "GET", ITEMS, params={"marketplaceIds": "A1F83G8C2ARO7P"})
        assert (other_seller.status_code, other_store.status_code) == (403, 403)


# Limits -----------------------------------------------------------------------------------------------------------


async def test_beyond_the_burst_amazon_answers_429_without_a_hint_when_to_come_back() -> None:
    async with bench({"MUG": 9}) as desk:
        answers = [await call(desk, "GET", ITEMS, params=STORE) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert {answer.headers.get("x-amzn-RateLimit-Limit") for answer in answers[:5]} == {"5"}
        refused = answers[5]
        assert refused.json()["errors"][0]["code"] == "QuotaExceeded"
        assert not {"retry-after", "x-amzn-ratelimit-limit"} & {name.lower() for name in refused.headers}
        await desk.clock.advance(0.21)
        assert (await call(desk, "GET", ITEMS, params=STORE)).status_code == 200


async def test_orders_may_be_searched_twenty_times_and_then_once_in_three_minutes() -> None:
    async with bench({}) as desk:
        query = {"createdAfter": "2026-01-01T00:00:00Z"}
        answers = [await call(desk, "GET", ORDERS, params=query) for _ in range(21)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429]
        assert answers[0].headers["x-amzn-RateLimit-Limit"] == "0.0056"
        await desk.clock.advance(178)
        assert (await call(desk, "GET", ORDERS, params=query)).status_code == 429
        await desk.clock.advance(1)
        assert (await call(desk, "GET", ORDERS, params=query)).status_code == 200


async def test_a_faster_simulation_has_faster_limits_and_says_so() -> None:
    async with bench({}, speed=100.0) as desk:
        answer = await call(desk, "GET", ORDERS, params={"createdAfter": "2026-01-01T00:00:00Z"})
        assert answer.headers["x-amzn-RateLimit-Limit"] == "0.56"


# Submissions ------------------------------------------------------------------------------------------------------


async def test_what_was_submitted_and_what_sells_differ_until_the_write_is_applied() -> None:
    async with bench({"MUG": 10}) as desk:
        answer = await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch("merge", quantity=3))
        assert (answer.json()["status"], answer.json()["sku"]) == ("ACCEPTED", "MUG")
        before = await item(desk, "MUG")
        assert before["attributes"]["fulfillment_availability"][0]["quantity"] == 3
        assert before["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 10}]
        await desk.clock.advance(59)
        assert (await item(desk, "MUG"))["fulfillmentAvailability"][0]["quantity"] == 10
        await desk.clock.advance(242)
        assert (await item(desk, "MUG"))["fulfillmentAvailability"][0]["quantity"] == 3


@pytest.mark.parametrize(("op", "lead_time"), [("merge", 5), ("replace", None), ("add", None)])
async def test_replace_wipes_the_handling_time_and_merge_keeps_it(op: str, lead_time: int | None) -> None:
    async with bench({"MUG": 10}) as desk:
        first = patch("merge", quantity=9, lead_time_to_ship_max_days=5)
        await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=first)
        await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch(op, quantity=3))
        (row,) = (await item(desk, "MUG"))["attributes"]["fulfillment_availability"]
        assert (row["quantity"], row.get("lead_time_to_ship_max_days")) == (3, lead_time)


async def test_two_writes_may_be_applied_in_the_other_order() -> None:
    last = set()
    for seed in range(12):
        async with bench({"MUG": 10}, seed=seed) as desk:
            for units in (1, 2):
                await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch("merge", quantity=units))
            await desk.clock.advance(301)
            last.add(desk.units()["MUG"])
    assert last == {1, 2}


async def test_a_write_undoes_the_sales_made_while_it_was_queued() -> None:
    async with bench({"MUG": 10}) as desk:
        await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch("merge", quantity=8))
        assert desk.simulator.place([("MUG", 4)]) is not None
        assert desk.units() == {"MUG": 6}
        await desk.clock.advance(301)
        assert desk.units() == {"MUG": 8}


async def test_a_quantity_for_a_listing_that_amazon_fulfils_flips_it() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.fulfil_by_amazon("MUG")
        assert (await item(desk, "MUG"))["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "AMAZON_NA"}]
        await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch("merge", quantity=3))
        await desk.clock.advance(301)
        flipped = (await item(desk, "MUG"))["fulfillmentAvailability"]
        assert flipped == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 3}]


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        [],
        {},
        {"productType": "PRODUCT", "patches": []},
        {"productType": "PRODUCT", "patches": [{"op": "set", "path": "/attributes/fulfillment_availability"}]},
        {"productType": "PRODUCT", "patches": [{"op": "merge", "path": "/attributes/fulfillment_availability/0"}]},
        {
            "productType": "PRODUCT",
            "patches": [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": {"quantity": 3}}],
        },
        {"patches": patch("merge", quantity=1)["patches"]},
    ],
)
async def test_a_patch_that_breaks_the_model_is_a_bad_request(body: object) -> None:
    async with bench({"MUG": 10}) as desk:
        answer = await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "InvalidInput")


@pytest.mark.parametrize("units", [-1, 1.5, "3", True, None, 10**10])
async def test_a_quantity_that_is_none_is_called_invalid_with_status_200(units: object) -> None:
    async with bench({"MUG": 10}) as desk:
        answer = await call(desk, "PATCH", f"{ITEMS}/MUG", params=STORE, json=patch("merge", quantity=units))
        assert (answer.status_code, answer.json()["status"]) == (200, "INVALID")
        assert answer.json()["issues"][0]["severity"] == "ERROR"
        await desk.clock.advance(400)
        assert desk.units() == {"MUG": 10}


async def test_a_preview_changes_nothing() -> None:
    async with bench({"MUG": 10}) as desk:
        query = {**STORE, "mode": "VALIDATION_PREVIEW"}
        answer = await call(desk, "PATCH", f"{ITEMS}/MUG", params=query, json=patch("merge", quantity=3))
        assert answer.json()["status"] == "VALID"
        await desk.clock.advance(400)
        assert desk.units() == {"MUG": 10}


async def test_a_sku_with_a_bare_slash_is_no_path() -> None:
    async with bench({"A/B": 10}) as desk:
        answer = await call(desk, "PATCH", f"{ITEMS}/A/B", params=STORE, json=patch("merge", quantity=3))
        assert answer.status_code == 400


# Searching listings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {},
        {**STORE, "identifiers": ",".join(str(n) for n in range(21)), "identifiersType": "SKU"},
        {**STORE, "identifiers": "MUG"},
        {**STORE, "identifiersType": "SKU"},
        {**STORE, "pageSize": "21"},
        {**STORE, "pageSize": "0"},
        {**STORE, "includedData": "everything"},
        {**STORE, "sortBy": "price"},
        {**STORE, "pageToken": "nonsense"},
        {**STORE, "createdAfter": "yesterday"},
        {**STORE, "colour": "red"},
    ],
)
async def test_a_search_that_breaks_the_model_is_a_bad_request(query: dict[str, str]) -> None:
    async with bench({"MUG": 10}) as desk:
        assert (await call(desk, "GET", ITEMS, params=query)).status_code == 400


async def test_a_search_ends_after_a_thousand_results_whatever_there_is() -> None:
    async with bench({f"SKU-{n}": n for n in range(1030)}, speed=1000.0) as desk:
        found: list[str] = []
        query = {**STORE, "pageSize": "20", "sortBy": "sku", "sortOrder": "ASC"}
        while True:
            await desk.clock.advance(0.01)
            answer = (await call(desk, "GET", ITEMS, params=query)).json()
            found += [one["sku"] for one in answer["items"]]
            assert answer["numberOfResults"] == 1030
            if "nextToken" not in answer["pagination"]:
                break
            query["pageToken"] = answer["pagination"]["nextToken"]
        assert len(set(found)) == 1000
        assert found == sorted(found)


async def test_a_page_token_belongs_to_its_question() -> None:
    async with bench({f"SKU-{n}": n for n in range(30)}) as desk:
        token = (await call(desk, "GET", ITEMS, params=STORE)).json()["pagination"]["nextToken"]
        same = await call(desk, "GET", ITEMS, params={**STORE, "pageToken": token})
        other = await call(desk, "GET", ITEMS, params={**STORE, "pageToken": token, "sortBy": "sku"})
        assert (same.status_code, other.status_code) == (200, 400)
