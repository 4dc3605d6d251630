"""What each refusal of a write means: every code that Shopify has for it, with and without the row that it blames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.sdk.bisect import push_each
from oneshelf.sdk.fault import ChannelFault, MisconfiguredError, RefusedError
from oneshelf.sdk.message import Applied, Refused, Stale, StockWrite, Unknown, WriteOutcome

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

# Code -> what comes of the first of three rows, and of the others, where the refusal names the first one.
NAMED: dict[str, tuple[type[WriteOutcome], type[WriteOutcome]]] = {
    "INVALID_INVENTORY_ITEM": (Refused, Applied),
    "INVALID_QUANTITY_NEGATIVE": (Refused, Applied),
    "INVALID_QUANTITY_TOO_HIGH": (Refused, Applied),
    "INVALID_QUANTITY_TOO_LOW": (Refused, Applied),
    "ITEM_NOT_STOCKED_AT_LOCATION": (Refused, Applied),
    "NON_MUTABLE_INVENTORY_ITEM": (Refused, Applied),
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": (Refused, Applied),
}
# Code -> what comes of all rows, where the refusal names none. Those that refuse once go through at the second attempt.
UNNAMED: dict[str, type[WriteOutcome] | type[ChannelFault]] = {
    "CHANGE_FROM_QUANTITY_STALE": Applied,  # all are still as expected
    "COMPARE_QUANTITY_REQUIRED": MisconfiguredError,
    "COMPARE_QUANTITY_STALE": Applied,
    "IDEMPOTENCY_CONCURRENT_REQUEST": Unknown,
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": Applied,
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": Applied,
    "INVALID_INVENTORY_ITEM": Applied,  # in parts
    "INVALID_LOCATION": MisconfiguredError,
    "INVALID_NAME": MisconfiguredError,
    "INVALID_QUANTITY_NEGATIVE": Applied,
    "INVALID_QUANTITY_TOO_HIGH": Applied,
    "INVALID_QUANTITY_TOO_LOW": Applied,
    "INVALID_REASON": MisconfiguredError,
    "INVALID_REFERENCE_DOCUMENT": MisconfiguredError,
    "ITEM_NOT_STOCKED_AT_LOCATION": Applied,
    "NON_MUTABLE_INVENTORY_ITEM": Applied,
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": Applied,
}
SPENT = ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")


def refusing(bench: Bench, code: str, *, row: int | None = None, times: int = 1) -> tuple[ShopifyConnector, list[str]]:
    """A connector whose first writes are refused so, and the keys of all its writes."""
    keys: list[str] = []
    field = None if row is None else ["input", "quantities", str(row), "inventoryItemId"]
    payload = {"inventoryAdjustmentGroup": None, "userErrors": [{"code": code, "field": field, "message": "No."}]}

    async def answer(request: WebRequest) -> Response:
        body = await request.body()
        if b"inventorySetQuantities" in body:
            keys.append(json.loads(body)["variables"]["key"])
            if len(keys) <= times:
                return JSONResponse({"data": {"inventorySetQuantities": payload}})
        token = {"X-Shopify-Access-Token": request.headers["x-shopify-access-token"]}
        passed = await bench.client.post(f"http://localhost{request.url.path}", content=body, headers=token)
        return Response(passed.content, passed.status_code, media_type="application/json")

    return bench.open(app=Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])), keys


def writes_of(bench: Bench) -> list[StockWrite]:
    """Of three listings, in the order in which a call has them."""
    return sorted((bench.write(sku, 4) for sku in bench.skus[:3]), key=lambda write: write.key)


@pytest.mark.parametrize("code", NAMED)
async def test_a_refusal_that_names_a_row_is_of_that_row(bench: Bench, code: str) -> None:
    connector, _ = refusing(bench, code, row=0)
    first, *others = await push_each(connector.push, writes_of(bench))
    assert isinstance(first, Refused)
    assert code in first.words
    assert others == [Applied(), Applied()]


@pytest.mark.parametrize("code", UNNAMED)
async def test_a_refusal_that_names_no_row_means_the_same_whatever_the_rows(bench: Bench, code: str) -> None:
    expected = UNNAMED[code]
    connector, _ = refusing(bench, code)
    if issubclass(expected, ChannelFault):
        with pytest.raises(expected, match=code):
            await push_each(connector.push, writes_of(bench))
        assert bench.shown() == [10] * 5
    else:
        outcomes = await push_each(connector.push, writes_of(bench))
        assert {type(outcome) for outcome in outcomes} == {expected}


@pytest.mark.parametrize("code", sorted(set(NAMED) & set(UNNAMED)))
async def test_no_listing_is_blamed_where_the_channel_takes_none(bench: Bench, code: str) -> None:
    connector, _ = refusing(bench, code, times=1_000)
    with pytest.raises(RefusedError, match=code):
        await push_each(connector.push, writes_of(bench))


@pytest.mark.parametrize("code", SPENT)
async def test_a_spent_key_gives_way_to_a_new_one_and_one_that_was_used_for_something_else_is_an_alarm(
    bench: Bench, code: str
) -> None:
    connector, keys = refusing(bench, code)
    with capture_logs() as lines:
        assert set(await connector.push(writes_of(bench))) == {Applied()}
    assert len(set(keys)) == len(keys) == 2
    alarms = [line["listings"] for line in lines if line["event"] == "shopify.key_mismatch"]
    assert alarms == ([bench.skus[:3]] if code == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" else [])


async def test_rows_that_are_stale_for_good_are_planned_again(bench: Bench) -> None:
    connector, keys = refusing(bench, "CHANGE_FROM_QUANTITY_STALE", times=1_000)
    assert set(await connector.push(writes_of(bench))) == {Stale()}
    assert len(set(keys)) == len(keys) == 4
