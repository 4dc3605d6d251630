"""The Amazon connector against the simulated Amazon, over its wire."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from connectors.amazon.harness import Bench, Budget, bench, turns
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.fault import ReauthenticateError
from oneshelf.sdk.message import (
    Accepted,
    Refused,
    Throttled,
    Unknown,
)

ODD_SKUS = ["A/B #1%", "50%25", "a b+c&d=e?", "..", ".", "ÄÖ-ß-茶", "100%", "x,y", "/", "a//b", "semi;colon"]


async def shown(desk: Bench, sku: str) -> int | None:
    (reading,) = await desk.patiently(lambda: desk.connector.read_stock([ChannelSku(sku)]))
    return reading.units


async def take_a_while(_request: httpx2.Request) -> None:
    """Let the others send their requests too before this one arrives."""
    await turns()


# Writing -----------------------------------------------------------------------------------------------------


async def test_an_accepted_write_is_not_applied_until_a_read_back_shows_it() -> None:
    async with bench({"MUG": 10}) as desk:
        outcomes = await desk.connector.push([desk.write("MUG", 4, expected_units=10)])
        assert outcomes == (Accepted(),)
        assert await shown(desk, "MUG") == 10
        await desk.clock.advance(301)
        assert await shown(desk, "MUG") == 4
        assert desk.units() == {"MUG": 4}


async def test_a_write_keeps_the_handling_time_that_the_seller_set() -> None:
    async with bench({"MUG": 10}) as desk:
        listing = desk.simulator.amazon.catalogue["MUG"]
        listing.submitted[0]["lead_time_to_ship_max_days"] = 5
        await desk.connector.push([desk.write("MUG", 4)])
        assert listing.submitted == [
            {"fulfillment_channel_code": "DEFAULT", "quantity": 4, "lead_time_to_ship_max_days": 5}
        ]


async def test_a_write_that_amazon_calls_invalid_is_refused_although_http_says_200() -> None:
    async with bench({"MUG": 10}) as desk:
        huge = desk.write("MUG", 2_000_000_000)
        (outcome,) = await desk.connector.push([huge])
        assert isinstance(outcome, Refused)
        assert "2000000000" in outcome.words
        assert desk.wiretap.exchanges[-1].response.status_code == 200


async def test_a_listing_that_amazon_does_not_show_is_refused_by_name_and_never_written() -> None:
    async with bench({"MUG": 10}) as desk:
        outcomes = await desk.connector.push([desk.write("GONE", 1), desk.write("MUG", 1)])
        assert outcomes == (Refused("Amazon shows no listing with the SKU GONE"), Accepted())
        assert desk.wiretap.count("PATCH", "GONE") == 0


async def test_a_batch_that_is_throttled_in_the_middle_stops_there() -> None:
    async with bench({f"MUG-{n}": 10 for n in range(8)}) as desk:
        outcomes = await desk.connector.push([desk.write(f"MUG-{n}", 1) for n in range(8)])
        # Amazon grants five at once.
        assert outcomes[:5] == (Accepted(),) * 5
        assert all(isinstance(outcome, Throttled) for outcome in outcomes[5:])
        assert desk.wiretap.count("PATCH", "") == 6
        await desk.clock.advance(301)
        assert [units for units in desk.units().values() if units == 10] == [10] * 3


async def test_a_write_whose_budget_is_far_away_is_throttled_without_a_call() -> None:
    budget = Budget(wait_s={"patchListingsItem": 30.0})
    async with bench({"MUG": 10, "CUP": 10}, limiter=budget) as desk:
        assert await desk.connector.push([desk.write("MUG", 1), desk.write("CUP", 1)]) == (Throttled(30.0),) * 2
        assert desk.wiretap.count("PATCH", "") == 0


async def test_a_write_whose_access_token_cannot_be_had_soon_is_throttled() -> None:
    async with bench({"MUG": 10}) as desk:
        await shown(desk, "MUG")
        await desk.clock.advance(3600)
        assert isinstance(desk.budget, Budget)
        desk.budget.wait_s["token"] = 45.0
        assert await desk.connector.push([desk.write("MUG", 1)]) == (Throttled(45.0),)


async def test_a_lost_reply_is_unknown_and_the_write_may_be_applied_all_the_same() -> None:
    async with bench({"MUG": 10, "CUP": 10}) as desk:
        desk.simulator.switches.set({"reply_lost": {"next": 1}})
        lost, fine = await desk.connector.push([desk.write("MUG", 3), desk.write("CUP", 2)])
        assert isinstance(lost, Unknown)
        assert fine == Accepted()
        await desk.clock.advance(301)
        assert desk.units() == {"MUG": 3, "CUP": 2}


async def test_a_server_error_is_unknown_and_after_two_the_batch_stops() -> None:
    async with bench({f"MUG-{n}": 10 for n in range(4)}) as desk:
        await desk.connector.fetch_stock(None)
        desk.simulator.switches.set({"server_error": {"next": 9}})
        outcomes = await desk.connector.push([desk.write(f"MUG-{n}", 1) for n in range(4)])
        assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown, Throttled, Throttled]
        assert desk.wiretap.count("PATCH", "") == 2


@pytest.mark.parametrize("sku", ODD_SKUS)
async def test_any_sku_is_read_and_written_under_its_own_name(sku: str) -> None:
    decoys = {other: 1 for other in ODD_SKUS if other != sku}
    async with bench({**decoys, sku: 10}) as desk:
        assert await shown(desk, sku) == 10
        assert await desk.connector.push([desk.write(sku, 4)]) == (Accepted(),)
        await desk.clock.advance(301)
        assert desk.units() == {**decoys, sku: 4}


# The guard of what Amazon fulfils --------------------------------------------------------------------------------


async def test_a_listing_that_amazon_fulfils_is_never_written() -> None:
    async with bench({"MUG": 10, "CUP": 10}) as desk:
        desk.simulator.fulfil_by_amazon("MUG")
        outcomes = await desk.connector.push([desk.write("MUG", 1), desk.write("CUP", 1)])
        assert isinstance(outcomes[0], Refused)
        assert "FBA" in outcomes[0].words
        assert outcomes[1] == Accepted()
        assert desk.wiretap.count("PATCH", "MUG") == 0


async def test_who_fulfils_a_listing_is_read_before_its_first_write() -> None:
    async with bench({"MUG": 10}) as desk:
        await desk.connector.push([desk.write("MUG", 1)])
        await desk.connector.push([desk.write("MUG", 2)])
        asked = [(e.request.method, "identifiers" in e.request.url.params) for e in desk.wiretap.exchanges]
        assert asked == [("POST", False), ("GET", True), ("PATCH", False), ("PATCH", False)]


async def test_a_listing_that_became_fba_is_refused_from_the_next_reading_on() -> None:
    async with bench({"MUG": 10}) as desk:
        assert await desk.connector.push([desk.write("MUG", 1)]) == (Accepted(),)
        desk.simulator.fulfil_by_amazon("MUG")
        (reading,) = await desk.connector.read_stock([ChannelSku("MUG")])
        assert (reading.units, "fulfilled by Amazon" in reading.note) == (None, True)
        (outcome,) = await desk.connector.push([desk.write("MUG", 2)])
        assert isinstance(outcome, Refused)


async def test_a_listing_that_vanished_from_a_reading_is_looked_up_again_before_it_is_written() -> None:
    async with bench({"MUG": 10}) as desk:
        assert await shown(desk, "MUG") == 10
        del desk.simulator.amazon.catalogue["MUG"]
        assert await desk.connector.read_stock([ChannelSku("MUG")]) == ()
        assert await desk.connector.push([desk.write("MUG", 2)]) == (
            Refused("Amazon shows no listing with the SKU MUG"),
        )


async def test_an_unread_listing_waits_where_amazon_is_too_busy_to_say_who_fulfils_it() -> None:
    budget = Budget()
    async with bench({"MUG": 10, "CUP": 10}, limiter=budget) as desk:
        await desk.connector.read_stock([ChannelSku("CUP")])
        budget.wait_s["searchListingsItems"] = 12.0
        outcomes = await desk.connector.push([desk.write("MUG", 1), desk.write("CUP", 1)])
        assert outcomes == (Throttled(12.0), Accepted())


# Tokens and rights -----------------------------------------------------------------------------------------------


async def test_many_calls_at_once_fetch_one_token() -> None:
    async with bench({f"MUG-{n}": 1 for n in range(5)}) as desk:
        desk.wiretap.before = take_a_while
        skus = [ChannelSku(f"MUG-{n}") for n in range(5)]
        readings = await asyncio.gather(*(desk.connector.read_stock([sku]) for sku in skus))
        assert [len(found) for found in readings] == [1] * 5
        assert desk.simulator.gate.granted_count == 1


async def test_a_token_is_renewed_before_it_ends() -> None:
    async with bench({"MUG": 1}) as desk:
        await shown(desk, "MUG")
        await desk.clock.advance(3539)
        await shown(desk, "MUG")
        assert desk.simulator.gate.granted_count == 1
        await desk.clock.advance(2)
        await shown(desk, "MUG")
        assert desk.simulator.gate.granted_count == 2
        assert {e.response.status_code for e in desk.wiretap.exchanges} == {200}


async def test_calls_whose_token_was_rejected_renew_it_once_and_succeed() -> None:
    async with bench({"MUG": 1, "CUP": 1}) as desk:
        await shown(desk, "MUG")
        desk.simulator.gate.expire_tokens()
        desk.wiretap.before = take_a_while
        reading, outcomes = await asyncio.gather(
            desk.connector.read_stock([ChannelSku("CUP")]), desk.connector.push([desk.write("MUG", 3)])
        )
        assert (len(reading), outcomes) == (1, (Accepted(),))
        assert [e.response.status_code for e in desk.wiretap.exchanges].count(403) == 2
        assert desk.simulator.gate.granted_count == 2


async def test_a_write_whose_token_was_rejected_is_sent_again_with_a_new_one() -> None:
    async with bench({"MUG": 1}) as desk:
        await shown(desk, "MUG")
        desk.simulator.gate.expire_tokens()
        assert await desk.connector.push([desk.write("MUG", 3)]) == (Accepted(),)
        assert desk.wiretap.count("PATCH", "MUG") == 2


async def test_a_missing_role_on_writes_is_not_tried_again() -> None:
    async with bench({"MUG": 1}) as desk:
        await shown(desk, "MUG")
        desk.simulator.gate.denied.add("patchListingsItem")
        with pytest.raises(ReauthenticateError, match="Access to requested resource is denied"):
            await desk.connector.push([desk.write("MUG", 3)])
        assert desk.wiretap.count("PATCH", "MUG") == 1
        assert desk.simulator.gate.granted_count == 1


async def test_a_refusal_of_rights_after_something_was_sent_spares_the_outcomes_before_it() -> None:
    async with bench({"MUG": 1, "CUP": 1}) as desk:
        await desk.connector.fetch_stock(None)

        async def deny_the_second(request: httpx2.Request) -> None:
            if request.url.path.endswith("CUP"):
                desk.simulator.gate.denied.add("patchListingsItem")

        desk.wiretap.before = deny_the_second
        first, second = await desk.connector.push([desk.write("MUG", 3), desk.write("CUP", 3)])
        assert first == Accepted()
        assert isinstance(second, Throttled)
        with pytest.raises(ReauthenticateError):
            await desk.connector.push([desk.write("CUP", 3)])


async def test_a_missing_role_on_reads_asks_for_a_person_after_one_new_token() -> None:
    async with bench({"MUG": 1}) as desk:
        desk.simulator.gate.denied.add("searchOrders")
        _page, _orders, cursor = await desk.poll(None)
        with pytest.raises(ReauthenticateError):
            await desk.connector.poll_orders(cursor)
        assert desk.simulator.gate.granted_count == 2


@pytest.mark.parametrize(("name", "words"), [("refresh_token", "invalid_grant"), ("client_secret", "invalid_client")])
async def test_a_wrong_secret_asks_for_a_person_and_never_appears_in_words(name: str, words: str) -> None:
    async with bench({"MUG": 1}) as desk:
        connector = desk.another_connector(**{name: "do-not-tell"})
        with pytest.raises(ReauthenticateError, match=words) as refusal:
            await connector.read_stock([ChannelSku("MUG")])
        assert "do-not-tell" not in str(refusal.value)
        assert "do-not-tell" not in repr(connector)


async def test_the_rate_that_amazon_grants_is_learned_once() -> None:
    async with bench({"MUG": 1}, speed=2.0) as desk:
        await shown(desk, "MUG")
        await shown(desk, "MUG")
        await desk.connector.push([desk.write("MUG", 3)])
        assert isinstance(desk.budget, Budget)
        assert desk.budget.learned == {"searchListingsItems": [10.0], "patchListingsItem": [10.0]}


# Stock -----------------------------------------------------------------------------------------------------------


async def test_every_listing_is_fetched_beyond_the_thousand_that_amazon_pages_through() -> None:
    catalogue = {f"SKU-{n:04}": n for n in range(2345)}
    async with bench(catalogue, speed=100.0) as desk:
        found: dict[str, int | None] = {}
        cursor: str | None = None
        pages = 0
        while cursor is not None or pages == 0:
            asked = cursor
            page = await desk.patiently(lambda asked=asked: desk.connector.fetch_stock(asked))  # type: ignore[misc]  # a lambda that binds
            found.update({reading.channel_sku: reading.units for reading in page.readings})
            cursor, pages = page.cursor, pages + 1
        assert found == catalogue
        assert pages == 118


async def test_twenty_listings_are_read_in_one_call() -> None:
    async with bench({f"MUG-{n}": n for n in range(20)}) as desk:
        readings = await desk.connector.read_stock([ChannelSku(f"MUG-{n}") for n in range(20)])
        assert sorted(r.units for r in readings if r.units is not None) == list(range(20))
        assert desk.wiretap.count("GET", "") == 1
