"""Moves of units between the stock states of the simulated shop, over the wire, and every refusal that Shopify has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.domain.account import StockState
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import InvariantError
from oneshelf.sdk.fault import ChannelFault, MisconfiguredError, RetryLaterError
from oneshelf.sdk.message import Applied, Refused, Stale, UnitMove, Unknown, WriteOutcome

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

AVAILABLE, DAMAGED, COMMITTED = StockState.AVAILABLE, StockState.DAMAGED, StockState.COMMITTED
REFUSALS: dict[str, type[WriteOutcome] | type[ChannelFault]] = {
    "ADJUST_QUANTITIES_FAILED": RetryLaterError,
    "CHANGE_FROM_QUANTITY_STALE": Stale,
    "DIFFERENT_LOCATIONS": Refused,
    "IDEMPOTENCY_CONCURRENT_REQUEST": Unknown,
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": Stale,
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": Stale,
    "INTERNAL_LEDGER_DOCUMENT": Refused,
    "INVALID_AVAILABLE_DOCUMENT": Refused,
    "INVALID_INVENTORY_ITEM": Refused,
    "INVALID_LEDGER_DOCUMENT": Refused,
    "INVALID_LOCATION": MisconfiguredError,
    "INVALID_QUANTITY_DOCUMENT": Refused,
    "INVALID_QUANTITY_NAME": Refused,
    "INVALID_QUANTITY_NEGATIVE": Refused,
    "INVALID_QUANTITY_TOO_HIGH": Refused,
    "INVALID_QUANTITY_TOO_LOW": Refused,
    "INVALID_REASON": Refused,
    "INVALID_REFERENCE_DOCUMENT": Refused,
    "ITEM_NOT_STOCKED_AT_LOCATION": Refused,
    "MAXIMUM_LEDGER_DOCUMENT_URIS": Refused,
    "MAX_ONE_LEDGER_DOCUMENT": Refused,
    "MOVE_QUANTITIES_FAILED": RetryLaterError,
    "NON_MUTABLE_INVENTORY_ITEM": Refused,
    "SAME_QUANTITY_NAME": Refused,
    "SERVICE_UNAVAILABLE": RetryLaterError,
}


def a_move(
    bench: Bench, units: int = 2, origin: StockState | None = AVAILABLE, target: StockState | None = DAMAGED
) -> UnitMove:
    """Of the first listing, which has ten on sale and nothing else."""
    expected = {state: 10 if state is AVAILABLE else 0 for state in (origin, target) if state is not None}
    return UnitMove(bench.clock.new_id(), bench.skus[0], units, origin, target, expected)


def answered(bench: Bench, root: str, code: str) -> tuple[ShopifyConnector, list[dict[str, Any]]]:
    """A connector whose moves are all refused so, and what it sent."""
    sent: list[dict[str, Any]] = []
    payload = {"inventoryAdjustmentGroup": None, "userErrors": [{"code": code, "field": None, "message": "No."}]}

    async def answer(request: WebRequest) -> Response:
        body = await request.body()
        if root.encode() in body:
            sent.append(json.loads(body)["variables"])
            return JSONResponse({"data": {root: payload}})
        token = {"X-Shopify-Access-Token": request.headers["x-shopify-access-token"]}
        passed = await bench.client.post(f"http://localhost{request.url.path}", content=body, headers=token)
        return Response(passed.content, passed.status_code, media_type="application/json")

    return bench.open(app=Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])), sent


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("root", ["inventoryMoveQuantities", "inventoryAdjustQuantities"])
async def test_every_refusal_has_its_meaning_and_moves_nothing(bench: Bench, root: str, code: str) -> None:
    connector, sent = answered(bench, root, code)
    move = a_move(bench) if root == "inventoryMoveQuantities" else a_move(bench, origin=None)
    expected = REFUSALS[code]
    with capture_logs() as lines:
        if issubclass(expected, ChannelFault):
            with pytest.raises(expected, match=code):
                await connector.move_units(move)
        else:
            assert isinstance(await connector.move_units(move), expected)
    assert len(sent) == 1
    assert bench.sim.shop.articles[0].units["available"] == 10
    is_alarm = code == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["shopify.key_mismatch"] * is_alarm


async def test_both_ends_of_a_move_say_what_they_are_compared_with(bench: Bench) -> None:
    """No schema demands it. A change of available must not carry a document of its own, one of damaged has to."""
    connector, sent = answered(bench, "inventoryMoveQuantities", "CHANGE_FROM_QUANTITY_STALE")
    move = a_move(bench)
    await connector.move_units(move)
    document = f"gid://oneshelf/UnitMove/{move.key}"
    (variables,) = sent
    (change,) = variables["input"]["changes"]
    assert (variables["key"], variables["input"]["reason"]) == (str(move.key), "damaged")
    assert (change["quantity"], change["from"]["name"], change["from"]["changeFromQuantity"]) == (2, "available", 10)
    assert "ledgerDocumentUri" not in change["from"]
    assert (change["to"]["changeFromQuantity"], change["to"]["ledgerDocumentUri"]) == (0, document)


@pytest.mark.parametrize(("origin", "target", "delta"), [(None, DAMAGED, 2), (AVAILABLE, None, -2)])
async def test_what_comes_or_goes_says_what_it_is_compared_with(
    bench: Bench, origin: StockState | None, target: StockState | None, delta: int
) -> None:
    connector, sent = answered(bench, "inventoryAdjustQuantities", "CHANGE_FROM_QUANTITY_STALE")
    move = a_move(bench, origin=origin, target=target)
    await connector.move_units(move)
    (change,) = sent[0]["input"]["changes"]
    (state,) = move.states
    assert (change["delta"], change["changeFromQuantity"]) == (delta, move.expected[state])
    assert ("ledgerDocumentUri" in change) == (state is not AVAILABLE)


async def test_a_lost_answer_is_unknown_and_the_same_move_again_moves_nothing_more(bench: Bench) -> None:
    move = a_move(bench)
    lost = lossy(bench)
    assert isinstance(await lost.move_units(move), Unknown)
    assert bench.sim.shop.articles[0].units["damaged"] == 2
    assert await bench.connector.move_units(move) == Applied()
    assert bench.sim.shop.articles[0].units["damaged"] == 2


def lossy(bench: Bench) -> ShopifyConnector:
    """A connector whose mutations are done, and whose answers to them are none."""

    async def pass_on(request: WebRequest) -> Response:
        body = await request.body()
        token = {"X-Shopify-Access-Token": request.headers["x-shopify-access-token"]}
        passed = await bench.client.post(f"http://localhost{request.url.path}", content=body, headers=token)
        if b"inventoryMoveQuantities" in body:
            return Response("gateway", 502)
        return Response(passed.content, passed.status_code, media_type="application/json")

    return bench.open(app=Starlette(routes=[Route("/{path:path}", pass_on, methods=["POST"])]))


async def test_what_cannot_be_is_refused_before_it_is_sent(bench: Bench) -> None:
    connector, sent = answered(bench, "Quantities", "NEVER_SENT")
    too_many = a_move(bench, origin=DAMAGED, target=AVAILABLE)
    assert await connector.move_units(too_many) == Refused("0 units are in damaged, and 2 were to leave it")
    nowhere = UnitMove(bench.clock.new_id(), ChannelSku("44899999999999"), 1, AVAILABLE, None, {AVAILABLE: 1})
    assert isinstance(await connector.move_units(nowhere), Refused)
    with pytest.raises(InvariantError):
        await connector.move_units(a_move(bench, origin=COMMITTED))
    bench.sim.shop.articles[0].is_tracked = False
    untracked = await connector.move_units(a_move(bench))
    assert isinstance(untracked, Refused)
    assert "track" in untracked.words
    assert sent == []


@pytest.mark.parametrize(
    ("units", "origin", "target", "expected"),
    [
        (0, AVAILABLE, DAMAGED, {AVAILABLE: 1, DAMAGED: 1}),
        (1, AVAILABLE, AVAILABLE, {AVAILABLE: 1}),
        (1, None, None, {}),
        (1, AVAILABLE, DAMAGED, {AVAILABLE: 1}),
    ],
)
def test_a_move_that_is_none_is_not_made(
    bench: Bench,
    units: int,
    origin: StockState | None,
    target: StockState | None,
    expected: dict[StockState, int],
) -> None:
    with pytest.raises(InvariantError):
        UnitMove(bench.clock.new_id(), bench.skus[0], units, origin, target, expected)
