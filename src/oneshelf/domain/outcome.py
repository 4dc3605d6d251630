"""What the ledger answers to a command.

A refusal is an answer with figures in it, never an exception: nothing was moved, and asking again with the same
key gives the same refusal. Where several refusals fit, the first in this order is given: unknown SKU, unknown
location, what is named does not exist, it has ended, it is of another kind, there are too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from oneshelf.domain.identity import Location, Sku


@dataclass(frozen=True, slots=True)
class Posted:
    """Done. `units_moved` is what moved in all, `available` what is free to sell there now."""

    units_moved: int
    available: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """Done: these units are set aside, a hold until `expires_at`."""

    reservation_id: UUID
    units: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """Done: the reservation belongs to its order. `units_short`: a count has found that they are not there."""

    reservation_id: UUID
    units: int
    units_short: int


@dataclass(frozen=True, slots=True)
class Released:
    """Done: these units are free again."""

    reservation_id: UUID
    units: int


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
class NoSuchReservation:
    """Not done: nobody has made this reservation."""

    reservation_id: UUID


@dataclass(frozen=True, slots=True)
class ReservationEnded:
    """Not done: the reservation was claimed, released or has expired. Reserve again."""

    reservation_id: UUID
    state: str


@dataclass(frozen=True, slots=True)
class NotAHold:
    """Not done: only a hold has an end that can be moved, and a lock is a lock already."""

    reservation_id: UUID
    kind: str


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


Done = Posted | Reserved | Claimed | Released
Refusal = (
    Short
    | CountBelowPromised
    | NoSuchReservation
    | ReservationEnded
    | NotAHold
    | UnknownSku
    | UnknownLocation
    | KeyReused
)
Outcome = Done | Refusal


def in_words(outcome: Outcome) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case Posted() | Reserved() | Claimed() | Released():
            return _done_in_words(outcome)
        case NoSuchReservation() | ReservationEnded() | NotAHold():
            return _reservation_in_words(outcome)
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
        case _:
            assert_never(outcome)


def _done_in_words(outcome: Done) -> str:
    match outcome:
        case Posted(units_moved, available):
            return f"posted: {units_moved} units moved, {available} available"
        case Reserved(reservation_id, units, expires_at):
            until = f" until {expires_at:%Y-%m-%d %H:%M:%S} UTC" if expires_at else ""
            return f"reserved: {units} units{until}, as {reservation_id}"
        case Claimed(reservation_id, units, units_short):
            lost = f"; {units_short} more are short since a count" if units_short else ""
            return f"claimed: {units} units of {reservation_id} belong to the order{lost}"
        case Released(reservation_id, units):
            return f"released: {units} units of {reservation_id} are free again"
        case _:
            assert_never(outcome)


def _reservation_in_words(outcome: NoSuchReservation | ReservationEnded | NotAHold) -> str:
    match outcome:
        case NoSuchReservation(reservation_id):
            return f"refused: no reservation {reservation_id}"
        case ReservationEnded(reservation_id, state):
            return f"refused: reservation {reservation_id} is {state}; reserve again"
        case NotAHold(reservation_id, kind):
            return f"refused: reservation {reservation_id} is a {kind}, not a hold"
        case _:
            assert_never(outcome)
