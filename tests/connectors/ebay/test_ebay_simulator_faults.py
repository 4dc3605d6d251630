"""What goes wrong at the simulated eBay goes wrong as documented, and is counted."""

from __future__ import annotations

import hashlib
import socket
from xml.etree import ElementTree as Xml

import httpx2
import pytest

from connectors.ebay.stall import ADDRESS, INVENTORY, NAMESPACE, ORDERS, Stall, errors, every, stall, text
from connectors.ebay.test_ebay_simulator_notifications import HOOK, desk_and_receiver
from oneshelf.connectors.ebay.simulator import FAULTS, SIMULATED_SECRETS
from oneshelf.connectors.ebay.simulator_feed import FEED_FAULTS, REPORT
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.sdk.simulator import CatalogueItem

ITEMS = f"{INVENTORY}/inventory_item"
DAY = "[2026-01-05T00:00:00.000Z..]"


def hits(desk: Stall) -> dict[str, int]:
    return dict(desk.simulator.switches.hits)


async def quantity(desk: Stall, sku: str) -> int:
    """What an item says is there."""
    item = await desk.read(f"{ITEMS}/{sku}")
    units: int = item["availability"]["shipToLocationAvailability"]["quantity"]
    return units


# Refused calls ----------------------------------------------------------------------------------------------------


async def test_a_throttled_call_tells_no_time_to_wait() -> None:
    async with stall({"MUG": 3}, {"JUG": 3}) as desk:
        desk.simulator.switches.set({"throttle": {"next": 2}})
        refused = await desk.call("GET", ITEMS)
        told = await desk.trade("ReviseInventoryStatus", desk.node("JUG", 1))
        assert (refused.status_code, errors(refused), "retry-after" in refused.headers) == (429, [2001], False)
        assert (text(told, "Ack"), text(told, "Errors/ErrorCode")) == ("Failure", "21919144")
        assert (await desk.call("GET", ITEMS)).status_code == 200
        assert hits(desk) == {"throttle": 2}


async def test_a_servers_error_is_json_xml_or_a_page_for_people() -> None:
    async with stall({"MUG": 3}, {"JUG": 3}) as desk:
        token = await desk.token()
        desk.simulator.switches.set({"server_error": 1.0})
        rest = {"authorization": f"Bearer {token}"}
        trading = {"x-ebay-api-call-name": "GetItem", "x-ebay-api-iaf-token": token}
        seen = set()
        for _ in range(20):
            for answer in (
                await desk.client.get(ADDRESS + ITEMS, headers=rest),
                await desk.client.post(ADDRESS + "/ws/api.dll", headers=trading),
            ):
                seen.add((answer.status_code, answer.headers["content-type"].partition(";")[0]))
        assert seen == {(500, "application/json"), (503, "text/html"), (200, "text/xml")}


async def test_a_storm_of_errors_lasts_a_while_and_spares_nobody() -> None:
    async with stall({"MUG": 3}) as desk:
        token = await desk.token()
        desk.simulator.switches.set({"error_storm": {"next": 1}})

        async def status(path: str) -> int:
            answer = await desk.client.get(ADDRESS + path, headers={"authorization": f"Bearer {token}"})
            return answer.status_code

        assert {await status(ITEMS), await status(ORDERS)} <= {500, 503}
        await desk.clock.advance(61)
        assert (await status(ITEMS), hits(desk)) == (200, {"error_storm": 1})


async def test_a_token_may_die_early() -> None:
    async with stall({"MUG": 3}) as desk:
        token = await desk.token()
        desk.simulator.switches.set({"token_expired": {"next": 1}})
        answers: list[httpx2.Response] = []
        for _ in range(2):
            answers.append(await desk.client.get(ADDRESS + ITEMS, headers={"authorization": f"Bearer {token}"}))
        assert [answer.status_code for answer in answers] == [401, 401]
        assert hits(desk) == {"token_expired": 1}
        assert (await desk.call("GET", ITEMS)).status_code == 200


# Writes -----------------------------------------------------------------------------------------------------------


async def test_a_lost_reply_was_a_write_all_the_same() -> None:
    async with stall({"MUG": 3}, {"JUG": 3}) as desk:
        desk.simulator.switches.set({"reply_lost": {"next": 2}})
        answer = await desk.update(desk.row("MUG", 7))
        assert answer.content == b'{"responses":[{'
        with pytest.raises(Xml.ParseError):
            await desk.trade("ReviseInventoryStatus", desk.node("JUG", 8))
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 7, "JUG": 8}


async def test_an_accepted_write_may_never_show() -> None:
    async with stall({"MUG": 3}, {"JUG": 3}) as desk:
        desk.simulator.switches.set({"write_never_applied": {"next": 2}})
        assert (await desk.update(desk.row("MUG", 7))).status_code == 200
        assert text(await desk.trade("ReviseInventoryStatus", desk.node("JUG", 7)), "Ack") == "Success"
        await desk.clock.advance(600)
        assert desk.units() == {"MUG": 3, "JUG": 3}


async def test_a_row_may_fail_inside_a_200() -> None:
    async with stall({"MUG": 3, "CUP": 3}, {"JUG": 3, "POT": 3}) as desk:
        desk.simulator.switches.set({"row_failed": {"next": 1}})
        answer = await desk.update(desk.row("MUG", 7), desk.row("CUP", 7))
        rows = answer.json()["responses"]
        assert (answer.status_code, [row["statusCode"] for row in rows]) == (200, [500, 200])
        assert rows[0]["errors"][0]["errorId"] == 25001
        desk.simulator.switches.set({"row_failed": {"next": 1}})
        root = await desk.trade("ReviseInventoryStatus", desk.node("JUG", 7) + desk.node("POT", 7))
        assert (text(root, "Ack"), text(root, "Errors/ErrorCode")) == ("PartialFailure", "10007")
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 3, "CUP": 7, "JUG": 3, "POT": 7}


async def test_out_of_stock_control_may_be_off_for_a_while() -> None:
    async with stall({"MUG": 3}, {"JUG": 3}) as desk:
        desk.simulator.switches.set({"zero_refused": {"next": 1}})
        (row,) = (await desk.update(desk.row("MUG", 0))).json()["responses"]
        assert row["errors"][0]["errorId"] == 25004
        root = await desk.trade("ReviseInventoryStatus", desk.node("JUG", 0))
        assert text(root, "Errors/ErrorCode") == "515"
        asked = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
        preference = "OutOfStockControlPreference"
        assert text(await desk.trade("GetUserPreferences", asked), preference) == "false"
        await desk.clock.advance(601)
        assert text(await desk.trade("GetUserPreferences", asked), preference) == "true"
        assert (await desk.update(desk.row("MUG", 0))).status_code == 200
        await desk.clock.advance(5)
        assert (desk.units(), hits(desk)) == ({"MUG": 0, "JUG": 3}, {"zero_refused": 1})


async def test_a_day_may_have_one_revision_left() -> None:
    async with stall({"MUG": 3}) as desk:
        desk.simulator.switches.set({"revision_budget_low": {"next": 1}})
        answers = [await desk.update(desk.row("MUG", units)) for units in (7, 8)]
        assert [answer.json()["responses"][0]["statusCode"] for answer in answers] == [200, 400]
        await desk.clock.advance(19 * 3600)
        assert (await desk.update(desk.row("MUG", 9))).status_code == 200


async def test_a_write_may_meet_another_one() -> None:
    async with stall({"MUG": 3, "CUP": 3}) as desk:
        desk.simulator.switches.set({"concurrent_refused": {"next": 1}})
        refused = await desk.update(desk.row("MUG", 7), desk.row("CUP", 7))
        assert (refused.status_code, errors(refused)) == (500, [25025])
        await desk.clock.advance(5)
        assert desk.units() == {"MUG": 3, "CUP": 3}
        assert (await desk.update(desk.row("MUG", 7))).status_code == 200


# Misleading readings ----------------------------------------------------------------------------------------------


async def test_a_stale_reading_shows_the_units_of_a_while_ago_and_no_older() -> None:
    async with stall({"MUG": 10}, {"JUG": 10}) as desk:
        desk.simulator.switches.set({"stale_read": 1.0})
        await desk.clock.advance(100)
        desk.simulator.edit_by_hand("MUG", 7)
        desk.simulator.edit_by_hand("JUG", 7)
        seen: list[tuple[int, str]] = []
        item_id = f"<ItemID>{desk.item_id('JUG')}</ItemID>"
        for _ in range(40):
            await desk.clock.advance(1)
            root = await desk.trade("GetItem", item_id)
            seen.append((await quantity(desk, "MUG"), text(every(root, "Item")[0], "QuantityAvailable")))
        assert {units for units, _text in seen} == {10, 7}
        assert {units for _units, units in seen} == {"10", "7"}
        assert seen[-1] == (7, "7")


async def test_pages_of_listings_shift_where_one_came_or_went() -> None:
    async with stall({f"MUG-{n}": n for n in range(9)}) as desk:
        desk.simulator.switches.set({"page_drift": 1.0})
        seen = []
        for _ in range(20):
            page = await desk.read(ITEMS, limit=3, offset=1)
            seen.append(tuple(item["sku"] for item in page["inventoryItems"]))
        assert set(seen) == {("MUG-2", "MUG-3", "MUG-4"), ("MUG-4", "MUG-5", "MUG-6")}
        assert (await desk.read(ITEMS, limit=3))["inventoryItems"][0]["sku"] == "MUG-0"


async def test_between_two_pages_of_orders_one_that_was_read_moves_to_the_end() -> None:
    """Whoever counts on by what was read misses the one that moved up into its place."""
    async with stall({"MUG": 90}) as desk:
        desk.simulator.habits.confirm_s = (7200.0, 7200.0)
        placed = []
        for _ in range(6):
            placed.append(desk.simulator.place([("MUG", 1)]))
            await desk.clock.advance(1)
        desk.simulator.switches.set({"page_drift": {"next": 1}})
        query = {"filter": f"lastmodifieddate:{DAY}", "limit": 3}
        pages = [await desk.read(ORDERS, offset=offset, **query) for offset in (0, 3)]
        seen = [order["orderId"] for page in pages for order in page["orders"]]
        assert [page["total"] for page in pages] == [6, 6]
        assert len(seen) == 6
        assert set(placed) - set(seen) == {placed[3]}


# One seed is one story --------------------------------------------------------------------------------------------


# What has few occasions in so short a day.
RARE = (*FEED_FAULTS, "zero_refused", "revision_budget_low")


async def a_bad_day(seed: int) -> tuple[str, dict[str, int]]:
    """All that the simulated eBay does, says and sends in a while with every fault on, as one digest; and its hits."""
    print(f"seed {seed}")
    told = hashlib.sha256()
    names = [f"MUG-{n}" for n in range(20)]
    async with desk_and_receiver(seed=seed, speed=20.0) as (desk, receiver):
        simulator = desk.simulator
        simulator.habits.unpaid_share, simulator.habits.payment_fails_share = 0.1, 0.2
        simulator.habits.group_share, simulator.habits.commitment_share = 0.3, 0.2
        simulator.stock_catalogue([CatalogueItem(name, "Mug", 30) for name in names])
        simulator.connect(address=HOOK, secret="hush")
        simulator.switches.set(dict.fromkeys(simulator.switches.names, 0.05) | dict.fromkeys(RARE, 0.3))
        simulator.shoppers.follow(ShoppersPlan(orders_per_s=3.0, cancel_share=0.2), desk.clock.monotonic())
        for turn in range(80):
            await desk.clock.advance(0.5)
            for answer in await a_round(desk, names[turn % len(names)]):
                told.update(repr(sorted(answer.headers.items())).encode() + answer.content)
        for headers, body in receiver.got:
            told.update(headers["x-ebay-signature"].encode() + body)
        told.update(repr((list(simulator.orders()), list(simulator.listings()))).encode())
        return told.hexdigest(), hits(desk)


async def a_round(desk: Stall, sku: str) -> list[httpx2.Response]:
    """A grant, and with its token a reading and a write of each world, the orders, and a report that is asked for."""
    granted = await desk.grant({"grant_type": "refresh_token", "refresh_token": SIMULATED_SECRETS["refresh_token"]})
    is_good = granted.headers["content-type"] == "application/json"
    token = granted.json().get("access_token", "none") if is_good else "none"
    rest = {"authorization": f"Bearer {token}"}
    trading = {"x-ebay-api-call-name": "ReviseInventoryStatus", "x-ebay-api-iaf-token": token}
    node = f'<ReviseInventoryStatusRequest xmlns="{NAMESPACE}">{desk.node(sku, 3)}</ReviseInventoryStatusRequest>'
    update = {"requests": [desk.row(sku, 0)]}
    client, path = desk.client, f"{ADDRESS}{INVENTORY}"
    feed, report = f"{ADDRESS}/sell/feed/v1", {"feedType": REPORT, "schemaVersion": "1.0"}
    tasks = await client.get(f"{feed}/inventory_task", headers=rest, params={"feed_type": REPORT, "limit": 25})
    found = tasks.json().get("tasks", []) if tasks.headers["content-type"] == "application/json" else []
    name = found[-1]["taskId"] if found else "none"
    return [
        granted,
        tasks,
        await client.post(f"{feed}/inventory_task", headers=rest, json=report),
        await client.get(f"{feed}/task/{name}/download_result_file", headers=rest),
        await client.get(f"{path}/inventory_item", headers=rest, params={"limit": 5, "offset": 1}),
        await client.get(f"{path}/inventory_item/{sku}", headers=rest),
        await client.post(f"{path}/bulk_update_price_quantity", headers=rest, json=update),
        await client.post(f"{ADDRESS}/ws/api.dll", headers=trading, content=node.encode()),
        await client.get(ADDRESS + ORDERS, headers=rest, params={"limit": 20, "offset": 20}),
    ]


@pytest.mark.long
async def test_one_seed_is_one_story_with_every_fault_on_and_without_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_args: object, **_named: object) -> None:
        raise AssertionError("the simulator opened a socket")

    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    days = [await a_bad_day(seed) for seed in (3, 3, 4)]
    assert days[0] == days[1]
    assert days[0][0] != days[2][0]
    struck = set(days[0][1]) | set(days[2][1])
    assert set(FAULTS) <= struck, f"never struck: {set(FAULTS) - struck}"
