"""Writes: each is done once, as it was asked, or it is said that it was not."""

from __future__ import annotations

from oneshelf.errors import InvariantError, MalformedError
from oneshelf.sdk.capability import ZOMBIE_S
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import (
    CannotHappenError,
    applied_later,
    applied_when_answered,
    check,
    comparison,
    expect,
    must_happen,
    no_comparison,
    no_daily_changes,
    no_key,
)
from oneshelf.sdk.conformance.stock import NOWHERE
from oneshelf.sdk.conformance.wire import Sent
from oneshelf.sdk.contract import RemembersKeys
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Accepted, Applied, Refused, Stale, StockWrite, Throttled, WriteOutcome

DAY_S = 86_400.0


def kinds_of(outcomes: tuple[WriteOutcome, ...]) -> list[str]:
    """The outcomes in words."""
    return [type(outcome).__name__ for outcome in outcomes]


def done(bench: Bench) -> type[Applied] | type[Accepted]:
    """What a write that was taken is called at this channel."""
    return Applied if bench.kind.capability.is_applied_when_answered else Accepted


async def _pushed(bench: Bench, *writes: StockWrite) -> tuple[WriteOutcome, ...]:
    before = bench.shown()
    outcomes = await bench.push(*writes)
    await bench.judge(writes, outcomes, before)
    return outcomes


@check("writes", proves=("is_applied_when_answered",), unless=applied_later)
async def an_applied_figure_is_shown_at_once(bench: Bench) -> None:
    """Applied frees the units that a cut takes off sale. Said too early, they are sold twice."""
    sku = bench.skus[0]
    (outcome,) = await bench.push(bench.write(sku, 4))
    expect(outcome == Applied(), f"is_applied_when_answered is declared, and a good write is {outcome}")
    expect(bench.shown()[sku] == 4, f"Applied, and the listing shows {bench.shown()[sku]} instead of 4")
    expect(await bench.units_read(sku) == 4, "Applied, and a reading shows another figure")


@check("writes", proves=("is_applied_when_answered", "apply_s"), unless=applied_when_answered)
async def an_accepted_figure_is_shown_within_the_declared_time(bench: Bench) -> None:
    """Accepted is not applied. After `apply_s` the engine calls the write lost, and writes again."""
    sku = bench.skus[0]
    (outcome,) = await bench.push(bench.write(sku, 4))
    expect(outcome == Accepted(), f"a good write is {outcome}: this channel does not apply when it answers")
    await bench.live(bench.kind.capability.apply_s)
    expect(await bench.units_read(sku) == 4, f"after apply_s it shows {bench.shown()[sku]} instead of 4")


@check("writes", proves=("apply_s",), unless=applied_when_answered)
async def an_accepted_write_that_is_never_applied_shows_in_a_reading(bench: Bench) -> None:
    """The channel takes it and drops it. A connector that remembers its own write would prove what nobody sees."""
    sku = bench.skus[0]
    must_happen("write_never_applied" in bench.simulator.switches.names, "drop a write that it accepted")
    bench.simulator.switches.set({"write_never_applied": {"next": 1}})
    (outcome,) = await bench.push(bench.write(sku, 4))
    expect(outcome == Accepted(), f"the write that will be dropped is {outcome}")
    await bench.live(bench.kind.capability.apply_s)
    read = await bench.units_read(sku)
    expect(read == 10, f"the write was dropped, the listing shows 10, and {read} was read")


@check("writes", proves=("apply_s",), unless=applied_later)
async def an_applied_figure_is_read_back(bench: Bench) -> None:
    """Only a reading proves a write. A connector that remembers its own write would prove what nobody sees."""
    sku = bench.skus[0]
    await bench.push(bench.write(sku, 4))
    bench.simulator.edit_by_hand(sku, 9)
    read = await bench.units_read(sku)
    expect(read == 9, f"after our write of 4 somebody set 9, and {read} was read")


@check("writes")
async def zero_is_zero(bench: Bench) -> None:
    """Taking off sale is the write that matters most. An empty field that leaves the figure alone oversells."""
    sku = bench.skus[0]
    (outcome,) = await _pushed(bench, bench.write(sku, 0))
    expect(isinstance(outcome, done(bench)), f"a write of 0 is {outcome}")
    expect(await bench.units_read(sku) == 0, f"0 was written, and the listing shows {bench.shown()[sku]}")
    (outcome,) = await _pushed(bench, bench.write(sku, 7))
    expect(isinstance(outcome, done(bench)), f"a write from 0 to 7 is {outcome}")


@check("writes", proves=("batch_writes",))
async def outcomes_come_in_the_order_of_the_writes(bench: Bench) -> None:
    """One bad row in the middle: its neighbours are written, and each outcome is its own."""
    writes = [bench.write(sku, at) for at, sku in enumerate(bench.skus)]
    nowhere = StockWrite(key=bench.clock.new_id(), channel_sku=NOWHERE, units=1, expected_units=1)
    batch = [*writes[:2], nowhere, *writes[2:]][: bench.kind.capability.batch_writes]
    before = bench.shown()
    outcomes = await bench.push(*batch)
    expect(len(outcomes) == len(batch), f"{len(batch)} writes had {len(outcomes)} outcomes")
    for write, outcome in zip(batch, outcomes, strict=True):
        wanted = Refused if write is nowhere else done(bench)
        expect(
            isinstance(outcome, wanted), f"of {[w.channel_sku for w in batch]} the outcomes are {kinds_of(outcomes)}"
        )
    good = [(write, outcome) for write, outcome in zip(batch, outcomes, strict=True) if write is not nowhere]
    await bench.judge([write for write, _ in good], [outcome for _, outcome in good], before)


@check("writes", proves=("batch_writes",))
async def a_whole_batch_is_written(bench: Bench) -> None:
    """The engine sends as many as are declared."""
    count = bench.kind.capability.batch_writes
    async with bench.another(items=count) as big:
        writes = [big.write(sku, at % 9) for at, sku in enumerate(big.skus)]
        left, tries = writes, 0
        while left and tries < 100:
            outcomes = await big.push(*left)
            expect(len(outcomes) == len(left), f"{len(left)} writes had {len(outcomes)} outcomes")
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refused | Stale)]
            expect(not refused, f"batch_writes declares {count}, and a batch of good writes met {refused[:1]}")
            pairs = zip(left, outcomes, strict=True)
            left, tries = [write for write, outcome in pairs if not isinstance(outcome, done(big))], tries + 1
            await big.live(1.0)
        expect(not left, f"of {count} good writes {len(left)} were never done")
        await big.applied()
        wrong = [write for write in writes if big.shown()[write.channel_sku] != write.units]
        expect(not wrong, f"said to be done, and not shown: {wrong[:2]}")


@check("writes", proves=("batch_writes",))
async def a_batch_that_is_too_large_is_refused_or_written_whole(bench: Bench) -> None:
    """What is cut off silently keeps its old figure for ever."""
    count = bench.kind.capability.batch_writes + 1
    async with bench.another(items=count) as big:
        writes, before = [big.write(sku, 3) for sku in big.skus], big.shown()
        try:
            outcomes = await big.connector.push(writes)
        except (InvariantError, ChannelFault):
            await big.applied()
            expect(big.shown() == before, "a batch that is too large was refused, and something of it was written")
            return
        await big.judge(writes, outcomes, before)


@check("writes")
async def an_empty_push_does_nothing(bench: Bench) -> None:
    """Nothing to write is no reason for a call."""
    sent = len(bench.wire.sent)
    expect(await bench.connector.push([]) == (), "no writes had outcomes")
    expect(not [one for one in bench.wire.sent[sent:] if one.is_write], "no writes were sent in a call")


@check("writes", proves=("key_life_s",), unless=no_key)
async def one_key_is_written_once(bench: Bench) -> None:
    """A reply is lost, the same write goes again. Meanwhile the units were sold: written twice, they are back."""
    sku = bench.skus[0]
    write = bench.write(sku, 30)
    (outcome,) = await bench.push(write)
    expect(isinstance(outcome, done(bench)), f"a good write is {outcome}")
    await bench.applied()
    bench.placed((sku, 20))  # 10 again, as the write expects
    await bench.push(write)
    await bench.applied()
    expect(bench.shown()[sku] == 10, f"sent twice under one key, it was written twice: {bench.shown()[sku]} on sale")


@check("writes", proves=("key_life_s",), unless=no_key)
async def whether_keys_are_remembered_can_be_tried(bench: Bench) -> None:
    """What is declared is tried at each account, by `remembers_key`, without changing what is on sale."""
    expect(isinstance(bench.connector, RemembersKeys), "key_life_s is declared, and there is no remembers_key")
    assert isinstance(bench.connector, RemembersKeys)
    sku, before = bench.skus[0], bench.shown()
    expect(await bench.connector.remembers_key(sku, 10, key=bench.clock.new_id()), "the simulator forgets keys")
    expect(bench.shown() == before, "trying it changed what is on sale")
    if "ignores_key" in bench.simulator.switches.names:
        bench.simulator.switches.set({"ignores_key": 1.0})
        told = await bench.connector.remembers_key(sku, 10, key=bench.clock.new_id())
        expect(told is False, f"the channel ignores keys, and remembers_key says {told}")
        expect(bench.shown() == before, "trying it changed what is on sale")


@check("writes", proves=("write_kind",), unless=no_comparison)
async def a_foreign_edit_between_reading_and_writing_is_stale(bench: Bench) -> None:
    """The figure changes in the very moment in which our write arrives: comparing has to be the channel's own act."""
    sku = bench.skus[0]
    await bench.read(sku)
    struck: list[Sent] = []

    def somebody_types(sent: Sent) -> None:
        if sent.is_write and not struck:
            struck.append(sent)
            bench.simulator.edit_by_hand(sku, 6)

    bench.wire.before = somebody_types
    (outcome,) = await bench.push(bench.write(sku, 30))
    expect(struck, "no request of the push is called a write")
    expect(isinstance(outcome, Stale), f"the figure had changed to 6, and the write is {outcome}")
    expect(bench.shown()[sku] == 6, f"stale, and the listing shows {bench.shown()[sku]} instead of the foreign 6")


@check("writes", proves=("write_kind",), unless=no_comparison)
async def what_is_compared_is_what_the_engine_believes(bench: Bench) -> None:
    """Reading the figure and comparing with what was just read buries the sale that no order has told yet."""
    sku = bench.skus[0]
    bench.placed((sku, 3))
    (outcome,) = await bench.push(bench.write(sku, 30, expected=10))
    expect(isinstance(outcome, Stale), f"we believe 10, it shows 7, and the write is {outcome}")
    expect(bench.shown()[sku] == 7, f"stale, and the listing shows {bench.shown()[sku]} instead of 7")


@check("writes", proves=("write_kind",), unless=no_comparison)
async def a_figure_below_zero_can_be_compared(bench: Bench) -> None:
    """Somebody typed -3, and goods come in. A connector that knows nothing below zero never gets the listing right."""
    sku = bench.skus[0]
    try:
        bench.simulator.edit_by_hand(sku, -3)
    except MalformedError as refusal:
        raise CannotHappenError(f"the simulator cannot show less than nothing: {refusal}") from None
    (outcome,) = await bench.push(bench.write(sku, 4, expected=-3))
    expect(isinstance(outcome, done(bench)), f"a write on top of -3 is {outcome}")
    await bench.applied()
    expect(bench.shown()[sku] == 4, f"4 was written on top of -3, and it shows {bench.shown()[sku]}")


@check("writes", proves=("write_kind",), unless=no_comparison)
async def a_stale_row_does_not_hold_up_the_others(bench: Bench) -> None:
    """One hot listing in a batch of a hundred must not keep the others from being cut."""
    await bench.read(*bench.skus)
    bench.placed((bench.skus[2], 1))
    outcomes = await _pushed(bench, *[bench.write(sku, 5, expected=10) for sku in bench.skus])
    expect(kinds_of(outcomes) == ["Applied", "Applied", "Stale", "Applied", "Applied"], f"{kinds_of(outcomes)}")


@check("writes", proves=("write_kind",), unless=comparison)
async def a_blind_write_is_written_whatever_is_shown(bench: Bench) -> None:
    """A channel that compares and is declared blind would answer Stale to a figure that nobody meant to compare."""
    sku = bench.skus[0]
    (outcome,) = await _pushed(bench, bench.write(sku, 5, expected=3))
    expect(isinstance(outcome, done(bench)), f"a blind write on another figure is {outcome}")
    await bench.applied()
    expect(bench.shown()[sku] == 5, f"5 was written, and it shows {bench.shown()[sku]}")


@check("writes")
async def what_is_called_a_reading_changes_nothing(bench: Bench) -> None:
    """A lost reply to a reading is asked for again. A write behind `http.read` would be done twice, unseen."""
    sku = bench.skus[0]
    books = bench.shown()

    def look(sent: Sent) -> None:
        nonlocal books
        expect(sent.is_write or bench.shown() == books, f"{sent.method} {sent.url} before this was called a reading")
        books = bench.shown()

    await bench.connector.preflight()
    await bench.fetched()
    await bench.poll(None)
    await bench.read(sku)
    await bench.applied()
    expect(bench.shown() == books, "readings changed what is on sale")
    bench.wire.before = look
    await bench.push(bench.write(sku, 4))
    expect(bench.wire.writes(), "a push sent no request that it calls a write (use http.write)")


@check("writes")
async def a_listing_that_cannot_be_written_is_refused_by_name(bench: Bench) -> None:
    """It is parked with the channel's own words, and a person reads them."""
    sku = bench.skus[0]
    must_happen(bench.simulator.untrack(sku) or bench.simulator.end_listing(sku), "make a listing unwritable")
    await bench.read(sku)
    outcomes = await bench.push(
        StockWrite(key=bench.clock.new_id(), channel_sku=sku, units=4, expected_units=10), bench.write(bench.skus[1], 4)
    )
    expect(isinstance(outcomes[0], Refused), f"a listing that has no figure to write is {kinds_of(outcomes)[0]}")
    expect(isinstance(outcomes[0], Refused) and outcomes[0].words.strip(), "refused without a word")
    expect(isinstance(outcomes[1], done(bench)), f"its neighbour is {kinds_of(outcomes)[1]}")


@check("writes", proves=("zombie_s",))
async def the_declared_life_of_a_lost_request_is_long_enough(bench: Bench) -> None:
    """Until it is over, a write without an answer may still arrive. No channel promises less than a proxy's minute."""
    declared = bench.kind.capability.zombie_s
    expect(declared >= ZOMBIE_S, f"zombie_s is {declared}; connections and proxies give up after {ZOMBIE_S} s")


@check("writes", proves=("changes_per_day",), unless=no_daily_changes)
async def a_days_changes_can_all_be_made_and_one_more_waits_for_the_next_day(bench: Bench) -> None:
    """Said to be fewer, the last units are never cut; said to be more, a listing is parked that tomorrow takes all."""
    sku, count = bench.skus[0], bench.kind.capability.changes_per_day
    await bench.read(sku)
    for change in range(count):
        (outcome,) = await bench.push(bench.write(sku, 3 + change % 2))
        expect(isinstance(outcome, done(bench)), f"change {change + 1} of {count} in a day is {outcome}")
    (outcome,) = await bench.connector.push([bench.write(sku, 7)])
    expect(isinstance(outcome, Throttled), f"after {count} changes in a day one more is {outcome}")
    await bench.live(DAY_S)
    (outcome,) = await bench.push(bench.write(sku, 7))
    expect(isinstance(outcome, done(bench)), f"a day later a change is {outcome}")
