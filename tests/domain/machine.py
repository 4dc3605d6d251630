"""Anything that can happen to a ledger, in any order: the engine and the ledger on paper must agree after each step."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from domain.paper_ledger import ON_HAND, UNSHIPPED, Answer, PaperLedger
from domain.shop import BERLIN, CAP, DUO, HAMBURG, MUG, SHOP, key
from oneshelf.domain.account import StockState
from oneshelf.domain.bundle import BundleWish
from oneshelf.domain.command import (
    MOVABLE_STATES,
    Adjust,
    Adopt,
    Arrive,
    Assemble,
    Cancel,
    Claim,
    ClaimInto,
    Command,
    Component,
    Count,
    CountedFigure,
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
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.ledger import Backorder, BackorderKind
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Outcome, Reserved
from oneshelf.domain.warehouse_command import (
    WRITE_OFF_STATES,
    Announce,
    CloseShipment,
    OverInto,
    SettleOver,
    Unload,
    WriteOff,
)

SET = Sku("SET")
SKUS, LOCATIONS = (MUG, CAP), (BERLIN, HAMBURG)
LISTED = (MUG, BERLIN)

# Where much happens at one place, things meet.
places = st.sampled_from([LISTED, LISTED, LISTED, (CAP, BERLIN), (MUG, HAMBURG)])
sold = st.one_of(places, st.sampled_from([(DUO, BERLIN), (DUO, BERLIN), (DUO, HAMBURG)]))
few = st.integers(1, 4)
told_orders = st.sampled_from(["o1", "o2"])
orders = st.sampled_from(["o1", "o2", "o3"])  # of the third, no channel ever tells
some = st.integers(0, 10**6)

# A rule that draws nothing is taken most often: without a limit, beginnings of counts were most of a history.
BEGUN_MAX = 6

DAY = date(2026, 12, 1)

COUNTED = {"on_hand": ON_HAND, "unshipped": UNSHIPPED, "available": ("available",)}

Figures = dict[str, dict[str, int]]


class LedgerMachine(RuleBasedStateMachine):
    """The rules. A subclass says how the engine is asked."""

    met: ClassVar[Counter[str]] = Counter()
    looks_back: ClassVar[bool] = False  # whether the engine that is asked keeps its history

    def __init__(self) -> None:
        super().__init__()
        # Beginnings of counts: the token, the instant, and the lines that the paper had by then.
        self.begun: list[tuple[UUID, datetime, int]] = []
        # place -> how many counts had begun when the one was taken that rules it.
        self.ruled: dict[tuple[Sku, Location], float] = {}
        self.paper = PaperLedger()
        self.reservations: list[UUID] = []
        self.versions = 0
        self.said: dict[str, dict[str, int]] = {}
        self.unpaid: dict[str, bool] = {}
        self.placed: dict[str, tuple[datetime, int]] = {}
        self.listed: dict[str, Sku] = {}

    @abstractmethod
    def ask(self, command: Command) -> Outcome: ...

    @abstractmethod
    def tell(self, snapshot: OrderSnapshot) -> None: ...

    @abstractmethod
    def define(self, bundle: BundleWish) -> None: ...

    @abstractmethod
    def allow(self, place: tuple[Sku, Location], policy: Backorder | None) -> None: ...

    @abstractmethod
    def pass_time(self, seconds: int) -> None: ...

    @abstractmethod
    def present(self) -> datetime: ...

    def begin_count(self) -> UUID:
        """A token for counting in Berlin. Only where `looks_back`."""
        raise NotImplementedError

    @abstractmethod
    def accounts(self) -> Figures:
        """SKU -> account -> units, outside accounts too."""

    def check(self, command: Command, expected: Answer) -> Outcome:
        self.met[str(expected["kind"])] += 1
        outcome = self.ask(command)
        # What is none is not written down.
        told: dict[str, Any] = {"units_short": 0, **msgspec.to_builtins(outcome), "kind": type(outcome).__name__}
        assert {name: told.get(name) for name in expected} == expected, (command, told)
        self.compare()
        return outcome

    def compare(self) -> None:
        on_paper = {sku: {name: n for name, n in books.items() if n} for sku, books in self.paper.accounts.items()}
        assert self.accounts() == {sku: books for sku, books in on_paper.items() if books}
        assert all(sum(books.values()) == 0 for books in on_paper.values())

    @initialize(units=st.lists(st.integers(2, 9), min_size=4, max_size=4))
    def open(self, units: list[int]) -> None:
        self.make_duo(2, 1)
        for number, n in enumerate(units):
            if n:
                self.receive((SKUS[number % 2], LOCATIONS[number // 2]), n)
        if self.looks_back:
            self.begin()

    @rule(place=places, units=few)
    def receive(self, place: tuple[Sku, Location], units: int) -> None:
        command = Receive(key=key(), sku=place[0], location=place[1], units=units)
        self.paper.expire()
        self.check(command, self.paper.change(place, units, "supplier", f"{place[1]} available"))

    @rule(place=places, delta=st.integers(-4, 3))
    def adjust(self, place: tuple[Sku, Location], delta: int) -> None:
        self.paper.expire()
        shelf = f"{place[1]} available"
        ends = ("found", shelf) if delta >= 0 else (shelf, "shrinkage")
        command = Adjust(key=key(), sku=place[0], location=place[1], delta_units=delta)
        self.check(command, self.paper.change(place, abs(delta), *ends))

    @rule(place=places, delta=st.integers(-4, 3))
    def adopt(self, place: tuple[Sku, Location], delta: int) -> None:
        self.paper.expire()
        command = Adopt(key=key(), sku=place[0], location=place[1], delta_units=delta)
        self.check(command, self.paper.adopt(place, delta))

    @rule(place=places, delta=st.integers(-3, 4).filter(bool))
    def expect(self, place: tuple[Sku, Location], delta: int) -> None:
        self.paper.expire()
        coming = f"{place[1]} incoming"
        ends = ("supplier", coming) if delta >= 0 else (coming, "supplier")
        command = Expect(key=key(), sku=place[0], location=place[1], delta_units=delta)
        self.check(command, self.paper.change(place, abs(delta), *ends))

    @rule(
        place=places, units=few, ends=st.permutations([*MOVABLE_STATES, StockState.INCOMING]).map(lambda all_: all_[:2])
    )
    def move(self, place: tuple[Sku, Location], units: int, ends: list[StockState]) -> None:
        origin, target = ends if ends[1] is not StockState.INCOMING else ends[::-1]
        self.paper.expire()
        command = Move(key=key(), sku=place[0], location=place[1], units=units, origin=origin, target=target)
        self.check(command, self.paper.change(place, units, f"{place[1]} {origin}", f"{place[1]} {target}"))

    @rule(place=places, units=st.integers(0, 5))
    def count(self, place: tuple[Sku, Location], units: int) -> None:
        self.paper.expire()
        command = Count(key=key(), sku=place[0], location=place[1], units=units)
        self.ruled[place] = len(self.begun) - 0.5
        self.check(command, self.paper.count(place, units))

    @precondition(lambda self: self.looks_back and len(self.begun) < BEGUN_MAX)
    @rule()
    def begin(self) -> None:
        self.paper.expire()
        self.compare()
        token = self.begin_count()
        self.begun.append((token, self.present(), len(self.paper.book)))

    @precondition(lambda self: self.begun)
    @rule(which=some, units=st.integers(0, 6), figure=st.sampled_from(sorted(COUNTED)))
    def count_by_token(self, which: int, units: int, figure: str) -> None:
        self._count_begun(which, units, figure, by_token=True)

    @precondition(lambda self: self.begun)
    @rule(which=some, units=st.integers(0, 6), figure=st.sampled_from(sorted(COUNTED)))
    def count_as_of(self, which: int, units: int, figure: str) -> None:
        self._count_begun(which, units, figure)

    @precondition(lambda self: self.begun)
    @rule(which=some, units=st.integers(0, 6))
    def count_in_doubt(self, which: int, units: int) -> None:
        """By a clock that may be wrong by a day. Only of what lies there: between two states of one shelf, the two
        ledgers need not take the same way; in and out of it they do.
        """
        self._count_begun(which, units, "on_hand", in_doubt=True)

    def _count_begun(
        self, which: int, units: int, figure: str, *, by_token: bool = False, in_doubt: bool = False
    ) -> None:
        at = len(self.begun) - 1 - which % min(len(self.begun), 3)
        token, instant, line = self.begun[at]
        self.paper.expire()
        command = Count(
            key=key(),
            sku=MUG,
            location=BERLIN,
            units=units,
            figure=CountedFigure(figure),
            token=token if by_token else None,
            as_of=None if by_token else instant,
            error_s=None if by_token else 86_400 if in_doubt else 0,
        )
        self.met["by token" if by_token else "in doubt" if in_doubt else "as of"] += 1
        if command.as_of is not None and self.ruled.get(LISTED, -1) > at:
            self.check(command, {"kind": "CountOutdated"})
            return
        self.ruled[LISTED] = at
        first = 0 if in_doubt else line
        self.check(command, self.paper.count_since(LISTED, units, COUNTED[figure], first, in_doubt=in_doubt))

    @precondition(lambda self: self.ruled)
    @rule(units=few, left=st.booleans(), which=some)
    def tell_late(self, units: int, left: bool, which: int) -> None:
        """What happened before anything else comes out now, and the count that rules had seen it."""
        place = sorted(self.ruled)[which % len(self.ruled)]
        self.paper.expire()
        long_ago = self.present() - timedelta(days=3)
        command: Command = Receive(key=key(), sku=place[0], location=place[1], units=units, happened_at=long_ago)
        if left:
            command = Adjust(key=key(), sku=place[0], location=place[1], delta_units=-units, happened_at=long_ago)
        self.check(command, self.paper.told_late(place, units, left=left))

    @rule(units=st.integers(1, 2), mugs=st.integers(1, 2), apart=st.booleans(), place=st.sampled_from(LOCATIONS))
    def kit(self, units: int, mugs: int, apart: bool, place: Location) -> None:
        self.paper.expire()
        parts = (Component(sku=MUG, units=mugs), Component(sku=CAP, units=1))
        kind = Disassemble if apart else Assemble
        command = kind(key=key(), sku=SET, location=place, units=units, components=parts)
        self.check(command, self.paper.assemble(place, SET, units, {MUG: mugs, CAP: 1}, apart=apart))

    @rule(mugs=st.integers(1, 3), caps=st.integers(0, 2))
    def make_duo(self, mugs: int, caps: int) -> None:
        """From now on a duo is so many mugs and caps."""
        self.paper.recipes[DUO] = {sku: units for sku, units in ((MUG, mugs), (CAP, caps)) if units}
        components = tuple(Component(sku=Sku(sku), units=units) for sku, units in self.paper.recipes[DUO].items())
        self.define(BundleWish(sku=DUO, components=components))

    @rule(place=places, cap=st.sampled_from([None, 1, 2, 4, 6]))
    def backorder(self, place: tuple[Sku, Location], cap: int | None) -> None:
        """From now on so many units may be short there."""
        self.paper.caps[place] = cap or 0
        self.allow(place, None if cap is None else Backorder(kind=BackorderKind.BACKORDER, cap_units=cap))

    @rule(units=few, delta=st.integers(0, 3))
    def stock_a_bundle(self, units: int, delta: int) -> None:
        command = (
            Receive(key=key(), sku=DUO, location=BERLIN, units=units),
            Count(key=key(), sku=DUO, location=BERLIN, units=units),
            Expect(key=key(), sku=DUO, location=BERLIN, delta_units=units),
            Dispatch(key=key(), transfer_id="d", sku=DUO, origin=BERLIN, target=HAMBURG, units=units),
        )[delta]
        self.paper.expire()
        self.check(command, {"kind": "IsBundle", "sku": DUO})

    @rule(
        lines=st.lists(st.tuples(sold, st.integers(1, 2)), min_size=1, max_size=3),
        kind=st.sampled_from([ReservationKind.HOLD, ReservationKind.HOLD, *ReservationKind]),
        ttl_s=st.sampled_from([1000, 3000]),
        parts=st.booleans(),
    )
    def reserve(
        self, lines: list[tuple[tuple[Sku, Location], int]], kind: ReservationKind, ttl_s: int, parts: bool
    ) -> None:
        self.paper.expire()
        ttl = ttl_s if kind is ReservationKind.HOLD else None
        wanted = tuple(Demand(sku=sku, location=location, units=units) for (sku, location), units in lines)
        expected, note = self.paper.reserve(kind.value, lines, ttl, parts=parts)
        command = Reserve(key=key(), kind=kind, lines=wanted, ttl_s=ttl, allows_partial=parts)
        outcome = self.check(command, expected)
        if isinstance(outcome, Reserved):
            self.met["partly"] += any(one.refused for one in outcome.grants)
            self.met["waits"] += outcome.units_short > 0
        if isinstance(outcome, Reserved):
            self.reservations.append(outcome.reservation_id)
            self.paper.notes[str(outcome.reservation_id)] = note

    @rule(units=few, order=orders)
    def check_out(self, units: int, order: str) -> None:
        """Units are reserved, and the order is there at once."""
        before = len(self.reservations)
        self.reserve([(LISTED, units)], ReservationKind.HOLD, 1000, parts=False)
        if len(self.reservations) > before:
            self.claim(0, order, ClaimInto.COMMITTED)

    @precondition(lambda self: self.reservations)
    @rule(which=some, ttl_s=st.sampled_from([1000, 3000]))
    def extend(self, which: int, ttl_s: int) -> None:
        self.paper.expire()
        one = self._reservation(which)
        self.check(Extend(key=key(), reservation_id=one, ttl_s=ttl_s), self.paper.extend(str(one), ttl_s))

    @precondition(lambda self: self.reservations)
    @rule(which=some)
    def release(self, which: int) -> None:
        self.paper.expire()
        one = self._reservation(which)
        self.check(Release(key=key(), reservation_id=one), self.paper.release(str(one)))

    @precondition(lambda self: self.reservations)
    @rule(which=some, order=orders, into=st.sampled_from([*ClaimInto, ClaimInto.COMMITTED]))
    def claim(self, which: int, order: str, into: ClaimInto) -> None:
        self.paper.expire()
        one = self._reservation(which)
        command = Claim(key=key(), reservation_id=one, order=OrderRef(SHOP, order), into=into)
        self.check(command, self.paper.claim(str(one), order, into_lock=into is ClaimInto.LOCK))

    def _reservation(self, which: int) -> UUID:
        """One of the latest ones, more often than not still held."""
        return self.reservations[-1 - which % min(len(self.reservations), 5)]

    @rule(
        order=told_orders,
        units=few,
        unpaid=st.booleans(),
        cancelled=st.integers(0, 2),
        shipped=st.integers(-2, 3),
        returned=st.integers(-2, 2),
        sells=st.sampled_from([MUG, DUO]),
    )
    def order(  # all that an order can say
        self, order: str, units: int, unpaid: bool, cancelled: int, shipped: int, returned: int, sells: Sku
    ) -> None:
        """An order goes on with its life; the first time it is placed. A shipment may be taken back (less than 0)."""
        if order not in self.placed:
            self.placed[order] = (self.present(), self.paper.next_number())
            self.said[order] = {"ordered": units, "cancelled": 0, "shipped": 0, "returned": 0}
            self.unpaid[order] = unpaid
            self.listed[order] = sells
        said = self.said[order]
        self.unpaid[order] = self.unpaid[order] and unpaid
        said["cancelled"] += min(cancelled, said["ordered"] - said["cancelled"] - said["shipped"])
        if not self.unpaid[order]:
            said["shipped"] += max(
                -said["shipped"], min(shipped, said["ordered"] - said["cancelled"] - said["shipped"])
            )
        said["returned"] = min(said["shipped"], said["returned"] + max(0, returned))
        placed_at, number = self.placed[order]
        sku = self.listed[order]
        line = OrderLine(
            "l1", ChannelSku(sku.lower()), said["ordered"], said["cancelled"], 0, said["shipped"], said["returned"]
        )
        self.met["told"] += 1
        self.paper.expire()
        self.paper.tell(order, (sku, BERLIN), said, unpaid=self.unpaid[order], number=number)
        self.versions += 1
        self.tell(OrderSnapshot(SHOP, order, f"{self.versions:06}", placed_at, self.unpaid[order], (line,)))
        self.compare()

    @rule(order=orders, place=places, units=st.integers(1, 2), into=st.sampled_from(ReturnInto))
    def come_back(self, order: str, place: tuple[Sku, Location], units: int, into: ReturnInto) -> None:
        self.paper.expire()
        command = Return(
            key=key(), order=OrderRef(SHOP, order), sku=place[0], location=place[1], units=units, into=into
        )
        self.check(command, self.paper.come_back(order, place, units, into.value))

    @rule(order=orders, place=places, units=st.integers(1, 5), ships=st.booleans())
    def settle(self, order: str, place: tuple[Sku, Location], units: int, ships: bool) -> None:
        self.paper.expire()
        kind = Ship if ships else Cancel
        command = kind(key=key(), order=OrderRef(SHOP, order), sku=place[0], location=place[1], units=units)
        self.check(command, self.paper.settle(order, place, units, ships=ships))

    @rule(name=st.sampled_from("ab"), sku=st.just(MUG), units=few, back=st.booleans())
    def dispatch(self, name: str, sku: Sku, units: int, back: bool) -> None:
        self.paper.expire()
        origin, target = LOCATIONS[::-1] if back else LOCATIONS
        command = Dispatch(key=key(), transfer_id=name, sku=sku, origin=origin, target=target, units=units)
        self.check(command, self.paper.dispatch(name, sku, origin, target, units))

    @rule(name=st.sampled_from("ab"), sku=st.just(MUG), units=st.integers(0, 4), is_last=st.booleans())
    def arrive(self, name: str, sku: Sku, units: int, is_last: bool) -> None:
        self.paper.expire()
        command = Arrive(key=key(), transfer_id=name, sku=sku, units=units, is_last=is_last)
        self.check(command, self.paper.arrive(name, sku, units, is_last=is_last))

    @rule(name=st.sampled_from("st"), place=places, units=few, percent=st.sampled_from([0, 50]))
    def announce(self, name: str, place: tuple[Sku, Location], units: int, percent: int) -> None:
        self.paper.expire()
        command = Announce(
            key=key(),
            shipment_id=name,
            sku=place[0],
            location=place[1],
            units=units,
            expected_on=DAY,
            tolerance_percent=percent,
        )
        self.check(command, self.paper.announce(name, place, units, percent))

    @rule(name=st.sampled_from("st"), sku=st.sampled_from(SKUS), units=few)
    def unload(self, name: str, sku: Sku, units: int) -> None:
        self.paper.expire()
        self.check(Unload(key=key(), shipment_id=name, sku=sku, units=units), self.paper.unload(name, sku, units))

    @rule(name=st.sampled_from("st"), sku=st.sampled_from(SKUS))
    def close_shipment(self, name: str, sku: Sku) -> None:
        self.paper.expire()
        command = CloseShipment(key=key(), shipment_id=name, sku=sku, reason="sold out")
        self.check(command, self.paper.close(name, sku))

    @rule(name=st.sampled_from("st"), sku=st.sampled_from(SKUS), units=few, into=st.sampled_from(OverInto))
    def settle_over(self, name: str, sku: Sku, units: int, into: OverInto) -> None:
        self.paper.expire()
        command = SettleOver(key=key(), shipment_id=name, sku=sku, units=units, into=into)
        self.check(command, self.paper.settle_over(name, sku, units, into.value))

    @rule(place=places, units=few, origin=st.sampled_from(WRITE_OFF_STATES))
    def write_off(self, place: tuple[Sku, Location], units: int, origin: StockState) -> None:
        self.paper.expire()
        command = WriteOff(key=key(), sku=place[0], location=place[1], units=units, origin=origin)
        self.check(command, self.paper.change(place, units, f"{place[1]} {origin}", "shrinkage"))

    @rule(seconds=st.sampled_from([600, 1500]))
    def wait(self, seconds: int) -> None:
        self.paper.now += seconds
        self.pass_time(seconds)
