"""Policies and explanations over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.storage.database import now
from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg

MUGS = {"sku": None, "sku_group": None, "channel": "paper"}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """A channel that sells mugs one by one and caps, both proved."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        connector = await shop.connect("paper")
        connector.books.update({"MUG": 0, "CAP": 0})  # type: ignore[dict-item]  # a SKU is a string here
        for sku in ("MUG", "CAP"):
            await shop.command(f"first-{sku}", type="receive", sku=sku, units=20)
        async with shop.database.transaction() as tx:
            await tx.execute("update schedules set next_at = db_now()")
        await shop.settle()
        yield shop


async def desired(shop: Shop) -> dict[str, int]:
    await shop.settle()
    rows = (await shop.client.get("/v1/listings")).json()["listings"]
    return {row["channel_sku"]: row["desired"]["units"] for row in rows}


async def explained(shop: Shop, sku: str = "MUG", **asked: str) -> Any:
    return (await shop.client.get(f"/v1/channels/paper/listings/{sku}/explain", params=asked)).json()


async def test_a_rule_is_previewed_put_listed_and_ended(shop: Shop) -> None:
    rule = {"channel": "paper", "terms": {"percent": 50, "low_stock_at": 3}, "low": {"cap_units": 1}}
    wished = (await shop.client.post("/v1/policies/preview?limit=1", json=rule)).json()
    assert [(one["channel_sku"], one["now_units"], one["would_units"]) for one in wished["effects"]] == [
        ("CAP", 20, 10)
    ]
    assert (wished["rest_count"], wished["next"]) == (1, "paper/CAP")
    more = (await shop.client.post(f"/v1/policies/preview?after={wished['next']}", json=rule)).json()
    assert [one["channel_sku"] for one in more["effects"]] == ["MUG"]
    assert (await shop.client.get("/v1/policies")).json()["policies"] == []
    put = (await shop.client.put("/v1/policies", json=rule)).json()
    assert put["listing_count"] == 2
    assert put["policy"]["terms"] == rule["terms"]
    assert "plan" in shop.woken
    assert await desired(shop) == {"MUG": 10, "CAP": 10}
    await shop.client.put("/v1/policies", json={"sku": "CAP", "terms": {"cap_units": 2}})
    assert await desired(shop) == {"MUG": 10, "CAP": 2}
    first = (await shop.client.get("/v1/policies?limit=1")).json()
    second = (await shop.client.get("/v1/policies", params={"limit": 1, "after": first["next"]})).json()
    assert [one["sku"] for one in (*first["policies"], *second["policies"])] == ["CAP", None]
    assert second["policies"][0] | {"set_at": None} == {**MUGS, "set_by": "api", "set_at": None, **rule}
    only = (await shop.client.get("/v1/policies?channel=paper")).json()["policies"]
    assert [one["channel"] for one in only] == ["paper"]
    ended = await shop.client.request("DELETE", "/v1/policies", json={"channel": "paper"})
    assert ended.json()["ended"]["terms"] == rule["terms"]
    assert (await shop.client.request("DELETE", "/v1/policies", json={"channel": "paper"})).json() == {"ended": None}
    assert await desired(shop) == {"MUG": 20, "CAP": 2}
    history = (await shop.client.get("/v1/policies/history?limit=2")).json()
    assert [(one["actor"], one["sku"], one["after"]) for one in history["changes"]] == [
        ("api", None, {}),
        ("api", "CAP", {"cap_units": 2}),
    ]
    oldest = (await shop.client.get(f"/v1/policies/history?after={history['next']}")).json()
    assert [one["before"] for one in oldest["changes"]] == [{}]


async def test_a_group_is_a_scope_of_its_own(shop: Shop) -> None:
    grouped = await shop.client.put("/v1/policies/groups", json={"sku": "CAP", "sku_group": "heads"})
    assert grouped.json() == {"sku": "CAP", "sku_group": "heads"}
    await shop.client.put("/v1/policies", json={"sku_group": "heads", "terms": {"buffer_units": 4}})
    assert await desired(shop) == {"MUG": 20, "CAP": 16}
    await shop.client.put("/v1/policies/groups", json={"sku": "CAP", "sku_group": None})
    assert await desired(shop) == {"MUG": 20, "CAP": 20}


@pytest.mark.parametrize(
    ("rule", "status", "word"),
    [
        ({"terms": {"floor_units": 2}}, 422, "may_oversell"),
        ({"terms": {"percent": 101}}, 422, "percent must be a whole number from 0 to 100"),
        ({"terms": {"discount": 1}}, 422, "discount"),
        ({"low": {"low_stock_at": 1}}, 422, "low_stock_at"),
        ({"sku": "MUG", "sku_group": "x", "terms": {"percent": 1}}, 422, "two rules"),
        ({"sku": "NOBODY", "terms": {"percent": 1}}, 404, "NOBODY"),
        ({"channel": "nowhere", "terms": {"percent": 1}}, 404, "nowhere"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_with_its_reason(
    shop: Shop, rule: dict[str, Any], status: int, word: str
) -> None:
    answer = await shop.client.put("/v1/policies", json=rule)
    assert (answer.status_code, word in answer.json()["detail"]) == (status, True), answer.text


async def test_a_figure_is_explained_from_the_shelf_to_its_proof(shop: Shop) -> None:
    await shop.client.put("/v1/policies", json={"channel": "paper", "terms": {"buffer_units": 2}})
    await shop.settle()
    async with shop.database.transaction() as tx:
        then = (await now(tx)).isoformat()
    await shop.command("sold", type="adjust", sku="MUG", delta_units=-5, reason="broken")
    await shop.settle()
    told = await explained(shop)
    assert (told["sku"], told["state"], told["is_plan_due"], told["drift"]) == ("MUG", "verified", False, None)
    [shelf] = told["shelves"]
    assert (shelf["location"], shelf["feeds"], shelf["available"], shelf["on_hand"]) == (BERLIN, True, 15, 15)
    assert told["derived"]["available_to_sell"] == 15
    assert told["derived"]["steps"] == [
        {"name": "buffer of 2", "before": 15, "after": 13, "rule": "channel paper"}
    ]  # fmt: skip
    assert [(one["name"], one["units"]) for one in told["figures"]] == [
        ("desired", 13),
        ("sent", 13),
        ("accepted", None),
        ("verified", 13),
    ]
    assert all(one["age_s"] >= 0 for one in told["figures"])
    was = await explained(shop, at=then)
    assert (was["is_past"], was["derived"]["units"], was["shelves"][0]["available"], was["state"]) == (
        True,
        18,
        20,
        "verified",
    )


async def test_a_drift_and_a_listing_without_a_sku_are_told(shop: Shop) -> None:
    shop.connectors["paper"].books["ODD"] = 3  # type: ignore[index]  # a SKU is a string here
    async with shop.database.transaction() as tx:
        await tx.execute("update schedules set next_at = db_now()")
    await shop.settle()
    async with shop.database.transaction() as tx:
        await tx.execute(
            "insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units) "
            "values (gen_random_uuid(), 'paper', 'MUG', 'MUG', 'foreign edit', 20, 9)"
        )
    assert (await explained(shop))["drift"]["observed_units"] == 9
    odd = await explained(shop, "ODD")
    assert (odd["state"], odd["sku"], odd["derived"]) == ("unlinked", None, None)
    missing = await shop.client.get("/v1/channels/paper/listings/NOBODY/explain")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:oneshelf:problem:unknown-listing")
