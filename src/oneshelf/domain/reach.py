"""What commands can touch, so that all of it can be locked before the first is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID

from oneshelf.domain.bundle import Bundles
from oneshelf.domain.command import (
    Adjust,
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
)
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey, TransferKey


@dataclass(slots=True)
class Reach:
    """Names in commands. `claims`: reservation -> the orders that want it. `counted`: as a whole, promises and all.

    `looking_back`: counts that say what they had seen. `asks_rulings`: something is told of the past.
    """

    balances: set[BalanceKey] = field(default_factory=set)
    counted: set[BalanceKey] = field(default_factory=set)
    reservations: set[UUID] = field(default_factory=set)
    claims: dict[UUID, set[OrderRef]] = field(default_factory=dict)
    orders: set[OrderRef] = field(default_factory=set)
    transfers: set[TransferKey] = field(default_factory=set)
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
        _look_back(reach, command)
        if bundles:
            parts = ((part.sku, at) for sku, at in balances_of(command) for part in bundles.get(sku, ()))
            reach.balances.update(parts)
        match command:
            case Extend() | Release():
                reach.reservations.add(command.reservation_id)
            case Claim():
                reach.reservations.add(command.reservation_id)
                reach.claims.setdefault(command.reservation_id, set()).add(command.order)
            case Count(figure=CountedFigure.ON_HAND | CountedFigure.UNSHIPPED):
                reach.counted.add((command.sku, command.location))
            case Return() | Ship() | Cancel():
                reach.orders.add(command.order)
            case Dispatch():
                reach.transfers.add((command.sku, command.transfer_id))
            case Arrive():
                reach.transfers.add((command.sku, command.transfer_id))
                reach.arriving.add(command.sku)
            case Count() | Receive() | Adjust() | Expect() | Move() | Reserve() | Assemble() | Disassemble():
                pass
            case _:
                assert_never(command)
    return reach


def _look_back(reach: Reach, command: Command) -> None:
    if isinstance(command, Dated) and command.happened_at is not None:
        reach.asks_rulings = True
    elif isinstance(command, Count) and (command.token is not None or command.as_of is not None):
        reach.looking_back.append(command)
        reach.asks_rulings = True


def balances_of(command: Command) -> list[BalanceKey]:
    """The SKUs and locations that a command names together, in its own order."""
    match command:
        case Reserve():
            return [(line.sku, line.location) for line in command.lines]
        case Assemble() | Disassemble():
            return [(sku, command.location) for sku in (command.sku, *(part.sku for part in command.components))]
        case Dispatch():
            return [(command.sku, command.origin), (command.sku, command.target)]
        case Extend() | Claim() | Release() | Arrive():
            return []
        case Receive() | Adjust() | Count() | Expect() | Move() | Return() | Ship() | Cancel():
            return [(command.sku, command.location)]
        case _:
            assert_never(command)
