"""The whole stock from one file: all of it, found again by whoever comes next, and half of it never taken for whole."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx2

from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, fail, no_stock_file
from oneshelf.sdk.conformance.stock import agree
from oneshelf.sdk.conformance.wire import NOT_REACHED, REPLY_LOST, Break, answered
from oneshelf.sdk.contract import WritesStockFile
from oneshelf.sdk.fault import ChannelFault, RefusedError, RetryLaterError
from oneshelf.sdk.message import FileState, StockFile, StockReading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LISTINGS = 260
LOOK_S = 30.0
LOOKS_MAX = 120


def _writer(bench: Bench, connector: object | None = None) -> WritesStockFile:
    chosen = connector or bench.connector
    if not isinstance(chosen, WritesStockFile):
        fail("has_stock_file is declared, and the connector is no WritesStockFile")
    return chosen


async def _begun(bench: Bench, *, since: datetime | None = None) -> StockFile:
    """As one more process would begin it."""
    writer, at = _writer(bench, bench.another_connector()), bench.clock.now()
    return await bench.patiently(lambda: writer.begin_stock_file(asked_at=at, since=since))


async def _written(bench: Bench, file: StockFile) -> StockFile:
    """The file once it can be read."""
    for _ in range(LOOKS_MAX):
        file = await bench.patiently(lambda file=file: _writer(bench).stock_file(file))  # type: ignore[misc]  # bound early
        if file.state is not FileState.WRITING:
            expect(file.state is FileState.READY, f"of a shop where nothing is wrong the file is {file.state}")
            return file
        await bench.live(LOOK_S)
    fail(f"after {LOOK_S * LOOKS_MAX:.0f} s the file is still being written")


async def _readings(bench: Bench, file: StockFile, *, after: int = 0) -> list[StockReading]:
    await bench.live(LOOK_S)
    async with aclosing(_writer(bench).read_stock_file(file, after=after)) as parts:
        return [reading async for some in parts for reading in some]


@asynccontextmanager
async def _large(bench: Bench) -> AsyncIterator[tuple[Bench, StockFile]]:
    """A shop with more listings than a page, some of them changed just before the file was asked for."""
    async with bench.another(items=LISTINGS) as big:
        for at, sku in enumerate(big.skus[:5]):
            big.simulator.edit_by_hand(sku, at)
        yield big, await _written(big, await _begun(big))


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_of_the_whole_stock_tells_what_is_shown(bench: Bench) -> None:
    """A listing that the file lacks is linked by nobody; one that it makes up is sold by nobody."""
    async with _large(bench) as (big, file):
        readings = await _readings(big, file)
        agree(big, readings)
        told = file.reading_count
        expect(told in {None, len(readings)}, f"{told} readings are promised, and {len(readings)} are in the file")
        pages = {reading.channel_sku: reading for reading in await big.fetched()}
        # A file may be without titles, and without what is wrong: what is known of them stays.
        whole = [_with_what_is_known(reading, pages[reading.channel_sku]) for reading in readings]
        other = [reading for reading in whole if pages[reading.channel_sku] != reading]
        expect(not other, f"the file tells otherwise than the pages: {other[:2]}")


def _with_what_is_known(told: StockReading, known: StockReading) -> StockReading:
    issues = known.issues if told.issues is None else told.issues
    return replace(told, title=told.title or known.title, issues=issues)


@check("stock", proves=("stock_file_age_s",), unless=no_stock_file)
async def a_file_tells_nothing_older_than_declared(bench: Bench) -> None:
    """The channel may hand out a copy. Taken for fresh, it proves figures that have long been sold."""
    first = await _written(bench, await _begun(bench))
    await _readings(bench, first)
    sku, age_s = bench.skus[0], bench.kind.capability.stock_file_age_s
    bench.simulator.edit_by_hand(sku, 3)
    await bench.live(age_s)
    second = await _written(bench, await _begun(bench))
    expect(second.name != first.name, "a file that was read already is told again")
    told = {reading.channel_sku: reading.units for reading in await _readings(bench, second)}
    expect(told.get(sku) == 3, f"3 units were shown {age_s:.0f} s before it was asked for, told are {told.get(sku)}")


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_that_is_being_written_is_found_again(bench: Bench) -> None:
    """A process dies before it could note that it began one. With each death one more would be written."""
    first = await _begun(bench)
    await bench.live(0.1)
    again = await _begun(bench)
    expect(again.name == first.name, f"while {first.name} is being written {again.name} is begun")
    expect(again.asked_at == first.asked_at, f"it was asked for at {first.asked_at}, and {again.asked_at} is told")
    async with bench.another() as other:
        writer, at = _writer(other), other.clock.now()
        other.wire.strike(REPLY_LOST, writes_only=True)
        try:
            await other.patiently(lambda: writer.begin_stock_file(asked_at=at))
        except ChannelFault:
            pass
        else:
            fail("the answer was lost on its way, and a file is said to have been begun")
        await other.live(0.1)
        late = at - (await _begun(other)).asked_at
        is_same = timedelta(0) <= late < timedelta(milliseconds=1)
        expect(is_same, f"a file whose beginning was not answered is not found again, but one of {late} before")


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_that_nobody_read_is_good_for_the_next_one(bench: Bench) -> None:
    """Whoever began it died while it was written. But one that was read is old news, and not to be told twice."""
    first = await _written(bench, await _begun(bench))
    await bench.live(1.0)
    found = await _begun(bench, since=first.asked_at - timedelta(seconds=1))
    expect((found.name, found.asked_at) == (first.name, first.asked_at), f"{first} is not found again, but {found}")
    for since in (None, first.asked_at):
        other = await _begun(bench, since=since)
        expect(other.name != first.name, f"a file that was read already is told again, for since={since}")


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_is_read_on_from_where_the_last_reader_got_to(bench: Bench) -> None:
    """Of a million listings nobody reads the first ones twice."""
    async with _large(bench) as (big, file):
        whole = await _readings(big, file)
        for after in (1, LISTINGS // 2, LISTINGS - 1, LISTINGS, LISTINGS + 5):
            rest = await _readings(big, file, after=after)
            expect(rest == whole[after:], f"after {after} of {len(whole)} readings {len(rest)} come")


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_that_is_dropped_is_not_written_on(bench: Bench) -> None:
    """The engine gave up on it. Found again, it would be waited for again, for ever."""
    file = await _begun(bench)
    await bench.patiently(lambda: _writer(bench).drop_stock_file(file))
    other = await _begun(bench)
    expect(other.name != file.name, "a file that was dropped is found again")
    await _written(bench, other)
    await bench.patiently(lambda: _writer(bench).drop_stock_file(other))


@check("stock", proves=("has_stock_file",), unless=no_stock_file)
async def a_file_that_breaks_off_is_not_taken_for_whole(bench: Bench) -> None:
    """Half of a file looks like a whole one of half the shop, and what it lacks like listings that are gone."""
    async with _large(bench) as (big, file):
        whole = await _readings(big, file)
        body = await _body(big)
        for cut in (1, len(body) // 3, len(body) // 2, len(body) - 2):
            half = answered(200, body[:cut], name=f"{cut} of {len(body)} bytes of the file")
            told, fault = await _met(big, file, half)
            is_known = fault is not None or len(told) < (file.reading_count or 0)
            expect(is_known, f"{half.name} are taken for all of it, with {len(told)} of {len(whole)} readings")
            expect(told == whole[: len(told)], f"{half.name} tell what the whole file does not")
        for how in (NOT_REACHED, REPLY_LOST, answered(500, b"no"), answered(429, b"later")):
            _, fault = await _met(big, file, how)
            expect(isinstance(fault, RetryLaterError), f"the file met {how.name}: {fault!r:.120}")
        for how in (answered(404, b"gone"), answered(400, b"expired")):
            _, fault = await _met(big, file, how)
            expect(isinstance(fault, RefusedError), f"the file is not there ({how.name}): {fault!r:.120}")
        expect(await _readings(big, file) == whole, "after all that the same file tells something else")


async def _met(bench: Bench, file: StockFile, how: Break) -> tuple[list[StockReading], Exception | None]:
    """What is read of a file that meets this, and how it ends."""
    told: list[StockReading] = []
    await bench.live(LOOK_S)
    bench.wire.strike(how)
    try:
        async with aclosing(_writer(bench).read_stock_file(file)) as parts:
            async for some in parts:
                told += some
    except (ChannelFault, MalformedError) as fault:
        return told, fault
    finally:
        bench.wire.mend()
    return told, None


async def _body(bench: Bench) -> bytes:
    """The file as it came last."""
    last = bench.wire.sent[-1]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(bench.simulator.app())) as client:
        reply = await client.request(last.method, last.url, headers=dict(last.headers), content=last.body)
    return reply.content
