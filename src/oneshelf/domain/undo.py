"""Taking back what people and files did to units: for each command the opposite, once, and never for orders.

The ledger is never rewound. What was sold since stands: the opposite of a difference is a difference, and differences
commute with sales.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid5

from oneshelf.domain.account import StockState
from oneshelf.domain.command import MOVABLE_STATES, Adjust, Command, CommandKey, Move
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.movement import Reason

SCOPE = "undo"
# What can be taken back. Transfers and kits have commands of their own that lead back.
REVERSIBLE = (Reason.RECEIVED, Reason.ADJUSTED, Reason.COUNTED, Reason.SEEN_BY_COUNT, Reason.MOVED, Reason.WRITTEN_OFF)
_KEYS = UUID("5b0c7a54-2f0e-5d0c-9b1f-756e646f0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What one command did to the units of a SKU at a location. `changes`: state -> units more, or fewer.

    `source`: scope and key of the command, as its movements carry them. `is_undone`: its opposite was posted before.
    """

    source: str
    sku: Sku
    location: Location
    reasons: tuple[str, ...]
    changes: Mapping[StockState, int]
    is_undone: bool = False

    @property
    def units(self) -> int:
        """By how many units on hand became more."""
        return sum(units for state, units in self.changes.items() if state is not StockState.INCOMING)


def key_of(source: str, sku: str, location: str) -> str:
    """The key of the opposite: the same deed is taken back once, whoever asks and however often."""
    return str(uuid5(_KEYS, f"{source}\n{sku}\n{location}"))


def opposite(deed: Deed) -> list[Command]:
    """The commands that take a deed back, in this order. Empty where it changed nothing on hand.

    The first one carries the deed's own key. What was taken from other states than available comes back there.
    """
    key = key_of(deed.source, deed.sku, deed.location)
    moved = {state: units for state, units in deed.changes.items() if units and state in MOVABLE_STATES}
    moved.pop(StockState.AVAILABLE, None)
    commands: list[Command] = []
    for state in sorted(moved):
        if moved[state] > 0:
            commands.append(_move(deed, f"{key}/{state}", moved[state], state, StockState.AVAILABLE))
    if deed.units:
        adjusted = CommandKey(scope=SCOPE, key=key)
        why = f"undo of {deed.source}"[:200]
        commands.append(Adjust(key=adjusted, sku=deed.sku, location=deed.location, delta_units=-deed.units, reason=why))
    for state in sorted(moved):
        if moved[state] < 0:
            commands.append(_move(deed, f"{key}/{state}", -moved[state], StockState.AVAILABLE, state))
    return commands


def opposites(deeds: Iterable[Deed]) -> list[Command]:
    """All commands that take these deeds back, each deed's in its order."""
    return [command for deed in deeds for command in opposite(deed)]


def keys_of(deed: Deed) -> list[str]:
    """All keys under which an opposite of this deed may have been posted."""
    key = key_of(deed.source, deed.sku, deed.location)
    return [key, *(f"{key}/{state}" for state in MOVABLE_STATES)]


def to_undo(deeds: Iterable[Deed]) -> list[Deed]:
    """Those that still change something, newest facts first as they came."""
    return [deed for deed in deeds if not deed.is_undone and opposite(deed)]


def _move(deed: Deed, key: str, units: int, origin: StockState, target: StockState) -> Move:
    return Move(
        key=CommandKey(scope=SCOPE, key=key),
        sku=deed.sku,
        location=deed.location,
        units=units,
        origin=origin,
        target=target,
    )
