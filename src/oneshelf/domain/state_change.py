"""Units that somebody moved at a channel between sale and another stock state: what explains a figure, and what the
ledger makes of it.

A channel shows two things in one reading: what is on sale, and what lies in the other states. Where the first fell by
no more than the others rose since they were last accounted for, the units were not sold: they lie somewhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from oneshelf.domain.account import Account, StockState
from oneshelf.domain.ledger import BalanceKey, Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.shortening import shorten_promises

# States that units are kept in from sale, and that no order moves. What is committed follows from orders, which come as
# facts, and what is incoming is not there yet.
KEPT_STATES = (StockState.DAMAGED, StockState.QUALITY_CONTROL, StockState.SAFETY_STOCK, StockState.RESERVED)

# Where the ledger keeps them. Its own reserved units belong to a reservation that somebody ends; what a channel
# reserved belongs to none.
BOOKED_AS: Mapping[StockState, StockState] = {
    **{state: state for state in KEPT_STATES},
    StockState.RESERVED: StockState.SAFETY_STOCK,
}

States = Mapping[StockState, int]


class Rule(StrEnum):
    """What becomes of such units, as a person has said of the channel."""

    BOOK = "book"  # the ledger follows at once
    ASK = "ask"  # a person decides about each
    IGNORE = "ignore"  # the ledger is right: our figure is written again


@dataclass(frozen=True, slots=True, order=True)
class StateMove:
    """`units` moved from sale into `state`; below zero: from there back on sale. In units of the listing (packs)."""

    state: StockState
    units: int


def kept_from(states: Mapping[StockState, int]) -> dict[StockState, int]:
    """What is remembered of a reading: the states that units are kept in, where there are any."""
    return {state: states[state] for state in KEPT_STATES if states.get(state, 0)}


def moves_behind(accounted: States, shown: States, *, fall: int) -> tuple[StateMove, ...]:
    """The moves that explain a fall of so many units on sale, or a rise (below zero); at most as many as that.

    What rose or fell more than the figure on sale is somebody's correction of that state, and moves nothing.
    """
    sign, left = (1 if fall > 0 else -1), abs(fall)
    moves = []
    for state in KEPT_STATES:
        units = min(left, max(0, sign * (shown.get(state, 0) - accounted.get(state, 0))))
        if units:
            moves.append(StateMove(state, sign * units))
            left -= units
    return tuple(moves)


def units_of(moves: tuple[StateMove, ...]) -> int:
    """Units that left sale by these moves; below zero: that came back."""
    return sum(move.units for move in moves)


def with_moves(accounted: States, moves: tuple[StateMove, ...]) -> States:
    """The states with these moves taken into account."""
    counted = dict(accounted)
    for move in moves:
        counted[move.state] = counted.get(move.state, 0) + move.units
    return kept_from(counted)


def in_words(moves: tuple[StateMove, ...]) -> str:
    """Such as `2 to damaged, 1 to quality control`."""
    return ", ".join(
        f"{abs(move.units)} {'to' if move.units > 0 else 'back from'} {move.state.replace('_', ' ')}" for move in moves
    )


def book(
    shelf: Shelf, key: BalanceKey, moves: tuple[StateMove, ...], *, pack_units: int, source: str
) -> tuple[StateMove, ...]:
    """Move the units in the ledger as they were moved at the channel. Returns what was moved.

    Units that left sale are there for nobody: where fewer are free, the latest promises are short, as when a count
    finds less. Units come back only as far as the ledger has them in that state.
    """
    done = []
    for move in moves:
        units = _take(shelf, key, move, abs(move.units) * pack_units, source)
        packs = units // pack_units
        if packs:
            done.append(StateMove(move.state, packs if move.units > 0 else -packs))
    shelf.fill_shortages()
    return tuple(done)


def _take(shelf: Shelf, key: BalanceKey, move: StateMove, units: int, source: str) -> int:
    """How many of the units were moved."""
    sku, location = key
    kept = BOOKED_AS[move.state]
    origin, target = (StockState.AVAILABLE, kept) if move.units > 0 else (kept, StockState.AVAILABLE)

    def take(state: StockState, taken: int) -> None:
        shelf.move(
            sku,
            origin=Account(state, location),
            target=Account(target, location),
            units=taken,
            reason=Reason.MOVED,
            source=source,
        )

    there = min(units, shelf.balances[key].units[origin])
    take(origin, there)
    if move.units < 0:
        return there
    return units - shorten_promises(shelf, key, units - there, take=take)
