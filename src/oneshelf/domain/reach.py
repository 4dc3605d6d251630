"""What commands can touch, so that all of it can be locked before the first is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID

from oneshelf.domain.command import Adjust, Claim, Command, Count, Extend, OrderRef, Receive, Release, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey


@dataclass(slots=True)
class Reach:
    """Names in commands. `claims`: reservation -> the orders that want it."""

    balances: set[BalanceKey] = field(default_factory=set)
    reservations: set[UUID] = field(default_factory=set)
    claims: dict[UUID, set[OrderRef]] = field(default_factory=dict)

    @property
    def skus(self) -> set[Sku]:
        return {sku for sku, _ in self.balances}

    @property
    def locations(self) -> set[Location]:
        return {location for _, location in self.balances}


def reach_of(commands: Iterable[Command]) -> Reach:
    """All that these commands name."""
    reach = Reach()
    for command in commands:
        reach.balances.update(balances_of(command))
        match command:
            case Extend() | Release():
                reach.reservations.add(command.reservation_id)
            case Claim():
                reach.reservations.add(command.reservation_id)
                reach.claims.setdefault(command.reservation_id, set()).add(command.order)
            case Receive() | Adjust() | Count() | Reserve():
                pass
            case _:
                assert_never(command)
    return reach


def balances_of(command: Command) -> list[BalanceKey]:
    """The SKUs and locations that a command names itself, in its own order."""
    match command:
        case Receive() | Adjust() | Count():
            return [(command.sku, command.location)]
        case Reserve():
            return [(line.sku, line.location) for line in command.lines]
        case Extend() | Claim() | Release():
            return []
        case _:
            assert_never(command)
