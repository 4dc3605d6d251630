"""Allocation plans and pools over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Two channels that sell mugs; twenty are there."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        for name in ("paper", "market"):
            connector = await shop.connect(name)
            connector.books.update({"MUG": 0})  # type: ignore[dict-item]  # a SKU is a string here
        await shop.command("first", type="receive", sku="MUG", units=20)
        async with shop.database.transaction() as tx:
            await tx.execute("update schedules set next_at = db_now()")
        await shop.settle()
        yield shop


PLAN = {"pools": [{"channel": "paper", "percent": 70}, {"channel": "market", "percent": 20, "kind": "soft"}]}


async def desired(shop: Shop) -> dict[str, int]:
    await shop.settle()
    rows = (await shop.client.get("/v1/listings")).json()["listings"]
    return {row["channel"]: row["desired"]["units"] for row in rows}


async def pools(shop: Shop, **asked: str) -> Any:
    return (await shop.client.get("/v1/skus/MUG/pools", params=asked)).json()


@pytest.mark.long
async def test_a_plan_is_previewed_put_listed_and_ended(shop: Shop) -> None:
    wished = (await shop.client.post("/v1/policies/allocations/preview", json=PLAN)).json()
    assert {one["channel"]: (one["now_units"], one["would_units"]) for one in wished["effects"]} == {
        "paper": (20, 14),
        "market": (20, 4),
    }
    [effect] = wished["pools"]
    assert (effect["now"], effect["would"]["rest_units"], effect["would"]["available"]) == (None, 2, 20)
    assert (await shop.client.get("/v1/policies/allocations")).json() == {"allocations": [], "next": None}
    assert (await pools(shop))["places"] == []
    put = (await shop.client.put("/v1/policies/allocations", json=PLAN)).json()
    assert put["listing_count"] == 2
    assert "plan" in shop.woken
    assert await desired(shop) == {"paper": 14, "market": 4}
    await shop.client.put("/v1/policies/allocations", json={"sku": "CAP", **PLAN})
    first = (await shop.client.get("/v1/policies/allocations?limit=1")).json()
    second = (await shop.client.get("/v1/policies/allocations", params={"limit": 1, "after": first["next"]})).json()
    assert [one["sku"] for one in (*first["allocations"], *second["allocations"])] == [None, "CAP"]
    assert second["next"] is None
    assert first["allocations"][0]["pools"][1] == {"channel": "market", "percent": 20, "units": None, "kind": "soft"}
    ended = (await shop.client.request("DELETE", "/v1/policies/allocations", json={})).json()
    assert ended["ended"]["refill"] == "receipts"
    assert (await shop.client.request("DELETE", "/v1/policies/allocations", json={})).json() == {"ended": None}
    assert await desired(shop) == {"paper": 20, "market": 20}
    history = (await shop.client.get("/v1/policies/history")).json()["changes"]
    assert history[-1]["after"] == {"pool paper": "70% hard", "pool market": "20% soft", "refill": "receipts"}


async def test_the_plan_of_a_channel_names_the_pool_and_the_rule_that_bound_its_listings(shop: Shop) -> None:
    await shop.client.put("/v1/policies/allocations", json=PLAN)
    await shop.client.put("/v1/policies", json={"channel": "paper", "terms": {"buffer_units": 1}})
    assert await desired(shop) == {"paper": 13, "market": 4}
    explained = (await shop.client.get("/v1/channels/paper/listings/MUG/explain")).json()["derived"]["steps"]
    told = "".join(f"; {one['before']} -> {one['after']} {one['name']} [{one['rule']}]" for one in explained)
    assert told == (
        "; 20 -> 14 pool of paper: 14 shared, 0 sold, 14 left [allocation for everything]"
        "; 14 -> 13 buffer of 1 [channel paper]"
    )
    [line] = (await shop.client.get("/v1/channels/paper/plan")).json()["listings"]
    assert line["because"] == f"20 on hand = 20 available{told}"
    assert told.removeprefix("; ") in unescape((await shop.client.get("/go-live/paper")).text)


@pytest.mark.long
async def test_a_plan_for_a_pattern_of_skus_reaches_those_that_it_fits(shop: Shop) -> None:
    like = {"pattern": "M*", **PLAN}
    wished = (await shop.client.post("/v1/policies/allocations/preview", json=like)).json()
    assert (wished["allocation"]["pattern"], len(wished["effects"])) == ("M*", 2)
    assert (await shop.client.put("/v1/policies/allocations", json={**like, "pattern": "X*"})).json()[
        "listing_count"
    ] == 0
    assert (await shop.client.put("/v1/policies/allocations", json=like)).json()["listing_count"] == 2
    assert await desired(shop) == {"paper": 14, "market": 4}
    first = (await shop.client.get("/v1/policies/allocations?limit=1")).json()
    second = (await shop.client.get("/v1/policies/allocations", params={"limit": 1, "after": first["next"]})).json()
    assert [one["pattern"] for one in (*first["allocations"], *second["allocations"])] == ["M*", "X*"]
    assert (await shop.client.get("/v1/policies/history")).json()["changes"][0]["pattern"] == "M*"
    page = (await shop.client.get("/rules/pools?pattern=M*")).text
    assert "SKUs like M*" in page
    assert 'value="M*"' in page
    assert "SKUs like M*" in (await shop.client.get("/rules/history")).text
    both = await shop.client.put("/v1/policies/allocations", json={**like, "sku": "MUG"})
    assert (both.status_code, "only one of them" in both.text) == (422, True)
    ended = await shop.client.request("DELETE", "/v1/policies/allocations", json={"pattern": "M*"})
    assert ended.json()["ended"]["pattern"] == "M*"
    assert await desired(shop) == {"paper": 20, "market": 20}


@pytest.mark.long
async def test_pools_are_told_with_what_was_sold_and_refilled_when_somebody_says_so(shop: Shop) -> None:
    await shop.client.put("/v1/policies/allocations", json={**PLAN, "refill": "manual"})
    await shop.settle()
    await shop.order("paper", "o1", MUG=10)
    assert await desired(shop) == {"paper": 4, "market": 4}
    [place] = (await pools(shop))["places"]
    assert (place["available"], place["rest_units"], place["refill_at"], place["why"]) == (
        10,
        2,
        None,
        "the plan is new",
    )
    assert place["pools"][0] == {
        "channel": "paper", "kind": "hard", "share_percent": 70,
        "shared_units": 14, "moved_units": 0, "sold_units": 10, "left_units": 4,
    }  # fmt: skip
    [foreseen] = (await pools(shop, refilled="yes"))["places"]
    assert [one["left_units"] for one in foreseen["pools"]] == [7, 2]
    assert await desired(shop) == {"paper": 4, "market": 4}
    refilled = await shop.client.post("/v1/policies/allocations/refill", json={"sku": "MUG"})
    assert refilled.json() == {"sku": "MUG", "location_count": 1}
    assert await desired(shop) == {"paper": 7, "market": 2}
    carvings = (await pools(shop))["carvings"]
    assert [(one["why"], one["available"]) for one in carvings] == [("a refill", 10), ("the plan is new", 20)]
    explained = (await shop.client.get("/v1/channels/paper/listings/MUG/explain")).json()
    assert explained["derived"]["steps"][0]["name"] == "pool of paper: 7 shared, 0 sold, 7 left"


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "pools"),
        ({"pools": []}, 422, "pools"),
        ({"pools": [{"channel": "paper", "percent": 101}]}, 422, "0 to 100"),
        ({"pools": [{"channel": "paper", "percent": 60}, {"channel": "market", "percent": 60}]}, 422, "120 percent"),
        ({"pools": [{"channel": "paper", "percent": 1, "units": 1}]}, 422, "one of the two"),
        ({"pools": [{"channel": "paper", "percent": 1}], "overflow": "market"}, 422, "overflow names market"),
        ({"pools": [{"channel": "paper", "percent": 1}], "refill": "daily"}, 422, "refill_at"),
        ({"pools": [{"channel": "paper", "percent": 1}], "channel": "paper"}, 422, "channel"),
        ({"pools": [{"channel": "nowhere", "percent": 1}]}, 404, "GET /v1/channels"),
        ({"sku": "NOBODY", **PLAN}, 404, "NOBODY"),
        ({"sku": "MUG", "sku_group": "x", **PLAN}, 422, "two rules"),
    ],
)
async def test_what_cannot_be_a_plan_is_refused_with_the_way_out(
    shop: Shop, body: dict[str, Any], status: int, words: str
) -> None:
    for method, path in (("PUT", ""), ("POST", "/preview")):
        answer = await shop.client.request(method, f"/v1/policies/allocations{path}", json=body)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert (await shop.client.get("/v1/policies/allocations")).json()["allocations"] == []


async def test_pools_of_nobody_and_other_questions_are_refused(shop: Shop) -> None:
    assert (await shop.client.get("/v1/skus/NOBODY/pools")).status_code == 404
    assert (await shop.client.post("/v1/policies/allocations/refill", json={"sku": "NOBODY"})).status_code == 404
    assert (await shop.client.get("/v1/skus/MUG/pools?refilled=maybe")).status_code == 422
    assert (await shop.client.get("/v1/policies/allocations?after=x")).status_code == 422
