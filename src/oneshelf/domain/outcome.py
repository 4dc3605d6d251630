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

import msgspec

from oneshelf.domain.count_outcome import (
    BeforeHistory,
    CountDone,
    Counted,
    CountOutdated,
    CountRefusal,
    InFuture,
    NoSuchCount,
    PostedLate,
    counted_in_words,
)
from oneshelf.domain.identity import UNITS_MAX, Channel, Location, Sku
from oneshelf.domain.kit_outcome import KitRefusal, kit_in_words
from oneshelf.domain.shipment_outcome import OfShipment, ShipmentDone, ShipmentRefusal, shipment_in_words


class Posted(msgspec.Struct, frozen=True):
    """Done. `units_moved` is what moved in all, `available` what is free to sell there now."""

    units_moved: int
    available: int


class Grant(msgspec.Struct, frozen=True):
    """Of what was asked: `granted` are set aside, `short` are promised and wait for units, `refused` are neither.

    A bundle is counted in whole ones; it is short when one of its components is.
    """

    sku: Sku
    location: Location
    asked: int
    granted: int
    short: int
    refused: int


class Reserved(msgspec.Struct, frozen=True, omit_defaults=True):
    """Done: these units are set aside, a hold until `expires_at`; `units_short` more are promised and wait for units.

    `grants`: by SKU and location, where parts were allowed or something is short. What is none is not written down.
    """

    reservation_id: UUID
    units: int
    expires_at: datetime | None
    units_short: int = 0
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """Done: the reservation belongs to its order. `units_short`: promised, and not there; the order waits for them."""

    reservation_id: UUID
    units: int
    units_short: int


@dataclass(frozen=True, slots=True)
class Released:
    """Done: these units are free again."""

    reservation_id: UUID
    units: int


@dataclass(frozen=True, slots=True)
class CountedShort:
    """Done: less lies there than was promised. `units_short` of the latest promises wait for units now."""

    units_moved: int
    available: int
    units_short: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Done: `units` are there, `units_over` of them beyond what was sent: in quality control. `units_lost` are gone."""

    units: int
    units_over: int
    units_lost: int
    available: int


class Short(msgspec.Struct, frozen=True, omit_defaults=True):
    """Not done: there are fewer than asked for. `backorderable`: so many more might be promised beyond the shelf.

    `sellable_by_listings`: so many more are there, and listings of the guarded SKU may sell them at any moment.
    """

    sku: Sku
    location: Location
    asked: int
    available: int
    backorderable: int = 0
    sellable_by_listings: int = 0


@dataclass(frozen=True, slots=True)
class TooFew:
    """Not done: there are fewer in this state than asked for."""

    sku: Sku
    location: Location
    state: str
    asked: int
    there: int


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Not done: no shelf holds that many; somebody mistyped."""

    sku: Sku
    location: Location
    asked: int
    there: int


@dataclass(frozen=True, slots=True)
class NoSuchTransfer:
    """Not done: no units of this SKU were dispatched under this number."""

    transfer_id: str
    sku: Sku


@dataclass(frozen=True, slots=True)
class TransferExists:
    """Not done: units of this SKU were dispatched under this number before. Give each dispatch its own."""

    transfer_id: str
    sku: Sku
    units_sent: int


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """Not done: this transfer has arrived. What came later is to be received, or adjusted."""

    transfer_id: str
    sku: Sku
    units_sent: int
    units_arrived: int
    units_lost: int


@dataclass(frozen=True, slots=True)
class NoSuchLine:
    """Not done: the order has no line of this SKU that this may be done to."""

    channel: Channel
    order_id: str
    sku: Sku


@dataclass(frozen=True, slots=True)
class NotThatManyShipped:
    """Not done: fewer units have left for the customer, and not yet come back."""

    channel: Channel
    order_id: str
    sku: Sku
    asked: int
    shipped: int
    returned: int


@dataclass(frozen=True, slots=True)
class NotThatManyHeld:
    """Not done: the order holds fewer units. `held` are committed to it, `short` it waits for."""

    channel: Channel
    order_id: str
    sku: Sku
    asked: int
    held: int
    short: int


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
class IsBundle:
    """Not done: a bundle has no units of its own. Name its `components`."""

    sku: Sku
    components: str


@dataclass(frozen=True, slots=True)
class KeyReused:
    """Not done: this key was used before for something else."""

    key: str


@dataclass(frozen=True, slots=True)
class AnsweredBefore:
    """Not done again: the command was answered before, and the figures of the answer are not kept any more.

    `kind` is what it was: `Posted`, `Reserved`, `Short` … What was refused
    may be asked again with a new key.
    """

    key: str
    kind: str


Done = Posted | Reserved | Claimed | Released | CountedShort | Arrived | CountDone | ShipmentDone
OfShelf = Short | TooFew | NoRoom | IsBundle
OfReservation = NoSuchReservation | ReservationEnded | NotAHold
OfTransfer = NoSuchTransfer | TransferExists | TransferEnded
OfOrder = NoSuchLine | NotThatManyShipped | NotThatManyHeld
OfCommand = UnknownSku | UnknownLocation | KeyReused | AnsweredBefore
Refusal = OfShelf | OfReservation | OfTransfer | OfOrder | CountRefusal | ShipmentRefusal | OfCommand | KitRefusal
Outcome = Done | Refusal


def in_words(outcome: Outcome) -> str:
    """The outcome as one sentence for a person."""
    if isinstance(outcome, OfShipment):
        return shipment_in_words(outcome)
    if isinstance(outcome, KitRefusal):
        return kit_in_words(outcome)
    match outcome:
        case Posted() | Reserved() | Claimed() | Released() | CountedShort() | Arrived():
            return _done_in_words(outcome)
        case NoSuchReservation() | ReservationEnded() | NotAHold():
            return _reservation_in_words(outcome)
        case NoSuchTransfer() | TransferExists() | TransferEnded():
            return _transfer_in_words(outcome)
        case NoSuchLine() | NotThatManyShipped() | NotThatManyHeld():
            return _order_in_words(outcome)
        case Short() | TooFew() | NoRoom() | IsBundle():
            return _shelf_in_words(outcome)
        case Counted() | PostedLate() | NoSuchCount() | CountOutdated() | BeforeHistory() | InFuture():
            return counted_in_words(outcome)
        case UnknownSku() | UnknownLocation() | KeyReused() | AnsweredBefore():
            return _command_in_words(outcome)
        case _:
            assert_never(outcome)


def _command_in_words(outcome: OfCommand) -> str:
    match outcome:
        case UnknownSku(sku):
            return f"refused: no SKU {sku}. Way out: oneshelf stock add-sku {sku}, or POST /v1/skus"
        case UnknownLocation(location):
            return (
                f"refused: no location {location}. "
                f"Way out: oneshelf stock add-location {location}, or POST /v1/locations"
            )
        case KeyReused(key):
            return f"refused: the idempotency key {key} was used before for another command; take a new key"
        case AnsweredBefore(key, kind):
            return f"answered before: {key} was {kind}, once; the figures of that answer are not kept any more"
        case _:
            assert_never(outcome)


def _done_in_words(outcome: Posted | Reserved | Claimed | Released | CountedShort | Arrived) -> str:
    match outcome:
        case Posted(units_moved, available):
            return f"posted: {units_moved} units moved, {available} available"
        case Reserved():
            return _reserved_in_words(outcome)
        case Claimed(reservation_id, units, units_short):
            lost = f"; it is short of {units_short} more" if units_short else ""
            return f"claimed: {units} units of {reservation_id} belong to the order{lost}"
        case Released(reservation_id, units):
            return f"released: {units} units of {reservation_id} are free again"
        case CountedShort(units_moved, available, units_short):
            return f"posted: {units_moved} units moved, {available} available; {units_short} promised units are short"
        case Arrived(units, units_over, units_lost, available):
            over = f"; {units_over} more than were sent wait in quality control: look at them" if units_over else ""
            return f"arrived: {units} units, {units_over} over, {units_lost} lost; {available} available{over}"
        case _:
            assert_never(outcome)


def _reserved_in_words(reserved: Reserved) -> str:
    until = f" until {str(reserved.expires_at)[:19]} UTC" if reserved.expires_at else ""
    short = f" and {reserved.units_short} that wait for units" if reserved.units_short else ""
    refused = "; ".join(f"{one.refused} of {one.sku} at {one.location}" for one in reserved.grants if one.refused)
    return (
        f"reserved: {reserved.units} units{short}{until}, as {reserved.reservation_id}"
        f"{'; not there: ' if refused else ''}{refused}"
    )


def _shelf_in_words(outcome: OfShelf) -> str:
    match outcome:
        case Short(sku, location, asked, available, backorderable, sellable_by_listings):
            beyond = f", {backorderable} more on backorder" if backorderable else ""
            granted = f", {sellable_by_listings} more that its listings may sell" if sellable_by_listings else ""
            return f"short: {sku} at {location}: asked {asked}, available {available}{granted}{beyond}"
        case IsBundle(sku, components):
            return f"refused: {sku} is a bundle and has no units of its own; name its components: {components}"
        case TooFew(sku, location, state, asked, there):
            return f"refused: {sku} at {location}: asked {asked}, {there} are {state}"
        case NoRoom(sku, location, asked, there):
            return f"refused: {sku} at {location}: {there} are there, {asked} more are over {UNITS_MAX}"
        case _:
            assert_never(outcome)


def _reservation_in_words(outcome: OfReservation) -> str:
    match outcome:
        case NoSuchReservation(reservation_id):
            return f"refused: no reservation {reservation_id}"
        case ReservationEnded(reservation_id, state):
            return f"refused: reservation {reservation_id} is {state}; reserve again"
        case NotAHold(reservation_id, kind):
            return f"refused: reservation {reservation_id} is a {kind}, not a hold"
        case _:
            assert_never(outcome)


def _transfer_in_words(outcome: OfTransfer) -> str:
    match outcome:
        case NoSuchTransfer(transfer_id, sku):
            return f"refused: no {sku} was dispatched as transfer {transfer_id}"
        case TransferExists(transfer_id, sku, units_sent):
            return f"refused: {units_sent} {sku} were dispatched as transfer {transfer_id} before; take another number"
        case TransferEnded(transfer_id, sku, sent, arrived, lost):
            return (
                f"refused: of {sent} {sku} of transfer {transfer_id}, {arrived} have arrived and {lost} were lost; "
                "receive what came later"
            )
        case _:
            assert_never(outcome)


def _order_in_words(outcome: OfOrder) -> str:
    match outcome:
        case NoSuchLine(channel, order_id, sku):
            return f"refused: order {channel}/{order_id} has no line of {sku} for this"
        case NotThatManyShipped(channel, order_id, sku, asked, shipped, returned):
            return (
                f"refused: {sku} of order {channel}/{order_id}: asked {asked}, shipped {shipped}, "
                f"of which {returned} came back before"
            )
        case NotThatManyHeld(channel, order_id, sku, asked, held, short):
            return f"refused: {sku} of order {channel}/{order_id}: asked {asked}, holds {held}, short of {short}"
        case _:
            assert_never(outcome)
