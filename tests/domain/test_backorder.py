"""With a policy, units may be promised that are not there yet, up to the cap; the oldest promise is filled first."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec

from domain.shop import (
    BERLIN,
    CAP,
    DUO,
    MUG,
    NOON,
    ask,
    assert_sound,
    claim,
    demand,
    figures,
    hold,
    key,
    lock,
    release,
    shelf,
    tell,
)
from oneshelf.domain.command import Count, Demand, Receive, Reserve
from oneshelf.domain.ledger import Backorder, BackorderKind, Shelf
from oneshelf.domain.outcome import Claimed, Grant, Released, Reserved, Short


def backordered(cap: int, *, mugs: int = 0, caps: int = 0) -> Shelf:
    on = shelf(MUG=mugs, CAP=caps)
    on.backorders = {(MUG, BERLIN): Backorder(kind=BackorderKind.BACKORDER, cap_units=cap)}
    return on


def reserve(on: Shelf, *lines: Demand, second: int = 0) -> Reserved:
    outcome = ask(on, lock(*lines), now=NOON + timedelta(seconds=second))
    assert isinstance(outcome, Reserved), outcome
    return outcome


def receive(on: Shelf, units: int) -> None:
    ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=units))


def short(on: Shelf, reservation_id: UUID) -> int:
    return sum(part.units_short for part in on.parts(reservation_id))


def test_units_beyond_the_shelf_are_promised_up_to_the_cap() -> None:
    on = backordered(3, mugs=2)
    first = reserve(on, demand(MUG, 4))
    assert (first.units, first.units_short) == (2, 2)
    assert first.grants == (Grant(MUG, BERLIN, asked=4, granted=2, short=2, refused=0),)
    assert ask(on, lock(demand(MUG, 2))) == Short(MUG, BERLIN, asked=2, available=0, backorderable=1)
    assert reserve(on, demand(MUG, 1)).units_short == 1
    assert ask(on, lock(demand(MUG, 1))) == Short(MUG, BERLIN, asked=1, available=0)
    assert figures(on) == {"reserved": 2}
    assert_sound(on)


def test_without_a_policy_nothing_is_promised_beyond_the_shelf() -> None:
    on = shelf(MUG=2)
    assert ask(on, lock(demand(MUG, 3))) == Short(MUG, BERLIN, asked=3, available=2)


def test_orders_of_channels_count_against_the_cap_and_are_never_refused() -> None:
    on = backordered(3)
    tell(on, 2)
    assert ask(on, lock(demand(MUG, 2))) == Short(MUG, BERLIN, asked=2, available=0, backorderable=1)
    tell(on, 9, order_id="o2")
    assert on.units_short((MUG, BERLIN)) == 11
    assert ask(on, lock(demand(MUG, 1))) == Short(MUG, BERLIN, asked=1, available=0)


def test_what_comes_in_fills_orders_and_reservations_alike_the_oldest_first() -> None:
    on = backordered(9)
    first = reserve(on, demand(MUG, 2), second=0)
    tell(on, 2, placed_at=NOON + timedelta(seconds=1))
    last = reserve(on, demand(MUG, 2), second=2)
    receive(on, 3)
    [line] = on.lines.values()
    assert (short(on, first.reservation_id), line.units_short, short(on, last.reservation_id)) == (0, 1, 2)
    receive(on, 4)
    assert figures(on) == {"available": 1, "committed": 2, "reserved": 4}
    assert_sound(on)


def test_a_claim_carries_what_is_short_to_the_order_and_keeps_its_place() -> None:
    on = backordered(9, mugs=1)
    early = reserve(on, demand(MUG, 3), second=0)
    late = reserve(on, demand(MUG, 1), second=5)
    assert ask(on, claim(early.reservation_id)) == Claimed(early.reservation_id, units=1, units_short=2)
    receive(on, 2)
    assert short(on, late.reservation_id) == 1
    assert figures(on) == {"committed": 3}
    assert_sound(on)


def test_a_short_hold_gives_back_only_what_it_has() -> None:
    on = backordered(5, mugs=1)
    released = reserve(on, demand(MUG, 3))
    assert ask(on, release(released.reservation_id)) == Released(released.reservation_id, units=1)
    assert (figures(on), on.units_short((MUG, BERLIN))) == ({"available": 1}, 0)
    ask(on, hold(demand(MUG, 4), ttl_s=60))
    assert on.units_short((MUG, BERLIN)) == 3
    later = NOON + timedelta(seconds=61)
    ask(on, Receive(key=key(), sku=CAP, location=BERLIN, units=1), now=later)
    assert (figures(on), on.units_short((MUG, BERLIN))) == ({"available": 1}, 0)
    assert_sound(on)


def test_a_count_takes_from_a_reservation_and_the_next_receipt_gives_it_back() -> None:
    on = shelf(MUG=3)
    locked = reserve(on, demand(MUG, 3))
    ask(on, Count(key=key(), sku=MUG, location=BERLIN, units=1))
    [part] = on.parts(locked.reservation_id)
    assert (part.units_short, part.units_lost) == (2, 2)
    receive(on, 5)
    assert (part.units_short, part.units_lost) == (0, 2)
    assert figures(on) == {"available": 3, "reserved": 3}


def test_a_bundle_may_wait_for_the_component_that_has_a_policy() -> None:
    on = backordered(4, caps=3)
    outcome = reserve(on, demand(DUO, 2))
    assert (outcome.units, outcome.units_short) == (2, 4)
    assert outcome.grants == (Grant(DUO, BERLIN, asked=2, granted=0, short=2, refused=0),)
    assert ask(on, lock(demand(DUO, 1))) == Short(MUG, BERLIN, asked=2, available=0)
    receive(on, 4)
    assert figures(on) == {"reserved": 4}
    assert_sound(on)


def test_a_part_is_what_is_there_and_what_may_wait() -> None:
    on = backordered(2, mugs=1)
    wanted: Reserve = msgspec.structs.replace(lock(demand(MUG, 9)), allows_partial=True)
    outcome = ask(on, wanted)
    assert isinstance(outcome, Reserved)
    assert outcome.grants == (Grant(MUG, BERLIN, asked=9, granted=1, short=2, refused=6),)
