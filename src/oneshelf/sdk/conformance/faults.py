"""Faults: each failure ends in the class that says how to recover, and a write without an answer is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from oneshelf.errors import InvariantError, MalformedError
from oneshelf.sdk.conformance.bench import DEADLINE_S, Bench
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen
from oneshelf.sdk.conformance.wire import (
    BROKEN_BEFORE,
    HANGS,
    HANGS_BEFORE,
    NOT_REACHED,
    REPLY_CUT,
    REPLY_LOST,
    Break,
    answered,
)
from oneshelf.sdk.conformance.writes import kinds_of
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError, ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import PATIENCE_S
from oneshelf.sdk.message import Accepted, Applied, Refused, Stale, StockWrite, Throttled, Unknown, WriteOutcome
from oneshelf.telemetry import transaction_open

ALWAYS = 1_000_000
RETRY_AFTER_S = 7.0

GARBAGE = answered(200, b"\x00\xff\xfe{{{", name="garbage with status 200")
EMPTY = answered(200, b"", name="an empty answer with status 200")
PAGE = answered(200, b"<html><body>Please log in</body></html>", name="a page for humans with status 200")
SERVER_ERRORS = tuple(
    answered(status, b"<html>Bad Gateway</html>", arrives=arrives, name=f"status {status}, {word}")
    for status in (500, 502, 503, 504)
    for arrives, word in ((False, "not done"), (True, "done all the same"))
)
NOT_UTF8 = answered(200, b'{"data":"\xff\xfe"}', name="text that is not UTF-8 with status 200")
NESTED = answered(200, b"[" * 50_000, name="lists within lists with status 200")
UNREADABLE = (GARBAGE, EMPTY, PAGE, NOT_UTF8, NESTED)
WRONG_DOCUMENTS = tuple(
    answered(200, body, name=f"the document {body.decode()}")
    for body in (
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"x"',
        b"[[]]",
        b'{"data":null}',
        b'{"data":{}}',
        b"[null]",
        b'{"errors":1}',
    )
)
LOST = (REPLY_LOST, REPLY_CUT, HANGS, HANGS_BEFORE, BROKEN_BEFORE)

Call = Callable[[], Awaitable[object]]


def readings_of(bench: Bench, cursor: str) -> Mapping[str, Call]:
    """Every call that reads, by name."""
    connector = bench.connector
    return {
        "poll_orders": lambda: connector.poll_orders(cursor),
        "fetch_stock": lambda: connector.fetch_stock(None),
        "read_stock": lambda: connector.read_stock(bench.skus),
    }


async def failure_of(call: Call) -> Exception | None:
    """How a call fails, if it does. Raises Violation for what a connector may never raise."""
    try:
        await call()
    except (ChannelFault, MalformedError) as fault:
        return fault
    except Exception as failure:
        fail(f"{type(failure).__name__} instead of a ChannelFault: {failure!s:.200}")
    return None


async def _each_reading_meets(bench: Bench, how: Break, wanted: type[Exception] | tuple[type[Exception], ...]) -> None:
    cursor = (await bench.poll(None)).cursor
    for name, call in readings_of(bench, cursor).items():
        bench.wire.strike(how, times=ALWAYS)
        fault = await failure_of(call)
        bench.wire.mend()
        expect(isinstance(fault, wanted), f"{name} met {how.name}: {type(fault).__name__}: {fault!s:.120}")
        await bench.patiently(lambda call=call: call())  # type: ignore[misc]  # bound early


async def pushed_into(bench: Bench, how: Break, *, times: int = ALWAYS) -> tuple[WriteOutcome, ...] | ChannelFault:
    """A push of all listings whose writing requests meet this, judged by the books; its outcomes or its fault."""
    await bench.patiently(lambda: bench.connector.read_stock(bench.skus))
    before = bench.shown()
    writes = [bench.write(sku, 3) for sku in bench.skus]
    bench.wire.strike(how, times=times, writes_only=True)
    try:
        outcomes = await bench.connector.push(writes)
    except OutcomeUnknownError:
        fail(f"push met {how.name}, and raised OutcomeUnknownError: the outcome is Unknown, per write")
    except ChannelFault as fault:
        bench.wire.mend()
        await bench.applied()
        expect(
            bench.shown() == before, f"push met {how.name}, raised {type(fault).__name__}, and something was written"
        )
        return fault
    except Exception as failure:
        fail(f"push met {how.name}: {type(failure).__name__} instead of outcomes: {failure!s:.200}")
    bench.wire.mend()
    await bench.judge(writes, outcomes, before)
    return outcomes


async def _unknown_after(bench: Bench, how: Break) -> None:
    async with bench.another() as own:
        result = await pushed_into(own, how)
        expect(not isinstance(result, ChannelFault), f"push met {how.name}: {result!r:.150} instead of Unknown")
        assert not isinstance(result, ChannelFault)
        expect(isinstance(result[0], Unknown), f"push met {how.name}: {kinds_of(result)}")
        wrong = [one for one in result if not isinstance(one, Unknown | Throttled)]
        expect(not wrong, f"push met {how.name}: {kinds_of(result)}")


@check("faults")
async def refused_credentials_ask_for_a_person(bench: Bench) -> None:
    """401 and 403: trying again spends nothing and helps nothing. The channel is paused and somebody is told."""
    for status in (401, 403):
        how = answered(status, b'{"errors":"no"}')
        await _each_reading_meets(bench, how, ReauthenticateError)
        async with bench.another() as own:
            fault = await pushed_into(own, how)
            expect(isinstance(fault, ReauthenticateError), f"push met {status}: {fault!r:.150}")


@check("faults", proves=("limits",))
async def too_many_requests_is_try_again_when_the_channel_says(bench: Bench) -> None:
    """429: not done. With a Retry-After it is kept to; without one somebody waits a moment all the same."""
    with_time = answered(429, b"{}", headers={"Retry-After": f"{RETRY_AFTER_S:g}"}, name="429 with Retry-After")
    for how, least_s in ((with_time, RETRY_AFTER_S), (answered(429, b"{}", name="429 without Retry-After"), 0.0)):
        cursor = (await bench.poll(None)).cursor
        for name, call in readings_of(bench, cursor).items():
            bench.wire.strike(how, times=ALWAYS)
            fault = await failure_of(call)
            bench.wire.mend()
            expect(isinstance(fault, RetryLaterError), f"{name} met {how.name}: {fault!r:.150}")
            waits_s = fault.retry_after_s if isinstance(fault, RetryLaterError) else 0.0
            expect(waits_s >= least_s and waits_s > 0, f"{name} met {how.name}: try again after {waits_s} s")
        async with bench.another() as own:
            _waits(how.name, await pushed_into(own, how), least_s)


def _waits(name: str, result: tuple[WriteOutcome, ...] | ChannelFault, least_s: float) -> None:
    if isinstance(result, RetryLaterError):
        expect(result.retry_after_s >= least_s, f"push met {name}: try again after {result.retry_after_s} s")
        return
    expect(not isinstance(result, ChannelFault), f"push met {name}: {result!r:.150}")
    assert not isinstance(result, ChannelFault)
    for outcome in result:
        expect(isinstance(outcome, Throttled), f"push met {name}: {kinds_of(result)}")
        waits_s = outcome.retry_after_s if isinstance(outcome, Throttled) else 0.0
        expect(waits_s >= least_s and waits_s > 0, f"push met {name}: try again after {waits_s} s")


@check("faults", proves=("limits",))
async def the_channels_own_throttle_is_try_again(bench: Bench) -> None:
    """Some channels say it with status 200, in a word of their own. Nothing was done, and nothing is parked."""
    must_happen("throttle" in bench.simulator.switches.names, "throttle in its own words")
    await bench.read(*bench.skus)
    cursor = (await bench.poll(None)).cursor
    for name, call in readings_of(bench, cursor).items():
        bench.simulator.switches.set({"throttle": 1.0})
        fault = await failure_of(call)
        bench.simulator.switches.set({"throttle": 0.0})
        expect(isinstance(fault, RetryLaterError), f"{name} was throttled: {fault!r:.150}")
        await bench.live(10.0)
    before, writes = bench.shown(), [bench.write(sku, 3) for sku in bench.skus]
    bench.simulator.switches.set({"throttle": 1.0})
    result: tuple[WriteOutcome, ...] | ChannelFault
    try:
        result = await bench.connector.push(writes)
    except ChannelFault as fault:
        result = fault
    _waits("its own throttle", result, 0.0)
    await bench.applied()
    expect(bench.shown() == before, "throttled, and something was written")


@check("faults")
async def a_servers_error_is_unknown_for_a_write_and_later_for_a_reading(bench: Bench) -> None:
    """A gateway gives up on a request that the channel goes on to carry out."""
    for how in SERVER_ERRORS:
        await _unknown_after(bench, how)
    await _each_reading_meets(bench, SERVER_ERRORS[0], RetryLaterError)
    await _each_reading_meets(bench, SERVER_ERRORS[4], RetryLaterError)


@check("faults")
async def a_channel_that_is_not_reached_has_done_nothing(bench: Bench) -> None:
    """No connection: nothing was sent, so nothing is unknown, and no unit has to be held back for a lost write."""
    await _each_reading_meets(bench, NOT_REACHED, RetryLaterError)
    async with bench.another() as own:
        _waits(NOT_REACHED.name, await pushed_into(own, NOT_REACHED), 0.0)


@check("faults", proves=("zombie_s",))
async def a_lost_reply_is_unknown_for_every_write_that_was_in_it(bench: Bench) -> None:
    """Sent, and no answer: done or not. Said to be done it hides a lost write, said to be not done it is sent twice."""
    for how in LOST:
        await _unknown_after(bench, how)


@check("faults", proves=("batch_writes",))
async def writes_that_were_not_in_a_lost_request_keep_their_own_outcomes(bench: Bench) -> None:
    """The first of several requests is lost. What was in it is unknown; what was not is told as it is."""
    result = await pushed_into(bench, REPLY_LOST, times=1)
    expect(not isinstance(result, ChannelFault), f"a reply was lost after it was done, and push raised {result!r:.150}")
    assert not isinstance(result, ChannelFault)
    expect(
        any(isinstance(one, Unknown) for one in result), f"a reply was lost, and nothing is unknown: {kinds_of(result)}"
    )


@check("faults")
async def a_connection_that_fails_while_reading_is_try_again(bench: Bench) -> None:
    """A reading changes nothing, so it is asked for again, however it broke."""
    for how in (REPLY_LOST, REPLY_CUT, BROKEN_BEFORE, HANGS):
        await _each_reading_meets(bench, how, RetryLaterError)


@check("faults")
async def an_unreadable_answer_is_no_answer(bench: Bench) -> None:
    """Garbage, nothing, a page for humans: something on the way answered. A write is unknown, a reading is later."""
    for how in UNREADABLE:
        await _each_reading_meets(bench, how, (RetryLaterError, MalformedError))
        await _unknown_after(bench, how)


@check("faults")
async def a_document_of_another_shape_is_never_taken_for_a_success(bench: Bench) -> None:
    """`{}` is not what the channel says of a write that it did. Nor is it an empty list of orders."""
    cursor = (await bench.poll(None)).cursor
    for how in WRONG_DOCUMENTS:
        for name, call in readings_of(bench, cursor).items():
            bench.wire.strike(how, times=ALWAYS)
            fault = await failure_of(call)
            bench.wire.mend()
            expect(fault is not None, f"{name} took {how.name} for an answer")
        async with bench.another() as own:
            result = await pushed_into(own, how)
            if not isinstance(result, ChannelFault):
                taken = [one for one in result if isinstance(one, Applied | Accepted | Stale)]
                expect(not taken, f"push took {how.name} for an answer: {kinds_of(result)}")


@check("faults")
async def another_refusal_is_never_taken_for_a_success(bench: Bench) -> None:
    """A status that nobody expected: the same request will be refused again, and a person reads why."""
    refusals = [(status, b'{"errors":"a word"}') for status in (301, 400, 402, 405, 409, 410, 418, 422, 451)]
    for status, body in [*refusals, (400, b"\xff\xfe"), (400, b"[" * 50_000), (422, b"")]:
        how = answered(status, body)
        cursor = (await bench.poll(None)).cursor
        bench.wire.strike(how, times=ALWAYS)
        fault = await failure_of(lambda cursor=cursor: bench.connector.poll_orders(cursor))  # type: ignore[misc]  # bound early
        bench.wire.mend()
        expect(fault is not None, f"poll_orders took status {status} for an answer")
        async with bench.another() as own:
            result = await pushed_into(own, how)
            if isinstance(result, ChannelFault):
                continue
            taken = [one for one in result if not isinstance(one, Refused | Unknown | Throttled)]
            expect(not taken, f"push met status {status}: {kinds_of(result)}")


@check("faults")
async def every_call_ends_within_its_deadline(bench: Bench) -> None:
    """A channel that takes the request and never answers must not keep a worker for ever."""
    cursor = (await bench.poll(None)).cursor
    calls = {
        **readings_of(bench, cursor),
        "preflight": bench.connector.preflight,
        "push": lambda: bench.connector.push([bench.write(sku, 3) for sku in bench.skus]),
    }
    await bench.read(*bench.skus)
    for name, call in calls.items():
        sent, began_s = len(bench.wire.sent), bench.clock.monotonic()
        bench.wire.strike(HANGS, times=ALWAYS)
        try:
            await asyncio.wait_for(failure_of(call), timeout=3600.0)
        except TimeoutError:
            fail(f"{name} still waits after an hour")
        bench.wire.mend()
        took_s, count = bench.clock.monotonic() - began_s, max(1, len(bench.wire.sent) - sent)
        most_s = count * (DEADLINE_S + PATIENCE_S) + 1.0
        expect(took_s <= most_s, f"{name} took {took_s:.0f} s for {count} requests of at most {DEADLINE_S:.0f} s")


@check("faults")
async def a_cancelled_call_leaves_nothing_half_open(bench: Bench) -> None:
    """The engine stops in the middle of a call. What it leaves behind would block the next one."""
    cursor = (await bench.poll(None)).cursor
    await bench.read(*bench.skus)
    calls = {**readings_of(bench, cursor), "push": lambda: bench.connector.push([bench.write(bench.skus[0], 3)])}
    for name, call in calls.items():
        tasks = asyncio.all_tasks()
        bench.wire.strike(HANGS_BEFORE, times=ALWAYS)
        task = asyncio.get_running_loop().create_task(failure_of(call))
        await bench.live(1.0)
        task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        bench.wire.mend()
        expect(isinstance(result, asyncio.CancelledError), f"{name} was cancelled, and went on: {result!r:.150}")
        expect(bench.wire.open_count == 0, f"{name} was cancelled, and its request is still open")
        await bench.live(0.5)
        left = asyncio.all_tasks() - tasks - {task}
        expect(not left, f"{name} was cancelled, and tasks of it go on: {left!r:.200}")
        try:
            await asyncio.wait_for(bench.patiently(lambda call=call: call()), timeout=3600.0)  # type: ignore[misc]  # bound early
        except TimeoutError:
            fail(f"after {name} was cancelled, the next call waits for ever")


@check("faults")
async def calls_at_the_same_time_do_not_disturb_each_other(bench: Bench) -> None:
    """One connector serves the poll, the sweep, the push and the read-back of a channel, all at once."""
    start = await bench.poll(None)
    await bench.live(5.0)
    order_id = bench.placed((bench.skus[4], 1))
    readings, other, outcomes, whole, polled = await asyncio.gather(
        bench.patiently(lambda: bench.connector.read_stock(bench.skus[:2])),
        bench.patiently(lambda: bench.connector.read_stock(bench.skus[2:3])),
        bench.push(bench.write(bench.skus[3], 4)),
        bench.fetched(),
        bench.settled_orders(start.cursor),
    )
    expect({one.channel_sku for one in readings} == set(bench.skus[:2]), "one reading got what another asked for")
    expect([one.channel_sku for one in other] == bench.skus[2:3], "one reading got what another asked for")
    expect(isinstance(outcomes[0], Applied | Accepted), f"beside other calls a good write is {kinds_of(outcomes)}")
    expect({one.channel_sku for one in whole} == set(bench.skus), "beside other calls the whole stock is not whole")
    expect(order_id in polled.orders, "beside other calls a poll missed an order")


@check("faults")
async def nothing_is_called_inside_a_transaction(bench: Bench) -> None:
    """A channel that hangs would hold the locks of the ledger. Whoever calls it through `http` is stopped."""
    cursor = (await bench.poll(None)).cursor
    await bench.read(*bench.skus)
    calls: dict[str, Call] = {
        **readings_of(bench, cursor),
        "preflight": bench.connector.preflight,
        "push": lambda: bench.connector.push([bench.write(bench.skus[0], 3)]),
    }
    for name, call in calls.items():
        sent = len(bench.wire.sent)
        with transaction_open():
            try:
                await call()
            except InvariantError:
                pass
            else:
                fail(f"{name} was called inside a transaction, and was not stopped")
        expect(len(bench.wire.sent) == sent, f"{name} called the channel inside a transaction")


@check("faults")
async def whatever_the_simulator_knows_ends_in_a_fault_or_an_outcome(bench: Bench) -> None:
    """Each fault on the switch, all the time: every call ends as the contract says, and afterwards all is well."""
    for name in bench.simulator.switches.names:
        async with bench.another() as own:
            cursor = (await own.poll(None)).cursor
            own.simulator.switches.set({name: 1.0})
            for call in readings_of(own, cursor).values():
                await failure_of(call)
                await own.live(5.0)
            writes = [own.write(sku, 3) for sku in own.skus]
            outcomes: tuple[WriteOutcome, ...] = ()

            async def push(own: Bench = own, writes: list[StockWrite] = writes) -> None:
                nonlocal outcomes
                outcomes = await own.connector.push(writes)

            fault = await failure_of(push)
            is_bounded = fault is not None or len(outcomes) == len(writes)
            expect(is_bounded, f"{name}: {len(writes)} writes had {len(outcomes)} outcomes")
            own.simulator.switches.set({name: 0.0})
            await own.live(120.0)
            await own.fetched()
