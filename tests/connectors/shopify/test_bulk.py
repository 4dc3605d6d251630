"""The whole stock from one file that a bulk operation writes, against the simulated shop over its wire."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from oneshelf.connectors.shopify.bulk import variant_in
from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.connectors.shopify.documents import RUN_BULK
from oneshelf.connectors.shopify.simulator_bulk import AT_ONCE_MOST, KEPT_S
from oneshelf.connectors.shopify.simulator_operation import UNDER_WAY
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_tokens import ACCESS_TOKEN
from oneshelf.domain.account import StockState
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RefusedError, RetryLaterError
from oneshelf.sdk.lines import LINE_BYTES_MAX, Lines
from oneshelf.sdk.message import Applied, FileState, StockFile, StockReading

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

# Lines ------------------------------------------------------------------------------------------------------------

LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" ")), max_size=20)


@given(lines=LINES, ends=st.booleans(), cuts=st.lists(st.integers(0, 700), max_size=12))
@example(lines=[b"{}", b"{}"], ends=True, cuts=[2, 3, 3])
def test_a_file_has_the_same_lines_however_it_is_cut_into_pieces(
    lines: list[bytes], ends: bool, cuts: list[int]
) -> None:
    whole = b"\n".join(lines) + (b"\n" if ends else b"")
    places = sorted({0, len(whole), *(cut for cut in cuts if cut <= len(whole))})
    taken = Lines()
    found = [line for start, end in pairwise(places) for line in taken.take(whole[start:end])]
    at_once = Lines()
    assert (found, taken.rest) == (at_once.take(whole), at_once.rest)
    *ended, rest = whole.split(b"\n")
    assert (found, taken.rest) == ([line for line in ended if line.strip()], rest)


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    taken = Lines()
    taken.take(b"x" * LINE_BYTES_MAX)
    with pytest.raises(MalformedError, match="bytes"):
        taken.take(b"x")


def a_line(number: int, available: int | None, *, tracked: bool = True) -> bytes:
    level = None
    if available is not None:
        quantities = [{"name": "available", "quantity": available}, {"name": "damaged", "quantity": 2}]
        level = {"isActive": True, "quantities": quantities}
    item = {
        "id": f"gid://shopify/InventoryItem/{number + 1}",
        "sku": "",
        "tracked": tracked,
        "inventoryLevel": level,
    }
    line = {"id": f"gid://shopify/ProductVariant/{number}", "sku": f"MUG-{number}", "displayName": "Mug"}
    return json.dumps({**line, "inventoryItem": item}).replace("/", "\\/").encode()


@given(number=st.integers(1, 2**63 - 2), available=st.integers(-1_000_000_000, 1_000_000_000))
def test_a_line_is_one_reading(number: int, available: int) -> None:
    reading = variant_in(a_line(number, available), location=LOCATION_ID).reading
    assert (reading.channel_sku, reading.units, reading.merchant_sku) == (str(number), available, f"MUG-{number}")
    assert (reading.alias, reading.note) == (str(number + 1), "")
    assert reading.states == {StockState.AVAILABLE: available, StockState.DAMAGED: 2}


def test_what_keeps_a_figure_from_being_written_is_told_as_by_a_page() -> None:
    unstocked = variant_in(a_line(7, None), location=LOCATION_ID).reading
    untracked = variant_in(a_line(7, 5, tracked=False), location=LOCATION_ID).reading
    assert (unstocked.units, untracked.units) == (None, None)
    assert "not stocked" in unstocked.note
    assert "track" in untracked.note


@pytest.mark.parametrize("line", [b"[]", b"{", b'{"id":"gid://shopify/InventoryLevel/1"}', b"\xff", b"null"])
def test_a_line_that_is_no_variant_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        variant_in(line, location=LOCATION_ID)


# Operations -------------------------------------------------------------------------------------------------------


async def ready(bench: Bench, file: StockFile) -> StockFile:
    await bench.clock.live(10 / bench.sim.speed)
    return await bench.connector.stock_file(file)


async def begun(bench: Bench) -> StockFile:
    return await bench.connector.begin_stock_file(asked_at=bench.clock.now())


async def readings_in(connector: ShopifyConnector, file: StockFile, *, after: int = 0) -> list[StockReading]:
    async with aclosing(connector.read_stock_file(file, after=after)) as parts:
        return [reading async for some in parts for reading in some]


async def pages_of(connector: ShopifyConnector) -> list[StockReading]:
    page = await connector.fetch_stock(None)
    readings = list(page.readings)
    while page.cursor is not None:
        page = await connector.fetch_stock(page.cursor)
        readings += page.readings
    return readings


async def test_a_file_tells_what_the_pages_tell(big_bench: Bench) -> None:
    for at, sku in enumerate(big_bench.skus[:9]):
        big_bench.sim.edit_by_hand(sku, at - 4)
    big_bench.sim.shop.articles[3].is_tracked = False
    big_bench.sim.shop.articles[4].is_active = False
    big_bench.sim.end_listing(big_bench.skus[5])
    async with big_bench.living():
        file = await begun(big_bench)
        assert (file.state, file.asked_at) == (FileState.WRITING, big_bench.clock.now())
        file = await ready(big_bench, file)
    assert (file.state, file.reading_count) == (FileState.READY, 299)
    readings = await readings_in(big_bench.connector, file)
    assert readings == await pages_of(big_bench.connector)
    assert await readings_in(big_bench.connector, file, after=200) == readings[200:]
    assert await readings_in(big_bench.connector, file, after=299) == []


async def test_a_file_that_is_being_written_is_found_again_and_no_second_one_is_begun(bench: Bench) -> None:
    """Also by a process that knows nothing of it, with the instant at which it was asked for."""
    async with bench.living():
        first = await begun(bench)
        await bench.clock.live(0.5)
        assert await bench.open().begin_stock_file(asked_at=bench.clock.now()) == first
        assert (await ready(bench, first)).state is FileState.READY
        second = await begun(bench)
        assert second.name != first.name
        assert second.asked_at > first.asked_at
    assert len(bench.sim.bulk.all) == 2


async def test_one_that_was_written_for_somebody_who_died_is_as_good_where_it_is_new_enough(bench: Bench) -> None:
    async with bench.living():
        first = await begun(bench)
        await bench.clock.live(10)
        before = first.asked_at - timedelta(microseconds=1)
        found = await bench.connector.begin_stock_file(asked_at=bench.clock.now(), since=before)
        assert found == first
        assert (await bench.connector.stock_file(found)).state is FileState.READY
        other = await bench.connector.begin_stock_file(asked_at=bench.clock.now(), since=first.asked_at)
        assert other.name != first.name


async def test_an_operation_of_somebody_else_is_not_taken_for_ours(bench: Bench) -> None:
    async with bench.living():
        ours = await begun(bench)
        query = bench.sim.bulk.all[ours.name].query
        bench.sim.bulk.all.clear()
        for other in ("{ productVariants { edges { node { id } } } }", query.partition("\n")[2]):
            await bench.post(RUN_BULK, {"query": other})
        # The same, of another location of the shop.
        await bench.post(RUN_BULK, {"query": query.replace(LOCATION_ID, "42")})
        before = set(bench.sim.bulk.all)
        assert (await begun(bench)).name not in before


async def test_where_five_are_running_it_is_told_and_is_no_fault(bench: Bench) -> None:
    async with bench.living():
        for _ in range(AT_ONCE_MOST):
            await bench.post(RUN_BULK, {"query": "{ productVariants { edges { node { id } } } }"})
        busy = await begun(bench)
        assert (busy.state, busy.name) == (FileState.BUSY, "")
        assert "already in progress" in busy.words
        await bench.clock.live(10)
        assert (await begun(bench)).state is FileState.WRITING


async def test_a_file_that_nobody_waits_for_is_not_written_on(bench: Bench) -> None:
    async with bench.living():
        file = await begun(bench)
        await bench.connector.drop_stock_file(file)
        dropped = await ready(bench, file)
        assert dropped.state is FileState.FAILED
        assert "CANCELED" in dropped.words
        await bench.connector.drop_stock_file(file)
    assert not [one for one in bench.sim.bulk.all.values() if one.status in UNDER_WAY]


async def test_of_an_operation_that_failed_what_it_had_written_is_told(big_bench: Bench) -> None:
    big_bench.sim.switches.set({"bulk_failed": {"next": 1}})
    async with big_bench.living():
        file = await ready(big_bench, await begun(big_bench))
    assert file.state is FileState.PARTIAL
    assert "INTERNAL_SERVER_ERROR" in file.words
    readings = await readings_in(big_bench.connector, file)
    assert 0 < len(readings) < 300
    assert readings == (await pages_of(big_bench.connector))[: len(readings)]


async def test_an_operation_that_was_denied_has_nothing(bench: Bench) -> None:
    bench.sim.switches.set({"bulk_denied": {"next": 1}})
    async with bench.living():
        file = await ready(bench, await begun(bench))
    assert file.state is FileState.FAILED
    assert "ACCESS_DENIED" in file.words


async def test_a_file_that_is_not_kept_any_more_is_gone(bench: Bench) -> None:
    async with bench.living():
        file = await ready(bench, await begun(bench))
        bench.clock.turn(KEPT_S)
        with pytest.raises(RefusedError) as refused:
            await readings_in(bench.connector, file)
        assert (await bench.connector.stock_file(file)).state is FileState.GONE
        unknown = replace(file, name="gid://shopify/BulkOperation/1")
        assert (await bench.connector.stock_file(unknown)).state is FileState.GONE
    # Whoever knows its address may read a file.
    assert file.address
    assert file.address not in f"{refused.value} {file!r}"


async def test_no_token_of_ours_goes_where_the_file_lies(bench: Bench) -> None:
    heard: list[httpx2.Request] = []

    async def listen(request: httpx2.Request) -> None:
        heard.append(request)

    bench.client.event_hooks = {"request": [listen], "response": []}
    async with bench.living():
        await readings_in(bench.connector, await ready(bench, await begun(bench)))
    (fetched,) = (request for request in heard if request.method == "GET")
    assert all(ACCESS_TOKEN in request.headers.values() for request in heard if request is not fetched)
    assert ACCESS_TOKEN not in f"{fetched.url} {fetched.headers.raw!r}"


async def test_a_file_that_breaks_off_is_read_as_far_as_it_came(big_bench: Bench) -> None:
    """And from there on the next time."""
    async with big_bench.living():
        file = await ready(big_bench, await begun(big_bench))
    whole = await readings_in(big_bench.connector, file)
    for seed in range(5):
        big_bench.sim.chance.seed(seed)
        big_bench.sim.switches.set({"bulk_truncated": {"next": 1}})
        told = await told_until_fault(big_bench.connector, file, after=0)
        assert 0 < len(told) < len(whole)
        assert told + await readings_in(big_bench.connector, file, after=len(told)) == whole


async def told_until_fault(connector: ShopifyConnector, file: StockFile, *, after: int) -> list[StockReading]:
    told: list[StockReading] = []
    parts = connector.read_stock_file(file, after=after)
    try:
        async for some in parts:
            told += some
    except RetryLaterError:
        return told
    raise AssertionError("the file was told to be whole")


@pytest.mark.parametrize(
    ("shop", "place", "state"),
    [
        ("https://shop.myshopify.com", "https://files.example/1", FileState.READY),
        ("https://shop.myshopify.com", "http://files.example/1", FileState.FAILED),
        ("https://shop.myshopify.com", "http://127.0.0.1/1", FileState.FAILED),
        ("http://localhost", "http://127.0.0.1/1", FileState.READY),
        ("http://localhost", "http://files.example/1", FileState.FAILED),
        ("http://localhost", "ftp://localhost/1", FileState.FAILED),
        ("http://localhost", "http://[::1", FileState.FAILED),
    ],
)
async def test_a_file_is_fetched_from_another_machine_with_encryption_only(
    bench: Bench, shop: str, place: str, state: FileState
) -> None:
    """Its address lets anybody in, and a shop somewhere else has nothing to send us to this machine for."""

    async def answer(_request: Request) -> JSONResponse:
        operation = {"id": "1", "status": "COMPLETED", "errorCode": None, "objectCount": "1", "rootObjectCount": "1"}
        return JSONResponse({"data": {"bulkOperation": {**operation, "url": place, "partialDataUrl": None}}})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    told = await bench.open(address=shop, app=app).stock_file(StockFile("1", FileState.WRITING, bench.clock.now()))
    assert told.state is state


async def test_what_was_read_from_a_file_is_written_without_being_read_again(bench: Bench) -> None:
    async with bench.living():
        file = await ready(bench, await begun(bench))
        await readings_in(bench.connector, file)
    bench.sim.shop.articles[0].is_tracked = False
    (outcome,) = await bench.connector.push([bench.write(bench.skus[0], 4)])
    # A reading would have told that its quantity is not tracked by now.
    assert outcome == Applied()
