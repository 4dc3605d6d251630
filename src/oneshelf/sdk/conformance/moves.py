"""Moves of units between stock states: all of a move or none, once, and only from the figures that were read."""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, fail, no_movable_states
from oneshelf.sdk.conformance.stock import NOWHERE
from oneshelf.sdk.contract import MovesUnits
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Applied, Refused, Stale, UnitMove, WriteOutcome


def _movable(bench: Bench) -> tuple[StockState, ...]:
    return tuple(StockState(name) for name in bench.kind.capability.movable_states)


async def _held(bench: Bench, sku: ChannelSku) -> dict[StockState, int]:
    """What lies in the states that can be moved, as it is read."""
    reading = (await bench.read(sku))[sku]
    expect(reading.states is not None, "movable_states are declared, and a reading tells no states")
    told = dict(reading.states or {})
    return {state: told.get(state, 0) for state in _movable(bench)}


def _move(
    bench: Bench,
    sku: ChannelSku,
    units: int,
    origin: StockState | None,
    target: StockState | None,
    held: Mapping[StockState, int],
) -> UnitMove:
    expected = {state: held[state] for state in (origin, target) if state is not None}
    return UnitMove(bench.clock.new_id(), sku, units, origin, target, expected)


async def _moved(bench: Bench, move: UnitMove) -> WriteOutcome:
    connector = bench.connector
    if not isinstance(connector, MovesUnits):
        fail("movable_states are declared, and the connector is no MovesUnits")
    return await bench.patiently(lambda: connector.move_units(move))


@check("writes", proves=("movable_states",), unless=no_movable_states)
async def units_move_between_every_two_declared_states(bench: Bench) -> None:
    """A unit that leaves one state and arrives in none is lost; one that arrives and stays is sold twice."""
    sku = bench.skus[0]
    for target in _movable(bench):
        if target is StockState.AVAILABLE:
            continue
        for origin, end, units in ((StockState.AVAILABLE, target, 3), (target, StockState.AVAILABLE, 2)):
            held = await _held(bench, sku)
            outcome = await _moved(bench, _move(bench, sku, units, origin, end, held))
            expect(outcome == Applied(), f"{units} units from {origin} to {end}: {outcome}")
            wanted = {**held, origin: held[origin] - units, end: held[end] + units}
            after = await _held(bench, sku)
            expect(after == wanted, f"{units} units went from {origin} to {end}: {held} became {after}")


@check("writes", proves=("movable_states",), unless=no_movable_states)
async def units_come_into_each_declared_state_and_leave_it(bench: Bench) -> None:
    """Units that nobody had counted, and units that are gone: the state changes by them, and no other does."""
    sku = bench.skus[0]
    for state in _movable(bench):
        for origin, end, by in ((None, state, 3), (state, None, -1)):
            held = await _held(bench, sku)
            outcome = await _moved(bench, _move(bench, sku, abs(by), origin, end, held))
            expect(outcome == Applied(), f"{by:+} units in {state}: {outcome}")
            after = await _held(bench, sku)
            expect(after == {**held, state: held[state] + by}, f"{by:+} units in {state}: {held} became {after}")


@check("writes", proves=("movable_states",), unless=no_movable_states)
async def the_same_move_twice_is_done_once(bench: Bench) -> None:
    """The answer may be lost, and the same move comes again."""
    sku, target = bench.skus[0], _movable(bench)[-1]
    held = await _held(bench, sku)
    move = _move(bench, sku, 2, StockState.AVAILABLE, target, held)
    outcomes = [await _moved(bench, move) for _ in range(3)]
    expect(outcomes[0] == Applied(), f"a good move is {outcomes[0]}")
    after = (await _held(bench, sku))[target] - held[target]
    expect(after == 2, f"one move of 2 units, sent three times, moved {after}: {outcomes}")


@check("writes", proves=("movable_states",), unless=no_movable_states)
async def a_move_from_another_figure_is_stale(bench: Bench) -> None:
    """Somebody was there between the reading and the move: whoever asked has to look again."""
    sku, target = bench.skus[0], _movable(bench)[-1]
    move = _move(bench, sku, 2, StockState.AVAILABLE, target, await _held(bench, sku))
    bench.simulator.edit_by_hand(sku, 5)
    held = await _held(bench, sku)
    outcome = await _moved(bench, move)
    expect(outcome == Stale(), f"read as 10, now 5, and a move is {outcome}")
    expect(await _held(bench, sku) == held, "the move is stale, and units were moved")


@check("writes", proves=("movable_states",), unless=no_movable_states)
async def more_than_there_are_and_what_is_not_there_are_refused(bench: Bench) -> None:
    """Half a move, or one of something else, would be worse than none."""
    sku, state = bench.skus[0], _movable(bench)[-1]
    held = await _held(bench, sku)
    outcome = await _moved(bench, _move(bench, sku, held[state] + 1, state, StockState.AVAILABLE, held))
    expect(isinstance(outcome, Refused), f"more units than there are were moved: {outcome}")
    expect(await _held(bench, sku) == held, "a refused move moved units")
    nowhere = _move(bench, NOWHERE, 1, StockState.AVAILABLE, state, held)
    try:
        outcome = await _moved(bench, nowhere)
    except ChannelFault:
        return
    expect(isinstance(outcome, Refused), f"units of a listing that is not there were moved: {outcome}")
