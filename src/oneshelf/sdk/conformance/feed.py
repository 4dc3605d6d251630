"""Many writes in one file: each has an outcome, what is said to be taken is shown, and nothing is begun unseen."""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen, no_feed
from oneshelf.sdk.conformance.wire import REPLY_LOST
from oneshelf.sdk.contract import WritesByFeed
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError
from oneshelf.sdk.message import Accepted, Applied, FeedBegun, FeedReport, FeedState, Refused, StockWrite, WriteOutcome

LOOK_S = 30.0
LISTINGS = 60


def _writer(bench: Bench) -> WritesByFeed:
    if not isinstance(bench.connector, WritesByFeed):
        fail("feed_writes is declared, and the connector is no WritesByFeed")
    return bench.connector


async def _ready(bench: Bench, skus: Sequence[ChannelSku]) -> tuple[ChannelSku, ...]:
    """Those that may go by a feed, once all of them are known."""
    for _ in range(len(skus) + 1):
        plan = await bench.patiently(lambda: _writer(bench).plan_feed(skus))
        if not plan.unread_count:
            return plan.ready
        await bench.live(LOOK_S)
    fail(f"asked {len(skus) + 1} times, it is still not known which of {len(skus)} listings may go by a feed")


async def _begun(bench: Bench, writes: Sequence[StockWrite]) -> FeedBegun:
    return await bench.patiently(lambda: _writer(bench).begin_feed(writes))


async def _ended(bench: Bench, name: str) -> FeedReport:
    waited_s = 0.0
    while waited_s <= bench.kind.capability.feed_s_max:
        report = await bench.patiently(lambda: _writer(bench).look_at_feed(name))
        if report.state is not FeedState.UNDER_WAY:
            return report
        await bench.live(LOOK_S)
        waited_s += LOOK_S
    fail(f"of a channel where nothing is wrong a feed is under way for {waited_s:.0f} s")


def _outcome(begun: FeedBegun, report: FeedReport, write: StockWrite, *, count: int) -> WriteOutcome | None:
    sku = write.channel_sku
    others = report.others if report.write_count == count - len(begun.left_out) else None
    return begun.left_out.get(sku) or report.outcomes.get(sku) or others


@check("feed", proves=("feed_writes", "feed_writes_least", "feed_s_max"), unless=no_feed)
async def a_feed_is_worked_through_and_shows_in_time(bench: Bench) -> None:
    """What a feed is said to have done counts as written: nobody writes it again before it has had its time."""
    declared = bench.kind.capability
    expect(1 < declared.feed_writes_least <= declared.feed_writes, "a feed that is never worth it is declared")
    async with bench.another(items=LISTINGS) as big:
        ready = await _ready(big, big.skus)
        expect(ready == tuple(big.skus), f"{len(ready)} of {LISTINGS} listings may go by a feed")
        writes = [big.write(sku, 20 + at) for at, sku in enumerate(ready)]
        begun = await _begun(big, writes)
        report = await _ended(big, begun.name)
        expect(report.state is FeedState.DONE, f"of a channel where nothing is wrong a feed is {report.state}")
        outcomes = [_outcome(begun, report, write, count=len(writes)) for write in writes]
        expect(all(isinstance(one, Accepted | Applied) for one in outcomes), f"not all are taken: {outcomes[:3]}")
        await big.live(declared.apply_s)
        shown = big.shown()
        wrong = [
            (one.channel_sku, one.units, shown[one.channel_sku])
            for one in writes
            if shown[one.channel_sku] != one.units
        ]
        expect(not wrong, f"{len(wrong)} of {LISTINGS} figures are not shown (listing, written, shown): {wrong[:3]}")


@check("feed", proves=("feed_writes",), unless=no_feed)
async def a_feed_never_writes_what_must_not_be_written(bench: Bench) -> None:
    """One listing that the channel counts itself is not worth the figures of all the others."""
    async with bench.another(items=4) as small:
        first, second, *rest = small.skus
        must_happen(small.simulator.untrack(first), "have a listing of which it keeps no quantity")
        before = small.shown()
        ready = await _ready(small, small.skus)
        expect(first not in ready, f"{first} is said to be ready, and the channel keeps no quantity of it")
        must_happen(small.simulator.end_listing(second), "end a listing")
        writes = [small.write(sku, 30, expected=10) for sku in (first, second, *rest)]
        begun = await _begun(small, writes)
        report = await _ended(small, begun.name)
        for write in writes[:2]:
            outcome = _outcome(begun, report, write, count=len(writes))
            expect(isinstance(outcome, Refused), f"{write.channel_sku} cannot be written, and is {outcome}")
        for write in writes[2:]:
            outcome = _outcome(begun, report, write, count=len(writes))
            expect(isinstance(outcome, Accepted | Applied), f"{write.channel_sku} can be written, and is {outcome}")
        await small.live(bench.kind.capability.apply_s)
        expect(small.shown()[first] == before[first], f"{first} was written: {small.shown()[first]}")


@check("feed", proves=("feed_writes", "feed_shown_s"), unless=no_feed)
async def a_feed_without_an_answer_is_found_again(bench: Bench) -> None:
    """It may be worked through for hours, whether its beginning was answered or not."""
    async with bench.another() as other:
        ready, since = await _ready(other, other.skus), other.clock.now()
        writes = [other.write(sku, 30) for sku in ready]
        other.wire.strike(REPLY_LOST, writes_only=True)
        try:
            await other.patiently(lambda: _writer(other).begin_feed(writes))
        except OutcomeUnknownError:
            pass
        except ChannelFault as fault:
            fail(f"the answer was lost on its way, which is told as {fault!r:.120}")
        else:
            fail("the answer was lost on its way, and a feed is said to have been begun")
        await other.live(bench.kind.capability.feed_shown_s)
        names = await other.patiently(lambda: _writer(other).find_feeds(since=since))
        expect(len(names) == 1, f"one feed was begun since then, and {len(names)} are found")
        expect((await _ended(other, names[0])).state is FeedState.DONE, "the feed that is found is not worked through")


@check("feed", proves=("feed_writes",), unless=no_feed)
async def a_feed_that_is_dropped_in_time_writes_nothing(bench: Bench) -> None:
    """The engine goes on to write by itself. A feed that follows behind would bury it."""
    async with bench.another() as other:
        ready, before = await _ready(other, other.skus), other.shown()
        begun = await _begun(other, [other.write(sku, 30) for sku in ready])
        await other.patiently(lambda: _writer(other).drop_feed(begun.name))
        report = await _ended(other, begun.name)
        expect(report.state is FeedState.CANCELLED, f"it was dropped at once, and is {report.state}")
        await other.live(bench.kind.capability.apply_s)
        expect(other.shown() == before, "a feed that is said to be cancelled has written")
