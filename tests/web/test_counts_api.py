"""Counts over HTTP: a token at the beginning, an instant afterwards, and what the answer says to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from web.paper import BERLIN, Shop, open_shop


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "PLATE")
        await shop.command("first", type="receive", sku="MUG", units=5)
        async with shop.database.transaction() as tx:
            await tx.execute("update movements set posted_at = posted_at - interval '1 hour'")
        yield shop


async def test_a_count_with_a_token_leaves_what_moved_meanwhile(shop: Shop) -> None:
    begun = await shop.client.post("/v1/counts", json={"location": BERLIN, "skus": ["MUG"]})
    assert begun.status_code == 200
    assert begun.json()["sku_count"] == 1
    await shop.command("sold", type="adjust", sku="MUG", delta_units=-2)
    counted = await shop.command("counted", type="count", sku="MUG", units=4, token=begun.json()["token"])
    [answer] = counted.json()["answers"]
    assert answer["outcome"] == "counted"
    assert answer["figures"] == {
        "units_moved": 1,
        "available": 2,
        "units_since": -2,
        "units_ambiguous": 0,
        "units_short": 0,
    }
    again = await shop.command("counted", type="count", sku="MUG", units=4, token=begun.json()["token"])
    assert again.json()["answers"] == [{**answer, "replayed": True}]


async def test_a_count_says_when_it_was_and_what_is_told_late_leaves_it_alone(shop: Shop) -> None:
    half_an_hour_ago = (shop.clock.now() - timedelta(minutes=30)).isoformat()
    earlier = (shop.clock.now() - timedelta(minutes=40)).isoformat()
    counted = await shop.command(
        "k1", type="count", figure="unshipped", sku="MUG", units=9, as_of=half_an_hour_ago, error_s=0
    )
    assert counted.json()["answers"][0]["figures"]["available"] == 9
    late = await shop.command("k2", type="receive", sku="MUG", units=4, happened_at=earlier)
    assert late.json()["answers"][0]["outcome"] == "posted_late"
    assert late.json()["answers"][0]["figures"]["units_seen"] == 4
    older = await shop.command("k3", type="count", sku="MUG", units=7, as_of=earlier)
    assert (older.status_code, older.json()["outcome"]) == (409, "count_outdated")


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({"as_of": "2026-11-25T14:00:00"}, 422, "no zone"),
        ({"as_of": "yesterday"}, 422, "ISO 8601"),
        ({"as_of": 1764079200}, 422, "ISO 8601"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, 422, "years"),
        ({"as_of": "2001-01-01T00:00:00Z"}, 409, "the first movement of MUG"),
        ({"as_of": "2999-01-01T00:00:00Z"}, 422, "still to come"),
        ({"as_of": "2026-11-25T14:00:00Z", "error_s": -1}, 422, "error_s"),
        ({"as_of": "2026-11-25T14:00:00Z", "error_s": 1.5}, 422, "error_s"),
        ({"error_s": 5}, 422, "there is no as_of"),
        ({"token": str(UUID(int=7)), "as_of": "2026-11-25T14:00:00Z"}, 422, "not both"),
        ({"token": "7"}, 422, "UUID"),
        ({"token": str(UUID(int=7))}, 404, "oneshelf stock count-begin BERLIN MUG"),
        ({"figure": "delta"}, 422, "figure"),
    ],
)
async def test_a_count_that_cannot_be_understood_moves_nothing(
    shop: Shop, members: dict[str, Any], status: int, words: str
) -> None:
    answer = await shop.command("k1", type="count", sku="MUG", units=1, **members)
    assert answer.status_code == status, answer.json()
    assert words in answer.json()["detail"]
    assert (await shop.client.get("/v1/skus/MUG")).json()["available"] == 5


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"location": "ROM"}, 404),
        ({"location": BERLIN, "skus": ["NOBODY"]}, 404),
        ({"location": BERLIN, "skus": "MUG"}, 422),
        ({"location": BERLIN, "sku": "MUG"}, 422),
        ({}, 422),
        ([], 422),
    ],
)
async def test_a_count_does_not_begin_nowhere(shop: Shop, body: Any, status: int) -> None:
    assert (await shop.client.post("/v1/counts", json=body)).status_code == status


@pytest.mark.long
async def test_the_address_book_of_the_api_says_what_each_figure_is(shop: Shop) -> None:
    told = (await shop.client.get("/openapi.json")).json()
    assert "/v1/counts" in told["paths"]
    assert "goods issue" in told["components"]["schemas"]["CountIn"]["description"]
    assert {"token", "as_of", "error_s"} <= set(told["components"]["schemas"]["CountIn"]["properties"])


async def test_a_cancellation_has_no_past(shop: Shop) -> None:
    order = {"channel": "counter", "order_id": "1"}
    said = await shop.command("k1", type="cancel", order=order, sku="MUG", units=1, happened_at="2026-11-25T14:00:00Z")
    assert said.status_code == 422
