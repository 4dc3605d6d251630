"""The simulated Square on its own: its door, its keys, its webhooks, and what is done to it from outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.square.till import at_the_till, square_of
from oneshelf.connectors.square.account import API_VERSION
from oneshelf.connectors.square.simulator_documents import LOCATION_ID
from oneshelf.connectors.square.simulator_gate import ACCESS_TOKEN
from oneshelf.connectors.square.simulator_webhooks import RETRIES_S, signature_of
from oneshelf.sdk.conformance.bench import HOOK_ADDRESS, SECRET, Bench

CHANGE, COUNTS = "/v2/inventory/changes/batch-create", "/v2/inventory/counts/batch-retrieve"
HOUR_S = 3600.0


async def call(bench: Bench, method: str, path: str, token: str = ACCESS_TOKEN, **request: Any) -> httpx2.Response:
    """A call as anybody could make it."""
    transport = httpx2.ASGITransport(bench.simulator.app())
    headers = {"authorization": f"Bearer {token}", **request.pop("headers", {})}
    async with httpx2.AsyncClient(transport=transport, base_url="http://square", headers=headers) as client:
        return await client.request(method, path, **request)


def count_of(bench: Bench, units: int, **changed: Any) -> dict[str, Any]:
    at = bench.clock.now().isoformat()
    told = {"catalog_object_id": bench.skus[0], "state": "IN_STOCK", "location_id": LOCATION_ID, "occurred_at": at}
    return {"type": "PHYSICAL_COUNT", "physical_count": {**told, "quantity": str(units), **changed}}


def code_in(answer: httpx2.Response) -> str:
    [error] = answer.json()["errors"]
    assert error["category"]
    assert error["detail"]
    return str(error["code"])


def test_nobody_is_let_in_without_a_token() -> None:
    async def play(bench: Bench) -> None:
        answer = await call(bench, "POST", COUNTS, token="guess", json={})
        assert (answer.status_code, code_in(answer)) == (401, "UNAUTHORIZED")
        answer = await call(bench, "POST", COUNTS, json={}, headers={"square-version": "2099-01-01"})
        assert answer.status_code == 400
        answer = await call(bench, "POST", COUNTS, content=b"{", headers={"square-version": API_VERSION})
        assert (answer.status_code, code_in(answer)) == (400, "EXPECTED_JSON_BODY")

    at_the_till(play)


def test_a_key_that_comes_again_gives_the_first_answer_and_with_other_bytes_none() -> None:
    async def play(bench: Bench) -> None:
        asked = {"idempotency_key": "k", "changes": [count_of(bench, 4)], "ignore_unchanged_counts": False}
        first = await call(bench, "POST", CHANGE, json=asked)
        bench.simulator.edit_by_hand(bench.skus[0], 9)
        assert (await call(bench, "POST", CHANGE, json=asked)).json() == first.json()
        assert bench.shown()[bench.skus[0]] == 9
        asked["changes"] = [count_of(bench, 5)]
        assert code_in(await call(bench, "POST", CHANGE, json=asked)) == "IDEMPOTENCY_KEY_REUSED"

    at_the_till(play)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quantity": "-1"}, "INVALID_VALUE"),
        ({"quantity": "1.5.2"}, "INVALID_VALUE"),
        ({"catalog_object_id": "nothing"}, "INVALID_VALUE"),
        ({"location_id": "L2"}, "INVALID_VALUE"),
        ({"occurred_at": "2020-01-01T00:00:00Z"}, "INVALID_TIME"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "INVALID_TIME"),
        ({"occurred_at": "yesterday"}, "INVALID_TIME"),
    ],
)
def test_one_wrong_row_refuses_the_whole_request(changed: dict[str, Any], code: str) -> None:
    async def play(bench: Bench) -> None:
        rows = [count_of(bench, 4), count_of(bench, 5, **changed)]
        answer = await call(bench, "POST", CHANGE, json={"idempotency_key": "k", "changes": rows})
        assert (answer.status_code, code_in(answer)) == (400, code)
        assert answer.json()["errors"][0]["field"].startswith("changes[1]")
        assert bench.shown()[bench.skus[0]] == 10

    at_the_till(play)


def test_too_many_rows_and_no_key_are_refused() -> None:
    async def play(bench: Bench) -> None:
        many = {"idempotency_key": "k", "changes": [count_of(bench, 4)] * 101}
        assert code_in(await call(bench, "POST", CHANGE, json=many)) == "ARRAY_LENGTH_TOO_LONG"
        assert code_in(await call(bench, "POST", CHANGE, json={"changes": []})) == "MISSING_REQUIRED_PARAMETER"

    at_the_till(play)


def test_an_event_that_nobody_takes_comes_again_with_the_same_bytes() -> None:
    async def play(bench: Bench) -> None:
        statuses, got = [500, 302], []

        async def take(request: Request) -> Response:
            got.append((request.headers, await request.body()))
            return Response(status_code=statuses.pop(0) if statuses else 200)

        square = square_of(bench)
        hook = Starlette(routes=[Route(urlsplit(HOOK_ADDRESS).path, take, methods=["POST"])])
        square.webhooks._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(hook))
        bench.simulator.edit_by_hand(bench.skus[0], 3)
        await bench.live(sum(RETRIES_S[:2]) + 60.0)
        assert (len(got), square.webhooks.delivered) == (3, 1)
        assert len({body for _, body in got}) == 1
        assert [headers.get("square-retry-number") for headers, _ in got] == [None, "1", "2"]
        headers, body = got[0]
        assert headers["x-square-hmacsha256-signature"] == signature_of(SECRET, HOOK_ADDRESS, body)

    at_the_till(play)


def test_what_is_done_from_outside() -> None:
    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        lines = [{"channel_sku": sku, "units": 2}]
        sold = (await call(bench, "POST", "/_sim/till", json={"lines": lines})).json()["result"]
        [line] = bench.booked(sold).lines
        assert (bench.booked(sold).status, bench.shown()[sku]) == ("shipped", 8)
        back = {"order_id": sold, "line_id": line.line_id, "units": 1, "restock": True}
        assert (await call(bench, "POST", "/_sim/take-back", json=back)).json() == {"result": True}
        assert bench.shown()[sku] == 9
        late = {"lines": lines, "offline_s": HOUR_S}
        assert (await call(bench, "POST", "/_sim/till", json=late)).json() == {"result": None}
        assert len(bench.simulator.orders()) == 1
        await bench.live(HOUR_S + 1.0)
        assert len(bench.simulator.orders()) == 2
        await call(bench, "POST", "/_sim/till-share", json={"share": 1.0})
        order_id = bench.placed((sku, 1))
        assert bench.booked(order_id).status == "shipped", "buyers stand at the till now"
        wrong = await call(bench, "POST", "/_sim/till", json={"lines": [{"channel_sku": "none", "units": 1}]})
        assert wrong.status_code == 400

    at_the_till(play)


def test_the_till_sells_what_square_does_not_show() -> None:
    """Somebody holds it in their hands."""

    async def play(bench: Bench) -> None:
        square_of(bench).sell_at_till([(bench.skus[0], 12)])
        assert await bench.units_read(bench.skus[0]) == -2
        assert bench.simulator.place([(bench.skus[0], 1)]) is None, "the website sells nothing more"

    at_the_till(play)
