"""The Trading API of the simulated eBay behaves as its documents say."""

from __future__ import annotations

import httpx2
import pytest

from connectors.ebay.stall import ADDRESS, INVENTORY, NAMESPACE, Stall, every, stall, text


async def revised(desk: Stall, *nodes: str) -> tuple[str, list[str], list[str]]:
    """The acknowledgement, the numbers of the errors, and the ItemIDs that were written."""
    root = await desk.trade("ReviseInventoryStatus", "".join(nodes))
    codes = [text(error, "ErrorCode") for error in every(root, "Errors")]
    return text(root, "Ack"), codes, [text(node, "ItemID") for node in every(root, "InventoryStatus")]


async def post(desk: Stall, content: bytes, **headers: str) -> httpx2.Response:
    return await desk.client.post(ADDRESS + "/ws/api.dll", content=content, headers=headers)


def quantity(desk: Stall, sku: str) -> str:
    return f"<ItemID>{desk.item_id(sku)}</ItemID>"


# Writing ----------------------------------------------------------------------------------------------------------


async def test_a_quantity_is_what_is_available_now_and_reads_with_what_was_sold() -> None:
    async with stall(None, {"JUG": 9}) as desk:
        desk.simulator.place([("JUG", 2)])
        assert await revised(desk, desk.node("JUG", 5)) == ("Success", [], [desk.item_id("JUG")])
        await desk.clock.advance(5)
        item = every(await desk.trade("GetItem", quantity(desk, "JUG")), "Item")[0]
        assert desk.units() == {"JUG": 5}
        assert (text(item, "Quantity"), text(item, "SellingStatus/QuantitySold")) == ("7", "2")
        assert text(item, "QuantityAvailable") == "5"


async def test_of_four_nodes_the_bad_ones_fail_alone() -> None:
    async with stall({"MUG": 1}, {"JUG": 9, "POT": 9}) as desk:
        unknown = "<InventoryStatus><ItemID>1</ItemID><Quantity>1</Quantity></InventoryStatus>"
        acknowledgement, codes, written = await revised(
            desk, desk.node("JUG", 3), unknown, desk.node("MUG", 3), desk.node("POT", 4)
        )
        assert (acknowledgement, codes) == ("PartialFailure", ["17", "21919474"])
        assert written == [desk.item_id("JUG"), desk.item_id("POT")]
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 1, "JUG": 3, "POT": 4}
        assert await revised(desk, unknown) == ("Failure", ["17"], [])


async def test_a_fifth_node_is_refused_with_all_others() -> None:
    async with stall(None, {f"JUG-{n}": 9 for n in range(5)}) as desk:
        answer = await revised(desk, *(desk.node(f"JUG-{n}", 1) for n in range(5)))
        assert answer == ("Failure", ["21916254"], [])
        await desk.clock.advance(5)
        assert set(desk.units().values()) == {9}


async def test_a_variation_needs_its_sku_and_a_single_listing_ignores_one() -> None:
    async with stall(None, {"JUG-1": 9, "JUG-2": 8}, group_share=1.0) as desk:
        assert desk.item_id("JUG-1") == desk.item_id("JUG-2")
        assert (await revised(desk, desk.node("JUG-1", 3, named="")))[1] == ["21916583"]
        assert (await revised(desk, desk.node("JUG-1", 3, named="<SKU>NONE</SKU>")))[1] == ["17"]
        assert (await revised(desk, desk.node("JUG-2", 3)))[0] == "Success"
        await desk.clock.advance(5)
        assert desk.units() == {"JUG-1": 9, "JUG-2": 3}
    async with stall(None, {"JUG": 9}) as desk:
        assert (await revised(desk, desk.node("JUG", 3, named="<SKU>OTHER</SKU>")))[0] == "Success"


async def test_a_zero_without_out_of_stock_control_leaves_the_old_quantity_on_sale() -> None:
    async with stall(None, {"JUG": 9}) as desk:
        preference = "<OutOfStockControlPreference>false</OutOfStockControlPreference>"
        await desk.trade("SetUserPreferences", preference)
        asked = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
        told = await desk.trade("GetUserPreferences", asked)
        assert text(told, "OutOfStockControlPreference") == "false"
        assert await revised(desk, desk.node("JUG", 0)) == ("Failure", ["515"], [])
        await desk.clock.advance(5)
        assert desk.units() == {"JUG": 9}
        desk.simulator.habits.has_out_of_stock_control = True
        assert (await revised(desk, desk.node("JUG", 0)))[0] == "Success"
        await desk.clock.advance(5)
        item = every(await desk.trade("GetItem", quantity(desk, "JUG")), "Item")[0]
        assert (desk.units(), text(item, "ReasonHideFromSearch")) == ({"JUG": 0}, "OutOfStock")


async def test_without_out_of_stock_control_a_zero_keeps_a_variation_that_sold_and_deletes_one_that_did_not() -> None:
    jugs = {"JUG-1": 9, "JUG-2": 8, "JUG-3": 7}
    async with stall(None, jugs, groups=dict.fromkeys(jugs, "jugs")) as desk:
        desk.simulator.habits.has_out_of_stock_control = False
        desk.simulator.place([("JUG-1", 1)])
        assert (await revised(desk, desk.node("JUG-1", 0), desk.node("JUG-2", 0)))[0] == "Success"
        await desk.clock.advance(5)
        assert (desk.units()["JUG-1"], desk.units()["JUG-2"]) == (0, 0)
        assert (await revised(desk, desk.node("JUG-3", 0)))[1] == ["515"]
        assert (await revised(desk, desk.node("JUG-1", 4)))[0] == "Success"
        assert (await revised(desk, desk.node("JUG-2", 4)))[1] == ["17"]
        assert {one.channel_sku for one in desk.simulator.listings() if one.is_ended} == {"JUG-2"}


@pytest.mark.parametrize("wrong", ["-1", "1.5", "many", "", "99999999999999"])
async def test_what_is_no_quantity_is_refused(wrong: str) -> None:
    async with stall(None, {"JUG": 9}) as desk:
        node = desk.node("JUG", 1).replace("<Quantity>1<", f"<Quantity>{wrong}<")
        assert await revised(desk, node) == ("Failure", ["515"], [])


async def test_a_listing_is_revised_250_times_a_day_by_this_api_too() -> None:
    async with stall(None, {"JUG": 9}) as desk:
        for n in range(250):
            assert (await revised(desk, desk.node("JUG", n + 1)))[0] == "Success"
        assert await revised(desk, desk.node("JUG", 5)) == ("Failure", ["240"], [])
        await desk.clock.advance(19 * 3600)
        assert (await revised(desk, desk.node("JUG", 5)))[0] == "Success"


async def test_a_listing_ends_and_comes_back_under_another_number() -> None:
    async with stall({"MUG": 1}, {"JUG": 9}) as desk:
        before, reason = desk.item_id("JUG"), "<EndingReason>NotAvailable</EndingReason>"
        assert text(await desk.trade("EndFixedPriceItem", quantity(desk, "JUG")), "Errors/ErrorCode") == "37"
        ended = await desk.trade("EndFixedPriceItem", quantity(desk, "JUG") + reason)
        assert (text(ended, "Ack"), bool(text(ended, "EndTime")), desk.units()["JUG"]) == ("Success", True, 0)
        again = await desk.trade("EndFixedPriceItem", quantity(desk, "JUG") + reason)
        assert text(again, "Errors/ErrorCode") == "1047"
        assert await revised(desk, desk.node("JUG", 5)) == ("Failure", ["291"], [])
        item = f"<Item><ItemID>{before}</ItemID><Quantity>4</Quantity></Item>"
        relisted = await desk.trade("RelistFixedPriceItem", item)
        assert text(relisted, "ItemID") == desk.item_id("JUG") != before
        assert desk.units()["JUG"] == 4
        assert text(await desk.trade("RelistFixedPriceItem", item), "Errors/ErrorCode") == "240"
        foreign = await desk.trade("EndFixedPriceItem", quantity(desk, "MUG") + reason)
        assert text(foreign, "Errors/ErrorCode") == "21919474"


# Reading ----------------------------------------------------------------------------------------------------------


async def test_the_active_list_shows_the_listings_of_both_worlds_page_by_page() -> None:
    async with stall({"MUG": 1}, {"JUG-1": 2, "JUG-2": 3}, group_share=1.0) as desk:

        def page(number: int) -> str:
            pages = f"<Pagination><EntriesPerPage>1</EntriesPerPage><PageNumber>{number}</PageNumber></Pagination>"
            return f"<ActiveList><Include>true</Include>{pages}</ActiveList>"

        pages = [await desk.trade("GetMyeBaySelling", page(number)) for number in (1, 2)]
        totals = "ActiveList/PaginationResult/TotalNumberOfEntries"
        assert [text(one, totals) for one in pages] == ["2", "2"]
        first, second = (every(one, "ActiveList/ItemArray/Item")[0] for one in pages)
        assert (text(first, "SKU"), text(first, "QuantityAvailable")) == ("MUG", "1")
        variations = every(second, "Variations/Variation")
        assert [(text(one, "SKU"), text(one, "Quantity")) for one in variations] == [("JUG-1", "2"), ("JUG-2", "3")]
        assert text(await desk.trade("GetMyeBaySelling", page(3)), "Errors/ErrorCode") == "340"


async def test_events_of_the_last_48_hours_are_told() -> None:
    async with stall(None, {"JUG": 2, "POT": 3}) as desk:
        desk.simulator.edit_by_hand("POT", 8)
        await desk.clock.advance(3600)
        told = await desk.trade("GetSellerEvents", "<ModTimeFrom>2026-01-05T11:00:00.000Z</ModTimeFrom>")
        assert [text(item, "ItemID") for item in every(told, "ItemArray/Item")] == [desk.item_id("POT")]
        assert text(told, "TimeTo") == "2026-01-05T13:00:00.000Z"
        too_old = await desk.trade("GetSellerEvents", "<ModTimeFrom>2026-01-03T12:59:59.000Z</ModTimeFrom>")
        assert text(too_old, "Ack") == "Failure"


async def test_the_list_of_a_seller_needs_a_window_of_120_days_at_most() -> None:
    async with stall(None, {"JUG": 2, "POT": 3}) as desk:
        pages = "<Pagination><EntriesPerPage>200</EntriesPerPage><PageNumber>1</PageNumber></Pagination>"

        def window(since: str, until: str) -> str:
            return f"<EndTimeFrom>{since}</EndTimeFrom><EndTimeTo>{until}</EndTimeTo>{pages}"

        told = await desk.trade("GetSellerList", window("2026-01-05T12:00:00Z", "2026-02-05T12:00:00Z"))
        assert len(every(told, "ItemArray/Item")) == 2
        for wrong in (pages, window("2026-01-05T12:00:00Z", "2026-06-05T12:00:00Z")):
            assert text(await desk.trade("GetSellerList", wrong), "Ack") == "Failure"


# The door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"{}", "5"), (b"<!DOCTYPE x><x/>", "5"), (f'<GetOther xmlns="{NAMESPACE}"/>'.encode(), "5"), (b"", "5")],
)
async def test_what_is_no_request_is_refused(content: bytes, code: str) -> None:
    async with stall() as desk:
        answer = await post(
            desk, content, **{"x-ebay-api-call-name": "GetItem", "x-ebay-api-iaf-token": await desk.token()}
        )
        assert f"<ErrorCode>{code}</ErrorCode>" in answer.text


async def test_a_call_needs_a_token_of_the_seller() -> None:
    async with stall() as desk:
        named = {"x-ebay-api-call-name": "GetItem"}
        nothing = await post(desk, b"", **named)
        wrong = await post(desk, b"", **named, **{"x-ebay-api-iaf-token": "guess"})
        application = await desk.token(is_user=False)
        foreign = await post(desk, b"", **named, **{"x-ebay-api-iaf-token": application})
        assert "<ErrorCode>930</ErrorCode>" in nothing.text
        assert all("<ErrorCode>21917053</ErrorCode>" in answer.text for answer in (wrong, foreign))


async def test_the_quota_of_a_day_and_the_burst_of_15_seconds_are_refused_apart() -> None:
    async with stall(None, {"JUG": 9}) as desk:
        desk.simulator.habits.burst = 20
        desk.simulator.gate.quotas["TradingAPI"] = 30
        token = await desk.token()
        headers = {"x-ebay-api-call-name": "ReviseInventoryStatus", "x-ebay-api-iaf-token": token}
        content = f'<ReviseInventoryStatusRequest xmlns="{NAMESPACE}"/>'.encode()
        for _ in range(20):
            await post(desk, content, **headers)
        assert "<ErrorCode>21919144</ErrorCode>" in (await post(desk, content, **headers)).text
        await desk.clock.advance(16)
        assert "<ErrorCode>37</ErrorCode>" in (await post(desk, content, **headers)).text
        for _ in range(8):
            await post(desk, content, **headers)
        assert "<ErrorCode>518</ErrorCode>" in (await post(desk, content, **headers)).text


async def test_a_listing_of_this_api_is_refused_by_the_other_one() -> None:
    async with stall(None, {"JUG": 9}) as desk:
        row = {"sku": "JUG", "shipToLocationAvailability": {"quantity": 1}}
        (answer,) = (await desk.update(row)).json()["responses"]
        assert (answer["statusCode"], answer["errors"][0]["errorId"]) == (400, 25702)
        assert (await desk.call("GET", f"{INVENTORY}/inventory_item/JUG")).status_code == 404
