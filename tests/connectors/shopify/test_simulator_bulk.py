"""Bulk operations of the simulated shop, as its documentation and the recordings of a real one tell of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from oneshelf.connectors.shopify.documents import CANCEL_BULK, FIND_BULK, READ_BULK, RUN_BULK
from oneshelf.connectors.shopify.simulator_bulk import AT_ONCE_MOST, KEPT_S, ROOTS_PER_S
from oneshelf.sdk.simulator import CatalogueItem

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

VARIANTS = "{ productVariants { edges { node { id sku } } } }"
LEVELS = "{ inventoryItems { edges { node { id sku inventoryLevels { edges { node { id isActive } } } } } } }"


async def run(bench: Bench, query: str = VARIANTS) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = (await bench.post(RUN_BULK, {"query": query}))["data"]["bulkOperationRunQuery"]
    return payload


async def begun(bench: Bench, query: str = VARIANTS) -> str:
    payload = await run(bench, query)
    assert payload["userErrors"] == []
    return str(payload["bulkOperation"]["id"])


async def shown(bench: Bench, name: str) -> Mapping[str, Any]:
    operation: Mapping[str, Any] = (await bench.post(READ_BULK, {"id": name}))["data"]["bulkOperation"]
    return operation


async def finished(bench: Bench, name: str) -> Mapping[str, Any]:
    await bench.clock.live(5 + len(bench.skus) / ROOTS_PER_S)
    return await shown(bench, name)


async def test_an_operation_runs_for_a_while_and_then_has_a_file(bench: Bench) -> None:
    async with bench.living():
        name = await begun(bench)
        assert (await shown(bench, name))["status"] == "CREATED"
        await bench.clock.live(1.5)
        assert (await shown(bench, name))["status"] == "RUNNING"
        operation = await finished(bench, name)
    assert (operation["status"], operation["errorCode"], operation["partialDataUrl"]) == ("COMPLETED", None, None)
    # Counts are text, since they may be beyond what a program takes for a number.
    assert (operation["objectCount"], operation["rootObjectCount"]) == ("5", "5")
    reply = await bench.client.get(operation["url"])
    assert reply.status_code == 200
    assert [json.loads(line)["sku"] for line in reply.text.splitlines()] == [f"MUG-{n}" for n in range(5)]
    assert "bulk_operations/finish" in bench.receiver.topics()


async def test_slashes_are_escaped_and_children_name_their_parent_and_come_after_it(bench: Bench) -> None:
    async with bench.living():
        operation = await finished(bench, await begun(bench, LEVELS))
    text = (await bench.client.get(operation["url"])).text
    assert "gid:\\/\\/shopify\\/InventoryItem" in text
    assert "gid://" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert (len(lines), operation["objectCount"], operation["rootObjectCount"]) == (10, "10", "5")
    known: set[str] = set()
    for line in lines:
        assert line.get("__parentId") is None or line["__parentId"] in known
        assert "inventoryLevels" not in line
        known.add(line["id"])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "Invalid bulk query: syntax error, unexpected end of file"),
        ("{ shop { id } }", "Bulk queries must contain at least one connection."),
        ("mutation { bulkOperationCancel(id: 1) { userErrors { message } } }", "Only `query` operations"),
        ("{ productVariants { nodes { id } } }", "Invalid connection fields: 'productVariants'."),
        ("{ productVariants { edges { node { colour } } } }", "Invalid bulk query: "),
        (
            "{ inventoryItems { edges { node { sku inventoryLevels { edges { node { id } } } } } } }",
            "without 'id': inv",
        ),
        ('{ node(id: "gid://shopify/Product/1") { id } }', "top level `node` field"),
        (f"# {'x' * 65_535}\n{VARIANTS}", "Query is too large"),
    ],
)
async def test_a_query_that_cannot_be_run_in_bulk_is_refused(bench: Bench, query: str, words: str) -> None:
    payload = await run(bench, query)
    assert payload["bulkOperation"] is None
    assert {(error["code"], *error["field"]) for error in payload["userErrors"]} == {("INVALID", "query")}
    assert any(words in error["message"] for error in payload["userErrors"])


async def test_five_run_at_once_and_the_sixth_is_told_which(bench: Bench) -> None:
    async with bench.living():
        names = [await begun(bench) for _ in range(AT_ONCE_MOST)]
        payload = await run(bench)
        (error,) = payload["userErrors"]
        assert (payload["bulkOperation"], error["code"], error["field"]) == (None, "OPERATION_IN_PROGRESS", None)
        assert all(name in error["message"] for name in names)
        await finished(bench, names[0])
        await begun(bench)


async def test_an_operation_that_is_cancelled_has_no_file_and_one_that_is_over_cannot_be(bench: Bench) -> None:
    async with bench.living():
        name = await begun(bench)
        payload = (await bench.post(CANCEL_BULK, {"id": name}))["data"]["bulkOperationCancel"]
        assert (payload["bulkOperation"]["status"], payload["userErrors"]) == ("CANCELING", [])
        operation = await finished(bench, name)
        assert (operation["status"], operation["url"], operation["partialDataUrl"]) == ("CANCELED", None, None)
        again = (await bench.post(CANCEL_BULK, {"id": name}))["data"]["bulkOperationCancel"]
        assert (again["bulkOperation"]["status"], len(again["userErrors"])) == ("CANCELED", 1)
    unknown = (await bench.post(CANCEL_BULK, {"id": "gid://shopify/BulkOperation/1"}))["data"]["bulkOperationCancel"]
    assert unknown == {
        "bulkOperation": None,
        "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}],
    }


async def test_the_newest_operation_is_listed_first(bench: Bench) -> None:
    async with bench.living():
        names = [await begun(bench) for _ in range(3)]
    nodes = (await bench.post(FIND_BULK))["data"]["bulkOperations"]["nodes"]
    assert [node["id"] for node in nodes] == names[::-1]
    assert {node["query"] for node in nodes} == {VARIANTS}


async def test_an_operation_that_fails_leaves_what_it_had_written(big_bench: Bench) -> None:
    big_bench.sim.switches.set({"bulk_failed": {"next": 1}})
    async with big_bench.living():
        operation = await finished(big_bench, await begun(big_bench))
    assert (operation["status"], operation["errorCode"]) == ("FAILED", "INTERNAL_SERVER_ERROR")
    assert operation["url"] is None
    lines = (await big_bench.client.get(operation["partialDataUrl"])).text.splitlines()
    assert 0 < len(lines) == int(operation["rootObjectCount"]) < 300


async def test_a_file_is_kept_for_seven_days(bench: Bench) -> None:
    async with bench.living():
        name = await begun(bench)
        url = (await finished(bench, name))["url"]
        bench.clock.turn(KEPT_S)
    reply = await bench.client.get(url)
    assert (reply.status_code, "ExpiredToken" in reply.text) == (400, True)
    assert (await shown(bench, name))["status"] == "EXPIRED"
    assert (await bench.client.get(url.replace("/bulk/", "/bulk/x"))).status_code == 404


async def test_the_shop_goes_on_changing_while_an_operation_runs(bench: Bench) -> None:
    """No frozen state is promised: what comes later in the file is as it is later."""
    bench.sim.stock_catalogue([CatalogueItem(f"CAP-{n}", f"Cap {n}", 10) for n in range(ROOTS_PER_S)])
    units = 'inventoryLevel(locationId: "gid://shopify/Location/75596366001") { quantities(names: ["available"])'
    query = f"{{ productVariants {{ edges {{ node {{ id inventoryItem {{ {units} {{ quantity }} }} }} }} }} }} }}"
    async with bench.living():
        name = await begun(bench, query)
        await bench.clock.live(2.5)
        for sku in (bench.skus[0], bench.skus[-1]):
            bench.sim.edit_by_hand(sku, 3)
        operation = await finished(bench, name)
    lines = [json.loads(line) for line in (await bench.client.get(operation["url"])).text.splitlines()]
    told = [line["inventoryItem"]["inventoryLevel"]["quantities"][0]["quantity"] for line in (lines[0], lines[-1])]
    assert told == [10, 3]
