"""A busy day from a seed: commands of every kind for many SKUs, and orders that their channel tells of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from random import Random
from uuid import UUID

from oneshelf.domain.account import StockState
from oneshelf.domain.command import (
    Adjust,
    Arrive,
    Assemble,
    Cancel,
    Claim,
    ClaimInto,
    Command,
    CommandKey,
    Component,
    Count,
    Demand,
    Disassemble,
    Dispatch,
    Expect,
    Extend,
    Move,
    OrderRef,
    Receive,
    Release,
    ReservationKind,
    Reserve,
    Return,
    ReturnInto,
    Ship,
)
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Claimed, Outcome, Reserved

LATEST = 50


@dataclass
class Trade:
    """What one seed asks for. `learn` tells it what was granted, so that it can ask for more with that."""

    chance: Random
    skus: Sequence[Sku]
    locations: Sequence[Location]
    channel: Channel
    scope: str = "trade"
    numbers: count[int] = field(default_factory=lambda: count(1))
    reservations: list[tuple[UUID, Demand]] = field(default_factory=list)
    orders: list[tuple[OrderRef, Demand]] = field(default_factory=list)
    transfers: list[tuple[str, Sku]] = field(default_factory=list)
    told: dict[str, OrderSnapshot] = field(default_factory=dict)

    def batch(self, size: int) -> list[Command]:
        """The next commands; some reuse the key and the wish of an earlier one of the batch."""
        batch: list[Command] = []
        for _ in range(size):
            batch.append(self.chance.choice(batch) if batch and self.chance.random() < 0.03 else self._command())
        return batch

    def learn(self, commands: Sequence[Command], outcomes: Sequence[Outcome]) -> None:
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(command, Reserve) and isinstance(outcome, Reserved):
                self.reservations.append((outcome.reservation_id, command.lines[0]))
            if isinstance(command, Claim) and isinstance(outcome, Claimed):
                line = dict(self.reservations)[command.reservation_id]
                self.orders.append((command.order, line))

    def snapshots(self, size: int) -> list[OrderSnapshot]:
        """The channel tells of orders: new ones, and what became of some that it told of before."""
        return [self._retold() if self.told and self.chance.random() < 0.3 else self._new() for _ in range(size)]

    def _new(self) -> OrderSnapshot:
        order = f"told-{next(self.numbers)}"
        lines = tuple(
            OrderLine(f"l{number}", ChannelSku(self._sku()), self.chance.randint(1, 2))
            for number in range(self.chance.choice([1, 1, 2]))
        )
        placed_at = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.told[order] = OrderSnapshot(self.channel, order, "000001", placed_at, self.chance.random() < 0.3, lines)
        return self.told[order]

    def _retold(self) -> OrderSnapshot:
        before = self.told[self.chance.choice(list(self.told))]
        is_shipped = self.chance.random() < 0.5
        lines = tuple(
            replace(line, units_cancelled=int(not is_shipped), units_shipped=int(is_shipped))
            if line.units_cancelled == line.units_shipped == 0
            else line
            for line in before.lines
        )
        version = f"{int(before.version) + 1:06}"
        self.told[before.order_id] = replace(before, version=version, is_pending=False, lines=lines)
        return self.told[before.order_id]

    def _command(self) -> Command:
        kinds: list[Callable[[], Command]] = [self._reserve] * 6 + [self._of_a_unit] * 4 + [self._of_a_move] * 3
        if self.reservations:
            kinds += [self._of_a_reservation] * 6
        if self.orders:
            kinds += [self._of_an_order] * 3
        return self.chance.choice(kinds)()

    def _key(self) -> CommandKey:
        return CommandKey(scope=self.scope, key=str(next(self.numbers)))

    def _sku(self) -> Sku:
        return self.skus[min(int(self.chance.expovariate(3) * len(self.skus)), len(self.skus) - 1)]

    def _reserve(self) -> Command:
        lines = tuple(
            Demand(sku=self._sku(), location=self.chance.choice(self.locations), units=self.chance.randint(1, 3))
            for _ in range(self.chance.choice([1, 1, 1, 2, 3]))
        )
        kind = self.chance.choice([ReservationKind.HOLD, ReservationKind.HOLD, *ReservationKind])
        ttl_s = self.chance.choice([1, 600, 86_400]) if kind is ReservationKind.HOLD else None
        return Reserve(key=self._key(), kind=kind, lines=lines, ttl_s=ttl_s, holder="cart")

    def _of_a_unit(self) -> Command:
        key, sku, location = self._key(), self._sku(), self.chance.choice(self.locations)
        units = self.chance.randint(1, 9)
        kinds: list[Callable[[], Command]] = [
            lambda: Receive(key=key, sku=sku, location=location, units=units),
            lambda: Receive(key=key, sku=sku, location=location, units=units),
            lambda: Adjust(key=key, sku=sku, location=location, delta_units=self.chance.choice([-2, -1, 1, 2])),
            lambda: Expect(key=key, sku=sku, location=location, delta_units=units),
            lambda: Count(key=key, sku=sku, location=location, units=units),
        ]
        return self.chance.choice(kinds)()

    def _of_a_move(self) -> Command:
        key, sku, location = self._key(), self._sku(), self.chance.choice(self.locations)
        kinds: list[Callable[[], Command]] = [
            lambda: Move(
                key=key, sku=sku, location=location, units=1,
                origin=StockState.AVAILABLE, target=StockState.DAMAGED,
            ),
            lambda: self._dispatch(key, sku),
            lambda: self._kit(key, sku, location),
        ]  # fmt: skip
        if self.transfers:
            name, sent = self.transfers[-1 - self.chance.randrange(min(LATEST, len(self.transfers)))]
            kinds.append(lambda: Arrive(key=key, transfer_id=name, sku=sent, units=1, is_last=True))
        return self.chance.choice(kinds)()

    def _dispatch(self, key: CommandKey, sku: Sku) -> Command:
        origin, target = self.chance.sample(self.locations, 2)
        self.transfers.append((f"t{key.key}", sku))
        return Dispatch(key=key, transfer_id=f"t{key.key}", sku=sku, origin=origin, target=target, units=1)

    def _kit(self, key: CommandKey, sku: Sku, location: Location) -> Command:
        parts = (Component(sku=self.chance.choice([one for one in self.skus if one != sku]), units=1),)
        if self.chance.random() < 0.5:
            return Assemble(key=key, sku=sku, location=location, units=1, components=parts)
        return Disassemble(key=key, sku=sku, location=location, units=1, components=parts)

    def _of_a_reservation(self) -> Command:
        key = self._key()
        one, _ = self.reservations[-1 - self.chance.randrange(min(LATEST, len(self.reservations)))]
        order = OrderRef(self.channel, f"claimed-{key.key}")
        kinds: list[Callable[[], Command]] = [
            lambda: Claim(key=key, reservation_id=one, order=order),
            lambda: Claim(key=key, reservation_id=one, order=order, into=ClaimInto.LOCK),
            lambda: Release(key=key, reservation_id=one),
            lambda: Extend(key=key, reservation_id=one, ttl_s=86_400),
        ]
        return self.chance.choice(kinds)()

    def _of_an_order(self) -> Command:
        key = self._key()
        order, line = self.orders[-1 - self.chance.randrange(min(LATEST, len(self.orders)))]
        if self.chance.random() < 0.3:
            return Return(
                key=key, order=order, sku=line.sku, location=line.location, units=1, into=ReturnInto.AVAILABLE
            )
        if self.chance.random() < 0.3:
            return Cancel(key=key, order=order, sku=line.sku, location=line.location, units=1)
        return Ship(key=key, order=order, sku=line.sku, location=line.location, units=1)
