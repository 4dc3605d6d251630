"""What commands can touch, so that all of it can be locked before the first is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID

from oneshelf.domain.account import StockState
from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import (
    Adjust,
    Adopt,
    Arrive,
    Assemble,
    Cancel,
    Claim,
    Command,
    Count,
    CountedFigure,
    Dated,
    Disassemble,
    Dispatch,
    Expect,
    Extend,
    Move,
    OrderRef,
    Receive,
    Release,
    Reserve,
    Return,
    Ship,
    TransferCommand,
)
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey, TransferKey
from oneshelf.domain.shipment import ShipmentKey
from oneshelf.domain.warehouse_command import Announce, CloseShipment, SettleOver, ShipmentCommand, Unload, WriteOff

# These name a SKU; its location is known from where its units were sent to.
UNDER_WAY = (Arrive, Unload, CloseShipment, SettleOver)


@dataclass(slots=True)
class Reach:
    """Names in commands. `claims`: reservation -> the orders that want it. `counted`: as a whole, promises and all.

    `announced`: of which all open shipments are asked for. `kits`: made or taken apart. `looking_back`: counts that
    say what they had seen. `asks_rulings`: something is told of the past.
    """

    balances: set[BalanceKey] = field(default_factory=set)
    counted: set[BalanceKey] = field(default_factory=set)
    reservations: set[UUID] = field(default_factory=set)
    claims: dict[UUID, set[OrderRef]] = field(default_factory=dict)
    orders: set[OrderRef] = field(default_factory=set)
    transfers: set[TransferKey] = field(default_factory=set)
    shipments: set[ShipmentKey] = field(default_factory=set)
    announced: set[BalanceKey] = field(default_factory=set)
    kits: set[BalanceKey] = field(default_factory=set)
    arriving: set[Sku] = field(default_factory=set)
    looking_back: list[Count] = field(default_factory=list)
    asks_rulings: bool = False

    @property
    def skus(self) -> set[Sku]:
        return {sku for sku, _ in self.balances} | self.arriving

    @property
    def locations(self) -> set[Location]:
        return {location for _, location in self.balances}


def reach_of(commands: Iterable[Command], bundles: Bundles | None = None) -> Reach:
    """All that these commands name, and the components of these bundles where they name one."""
    reach = Reach()
    for command in commands:
        reach.balances.update(balances_of(command))
        _look_behind(reach, command)
        if bundles:
            parts = ((part.sku, at) for sku, at in balances_of(command) for part in bundles.get(sku, ()))
            reach.balances.update(parts)
        match command:
            case Extend() | Release():
                reach.reservations.add(command.reservation_id)
            case Claim():
                reach.reservations.add(command.reservation_id)
                reach.claims.setdefault(command.reservation_id, set()).add(command.order)
            case Adopt() | Count(figure=CountedFigure.ON_HAND | CountedFigure.UNSHIPPED):
                reach.counted.add((command.sku, command.location))
            case Return() | Ship() | Cancel():
                reach.orders.add(command.order)
            case Dispatch() | Arrive() | Announce() | Unload() | CloseShipment() | SettleOver():
                _name_under_way(reach, command)
            case Expect() | Move(origin=StockState.INCOMING):
                reach.announced.add((command.sku, command.location))
            case Count() | Receive() | Adjust() | Move() | Reserve() | Assemble() | Disassemble() | WriteOff():
                pass
            case _:
                assert_never(command)
    return reach


def _name_under_way(reach: Reach, command: TransferCommand | ShipmentCommand) -> None:
    if isinstance(command, Dispatch | Arrive):
        reach.transfers.add((command.sku, command.transfer_id))
    else:
        reach.shipments.add((command.sku, command.shipment_id))
    if isinstance(command, UNDER_WAY):
        reach.arriving.add(command.sku)


def _look_behind(reach: Reach, command: Command) -> None:
    """What is named by what was kept, or by what was seen."""
    if isinstance(command, Dated) and command.happened_at is not None:
        reach.asks_rulings = True
    elif isinstance(command, Count) and (command.token is not None or command.as_of is not None):
        reach.looking_back.append(command)
        reach.asks_rulings = True
    elif isinstance(command, Assemble | Disassemble):
        reach.kits.add((command.sku, command.location))


def balances_of(command: Command) -> list[BalanceKey]:
    """The SKUs and locations that a command names together, in its own order."""
    match command:
        case Reserve():
            return [(line.sku, line.location) for line in command.lines]
        case Assemble() | Disassemble():
            return [(sku, command.location) for sku in (command.sku, *(part.sku for part in command.components))]
        case Dispatch():
            return [(command.sku, command.origin), (command.sku, command.target)]
        case Extend() | Claim() | Release() | Arrive() | Unload() | CloseShipment() | SettleOver():
            return []
        case (
            Receive()
            | Adjust()
            | Adopt()
            | Count()
            | Expect()
            | Move()
            | Return()
            | Ship()
            | Cancel()
            | Announce()
            | WriteOff()
        ):
            return [(command.sku, command.location)]
        case _:
            assert_never(command)
