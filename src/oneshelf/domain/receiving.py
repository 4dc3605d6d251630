"""The rules of announced deliveries: units are incoming, come in parts, short or over, and are closed."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import NoRoom, Posted, TooFew
from oneshelf.domain.shipment import Shipment
from oneshelf.domain.shipment_outcome import (
    NoSuchShipment,
    NotThatManyOver,
    ShipmentClosed,
    ShipmentExists,
    Unloaded,
)
from oneshelf.domain.warehouse_command import Announce, CloseShipment, SettleOver, ShipmentCommand, Unload

Answer = Posted | Unloaded | NoRoom | TooFew | NoSuchShipment | ShipmentExists | ShipmentClosed | NotThatManyOver

_SUPPLIER = Account(Outside.SUPPLIER)


def post_shipment(shelf: Shelf, command: ShipmentCommand, *, now: datetime) -> Answer:
    """Decide what is asked about one SKU of a shipment."""
    shipment = shelf.shipments.get((command.sku, command.shipment_id))
    if isinstance(command, Announce):
        return _announce(shelf, command, shipment, now=now)
    if shipment is None:
        return NoSuchShipment(command.shipment_id, command.sku)
    match command:
        case Unload():
            return _closed(shipment) or _unload(shelf, shipment, command.units)
        case CloseShipment():
            return _closed(shipment) or _close(shelf, shipment, command.reason, now=now)
        case SettleOver():
            return _settle(shelf, shipment, command)
        case _:
            assert_never(command)


def _closed(shipment: Shipment) -> ShipmentClosed | None:
    if shipment.closed_at is None:
        return None
    received = shipment.units_received + shipment.units_over
    return ShipmentClosed(shipment.shipment_id, shipment.sku, received, shipment.units_cancelled)


def _announce(
    shelf: Shelf, command: Announce, known: Shipment | None, *, now: datetime
) -> Posted | NoRoom | ShipmentExists:
    if known:
        return ShipmentExists(known.shipment_id, known.sku, known.units_announced)
    if refusal := shelf.no_room(command.sku, command.location, command.units):
        return refusal
    shipment = Shipment(
        sku=command.sku,
        shipment_id=command.shipment_id,
        location=command.location,
        units_announced=command.units,
        expected_on=command.expected_on,
        tolerance_percent=command.tolerance_percent,
        created_at=now,
    )
    shelf.shipments[shipment.key] = shipment
    _move(shelf, shipment, _SUPPLIER, _at(shipment, StockState.INCOMING), command.units, Reason.ANNOUNCED)
    return Posted(units_moved=command.units, available=shelf.available(command.sku, command.location))


def _unload(shelf: Shelf, shipment: Shipment, units: int) -> Unloaded | NoRoom:
    announced = min(units, shipment.units_open)
    over = min(units - announced, max(0, shipment.tolerance_units - shipment.units_over))
    held = units - announced - over
    if refusal := shelf.no_room(shipment.sku, shipment.location, over + held):
        return refusal
    available = _at(shipment, StockState.AVAILABLE)
    _move(shelf, shipment, _at(shipment, StockState.INCOMING), available, announced, Reason.UNLOADED)
    _move(shelf, shipment, _SUPPLIER, available, over, Reason.UNLOADED_OVER)
    _move(shelf, shipment, _SUPPLIER, _at(shipment, StockState.QUALITY_CONTROL), held, Reason.UNLOADED_OVER)
    shipment.units_received += announced
    shipment.units_over += over
    shipment.units_held += held
    shelf.fill_shortages()
    left = shelf.available(shipment.sku, shipment.location)
    return Unloaded(units, over, held, shipment.units_open, left)


def _close(shelf: Shelf, shipment: Shipment, reason: str, *, now: datetime) -> Posted:
    units = shipment.units_open
    _move(shelf, shipment, _at(shipment, StockState.INCOMING), _SUPPLIER, units, Reason.ANNOUNCEMENT_ENDED)
    shipment.units_cancelled += units
    shipment.closed_at = now
    shipment.close_reason = reason
    return Posted(units_moved=units, available=shelf.available(shipment.sku, shipment.location))


def _settle(shelf: Shelf, shipment: Shipment, command: SettleOver) -> Posted | TooFew | NotThatManyOver:
    sku, location, units = shipment.sku, shipment.location, command.units
    if shipment.units_held < units:
        return NotThatManyOver(shipment.shipment_id, sku, asked=units, held=shipment.units_held)
    name = command.into.account_name
    there = shelf.balances[sku, location].units[StockState.QUALITY_CONTROL]
    if name is not None and there < units:
        return TooFew(sku, location, StockState.QUALITY_CONTROL, asked=units, there=there)
    shelf.changed_shipments.add(shipment.key)
    shipment.units_held -= units
    if name is Outside.SUPPLIER:
        shipment.units_sent_back += units
    else:
        shipment.units_over += units
    if name is not None:
        target = _SUPPLIER if isinstance(name, Outside) else _at(shipment, name)
        _move(shelf, shipment, _at(shipment, StockState.QUALITY_CONTROL), target, units, Reason.OVER_SETTLED)
    shelf.fill_shortages()
    return Posted(units_moved=units if name else 0, available=shelf.available(sku, location))


def _at(shipment: Shipment, state: StockState) -> Account:
    return Account(state, shipment.location)


def _move(shelf: Shelf, shipment: Shipment, origin: Account, target: Account, units: int, reason: Reason) -> None:
    shelf.changed_shipments.add(shipment.key)
    shelf.move(shipment.sku, origin=origin, target=target, units=units, reason=reason, source=shipment.source)
