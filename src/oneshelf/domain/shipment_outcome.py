"""What the ledger answers about announced deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from oneshelf.domain.identity import Location, Sku


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Done: `units` are there, `units_over` of them more than announced and taken, `units_held` beyond the tolerance.

    Those held wait in quality control for a person. `units_open` are still to come.
    """

    units: int
    units_over: int
    units_held: int
    units_open: int
    available: int


@dataclass(frozen=True, slots=True)
class NoSuchShipment:
    """Not done: no units of this SKU were announced under this number."""

    shipment_id: str
    sku: Sku


@dataclass(frozen=True, slots=True)
class ShipmentExists:
    """Not done: units of this SKU were announced under this number before."""

    shipment_id: str
    sku: Sku
    units_announced: int


@dataclass(frozen=True, slots=True)
class ShipmentClosed:
    """Not done: somebody has said that nothing more comes of this SKU. What came all the same is to be received."""

    shipment_id: str
    sku: Sku
    units_received: int
    units_cancelled: int


@dataclass(frozen=True, slots=True)
class NotThatManyOver:
    """Not done: fewer units of the shipment wait for a person."""

    shipment_id: str
    sku: Sku
    asked: int
    held: int


@dataclass(frozen=True, slots=True)
class IsAnnounced:
    """Not done: of the units that are incoming, `announced` belong to shipments, which are unloaded or closed."""

    sku: Sku
    location: Location
    asked: int
    incoming: int
    announced: int


ShipmentDone = Unloaded
ShipmentRefusal = NoSuchShipment | ShipmentExists | ShipmentClosed | NotThatManyOver | IsAnnounced
OfShipment = ShipmentDone | ShipmentRefusal


def shipment_in_words(outcome: OfShipment) -> str:
    """The outcome as one sentence for a person."""
    match outcome:
        case Unloaded(units, units_over, units_held, units_open, available):
            parts = [f"unloaded: {units} units, {available} available"]
            if units_over:
                parts.append(f"{units_over} more than announced were taken")
            if units_held:
                parts.append(f"{units_held} beyond the tolerance wait in quality control: look at them and settle")
            parts.append(f"{units_open} are still to come" if units_open else "all that was announced is there")
            return "; ".join(parts)
        case NoSuchShipment(shipment_id, sku):
            return (
                f"refused: no {sku} was announced as shipment {shipment_id}. "
                f"Way out: oneshelf stock shipments {shipment_id}, or receive what came: oneshelf stock receive"
            )
        case ShipmentExists(shipment_id, sku, units_announced):
            return (
                f"refused: {units_announced} {sku} were announced as shipment {shipment_id} before; "
                "close that one, or take another number"
            )
        case ShipmentClosed(shipment_id, sku, received, cancelled):
            return (
                f"refused: {sku} of shipment {shipment_id} is closed, {received} came and {cancelled} were cancelled; "
                f"what comes now: oneshelf stock receive {sku}"
            )
        case NotThatManyOver(shipment_id, sku, asked, held):
            return f"refused: {sku} of shipment {shipment_id}: asked {asked}, {held} came beyond the tolerance and wait"
        case IsAnnounced(sku, location, asked, incoming, announced):
            return (
                f"refused: {sku} at {location}: asked {asked}, {incoming} are incoming, {announced} of them with "
                f"shipments; unload or close these: oneshelf stock shipments --sku {sku}"
            )
        case _:
            assert_never(outcome)
