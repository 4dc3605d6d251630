"""Eight names of units at one location: who may change which, in which words a change is refused, and what is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from connectors.shopify.conftest import Bench
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.domain.account import StockState

ADJUST = """
mutation Adjust($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta ledgerDocumentUri quantityAfterChange } }
    userErrors { code field message }
  }
}
"""
MOVE = """
mutation Move($input: InventoryMoveQuantitiesInput!, $key: String!) {
  inventoryMoveQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta } }
    userErrors { code field message }
  }
}
"""
ACTIVATE = """
mutation Activate($item: ID!, $location: ID!, $available: Int, $onHand: Int, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available, onHand: $onHand)
  @idempotent(key: $key) {
    inventoryLevel { isActive quantities(names: ["available"]) { quantity } }
    userErrors { field message }
  }
}
"""
LOCATION = f"gid://shopify/Location/{LOCATION_ID}"
ELSEWHERE = "gid://shopify/Location/1"
DOCUMENT = "https://example.com/case/1"


def item(bench: Bench, at: int = 0) -> str:
    return f"gid://shopify/InventoryItem/{bench.sim.shop.articles[at].item_id}"


async def adjust(bench: Bench, name: str = "damaged", **row: object) -> dict[str, Any]:
    change = {"inventoryItemId": item(bench), "locationId": LOCATION, "delta": 2, "changeFromQuantity": None}
    document = {} if name == "available" else {"ledgerDocumentUri": DOCUMENT}
    wish = {"name": name, "reason": str(row.pop("reason", "damaged")), "changes": [{**change, **document, **row}]}
    answer = await bench.post(ADJUST, {"input": wish, "key": str(bench.clock.new_id())})
    return dict(answer["data"]["inventoryAdjustQuantities"])


def end(name: str, **more: object) -> dict[str, object]:
    document = {} if name == "available" else {"ledgerDocumentUri": DOCUMENT}
    return {"locationId": LOCATION, "name": name, "changeFromQuantity": None, **document, **more}


async def move(bench: Bench, units: int, origin: Mapping[str, object], target: Mapping[str, object]) -> dict[str, Any]:
    change = {"inventoryItemId": item(bench), "quantity": units, "from": origin, "to": target}
    wish = {"reason": "damaged", "referenceDocumentUri": DOCUMENT, "changes": [change]}
    answer = await bench.post(MOVE, {"input": wish, "key": str(bench.clock.new_id())})
    return dict(answer["data"]["inventoryMoveQuantities"])


def codes(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["field"] or [])) for error in payload["userErrors"]]


async def test_on_hand_is_the_sum_and_incoming_belongs_to_nothing(bench: Bench) -> None:
    article = bench.sim.shop.articles[0]
    payload = await adjust(bench, "damaged")
    changes = payload["inventoryAdjustmentGroup"]["changes"]
    assert [(one["name"], one["delta"], one["quantityAfterChange"]) for one in changes] == [
        ("damaged", 2, None),
        ("on_hand", 2, None),
    ]
    assert (article.units["available"], article.on_hand) == (10, 12)
    payload = await adjust(bench, "incoming")
    assert [one["name"] for one in payload["inventoryAdjustmentGroup"]["changes"]] == ["incoming"]
    assert article.on_hand == 12


async def test_a_move_leaves_on_hand_alone_and_is_told_in_two_rows(bench: Bench) -> None:
    payload = await move(bench, 3, end("available"), end("quality_control"))
    assert payload["userErrors"] == []
    assert payload["inventoryAdjustmentGroup"]["changes"] == [
        {"name": "available", "delta": -3},
        {"name": "quality_control", "delta": 3},
    ]
    article = bench.sim.shop.articles[0]
    assert (article.units["available"], article.units["quality_control"], article.on_hand) == (7, 3, 10)
    (reading,) = await bench.connector.read_stock(bench.skus[:1])
    assert (reading.units, reading.states and reading.states[StockState.QUALITY_CONTROL]) == (7, 3)


@pytest.mark.parametrize("name", ["on_hand", "committed", "shiny"])
async def test_what_shopify_counts_by_itself_cannot_be_adjusted_or_moved(bench: Bench, name: str) -> None:
    payload = await adjust(bench, name)
    assert codes(payload) == [("INVALID_QUANTITY_NAME", "input.name")]
    assert payload["userErrors"][0]["message"] == (
        "The specified quantity name is invalid. Valid values are: available, damaged, incoming, quality_control, "
        "reserved, safety_stock."
    )
    assert codes(await move(bench, 1, end("available"), end(name))) == [
        ("INVALID_QUANTITY_NAME", "input.changes.0.to.name")
    ]


async def test_each_refusal_of_an_adjustment_names_its_row(bench: Bench) -> None:
    at = "input.changes.0"
    wanted: list[tuple[str, dict[str, object], list[tuple[str, str]]]] = [
        ("available", {"ledgerDocumentUri": DOCUMENT}, [("INVALID_AVAILABLE_DOCUMENT", f"{at}.ledgerDocumentUri")]),
        ("damaged", {"ledgerDocumentUri": None}, [("INVALID_QUANTITY_DOCUMENT", f"{at}.ledgerDocumentUri")]),
        (
            "damaged",
            {"ledgerDocumentUri": "gid://shopify/Order/1"},
            [("INTERNAL_LEDGER_DOCUMENT", f"{at}.ledgerDocumentUri")],
        ),
        ("damaged", {"delta": 2_000_000_001}, [("INVALID_QUANTITY_TOO_HIGH", f"{at}.delta")]),
        ("damaged", {"delta": -2_000_000_001}, [("INVALID_QUANTITY_TOO_LOW", f"{at}.delta")]),
        ("damaged", {"reason": "whim"}, [("INVALID_REASON", "input.reason")]),
        ("damaged", {"changeFromQuantity": 5}, [("CHANGE_FROM_QUANTITY_STALE", "")]),
        (
            "damaged",
            {"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": ELSEWHERE},
            [("INVALID_INVENTORY_ITEM", f"{at}.inventoryItemId"), ("INVALID_LOCATION", f"{at}.locationId")],
        ),
    ]
    for name, row, told in wanted:
        payload = await adjust(bench, name, **row)
        assert (codes(payload), payload["inventoryAdjustmentGroup"]) == (told, None)
    bench.sim.shop.articles[0].is_bundle_parent = True
    assert codes(await adjust(bench)) == [("NON_MUTABLE_INVENTORY_ITEM", f"{at}.inventoryItemId")]
    assert bench.sim.shop.articles[0].units["damaged"] == 0


async def test_each_refusal_of_a_move_names_its_end(bench: Bench) -> None:
    at, sale, broken = "input.changes.0", end("available"), end("damaged")
    assert codes(await move(bench, 1, sale, sale)) == [("SAME_QUANTITY_NAME", at)]
    away = await move(bench, 1, sale, end("damaged", locationId=ELSEWHERE))
    assert codes(away) == [("DIFFERENT_LOCATIONS", at)]
    assert codes(await move(bench, -1, sale, broken)) == [("INVALID_QUANTITY_NEGATIVE", f"{at}.quantity")]
    assert codes(await move(bench, 2, broken, sale)) == [("MOVE_QUANTITIES_FAILED", at)]
    assert codes(await move(bench, 1, sale, end("damaged", ledgerDocumentUri=None))) == [
        ("INVALID_QUANTITY_DOCUMENT", f"{at}.to.ledgerDocumentUri")
    ]
    assert codes(await move(bench, 1, end("available", changeFromQuantity=9), broken)) == [
        ("CHANGE_FROM_QUANTITY_STALE", "")
    ]


async def test_what_is_compared_and_the_key_are_demanded_of_both(bench: Bench) -> None:
    change = {"inventoryItemId": item(bench), "locationId": LOCATION, "delta": 1}
    wish = {"name": "available", "reason": "other", "changes": [change]}
    answer = await bench.post(ADJUST, {"input": wish, "key": "k"})
    assert answer["errors"][0]["message"] == (
        "InventoryChangeInput must include the following argument: changeFromQuantity."
    )
    unkeyed = await bench.post(
        ADJUST.replace("@idempotent(key: $key)", "").replace(", $key: String!", ""),
        {"input": {**wish, "changes": [{**change, "changeFromQuantity": None}]}},
    )
    assert unkeyed["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    plain = {"locationId": LOCATION, "name": "available"}
    row = {"inventoryItemId": item(bench), "quantity": 1, "from": plain, "to": end("damaged")}
    moved = {"reason": "other", "referenceDocumentUri": DOCUMENT, "changes": [row]}
    answer = await bench.post(MOVE, {"input": moved, "key": "k"})
    assert "InventoryMoveQuantityTerminalInput must include" in answer["errors"][0]["message"]


async def test_the_same_key_adjusts_once(bench: Bench) -> None:
    change = {"inventoryItemId": item(bench), "locationId": LOCATION, "delta": 1, "changeFromQuantity": None}
    wish = {"name": "available", "reason": "other", "changes": [change]}
    first = await bench.post(ADJUST, {"input": wish, "key": "k"})
    assert (await bench.post(ADJUST, {"input": wish, "key": "k"}))["data"] == first["data"]
    assert bench.shown()[0] == 11


async def test_only_a_change_of_available_or_on_hand_is_announced(bench: Bench) -> None:
    async with bench.living():
        await move(bench, 2, end("available"), end("damaged"))
        await bench.clock.live(30.0)
        assert bench.receiver.topics() == ["inventory_levels/update"]
        await move(bench, 1, end("damaged"), end("quality_control"))
        await adjust(bench, "incoming")
        await bench.clock.live(30.0)
        assert len(bench.receiver.got) == 1
        await adjust(bench, "safety_stock")
        await bench.clock.live(30.0)
        assert len(bench.receiver.got) == 2


async def test_a_merchant_moves_units_without_a_word_and_on_a_switch(bench: Bench) -> None:
    async with bench.living():
        answer = await bench.client.post(
            "http://localhost/_sim/move-units",
            json={"channel_sku": bench.skus[0], "units": 4, "from": "available", "to": "reserved"},
        )
        assert answer.json() == {"result": True}
        too_many = {"channel_sku": bench.skus[0], "units": 40, "from": "available", "to": "reserved"}
        assert (await bench.client.post("http://localhost/_sim/move-units", json=too_many)).json() == {"result": False}
        wrong = {**too_many, "to": "committed"}
        assert (await bench.client.post("http://localhost/_sim/move-units", json=wrong)).status_code == 400
        await bench.clock.live(30.0)
        assert bench.receiver.got == []
    article = bench.sim.shop.articles[0]
    assert (article.units["available"], article.units["reserved"], article.on_hand) == (6, 4, 10)
    bench.sim.switches.set({"silent_move": {"next": 1}})
    assert bench.sim.place([(bench.skus[1], 1)]) is not None
    kept = sum(units for one in bench.sim.shop.articles for name, units in one.units.items() if name in KEPT)
    assert (kept, bench.sim.switches.hits["silent_move"]) == (5, 1)


KEPT = ("damaged", "quality_control", "reserved", "safety_stock")


async def activate(bench: Bench, **more: object) -> dict[str, Any]:
    variables = {"item": item(bench), "location": LOCATION, "key": str(bench.clock.new_id()), **more}
    return dict((await bench.post(ACTIVATE, variables))["data"]["inventoryActivate"])


async def test_an_inactive_level_is_activated_with_the_quantities_that_it_had(bench: Bench) -> None:
    bench.sim.shop.articles[0].is_active = False
    payload = await activate(bench)
    assert payload == {"inventoryLevel": {"isActive": True, "quantities": [{"quantity": 10}]}, "userErrors": []}
    again = await activate(bench, available=3)
    assert [error["field"] for error in again["userErrors"]] == [["available"]]
    assert again["inventoryLevel"]["quantities"] == [{"quantity": 10}]
    both = await activate(bench, available=3, onHand=3)
    assert [error["field"] for error in both["userErrors"]] == [["available"], ["onHand"]]
    gone = await activate(bench, item="gid://shopify/InventoryItem/1")
    assert (gone["inventoryLevel"], len(gone["userErrors"])) == (None, 1)
