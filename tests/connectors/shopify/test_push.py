"""Writing to the simulated shop over the wire, in good days and bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.bisect import push_each
from oneshelf.sdk.fault import (
    MisconfiguredError,
    ReauthenticateError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.message import (
    Applied,
    Refused,
    Stale,
    Throttled,
    Unknown,
)

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench


async def test_rows_that_go_stale_again_and_again_never_sell_a_unit_twice(bench: Bench) -> None:
    """A buyer comes between each reading and each write."""
    await bench.connector.fetch_stock(None)

    async def buyers(request: WebRequest) -> Response:
        if b"inventorySetQuantities" in await request.body():
            still_believed = [sku for sku, units in zip(bench.skus, bench.shown(), strict=True) if units == 10]
            bench.sim.place([(still_believed[0], 1)])
        return await _passed_on(bench, request)

    connector = bench.open(app=_proxy(buyers))
    outcomes = await connector.push([bench.write(sku, 50) for sku in bench.skus])
    assert outcomes == (Stale(), Stale(), Stale(), Stale(), Applied())
    assert bench.shown() == [9, 9, 9, 9, 50]


async def test_a_lost_reply_is_unknown_although_the_write_was_applied(bench: Bench) -> None:
    async with bench.serving() as connector:
        await connector.read_stock(bench.skus)
        bench.sim.switches.set({"reply_lost": {"next": 1}})
        writes = [bench.write(sku, 4) for sku in bench.skus]
        outcomes = await connector.push(writes)
        assert [type(outcome) for outcome in outcomes] == [Unknown] * 5
        assert bench.shown() == [4] * 5
        assert await connector.push(writes) == (Applied(),) * 5  # the key is remembered, so this asks, not writes
    assert bench.sim.switches.hits["reply_lost"] == 1


async def test_the_server_survives_lost_replies_quietly(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with bench.serving() as connector:
        bench.sim.switches.set({"reply_lost": {"next": 3}})
        for units in (4, 5, 6):
            await connector.push([bench.write(bench.skus[0], units, expected=bench.shown()[0])])
        assert (await connector.read_stock(bench.skus[:1]))[0].units == 6
    assert 0 < len(caplog.records) <= 3
    assert all(record.exc_info is None for record in caplog.records)


async def test_too_many_requests_is_try_again_after_the_time_that_shopify_names(bench: Bench) -> None:
    bench.sim.switches.set({"http_429": {"next": 1}})
    with pytest.raises(RetryLaterError) as busy:
        await bench.connector.read_stock(bench.skus)
    assert busy.value.retry_after_s == 2.0


async def test_a_wrong_token_asks_for_a_new_one_and_does_not_show_it(bench: Bench) -> None:
    connector = bench.open(token="shpat_wrong")
    with pytest.raises(ReauthenticateError) as refused:
        await connector.push([bench.write(bench.skus[0], 4)])
    assert "shpat_wrong" not in str(refused.value) + repr(connector)
    (finding,) = await connector.preflight()
    assert not finding.is_good


async def test_two_hundred_and_fifty_rows_are_one_call(big_bench: Bench) -> None:
    calls: list[bytes] = []

    async def counted(request: WebRequest) -> Response:
        calls.append(await request.body())
        return await _passed_on(big_bench, request)

    connector = big_bench.open(app=_proxy(counted))
    await connector.read_stock(big_bench.skus[:250])
    outcomes = await connector.push([big_bench.write(sku, 4) for sku in big_bench.skus[:250]])
    assert outcomes == (Applied(),) * 250
    assert big_bench.shown() == [4] * 250 + [10] * 50
    assert len(calls) == 2


async def test_one_batch_has_one_key_and_the_same_bytes_each_time_it_is_sent(bench: Bench) -> None:
    calls: list[bytes] = []

    async def noted(request: WebRequest) -> Response:
        calls.append(await request.body())
        return await _passed_on(bench, request)

    connector = bench.open(app=_proxy(noted))
    await connector.read_stock(bench.skus)
    writes = [bench.write(sku, 4) for sku in bench.skus]
    await connector.push(writes)
    await connector.push(list(reversed(writes)))
    await connector.push(writes[:1])
    first, second, third = calls[1:4]
    assert first == second
    assert [row["changeFromQuantity"] for row in _variables(first)["input"]["quantities"]] == [10] * 5
    assert _variables(first)["key"] != _variables(third)["key"]
    assert _variables(first)["input"]["referenceDocumentUri"].endswith(_variables(first)["key"])


def _variables(body: bytes) -> Any:
    return json.loads(body)["variables"]


async def test_a_variant_that_is_gone_is_refused_and_the_others_are_written(bench: Bench) -> None:
    outcomes = await bench.connector.push([bench.write(ChannelSku("1"), 4), bench.write(bench.skus[0], 4)])
    assert [type(outcome) for outcome in outcomes] == [Refused, Applied]


async def test_two_listings_of_one_inventory_item_are_not_both_written_at_once(bench: Bench) -> None:
    first, second = bench.sim.shop.articles[:2]
    second.item_id = first.item_id
    outcomes = await bench.connector.push([bench.write(sku, 4) for sku in bench.skus[:2]])
    assert [type(outcome) for outcome in outcomes] == [Applied, Refused]
    assert bench.shown()[:2] == [4, 10]


async def test_an_item_that_shopify_refuses_is_parked_with_its_words_and_the_others_are_written(bench: Bench) -> None:
    await bench.connector.fetch_stock(None)
    del bench.sim.shop.by_item[bench.sim.shop.article(bench.skus[1]).item_id]
    outcomes = await bench.connector.push([bench.write(sku, 4) for sku in bench.skus])
    refused = outcomes[1]
    assert isinstance(refused, Refused)
    assert "could not be found" in refused.words
    assert [type(outcome) for outcome in outcomes].count(Applied) == 4
    assert bench.shown() == [4, 10, 4, 4, 4]


PAYLOADS: list[tuple[object, type]] = [
    ({"data": {"inventorySetQuantities": None}}, Unknown),
    ({"data": {}}, Unknown),
    ({"data": None}, Unknown),
    ({}, Unknown),
    ([], Unknown),
    ({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None}}}, Unknown),
    ({"data": {"inventorySetQuantities": {"userErrors": None}}}, Unknown),
    ({"errors": [{"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}, Unknown),
    (
        {
            "errors": [
                {"message": "Bad", "extensions": {"code": "BAD_REQUEST"}},
                {"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}},
            ]
        },
        Unknown,
    ),
    ({"errors": [{"message": "Something new"}], "data": {"inventorySetQuantities": None}}, Unknown),
    ({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None, "userErrors": []}}}, Applied),
]


@pytest.mark.parametrize(("payload", "expected"), PAYLOADS)
async def test_silence_is_not_success(bench: Bench, payload: object, expected: type) -> None:
    connector = await _answered(bench, lambda: JSONResponse(payload))
    (outcome,) = await connector.push([bench.write(bench.skus[0], 4)])
    assert type(outcome) is expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"errors": [{"message": "no", "extensions": {"code": "BAD_REQUEST"}}]}, RefusedError),
        ({"errors": [{"message": "no", "extensions": {"code": "INVALID_VARIABLE"}}]}, RefusedError),
        ({"errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}]}, ReauthenticateError),
        ({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}, RetryLaterError),
    ],
)
async def test_a_push_that_was_certainly_not_executed_is_a_fault(
    bench: Bench, payload: object, expected: type[Exception]
) -> None:
    connector = await _answered(bench, lambda: JSONResponse(payload))
    with pytest.raises(expected):
        await connector.push([bench.write(bench.skus[0], 4)])


async def test_a_redirect_is_refused_and_followed_by_nobody(bench: Bench) -> None:
    statuses = [302, 400]
    connector = await _answered(bench, lambda: Response(status_code=statuses.pop(0)))
    while statuses:
        with pytest.raises(RefusedError):
            await connector.push([bench.write(bench.skus[0], 4)])


async def test_an_address_where_no_shop_is_blames_the_settings_and_no_listing(bench: Bench) -> None:
    connector = await _answered(bench, lambda: Response(status_code=404))
    with pytest.raises(MisconfiguredError, match="base_url and api_version"):
        await connector.push([bench.write(bench.skus[0], 4)])


async def test_after_a_part_was_written_a_fault_is_told_row_by_row(bench: Bench) -> None:
    """Four rounds: the whole batch and again the whole batch are stale, one half is written, the other throttled."""
    await bench.connector.fetch_stock(None)
    answers = ["stale", "stale", "applied", "throttled"]

    async def scripted(request: WebRequest) -> Response:
        if b"inventorySetQuantities" not in await request.body():
            return await _passed_on(bench, request)
        answer = answers.pop(0)
        if answer == "stale":
            error = {"code": "CHANGE_FROM_QUANTITY_STALE", "field": None, "message": "No longer."}
            payload = {"inventoryAdjustmentGroup": None, "userErrors": [error]}
            return JSONResponse({"data": {"inventorySetQuantities": payload}})
        if answer == "throttled":
            bench.sim.switches.set({"throttle": {"next": 1}})
        return await _passed_on(bench, request)

    connector = bench.open(app=_proxy(scripted))
    outcomes = await connector.push([bench.write(sku, 4) for sku in bench.skus])
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Applied, Throttled, Throttled]
    assert bench.shown() == [4, 4, 4, 10, 10]
    assert not answers


async def test_a_key_that_failed_before_gives_way_to_a_new_one(bench: Bench) -> None:
    writes = [bench.write(bench.skus[0], 4, expected=9)]
    assert await bench.connector.push(writes) == (Stale(),)
    bench.sim.edit_by_hand(bench.skus[0], 9)
    assert await bench.connector.push(writes) == (Applied(),)
    assert bench.shown()[0] == 4


async def test_a_new_write_with_the_figures_of_an_old_one_is_written_again(bench: Bench) -> None:
    assert await bench.connector.push([bench.write(bench.skus[0], 4)]) == (Applied(),)
    bench.sim.edit_by_hand(bench.skus[0], 10)
    assert await bench.connector.push([bench.write(bench.skus[0], 4)]) == (Applied(),)
    assert bench.shown()[0] == 4


JUNK: list[object] = [
    {"data": {}},
    {"data": {"nodes": None}},
    {"data": {"nodes": [7]}},
    {"data": {"nodes": [{"id": "gid://shopify/Product/1"}]}},
    {"data": None, "errors": [{"message": "Internal error"}]},
    "words",
]


@pytest.mark.parametrize("junk", JUNK)
async def test_a_reading_that_cannot_be_read_is_tried_again_later(bench: Bench, junk: object) -> None:
    async def respond(_request: WebRequest) -> Response:
        return JSONResponse(junk)

    with pytest.raises(RetryLaterError):
        await bench.open(app=_proxy(respond)).read_stock(bench.skus)


async def test_a_listing_that_cannot_be_read_is_told_with_its_reason(bench: Bench) -> None:
    unreadable = {"id": "gid://shopify/ProductVariant/1", "inventoryItem": None}

    async def respond(_request: WebRequest) -> Response:
        return JSONResponse({"data": {"nodes": [unreadable]}})

    (reading,) = await bench.open(app=_proxy(respond)).read_stock(bench.skus)
    assert (reading.channel_sku, reading.units) == ("1", None)
    assert "cannot be read" in reading.note


async def test_a_reading_that_costs_too_much_at_once_is_made_in_parts(big_bench: Bench) -> None:
    sizes: list[int] = []

    async def dear(request: WebRequest) -> Response:
        sizes.append(len(_variables(await request.body())["ids"]))
        if sizes[-1] > 100:
            error = {"message": "Query cost is 1250", "extensions": {"code": "MAX_COST_EXCEEDED"}}
            return JSONResponse({"errors": [error]})
        return await _passed_on(big_bench, request)

    readings = await big_bench.open(app=_proxy(dear)).read_stock(big_bench.skus[:250])
    assert [reading.channel_sku for reading in readings] == big_bench.skus[:250]
    assert sizes == [250, 125, 62, 63, 125, 62, 63]


async def test_an_unreachable_shop_is_a_reason_to_try_later(bench: Bench) -> None:
    class Down(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused", request=request)

    async with httpx2.AsyncClient(transport=Down()) as client:
        connector = bench.open(client=client)
        with pytest.raises(RetryLaterError):
            await connector.push([bench.write(bench.skus[0], 4)])


# Between connector and shop ------------------------------------------------------------------------------------


def _proxy(respond: Callable[[WebRequest], Any]) -> Starlette:
    return Starlette(routes=[Route("/{path:path}", respond, methods=["POST"])])


async def _passed_on(bench: Bench, request: WebRequest) -> Response:
    headers = {"X-Shopify-Access-Token": request.headers["x-shopify-access-token"]}
    reply = await bench.client.post(
        f"http://localhost{request.url.path}", content=await request.body(), headers=headers
    )
    return Response(reply.content, status_code=reply.status_code, media_type="application/json")


async def _answered(bench: Bench, answer: Callable[[], Response]) -> Any:
    """A connector that knows the listings, and whose writes are all answered like this."""

    async def respond(request: WebRequest) -> Response:
        if b"inventorySetQuantities" in await request.body():
            return answer()
        return await _passed_on(bench, request)

    connector = bench.open(app=_proxy(respond))
    await connector.fetch_stock(None)
    return connector


async def test_a_row_that_is_named_is_refused_alone(bench: Bench) -> None:
    bench.sim.refuse_writes(bench.skus[2])
    outcomes = await bench.connector.push([bench.write(sku, 20) for sku in bench.skus])
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Refused, Applied, Applied]
    assert bench.shown() == [20, 20, 10, 20, 20]


async def test_a_refusal_that_names_no_row_speaks_for_the_whole_call(bench: Bench) -> None:
    bench.sim.refuse_writes(bench.skus[2], names_row=False)
    writes = [bench.write(sku, 20) for sku in bench.skus]
    with pytest.raises(RefusedError, match="could not be found"):
        await bench.connector.push(writes)
    outcomes = await push_each(bench.connector.push, writes)
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Refused, Applied, Applied]
    assert bench.shown() == [20, 20, 10, 20, 20]
    bench.sim.take_writes(bench.skus[2])
    assert await push_each(bench.connector.push, [bench.write(bench.skus[2], 20)]) == (Applied(),)


# Keys, as a probe tries them ---------------------------------------------------------------------------------------


async def test_a_shop_that_remembers_keys_is_found_to(bench: Bench) -> None:
    sku = bench.skus[0]
    assert await bench.connector.remembers_key(sku, 10, key=bench.clock.new_id()) is True
    assert bench.shown() == [10] * 5


@pytest.mark.parametrize("also", [{}, {"ignores_compare": 1.0}])
async def test_a_shop_that_ignores_keys_is_found_out_and_nothing_on_sale_changes(
    bench: Bench, also: dict[str, float]
) -> None:
    bench.sim.switches.set({"ignores_key": 1.0, **also})
    sku = bench.skus[0]
    assert await bench.connector.remembers_key(sku, 10, key=bench.clock.new_id()) is False
    assert bench.shown() == [10] * 5
    assert bench.sim.switches.hits["ignores_key"] == 3


async def test_nothing_is_said_of_keys_where_the_figure_is_another_one_by_now(bench: Bench) -> None:
    sku = bench.skus[0]
    bench.sim.place([(sku, 1)])
    assert await bench.connector.remembers_key(sku, 10, key=bench.clock.new_id()) is None
    assert await bench.connector.remembers_key(ChannelSku("4711"), 10, key=bench.clock.new_id()) is None
    assert bench.shown()[0] == 9


async def test_a_shop_that_ignores_the_compared_figure_writes_over_a_sale(bench: Bench) -> None:
    bench.sim.switches.set({"ignores_compare": 1.0})
    bench.sim.place([(bench.skus[0], 1)])
    assert await bench.connector.push([bench.write(bench.skus[0], 8)]) == (Applied(),)
    assert bench.shown()[0] == 8
    assert bench.sim.switches.hits["ignores_compare"] == 1


async def test_an_inactive_level_is_read_as_such_and_activated_with_nothing_on_sale(bench: Bench) -> None:
    """What it showed when it was deactivated may have been sold since."""
    article = bench.sim.shop.articles[0]
    article.is_active = False
    (reading,) = await bench.connector.read_stock(bench.skus[:1])
    assert (reading.units, f"oneshelf listing activate CHANNEL {bench.skus[0]}" in reading.note) == (None, True)
    (refused,) = await bench.connector.push([bench.write(bench.skus[0], 5)])
    assert isinstance(refused, Refused)
    key = bench.clock.new_id()
    assert await bench.connector.activate(bench.skus[0], key=key) == Applied()
    assert (article.is_active, article.units["available"]) == (True, 0)
    again = await bench.connector.activate(bench.skus[0], key=bench.clock.new_id())
    assert again == Refused("the item is active at this location already")
    article.is_tracked = False
    untracked = await bench.connector.activate(bench.skus[0], key=bench.clock.new_id())
    assert isinstance(untracked, Refused)


async def test_an_activation_without_an_answer_is_unknown(bench: Bench) -> None:
    bench.sim.shop.articles[0].is_active = False
    bench.sim.switches.set({"reply_lost": {"next": 1}})
    assert isinstance(await bench.connector.activate(bench.skus[0], key=bench.clock.new_id()), Unknown)
    assert bench.sim.shop.articles[0].is_active


async def test_every_row_of_a_push_says_what_it_is_compared_with(big_bench: Bench) -> None:
    """No schema demands it, and Shopify refuses the whole call without it."""
    sent: list[dict[str, object]] = []

    async def listen(request: httpx2.Request) -> None:
        variables = json.loads(request.content)["variables"]
        sent.extend(variables.get("input", {}).get("quantities", []))

    big_bench.client.event_hooks = {"request": [listen]}
    writes = [big_bench.write(sku, 7) for sku in big_bench.skus[:250]]
    await big_bench.connector.push(writes)
    assert len(sent) == 250
    assert all(row["changeFromQuantity"] == 10 for row in sent)
