"""The simulated shop refuses, remembers, counts and announces as the real one is documented to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify import CONNECTOR
from oneshelf.connectors.shopify.documents import ORDERS_PER_PAGE, QUERIES, READ_ORDERS, SET_AVAILABLE
from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_cost import QUERY_COST_MAX
from oneshelf.connectors.shopify.simulator_graphql import prepared
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.sdk.shoppers import ShoppersPlan
from oneshelf.sdk.simulator import CatalogueItem

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

WHOLE_ANSWER = """
mutation SetAvailable($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup {
      id createdAt reason referenceDocumentUri
      changes { name delta quantityAfterChange item { id } location { id } }
    }
    userErrors { code field message }
  }
}
"""
LEVELS = """
query Levels($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on ProductVariant {
      inventoryItem {
        inventoryLevel(locationId: $location, includeInactive: true) {
          isActive
          quantities(names: ["available", "committed", "on_hand"]) { name quantity updatedAt }
        }
      }
    }
  }
}
"""


def a_row(bench: Bench, at: int, units: int, **more: object) -> dict[str, object]:
    return {
        "inventoryItemId": gid("InventoryItem", bench.sim.shop.articles[at].item_id),
        "locationId": gid("Location", LOCATION_ID),
        "quantity": units,
        "changeFromQuantity": 10,
    } | more


def an_input(*rows: dict[str, object], key: str = "key-1", **more: Any) -> dict[str, Any]:
    asked = {"name": "available", "reason": "correction", "quantities": list(rows)} | more
    return {"input": asked, "key": key}


async def set_units(bench: Bench, variables: dict[str, Any]) -> dict[str, Any]:
    answer = await bench.post(WHOLE_ANSWER, variables)
    payload: dict[str, Any] = answer["data"]["inventorySetQuantities"]
    return payload


async def figures(bench: Bench, at: int = 0) -> tuple[int, int, int]:
    """Available, committed and on hand, as the wire tells them."""
    ids = [gid("ProductVariant", bench.skus[at])]
    answer = await bench.post(LEVELS, {"ids": ids, "location": gid("Location", LOCATION_ID)})
    level = answer["data"]["nodes"][0]["inventoryItem"]["inventoryLevel"]
    units = {each["name"]: each["quantity"] for each in level["quantities"]}
    return units["available"], units["committed"], units["on_hand"]


# Refusals ------------------------------------------------------------------------------------------------------


async def test_without_the_token_nothing_is_answered(bench: Bench) -> None:
    words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    assert await bench.post("{ shop { name } }", token="shpat_other") == {"errors": words}


async def test_a_missing_comparison_is_refused_first_then_a_missing_key_then_too_many_rows(bench: Bench) -> None:
    row = a_row(bench, 0, 4)
    blank = {name: value for name, value in row.items() if name != "changeFromQuantity"}
    without_key = SET_AVAILABLE.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")

    answer = await bench.post(without_key, {"input": an_input(*[blank] * 251)["input"]})
    (error,) = answer["errors"]
    assert error["message"] == "InventoryQuantityInput must include the following argument: changeFromQuantity."
    assert error["extensions"] == {"code": "INVALID_FIELD_ARGUMENTS"}
    assert error["path"] == ["inventorySetQuantities"]
    assert answer["data"] == {"inventorySetQuantities": None}

    answer = await bench.post(without_key, {"input": an_input(*[row] * 251)["input"]})
    (error,) = answer["errors"]
    assert error["message"] == "The @idempotent directive is required for this mutation but was not provided."
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert answer["data"] == {"inventorySetQuantities": None}

    answer = await bench.post(SET_AVAILABLE, an_input(*[row] * 251))
    (error,) = answer["errors"]
    assert error["message"] == "The input array size of 251 is greater than the maximum allowed of 250."
    assert error["path"] == ["inventorySetQuantities", "input", "quantities"]
    assert "data" not in answer
    assert bench.shown() == [10] * 5


async def test_a_field_of_an_older_version_is_an_invalid_variable(bench: Bench) -> None:
    answer = await bench.post(SET_AVAILABLE, an_input(a_row(bench, 0, 4), ignoreCompareQuantity=True))
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"] == [
        {
            "path": ["ignoreCompareQuantity"],
            "explanation": "Field is not defined on InventorySetQuantitiesInput",
        }
    ]
    assert "data" not in answer


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        ("{ shop { colour } }", "Field 'colour' doesn't exist on type 'Shop'", "undefinedField"),
        (
            SET_AVAILABLE.replace("@idempotent(key: $key)", "@idempotent").replace(", $key: String!", ""),
            "Directive 'idempotent' is missing required arguments: key",
            "missingRequiredArguments",
        ),
        (
            'mutation M($input: InventorySetQuantitiesInput!) @idempotent(key: "k") '
            "{ inventorySetQuantities(input: $input) { userErrors { code } } }",
            "'@idempotent' can't be applied to mutations (allowed: fields)",
            "directiveCannotBeApplied",
        ),
    ],
)
async def test_a_document_that_the_schema_does_not_know_is_refused_in_shopifys_words(
    bench: Bench, document: str, message: str, code: str
) -> None:
    answer = await bench.post(document)
    (error,) = answer["errors"]
    assert (error["message"], error["extensions"]["code"]) == (message, code)


async def test_a_stale_row_refuses_the_whole_call_and_is_not_named(bench: Bench) -> None:
    payload = await set_units(bench, an_input(a_row(bench, 0, 4), a_row(bench, 1, 4, changeFromQuantity=9)))
    assert payload == {
        "inventoryAdjustmentGroup": None,
        "userErrors": [
            {
                "code": "CHANGE_FROM_QUANTITY_STALE",
                "field": None,
                "message": "The changeFromQuantity argument no longer matches the persisted quantity.",
            }
        ],
    }
    assert bench.shown() == [10] * 5


async def test_refused_rows_are_named_by_their_index_as_text_and_several_come_together(bench: Bench) -> None:
    unknown = a_row(bench, 0, 4, inventoryItemId=gid("InventoryItem", "1"), locationId=gid("Location", "1"))
    payload = await set_units(bench, an_input(a_row(bench, 1, 4), unknown))
    assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [
        ("INVALID_INVENTORY_ITEM", ["input", "quantities", "1", "inventoryItemId"]),
        ("INVALID_LOCATION", ["input", "quantities", "1", "locationId"]),
    ]


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"name": "committed"}, "INVALID_NAME", ["input", "name"]),
        ({"reason": "because"}, "INVALID_REASON", ["input", "reason"]),
    ],
)
async def test_a_wrong_name_or_reason_is_refused(
    bench: Bench, more: dict[str, Any], code: str, field: list[str]
) -> None:
    (error,) = (await set_units(bench, an_input(a_row(bench, 0, 4), **more)))["userErrors"]
    assert (error["code"], error["field"]) == (code, field)


async def test_one_item_twice_or_a_quantity_out_of_bounds_is_refused(bench: Bench) -> None:
    rows = (a_row(bench, 0, 4), a_row(bench, 0, 5), a_row(bench, 1, 1_000_000_001))
    codes = [error["code"] for error in (await set_units(bench, an_input(*rows)))["userErrors"]]
    assert codes == ["NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "INVALID_QUANTITY_TOO_HIGH"]


# Writes --------------------------------------------------------------------------------------------------------


async def test_a_write_shifts_available_and_on_hand_and_confirms_no_quantity(bench: Bench) -> None:
    payload = await set_units(bench, an_input(a_row(bench, 0, 4), a_row(bench, 1, 10)))
    assert payload["userErrors"] == []
    changes = payload["inventoryAdjustmentGroup"]["changes"]
    assert [(each["name"], each["delta"], each["quantityAfterChange"]) for each in changes] == [
        ("available", -6, None),
        ("on_hand", -6, None),
    ]
    assert await figures(bench) == (4, 0, 4)


async def test_setting_what_is_there_already_succeeds_without_a_group(bench: Bench) -> None:
    payload = await set_units(bench, an_input(a_row(bench, 0, 10)))
    assert payload == {"inventoryAdjustmentGroup": None, "userErrors": []}


async def test_null_opts_out_of_the_comparison(bench: Bench) -> None:
    payload = await set_units(bench, an_input(a_row(bench, 0, 3, changeFromQuantity=None)))
    assert payload["userErrors"] == []
    assert bench.shown()[0] == 3


async def test_setting_on_hand_leaves_the_committed_units_committed(bench: Bench) -> None:
    bench.sim.place([(bench.skus[0], 4)])
    payload = await set_units(bench, an_input(a_row(bench, 0, 30), name="on_hand"))
    assert payload["userErrors"] == []
    assert await figures(bench) == (26, 4, 30)


async def test_a_write_where_the_item_is_not_stocked_succeeds_and_sells_nothing(bench: Bench) -> None:
    bench.sim.shop.articles[0].is_stocked = False
    payload = await set_units(bench, an_input(a_row(bench, 0, 4)))
    assert payload["userErrors"] == []
    assert not bench.sim.shop.articles[0].is_active


async def test_a_key_gives_the_first_answer_again_for_a_day_and_then_counts_as_new(bench: Bench) -> None:
    variables = an_input(a_row(bench, 0, 4))
    first = await set_units(bench, variables)
    bench.sim.edit_by_hand(bench.skus[0], 10)
    bench.clock.turn(24 * 3600 - 1)
    assert await set_units(bench, variables) == first
    assert bench.shown()[0] == 10
    bench.clock.turn(1)
    await set_units(bench, variables)
    assert bench.shown()[0] == 4


async def test_a_key_with_other_parameters_is_refused(bench: Bench) -> None:
    await set_units(bench, an_input(a_row(bench, 0, 4)))
    (error,) = (await set_units(bench, an_input(a_row(bench, 1, 4))))["userErrors"]
    assert (error["code"], error["field"]) == ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None)


async def test_a_key_whose_attempt_was_refused_is_used_up(bench: Bench) -> None:
    variables = an_input(a_row(bench, 0, 4, changeFromQuantity=9))
    await set_units(bench, variables)
    bench.sim.edit_by_hand(bench.skus[0], 9)
    (error,) = (await set_units(bench, variables))["userErrors"]
    assert error["code"] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"


async def test_a_key_that_is_still_under_way_is_refused_for_now(bench: Bench) -> None:
    variables = an_input(a_row(bench, 0, 4))
    bench.sim.switches.set({"slow_write": {"next": 1}})
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(set_units(bench, variables))
        await bench.clock.live(1)
        (error,) = (await set_units(bench, variables))["userErrors"]
        assert error["code"] == "IDEMPOTENCY_CONCURRENT_REQUEST"
        assert bench.shown()[0] == 10
        await bench.clock.live(2)
    assert slow.result()["userErrors"] == []
    assert bench.shown()[0] == 4


# Budget --------------------------------------------------------------------------------------------------------


async def test_a_write_costs_the_same_for_one_row_and_for_many(big_bench: Bench) -> None:
    costs = []
    for rows in (1, 250):
        variables = an_input(*[a_row(big_bench, at, 4 + rows) for at in range(rows)], key=f"k{rows}")
        for row in variables["input"]["quantities"]:
            row["changeFromQuantity"] = None
        answer = await big_bench.post(SET_AVAILABLE, variables)
        costs.append(answer["extensions"]["cost"]["requestedQueryCost"])
    assert 10 <= costs[0] == costs[1] <= 13


async def test_a_used_up_budget_is_told_with_status_200_and_comes_back_with_time(bench: Bench) -> None:
    query = "{ productVariants(first: 250) { nodes { inventoryItem { id } } } }"
    spent = 0
    while "data" in (answer := await bench.post(query)):
        spent += 1
        assert answer["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] == 2000
    assert spent > 50
    (error,) = answer["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Throttled", "THROTTLED")
    cost = answer["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    wait_s = (cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]) / 100
    bench.clock.turn(wait_s)
    assert "data" in await bench.post(query)


async def test_every_document_of_the_connector_fits_into_one_query(bench: Bench) -> None:
    everything = {
        "location": gid("Location", "1"),
        "query": "",
        "id": gid("Order", "1"),
        "routed": True,
    }
    for document in QUERIES:
        ids = [gid("Order", "1")] * (ORDERS_PER_PAGE if document == READ_ORDERS else 250)
        assert prepared(document, everything | {"ids": ids}).cost <= QUERY_COST_MAX


# Buyers --------------------------------------------------------------------------------------------------------


async def test_a_sale_commits_a_cancellation_restocks_and_a_shipment_leaves(bench: Bench) -> None:
    first = bench.sim.place([(bench.skus[0], 3)])
    second = bench.sim.place([(bench.skus[0], 2)])
    assert first is not None
    assert second is not None
    assert await figures(bench) == (5, 5, 10)
    assert bench.sim.cancel(first)
    assert await figures(bench) == (8, 2, 10)
    assert bench.sim.ship(second)
    assert await figures(bench) == (8, 0, 8)
    assert [order.status for order in bench.sim.orders()] == ["cancelled", "shipped"]
    assert not bench.sim.cancel(first)
    assert not bench.sim.cancel(second)
    assert not bench.sim.ship(first)
    assert not bench.sim.ship("no such order")


def test_two_lines_of_one_order_cannot_both_take_the_last_mugs(bench: Bench) -> None:
    assert bench.sim.place([(bench.skus[0], 6), (bench.skus[0], 6)]) is None
    assert bench.sim.place([(bench.skus[0], 10), (bench.skus[1], 11)]) is None
    assert bench.shown() == [10] * 5


def test_the_same_seed_and_the_same_clock_bring_the_same_orders() -> None:
    def a_day(seed: int) -> list[tuple[str, ...]]:
        sim = CONNECTOR.simulator(seed=seed, speed=1.0, clock=SystemClock())
        sim.stock_catalogue([CatalogueItem(f"MUG-{n}", "Mug", 5) for n in range(10)])
        sim.shoppers.follow(ShoppersPlan(orders_per_s=5.0), 0.0)
        sim.shoppers.shop(20.0)
        return [tuple(line.channel_sku for line in order.lines) for order in sim.orders()]

    assert len(a_day(1)) > 10
    assert a_day(1) == a_day(1) != a_day(2)
