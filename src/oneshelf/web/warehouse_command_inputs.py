"""The commands about announced deliveries and write-offs that programs send, and what the ledger is asked by each."""

from __future__ import annotations

from typing import Any, Literal, assert_never

from oneshelf.domain import warehouse_command as warehouse
from oneshelf.domain.account import StockState
from oneshelf.domain.command import Command, CommandKey
from oneshelf.web.fields import (
    ExpectedOnIn,
    HappenedAtIn,
    Input,
    KeyIn,
    LocationIn,
    NumberIn,
    PercentIn,
    ReasonIn,
    ReceivedUnitsIn,
    SkuIn,
    WordsIn,
)


class AnnounceIn(Input):
    """A supplier announces units under the number of a shipment: they are incoming, and nobody is sold them.

    `tolerance_percent`: so much more than announced is taken without asking. One command for each SKU of the shipment.
    """

    type: Literal["announce"]
    key: KeyIn = None
    shipment_id: NumberIn
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    expected_on: ExpectedOnIn
    tolerance_percent: PercentIn = 0


class UnloadIn(Input):
    """Units of a shipment are there. Beyond its tolerance they wait in quality control for a person."""

    type: Literal["unload"]
    key: KeyIn = None
    shipment_id: NumberIn
    sku: SkuIn
    units: ReceivedUnitsIn
    happened_at: HappenedAtIn | None = None


class CloseShipmentIn(Input):
    """Nothing more comes of this SKU of a shipment: what is still incoming is cancelled."""

    type: Literal["close_shipment"]
    key: KeyIn = None
    shipment_id: NumberIn
    sku: SkuIn
    reason: ReasonIn


class SettleOverIn(Input):
    """A person has looked at units that came beyond the tolerance of a shipment.

    `into`: `available`, `damaged`, `sent_back` to the supplier, or `settled` where they were moved by hand meanwhile.
    """

    type: Literal["settle_over"]
    key: KeyIn = None
    shipment_id: NumberIn
    sku: SkuIn
    units: ReceivedUnitsIn
    into: warehouse.OverInto


class WriteOffIn(Input):
    """Units are thrown away as they lie: `damaged`, `quality_control`, `safety_stock` or `available`."""

    type: Literal["write_off"]
    key: KeyIn = None
    sku: SkuIn
    location: LocationIn
    units: ReceivedUnitsIn
    origin: StockState
    reason: WordsIn = ""


OfWarehouseIn = AnnounceIn | UnloadIn | CloseShipmentIn | SettleOverIn | WriteOffIn


def warehouse_command(item: OfWarehouseIn, key: CommandKey, plain: dict[str, Any]) -> Command:
    """What is asked of the ledger. `plain`: the fields of the command, under the same names."""
    match item:
        case AnnounceIn():
            return warehouse.Announce(key=key, **plain)
        case UnloadIn():
            return warehouse.Unload(key=key, **plain)
        case CloseShipmentIn():
            return warehouse.CloseShipment(key=key, **plain)
        case SettleOverIn():
            return warehouse.SettleOver(key=key, **plain)
        case WriteOffIn():
            return warehouse.WriteOff(key=key, **plain)
        case _:
            assert_never(item)
