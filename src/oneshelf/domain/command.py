"""What people and programs ask of the ledger, and what it answers.

A refusal is an answer with figures in it, never an exception: nothing was moved, and asking again with the same
key gives the same refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from oneshelf.domain.identity import Location, Sku
from oneshelf.errors import MalformedError

KEY_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandKey:
    """Makes a command happen once: `scope` is who numbers, `key` is the number they gave it."""

    scope: str
    key: str

    def __post_init__(self) -> None:
        is_printable = all(0x21 <= ord(character) <= 0x7E for character in self.key)
        if not 1 <= len(self.key) <= KEY_LENGTH_MAX or not is_printable:
            raise MalformedError(f"an idempotency key is 1 to {KEY_LENGTH_MAX} visible ASCII characters")


class CountedFigure(StrEnum):
    """What a counted number says."""

    ON_HAND = "on_hand"  # everything that lies there, whoever it is promised to
    AVAILABLE = "available"  # what is free to sell


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Goods came in: supplier → available."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Somebody corrects the available units by a difference: found → available, or available → shrinkage."""

    key: CommandKey
    sku: Sku
    location: Location
    delta_units: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Somebody counted. The difference to the ledger goes to or comes from `shrinkage` and `found`."""

    key: CommandKey
    sku: Sku
    location: Location
    units: int
    figure: CountedFigure = CountedFigure.ON_HAND


Command = Receive | Adjust | Count


@dataclass(frozen=True, slots=True)
class Posted:
    """Done. `units_moved` is what moved in all, `available` what is free to sell there now."""

    units_moved: int
    available: int


@dataclass(frozen=True, slots=True)
class Short:
    """Not done: there are fewer than asked for."""

    sku: Sku
    location: Location
    asked: int
    available: int


@dataclass(frozen=True, slots=True)
class CountBelowPromised:
    """Not done: fewer were counted than are promised to orders. Cancel orders, or count again."""

    sku: Sku
    location: Location
    counted: int
    promised: int


@dataclass(frozen=True, slots=True)
class UnknownSku:
    """Not done: nobody has named this SKU to us."""

    sku: Sku


@dataclass(frozen=True, slots=True)
class UnknownLocation:
    """Not done: nobody has named this location to us."""

    location: Location


@dataclass(frozen=True, slots=True)
class KeyReused:
    """Not done: this key was used before for something else."""

    key: str


Refusal = Short | CountBelowPromised | UnknownSku | UnknownLocation | KeyReused
Outcome = Posted | Refusal


def in_words(outcome: Outcome) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case Posted(units_moved, available):
            return f"posted: {units_moved} units moved, {available} available"
        case Short(sku, location, asked, available):
            return f"short: {sku} at {location}: asked {asked}, available {available}"
        case CountBelowPromised(sku, location, counted, promised):
            return f"refused: {sku} at {location}: counted {counted}, but {promised} are promised to orders"
        case UnknownSku(sku):
            return f"refused: no SKU {sku}"
        case UnknownLocation(location):
            return f"refused: no location {location}"
        case KeyReused(key):
            return f"refused: the idempotency key {key} was used before for another command"
