"""Wholesale orders over HTTP, and the page that shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg

ORDERS = "/v1/wholesale/orders"
ACME = {"customer": "ACME", "po_number": "PO/1"}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "PLATE")
        await shop.command("mugs", type="receive", sku="MUG", units=20)
        yield shop


async def place(shop: Shop, **more: Any) -> httpx2.Response:
    lines = [{"line_id": "1", "sku": "MUG", "units": 12}, {"line_id": "2", "sku": "PLATE", "units": 3}]
    body = {**ACME, "location": BERLIN, "ship_by": "2031-12-01", "lines": lines, **more}
    return await shop.client.post(ORDERS, json=body)


def units(order: dict[str, Any]) -> list[tuple[int, ...]]:
    names = ("ordered", "allocated", "backordered", "shipped", "cancelled")
    return [tuple(line[f"units_{name}"] for name in names) for line in order["lines"]]


async def test_an_order_is_placed_shipped_released_and_cancelled(shop: Shop) -> None:
    placed = (await place(shop)).json()
    assert placed["replayed"] is False
    assert units(placed["order"]) == [(12, 10, 2, 0, 0), (3, 0, 3, 0, 0)]
    assert (await place(shop)).json() == {**placed, "replayed": True}
    assert (await shop.client.get(f"{ORDERS}/ACME/PO/1")).json() == placed["order"]
    shipment = {**ACME, "shipment": "DN-1", "lines": [{"line_id": "1", "units": 4}]}
    for is_replayed in (False, True):
        shipped = (await shop.client.post("/v1/wholesale/shipments", json=shipment)).json()
        assert shipped["replayed"] is is_replayed
        assert units(shipped["order"])[0] == (12, 6, 2, 4, 0)
    released = (await shop.client.post("/v1/wholesale/releases", json=ACME)).json()["order"]
    assert (released["state"], units(released)[0]) == ("released", (12, 0, 8, 4, 0))
    resumed = (await shop.client.post("/v1/wholesale/resumptions", json=ACME)).json()["order"]
    assert (resumed["state"], units(resumed)[0]) == ("open", (12, 8, 0, 4, 0))
    cancelled = (await shop.client.post("/v1/wholesale/cancellations", json=ACME)).json()["order"]
    assert (cancelled["state"], units(cancelled)) == ("closed", [(12, 0, 0, 4, 8), (3, 0, 0, 0, 3)])


async def test_a_refusal_says_the_figures_and_the_way_out(shop: Shop) -> None:
    await place(shop)
    for answer, status, kind, words in (
        (await place(shop, version=1, ship_by="2031-12-02"), 409, "po-number-reused", "a change is version 2"),
        (await place(shop, location="MARS"), 404, "unknown-location", "oneshelf stock add-location MARS"),
        (await shop.client.get(f"{ORDERS}/ACME/PO-9"), 404, "no-such-order", "oneshelf wholesale list"),
        (
            await shop.client.post(
                "/v1/wholesale/shipments", json={**ACME, "shipment": "DN-1", "lines": [{"line_id": "1", "units": 11}]}
            ),
            409,
            "not-allocated",
            "11 of MUG are to ship and 10 are allocated; 2 wait for units",
        ),
        (
            await shop.client.post("/v1/wholesale/cancellations", json={**ACME, "lines": ["7"]}),
            404,
            "no-such-line",
            "has no line 7; there are: 1, 2",
        ),
    ):
        told = answer.json()
        assert (answer.status_code, told["type"]) == (status, f"urn:oneshelf:problem:{kind}"), told
        assert words in told["detail"]


async def test_orders_are_listed_by_the_day_on_which_they_have_to_leave(shop: Shop) -> None:
    for number, day in (("A", "2031-12-05"), ("B", "2031-12-03"), ("C", None)):
        lines = [{"line_id": "1", "sku": "MUG", "units": 3}]
        await place(shop, po_number=number, ship_by=day, lines=lines)
    first = (await shop.client.get(ORDERS, params={"limit": 2})).json()
    assert ([one["po_number"] for one in first["orders"]], first["next"]) == (["B", "A"], "ACME/A")
    rest = (await shop.client.get(ORDERS, params={"limit": 2, "after": first["next"]})).json()
    assert ([one["po_number"] for one in rest["orders"]], rest["next"]) == (["C"], None)
    await place(shop, po_number="D")
    short = (await shop.client.get(ORDERS, params={"short": "true"})).json()["orders"]
    assert [one["po_number"] for one in short] == ["D"]
    assert (await shop.client.get(ORDERS, params={"state": "closed"})).json()["orders"] == []


async def test_the_page_shows_what_has_to_leave_first_and_what_is_short(shop: Shop) -> None:
    empty = (await shop.client.get("/wholesale")).text
    assert "No wholesale order is open" in empty
    await place(shop, ship_by="2020-12-01")
    await place(shop, po_number="<b>2", ship_by="2031-12-01", lines=[{"line_id": "1", "sku": "MUG", "units": 1}])
    text = (await shop.client.get("/wholesale")).text
    assert text.index('data-wholesale="ACME/PO/1"') < text.index("ACME/&lt;b&gt;2")
    assert 'data-line="ACME/PO/1 2"' in text
    assert "late" in text
    assert "<b>2" not in text
    short = (await shop.client.get("/wholesale", params={"which": "short", "customer": "ACME"})).text
    assert 'data-wholesale="ACME/PO/1"' in short
    assert "No wholesale order is closed" in (await shop.client.get("/wholesale", params={"which": "closed"})).text


async def test_what_wholesale_may_take_is_previewed(shop: Shop) -> None:
    wish = {"sku": "MUG", "terms": {"wholesale_percent": 80, "wholesale_leaves_units": 6}}
    told = (await shop.client.post("/v1/policies/preview", json=wish)).json()
    assert told["wholesale"] == [
        {"sku": "MUG", "location": BERLIN, "available": 20, "allocated": 0, "now_units": 10, "would_units": 14}
    ]
    on_channel = {"channel": "paper", "terms": {"wholesale_percent": 80}}
    answer = await shop.client.post("/v1/policies/preview", json=on_channel)
    assert answer.status_code == 422
    assert "is about its listings" in answer.json()["detail"]
