"""What goes wrong at the simulated Amazon goes wrong as documented, and the connector makes the right thing of it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from connectors.amazon.harness import ADDRESS, Bench, bench
from oneshelf.connectors.amazon.quota import is_of_application, is_throttled
from oneshelf.connectors.amazon.simulator import MARKETPLACE_ID, SELLER_ID, SIMULATED_SECRETS, TOKEN_PATH
from oneshelf.domain.charge import Learned
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import Accepted, Refused, StockReading, Throttled, Unknown

ITEMS = f"/listings/2021-08-01/items/{SELLER_ID}"
STORE = {"marketplaceIds": MARKETPLACE_ID}
FORM = {"grant_type": "refresh_token", **SIMULATED_SECRETS}


class Remembering(Unlimited):
    """No limit of ours; what it is told of Amazon's."""

    def __init__(self) -> None:
        self.learned: list[tuple[str, float]] = []

    async def learn(self, bucket: str, told: Learned) -> None:
        if told.left is not None:
            self.learned.append((bucket, told.left))


async def call(desk: Bench, method: str, path: str, **request: Any) -> httpx2.Response:
    granted = await desk.client.post(ADDRESS + TOKEN_PATH, data=FORM)
    headers = {"x-amz-access-token": str(granted.json().get("access_token", "none"))}
    return await desk.client.request(method, ADDRESS + path, headers=headers, **request)


async def shown(desk: Bench, *skus: str) -> dict[str, int | None]:
    readings = await desk.patiently(lambda: desk.connector.read_stock([ChannelSku(sku) for sku in skus]))
    return {str(reading.channel_sku): reading.units for reading in readings}


async def swept(desk: Bench) -> list[StockReading]:
    page = await desk.patiently(lambda: desk.connector.fetch_stock(None))
    readings = [*page.readings]
    while page.cursor is not None:
        page = await desk.patiently(lambda at=page.cursor: desk.connector.fetch_stock(at))  # type: ignore[misc]  # a lambda that binds
        readings.extend(page.readings)
    return readings


async def a_paid_order(desk: Bench, *lines: tuple[str, int]) -> tuple[str, list[str]]:
    desk.simulator.habits.confirm_s = (10.0, 10.0)
    order_id = desk.simulator.place(lines)
    assert order_id is not None
    await desk.clock.advance(11)
    return order_id, [line.item_id for line in desk.simulator.amazon.orders[order_id].lines]


# Refused calls ----------------------------------------------------------------------------------------------------


def patch_of(attribute: str) -> dict[str, Any]:
    return {"productType": "PRODUCT", "patches": [{"op": "merge", "path": f"/attributes/{attribute}", "value": [{}]}]}


@pytest.mark.parametrize(
    ("sort", "attribute", "what"),
    [
        ("any", "fulfillment_availability", "the application"),
        ("relationships", "child_parent_sku_relationship", "relationships"),
        ("product data", "item_name", "product data"),
        ("preview", "fulfillment_availability", "the application"),
    ],
)
async def test_each_quota_of_the_application_is_refused_in_its_own_words_and_without_a_time_to_wait(
    sort: str, attribute: str, what: str
) -> None:
    async with bench({"MUG": 10}) as desk:
        mode = {"mode": "VALIDATION_PREVIEW"} if sort == "preview" else {}
        desk.simulator.gate.crowd(sort)
        answer = await call(desk, "PATCH", f"{ITEMS}/MUG", params={**STORE, **mode}, json=patch_of(attribute))
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (429, "QuotaExceeded")
        words = "The frequency of requests was greater than what is allowed for"
        assert answer.json()["errors"][0]["message"] == f"{words} {what}."
        assert not {"retry-after", "x-amzn-ratelimit-limit"} & set(answer.headers)
        await desk.clock.advance(1)
        assert (await call(desk, "PATCH", f"{ITEMS}/MUG", params={**STORE, **mode}, json={})).status_code == 400


async def test_what_other_sellers_of_the_application_used_up_costs_this_one_none_of_its_own_budget() -> None:
    limiter = Remembering()
    async with bench({"MUG": 10}, limiter=limiter) as desk:
        await shown(desk, "MUG")
        desk.simulator.gate.crowd("any")
        (outcome,) = await desk.connector.push([desk.write("MUG", 4)])
        assert outcome == Throttled(1.0)
        assert ("patchListingsItem", 0.0) not in limiter.learned
        await desk.clock.advance(1)
        assert await desk.connector.push([desk.write("MUG", 4)]) == (Accepted(),)


async def test_what_this_seller_used_up_is_not_asked_for_before_it_comes_back() -> None:
    """We thought that something was left: all nodes wait for the next call that Amazon grants."""
    limiter = Remembering()
    async with bench({"MUG": 10}, limiter=limiter) as desk:
        await shown(desk, "MUG")
        desk.simulator.switches.set({"throttle": {"next": 1}})
        (outcome,) = await desk.connector.push([desk.write("MUG", 4)])
        assert outcome == Throttled(1.0)
        assert ("patchListingsItem", 0.0) in limiter.learned
        assert {bucket for bucket, _ in limiter.learned} == {"patchListingsItem"}, "no other operation waits"


@pytest.mark.parametrize(
    ("body", "is_of_the_application"),
    [
        ("The frequency of requests was greater than what is allowed for the application.", True),
        ("The frequency of requests was greater than what is allowed for relationships.", True),
        ("The frequency of requests was greater than what is allowed for product data.", True),
        ("You exceeded your quota for the requested resource.", False),
        ("What is allowed for the application is secret.", False),
    ],
)
def test_the_words_of_a_429_tell_whose_quota_it_is(body: str, is_of_the_application: bool) -> None:
    busy = RetryLaterError(f'patchListingsItem: 429 {{"errors":[{{"code":"QuotaExceeded","message":"{body}"}}]}}')
    assert is_throttled("patchListingsItem", busy)
    assert not is_throttled("patchListingsItem", RetryLaterError(f"patchListingsItem: 429 <html>{body}"))
    assert not is_throttled("patchListingsItem", RetryLaterError("patchListingsItem: not reached (429)"))
    assert is_of_application(busy) is is_of_the_application


async def test_a_storm_of_errors_lasts_a_while_and_spares_nobody() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.switches.set({"error_storm": {"next": 1}})
        with pytest.raises(RetryLaterError):
            await desk.connector.read_stock([ChannelSku("MUG")])
        assert (await desk.client.post(ADDRESS + TOKEN_PATH, data=FORM)).status_code == 503
        await desk.clock.advance(4.9)
        with pytest.raises(RetryLaterError):
            await desk.connector.poll_orders((await desk.connector.poll_orders(None)).cursor)
        await desk.clock.advance(60)
        assert await shown(desk, "MUG") == {"MUG": 10}
        assert desk.simulator.switches.hits == {"error_storm": 1}


async def test_a_write_into_a_storm_is_unknown_and_nothing_of_it_shows() -> None:
    async with bench({"MUG": 10}) as desk:
        await shown(desk, "MUG")
        desk.simulator.switches.set({"error_storm": {"next": 1}})
        (outcome,) = await desk.connector.push([desk.write("MUG", 4)])
        assert isinstance(outcome, Unknown)
        await desk.clock.advance(400)
        assert desk.units() == {"MUG": 10}


async def test_a_token_that_dies_early_is_renewed_and_nobody_notices() -> None:
    async with bench({"MUG": 10}) as desk:
        await shown(desk, "MUG")
        desk.simulator.switches.set({"token_expired": {"next": 1}})
        assert await desk.connector.push([desk.write("MUG", 4)]) == (Accepted(),)
        refused = [one.response.status_code for one in desk.wiretap.exchanges if one.request.method == "PATCH"]
        assert refused == [403, 200]
        assert desk.simulator.switches.hits == {"token_expired": 1}


async def test_a_withdrawn_authorization_asks_for_a_person_until_it_is_given_again() -> None:
    async with bench({"MUG": 10}) as desk:
        await shown(desk, "MUG")
        desk.simulator.revoke()
        with pytest.raises(ReauthenticateError, match="invalid_grant"):
            await desk.connector.read_stock([ChannelSku("MUG")])
        with pytest.raises(ReauthenticateError):
            await desk.connector.push([desk.write("MUG", 4)])
        assert "revoked" in desk.wiretap.exchanges[-2].received.decode()
        findings = await desk.another_connector().preflight()
        assert [finding.is_good for finding in findings] == [False]
        desk.simulator.grant()
        assert await shown(desk, "MUG") == {"MUG": 10}
        assert await desk.connector.push([desk.write("MUG", 4)]) == (Accepted(),)
        assert desk.simulator.switches.hits["token_revoked"] >= 3


# Misleading readings ----------------------------------------------------------------------------------------------


async def test_a_stale_reading_shows_the_units_of_a_while_ago_and_no_older() -> None:
    async with bench({"MUG": 10, "x,y": 5}) as desk:
        desk.simulator.switches.set({"stale_read": 1.0})
        await desk.clock.advance(100)
        desk.simulator.edit_by_hand("MUG", 7)
        desk.simulator.edit_by_hand("x,y", 2)
        seen = []
        for _ in range(60):
            await desk.clock.advance(1)
            seen.append(await shown(desk, "MUG", "x,y"))
        assert {one["MUG"] for one in seen} == {10, 7}
        assert {one["x,y"] for one in seen} == {5, 2}
        assert await shown(desk, "MUG", "x,y") == {"MUG": 7, "x,y": 2}


async def test_a_page_that_ends_early_has_a_token_for_the_rest() -> None:
    async with bench({f"MUG-{n:02}": n for n in range(45)}) as desk:
        desk.simulator.switches.set({"partial_page": 1.0})
        page = await desk.connector.fetch_stock(None)
        assert 0 < len(page.readings) < 20
        assert sorted(reading.channel_sku for reading in await swept(desk)) == [f"MUG-{n:02}" for n in range(45)]


async def test_a_batch_of_listings_is_read_whole_although_its_pages_end_early() -> None:
    async with bench({f"MUG-{n:02}": n for n in range(20)}) as desk:
        desk.simulator.switches.set({"partial_page": {"next": 2}})
        wanted = {f"MUG-{n:02}": n for n in range(20)}
        assert await shown(desk, *wanted) == wanted
        assert desk.wiretap.count("GET", "/items/") == 3


async def test_orders_are_polled_whole_although_pages_end_early_and_orders_move_on() -> None:
    async with bench({f"MUG-{n}": 1000 for n in range(5)}, seed=5) as desk:
        desk.simulator.habits.confirm_s = (5.0, 900.0)
        _pages, _orders, cursor = await desk.poll(None)
        desk.simulator.switches.set({"partial_page": 0.7, "page_drift": 0.7})
        await desk.clock.advance(1)
        seen: set[str] = set()
        for wave in range(14):
            for n in range(6 if wave < 8 else 0):
                await desk.clock.advance(desk.simulator.chance.uniform(1, 25))
                desk.simulator.place([(f"MUG-{n % 5}", 1)])
            await desk.clock.advance(120)
            pages, orders, cursor = await desk.poll(cursor)
            seen |= {order.order_id for order in orders}
            until = pages[-1].covered_until
            placed = {order.order_id for order in desk.simulator.orders() if until and order.placed_at < until}
            assert placed <= seen
        assert seen == {order.order_id for order in desk.simulator.orders()}
        assert min(desk.simulator.switches.hits[name] for name in ("partial_page", "page_drift")) > 10


async def test_a_listing_that_slips_between_two_pages_is_in_the_next_walk() -> None:
    async with bench({f"MUG-{n:03}": n for n in range(70)}) as desk:
        desk.simulator.switches.set({"page_drift": 1.0})
        walks = [[reading.channel_sku for reading in await swept(desk)] for _ in range(8)]
        assert any(len(set(walk)) < 70 for walk in walks)
        desk.simulator.switches.set({"page_drift": 0.0})
        assert len(await swept(desk)) == 70


# Listings ---------------------------------------------------------------------------------------------------------


async def test_a_deleted_listing_is_read_found_sold_and_written_no_more() -> None:
    async with bench({"MUG": 10, "CUP": 4, "x,y": 1}) as desk:
        await shown(desk, "MUG", "CUP", "x,y")
        order_id = desk.simulator.place([("MUG", 2)])
        queued = await desk.connector.push([desk.write("MUG", 3)])
        assert queued == (Accepted(),)
        assert desk.simulator.end_listing("MUG")
        assert desk.simulator.end_listing("x,y")
        assert not desk.simulator.end_listing("MUG")
        assert not desk.simulator.end_listing("GONE")
        await desk.clock.advance(400)
        assert [(one.units, one.is_ended) for one in desk.simulator.listings()] == [(0, True), (4, False), (0, True)]
        assert desk.simulator.place([("MUG", 1)]) is None
        assert (await call(desk, "GET", f"{ITEMS}/MUG", params=STORE)).status_code == 404
        # We have not noticed yet: Amazon calls the patch invalid.
        (outcome,) = await desk.connector.push([desk.write("MUG", 5)])
        assert isinstance(outcome, Refused)
        assert await shown(desk, "MUG", "CUP", "x,y") == {"CUP": 4}
        assert [reading.channel_sku for reading in await swept(desk)] == ["CUP"]
        assert order_id is not None
        assert desk.simulator.cancel(order_id)
        assert desk.simulator.switches.hits == {"listing_ended": 2}


async def test_another_sku_is_another_listing_and_the_old_one_is_gone() -> None:
    async with bench({"MUG": 10, "CUP": 4}) as desk:
        asin = desk.simulator.amazon.catalogue["MUG"].asin
        assert desk.simulator.remap("MUG", "MUG-2")
        assert not desk.simulator.remap("MUG", "MUG-3")
        assert not desk.simulator.remap("CUP", "MUG")
        assert await shown(desk, "MUG", "MUG-2") == {"MUG-2": 10}
        assert desk.simulator.amazon.catalogue["MUG-2"].asin == asin
        await desk.clock.advance(2)
        assert [reading.channel_sku for reading in await swept(desk)] == ["CUP", "MUG-2"]


# The life of an order ---------------------------------------------------------------------------------------------


async def test_a_part_of_an_item_is_cancelled_and_its_units_are_back() -> None:
    async with bench({"MUG": 10, "CUP": 4}) as desk:
        _pages, _orders, cursor = await desk.poll(None)
        order_id, (mug, cup) = await a_paid_order(desk, ("MUG", 3), ("CUP", 1))
        assert desk.simulator.cancel_units(order_id, mug, 2)
        assert not desk.simulator.cancel_units(order_id, mug, 2)
        assert not desk.simulator.cancel_units("1", mug, 1)
        assert desk.units() == {"MUG": 9, "CUP": 3}
        await desk.clock.advance(180)
        _pages, orders, cursor = await desk.poll(cursor)
        told = [(line.units_cancelled, line.units_relisted, line.units_open) for line in orders[-1].lines]
        assert told == [(2, 2, 1), (0, 0, 1)]
        assert desk.simulator.cancel_units(order_id, mug, 1)
        assert desk.simulator.cancel_units(order_id, cup, 1)
        await desk.clock.advance(180)
        _pages, orders, cursor = await desk.poll(cursor)
        await desk.clock.advance(180)
        _pages, more, cursor = await desk.poll(cursor)
        assert [line.units_open for line in [*orders, *more][-1].lines] == [0, 0]
        assert desk.simulator.orders()[0].status == "cancelled"
        assert desk.units() == {"MUG": 10, "CUP": 4}


async def test_an_order_whose_payment_is_not_confirmed_is_cancelled_whole_or_not_at_all() -> None:
    async with bench({"MUG": 10}) as desk:
        order_id = desk.simulator.place([("MUG", 3)])
        assert order_id is not None
        (line,) = desk.simulator.orders()[0].lines
        assert not desk.simulator.cancel_units(order_id, line.line_id, 1)


async def test_an_order_is_shipped_in_parts_and_refunded_without_a_trace() -> None:
    async with bench({"MUG": 10}) as desk:
        _pages, _orders, cursor = await desk.poll(None)
        order_id, (item,) = await a_paid_order(desk, ("MUG", 3))
        assert not desk.simulator.refund(order_id, item, 1, restock=False)
        assert desk.simulator.ship_units(order_id, item, 2)
        assert not desk.simulator.ship_units(order_id, item, 2)
        await desk.clock.advance(180)
        _pages, orders, cursor = await desk.poll(cursor)
        assert (orders[-1].lines[0].units_shipped, orders[-1].lines[0].units_open) == (2, 1)
        assert not desk.simulator.cancel(order_id)
        assert desk.simulator.ship(order_id)
        stamp = desk.simulator.amazon.orders[order_id].updated_at
        assert desk.simulator.refund(order_id, item, 1, restock=False)
        assert not desk.simulator.refund(order_id, item, 1, restock=True)
        assert desk.simulator.amazon.orders[order_id].updated_at == stamp
        assert desk.units() == {"MUG": 7}
        assert desk.simulator.orders()[0].status == "shipped"


async def test_nobody_edits_an_order_at_amazon() -> None:
    async with bench({"MUG": 10}) as desk:
        order_id, (item,) = await a_paid_order(desk, ("MUG", 3))
        assert not desk.simulator.edit_line(order_id, item, 2)
        assert not desk.simulator.add_line(order_id, "MUG", 2)


# Clocks -----------------------------------------------------------------------------------------------------------


async def test_why_an_accepted_quantity_is_never_applied_is_told_with_the_listing_alone() -> None:
    async with bench({"MUG": 10}) as desk:
        await shown(desk, "MUG")
        desk.simulator.switches.set({"write_never_applied": {"next": 1}})
        assert await desk.connector.push([desk.write("MUG", 4)]) == (Accepted(),)
        await desk.clock.advance(3600)
        asked = {**STORE, "includedData": "issues,attributes,fulfillmentAvailability"}
        told = (await call(desk, "GET", f"{ITEMS}/MUG", params=asked)).json()
        assert told["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 10}]
        assert told["attributes"]["fulfillment_availability"][0]["quantity"] == 4, "what was submitted"
        assert [(issue["severity"], issue["attributeNames"]) for issue in told["issues"]] == [
            ("ERROR", ["fulfillment_availability"])
        ]
        assert await desk.connector.push([desk.write("MUG", 5)]) == (Accepted(),)
        await desk.clock.advance(3600)
        told = (await call(desk, "GET", f"{ITEMS}/MUG", params=asked)).json()
        assert (told["issues"], desk.units()) == ([], {"MUG": 5})


async def test_at_the_endpoint_of_another_region_a_token_is_granted_and_not_taken() -> None:
    async with bench({"MUG": 10}) as desk:
        desk.simulator.gate.is_other_region = True
        with pytest.raises(ReauthenticateError, match="403"):
            await desk.connector.read_stock([ChannelSku("MUG")])
        findings = {one.what: one for one in await desk.connector.preflight()}
        assert findings["credentials"].is_good
        assert not findings["listings can be read"].is_good
        assert "takes no token of ours" in findings["listings can be read"].detail
