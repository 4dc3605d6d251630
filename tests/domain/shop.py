"""A small shelf in memory, and short words for what happens to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import (
    Claim,
    ClaimInto,
    Command,
    CommandKey,
    Component,
    Demand,
    OrderRef,
    Receive,
    Release,
    ReservationKind,
    Reserve,
)
from oneshelf.domain.fulfilment import Link, OrderPosted, post_order
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import Balance, Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Outcome, Reserved
from oneshelf.domain.posting import post_command
from oneshelf.domain.reservation import expire

SHOP, BERLIN, HAMBURG, MUG, CAP = Channel("shop"), Location("BER"), Location("HAM"), Sku("MUG"), Sku("CAP")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LINKS = {ChannelSku("mug"): Link(MUG, BERLIN, 1), ChannelSku("six mugs"): Link(MUG, BERLIN, 6)}

# Sold as one: two mugs and a cap.
DUO = Sku("DUO")
BUNDLES = {DUO: (Component(sku=CAP, units=1), Component(sku=MUG, units=2))}
LINKS[ChannelSku("duo")] = Link(DUO, BERLIN, 1, BUNDLES[DUO])

_keys = count(1)


def key() -> CommandKey:
    """A key that nobody has used."""
    return CommandKey(scope="test", key=str(next(_keys)))


def ids() -> Callable[[], UUID]:
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


def shelf(*, at: Location = BERLIN, **available: int) -> Shelf:
    """Shelves in Berlin and Hamburg; these available units were brought by the supplier."""
    opened = Shelf(
        balances={(sku, place): Balance() for sku in (MUG, CAP, Sku("SET")) for place in (BERLIN, HAMBURG)},
        bundles=BUNDLES,
        new_id=ids(),
    )
    for sku, units in available.items():
        ask(opened, Receive(key=key(), sku=Sku(sku), location=at, units=units))
    return opened


def ask(of: Shelf, command: Command, *, now: datetime = NOON) -> Outcome:
    """Post a command as the flow does: what has expired is taken back first."""
    expire(of, now=now)
    return post_command(of, command, now=now)


def demand(sku: Sku, units: int, at: Location = BERLIN) -> Demand:
    return Demand(sku=sku, location=at, units=units)


def hold(*lines: Demand, ttl_s: int = 60) -> Reserve:
    return Reserve(key=key(), kind=ReservationKind.HOLD, lines=lines, ttl_s=ttl_s)


def lock(*lines: Demand) -> Reserve:
    return Reserve(key=key(), kind=ReservationKind.LOCK, lines=lines)


def held(of: Shelf, *lines: Demand, ttl_s: int = 60) -> UUID:
    """Hold units that are there. Returns the reservation."""
    outcome = ask(of, hold(*lines, ttl_s=ttl_s))
    assert isinstance(outcome, Reserved)
    return outcome.reservation_id


def claim(reservation_id: UUID, order_id: str = "o1", into: ClaimInto = ClaimInto.COMMITTED) -> Claim:
    return Claim(key=key(), reservation_id=reservation_id, order=OrderRef(SHOP, order_id), into=into)


def release(reservation_id: UUID) -> Release:
    return Release(key=key(), reservation_id=reservation_id)


def tell(of: Shelf, units: int, *, order_id: str = "o1", placed_at: datetime = NOON, **said: Any) -> OrderPosted:
    """The channel tells of an order of `units` mugs."""
    is_pending = bool(said.pop("is_pending", 0))
    listing = ChannelSku("six mugs" if said.pop("pack_units", 1) == 6 else "mug")
    line = OrderLine("l1", listing, units, **said)
    return post_order(of, OrderSnapshot(SHOP, order_id, "1", placed_at, is_pending, (line,)), LINKS)


def figures(of: Shelf, sku: Sku = MUG, at: Location = BERLIN) -> dict[str, int]:
    return {state.value: units for state, units in of.balances[sku, at].units.items() if units}


def assert_sound(of: Shelf) -> None:
    """Every unit is in one account, and every promise knows its units."""
    moved: Counter[tuple[Sku, Account]] = Counter()
    for movement in of.movements:
        moved[movement.sku, movement.target] += movement.units
        moved[movement.sku, movement.origin] -= movement.units
    for (sku, location), balance in of.balances.items():
        for state, units in balance.units.items():
            there = moved[sku, Account(state, location)]
            assert there == units >= 0, (sku, location, state, there, units)
        lines = [line for line in of.lines.values() if (line.sku, line.location) == (sku, location)]
        parts = [part for part in of.reservations.values() if (part.sku, part.location) == (sku, location)]
        reserved = sum(line.units_pending for line in lines) + sum(part.units_held for part in parts)
        assert balance.units[StockState.COMMITTED] == sum(line.units_committed for line in lines)
        assert balance.units[StockState.RESERVED] == reserved
        waiting = sum(line.units_short for line in lines) + sum(part.units_short for part in parts if part.is_held)
        assert balance.available == 0 or not waiting
        assert of.units_short((sku, location)) == waiting


def moved_from(of: Shelf, outside: Outside, sku: Sku = MUG) -> int:
    return sum(m.units for m in of.movements if m.sku == sku and m.origin == Account(outside))


def reasons(of: Shelf) -> set[Reason]:
    return {movement.reason for movement in of.movements}
