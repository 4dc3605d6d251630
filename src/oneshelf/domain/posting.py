"""The rules of commands: which units move for what people and programs ask."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import assert_never

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.adopting import adopt
from oneshelf.domain.bundle import Bundles, named
from oneshelf.domain.command import (
    Adjust,
    Adopt,
    Arrive,
    Assemble,
    Cancel,
    Claim,
    Command,
    Count,
    Dated,
    Disassemble,
    Dispatch,
    Expect,
    Extend,
    Move,
    Receive,
    Release,
    Reserve,
    Return,
    Ship,
    StockCommand,
)
from oneshelf.domain.counting import count
from oneshelf.domain.kit import post_kit
from oneshelf.domain.kit_outcome import KitRefusal
from oneshelf.domain.late import post_late
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.order_command import post_order_command
from oneshelf.domain.outcome import IsBundle, NoRoom, Outcome, Posted, Short, TooFew
from oneshelf.domain.reach import balances_of
from oneshelf.domain.receiving import post_shipment
from oneshelf.domain.reservation import post_reservation
from oneshelf.domain.shipment_outcome import IsAnnounced
from oneshelf.domain.transfer import post_transfer
from oneshelf.domain.warehouse_command import Announce, CloseShipment, SettleOver, Unload, WriteOff


def post_command(shelf: Shelf, command: Command, *, now: datetime) -> Outcome:
    """Decide one command against the shelf. A refusal leaves the shelf as it was.

    Holds that have expired by `now` must have been taken back before, see `domain.reservation.expire`. Whatever
    became free goes to the orders and reservations that wait for it.
    """
    if shelf.bundles and (refusal := _refuse_stock(command, shelf.bundles)):
        return refusal
    if isinstance(command, Dated) and command.happened_at is not None:
        return post_late(shelf, command, command.happened_at, partial(_post, shelf, command, now=now), now=now)
    return _post(shelf, command, now=now)


def _post(shelf: Shelf, command: Command, *, now: datetime) -> Outcome:
    outcome: Outcome
    match command:
        case Reserve() | Extend() | Claim() | Release():
            outcome = post_reservation(shelf, command, now=now)
        case Receive() | Adjust() | Expect() | Move() | Assemble() | Disassemble() | WriteOff():
            outcome = _post_stock(shelf, command)
        case Count():
            outcome = count(shelf, command, now=now)
        case Adopt():
            outcome = adopt(shelf, command)
        case Dispatch() | Arrive():
            outcome = post_transfer(shelf, command, now=now)
        case Announce() | Unload() | CloseShipment() | SettleOver():
            outcome = post_shipment(shelf, command, now=now)
        case Return() | Ship() | Cancel():
            outcome = post_order_command(shelf, command)
        case _:
            assert_never(command)
    return outcome


def _refuse_stock(command: Command, bundles: Bundles) -> IsBundle | None:
    """The refusal of a command that would move units of a bundle itself. It has none."""
    if isinstance(command, Reserve):
        return None
    for sku, _ in balances_of(command):
        if sku in bundles:
            return IsBundle(sku, named(bundles[sku]))
    return None


def _post_stock(shelf: Shelf, command: StockCommand) -> Posted | Short | TooFew | NoRoom | IsAnnounced | KitRefusal:
    available = Account(StockState.AVAILABLE, command.location)
    match command:
        case Assemble() | Disassemble():
            return post_kit(shelf, command)
        case Receive(units=units):
            return _shift(shelf, command, Account(Outside.SUPPLIER), available, units, Reason.RECEIVED)
        case Adjust(delta_units=units) if units >= 0:
            return _shift(shelf, command, Account(Outside.FOUND), available, units, Reason.ADJUSTED)
        case Adjust(delta_units=units):
            return _shift(shelf, command, available, Account(Outside.SHRINKAGE), -units, Reason.ADJUSTED)
        case Expect(delta_units=units):
            supplier, incoming = Account(Outside.SUPPLIER), Account(StockState.INCOMING, command.location)
            origin, target = (supplier, incoming) if units >= 0 else (incoming, supplier)
            return _shift(shelf, command, origin, target, abs(units), Reason.EXPECTED)
        case Move(units=units):
            origin, target = Account(command.origin, command.location), Account(command.target, command.location)
            return _shift(shelf, command, origin, target, units, Reason.MOVED)
        case WriteOff(units=units):
            origin = Account(command.origin, command.location)
            return _shift(shelf, command, origin, Account(Outside.SHRINKAGE), units, Reason.WRITTEN_OFF)
        case _:
            assert_never(command)


def _shift(
    shelf: Shelf,
    command: Receive | Adjust | Expect | Move | WriteOff,
    origin: Account,
    target: Account,
    units: int,
    reason: Reason,
) -> Posted | Short | TooFew | NoRoom | IsAnnounced:
    sku, location = command.sku, command.location
    if isinstance(origin.name, StockState):
        there = shelf.balances[sku, location].units[origin.name]
        if there < units and origin.name is StockState.AVAILABLE:
            return Short(sku, location, asked=units, available=there)
        if there < units:
            return TooFew(sku, location, origin.name, asked=units, there=there)
        announced = shelf.announced((sku, location)) if origin.name is StockState.INCOMING else 0
        if there - announced < units and announced:
            return IsAnnounced(sku, location, asked=units, incoming=there, announced=announced)
    elif refusal := shelf.no_room(sku, location, units):
        return refusal
    shelf.move(sku, origin=origin, target=target, units=units, reason=reason, source=str(command.key))
    shelf.fill_shortages()
    return Posted(units_moved=units, available=shelf.available(sku, location))
