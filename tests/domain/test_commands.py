"""What people and programs do to units: each move has two ends, and nothing is taken that is not there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.shop import (
    BERLIN,
    CAP,
    HAMBURG,
    MUG,
    NOON,
    SHOP,
    ask,
    assert_sound,
    claim,
    demand,
    figures,
    held,
    hold,
    key,
    lock,
    moved_from,
    reasons,
    shelf,
    tell,
)
from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.command import (
    Adjust,
    Arrive,
    Assemble,
    Cancel,
    Component,
    Count,
    CountedFigure,
    Disassemble,
    Dispatch,
    Expect,
    Move,
    OrderRef,
    Receive,
    Return,
    ReturnInto,
    Ship,
)
from oneshelf.domain.identity import UNITS_MAX, Sku
from oneshelf.domain.kit_outcome import NoRecipe, OtherRecipe
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import (
    Arrived,
    Claimed,
    CountedShort,
    NoRoom,
    NoSuchLine,
    NoSuchTransfer,
    NotThatManyHeld,
    NotThatManyShipped,
    Outcome,
    Posted,
    Reserved,
    Short,
    TooFew,
    TransferEnded,
    TransferExists,
    in_words,
)
from oneshelf.errors import MalformedError

SET = Sku("SET")
ORDER = OrderRef(SHOP, "o1")
AVAILABLE, DAMAGED, INCOMING = StockState.AVAILABLE, StockState.DAMAGED, StockState.INCOMING


def move(units: int, origin: StockState, target: StockState) -> Move:
    return Move(key=key(), sku=MUG, location=BERLIN, units=units, origin=origin, target=target)


def count(units: int, figure: CountedFigure = CountedFigure.ON_HAND) -> Count:
    return Count(key=key(), sku=MUG, location=BERLIN, units=units, figure=figure)


def dispatch(units: int, transfer_id: str = "t1") -> Dispatch:
    return Dispatch(key=key(), transfer_id=transfer_id, sku=MUG, origin=BERLIN, target=HAMBURG, units=units)


def arrive(units: int, *, is_last: bool = True) -> Arrive:
    return Arrive(key=key(), transfer_id="t1", sku=MUG, units=units, is_last=is_last)


def come_back(units: int, into: ReturnInto = ReturnInto.AVAILABLE, line_id: str = "") -> Return:
    return Return(key=key(), order=ORDER, sku=MUG, location=HAMBURG, units=units, into=into, line_id=line_id)


def a_set(*, units: int, mugs: int = 2, caps: int = 1) -> dict[str, object]:
    parts = (Component(sku=MUG, units=mugs), Component(sku=CAP, units=caps))
    return {"sku": SET, "location": BERLIN, "units": units, "components": parts}


# Move and expect -------------------------------------------------------------------------------------------------


def test_damaged_units_are_not_for_sale_until_they_are_mended() -> None:
    on = shelf(MUG=5)
    assert ask(on, move(2, AVAILABLE, DAMAGED)) == Posted(units_moved=2, available=3)
    assert figures(on) == {"available": 3, "damaged": 2}
    assert ask(on, move(3, DAMAGED, AVAILABLE)) == TooFew(MUG, BERLIN, "damaged", asked=3, there=2)
    assert ask(on, move(1, DAMAGED, AVAILABLE)) == Posted(units_moved=1, available=4)
    assert_sound(on)


def test_units_that_are_promised_cannot_be_moved_away() -> None:
    on = shelf(MUG=5)
    held(on, demand(MUG, 3))
    tell(on, 1)
    assert ask(on, move(2, AVAILABLE, DAMAGED)) == Short(MUG, BERLIN, asked=2, available=1)
    assert figures(on) == {"available": 1, "committed": 1, "reserved": 3}


def test_an_announced_delivery_arrives_and_fills_the_order_that_waits() -> None:
    on = shelf()
    tell(on, 2)
    assert ask(on, Expect(key=key(), sku=MUG, location=BERLIN, delta_units=5)) == Posted(units_moved=5, available=0)
    assert figures(on) == {"incoming": 5}
    assert on.balances[MUG, BERLIN].on_hand == 0
    assert ask(on, move(4, INCOMING, AVAILABLE)) == Posted(units_moved=4, available=2)
    back = Expect(key=key(), sku=MUG, location=BERLIN, delta_units=-2)
    assert ask(on, back) == TooFew(MUG, BERLIN, "incoming", asked=2, there=1)
    assert figures(on) == {"available": 2, "committed": 2, "incoming": 1}
    assert_sound(on)


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        (origin, target)
        for origin in StockState
        for target in StockState
        if origin in {StockState.COMMITTED, StockState.RESERVED}
        or target in {StockState.COMMITTED, StockState.RESERVED, StockState.INCOMING}
        or origin is target
    ],
)
def test_what_belongs_to_an_order_is_not_moved_by_hand(origin: StockState, target: StockState) -> None:
    with pytest.raises(MalformedError):
        move(1, origin, target)


def test_what_would_be_more_than_any_shelf_holds_is_refused() -> None:
    on = shelf(MUG=UNITS_MAX)
    held(on, demand(MUG, 5))
    refused = NoRoom(MUG, BERLIN, asked=1, there=UNITS_MAX)
    assert ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=1)) == refused
    assert figures(on) == {"available": UNITS_MAX - 5, "reserved": 5}


# Transfers -------------------------------------------------------------------------------------------------------


def test_a_transfer_leaves_one_shelf_and_reaches_the_other() -> None:
    on = shelf(MUG=5)
    assert ask(on, dispatch(3)) == Posted(units_moved=3, available=2)
    assert (figures(on), figures(on, at=HAMBURG)) == ({"available": 2}, {})
    assert ask(on, arrive(3)) == Arrived(3, units_over=0, units_lost=0, available=3)
    assert figures(on, at=HAMBURG) == {"available": 3}
    assert_sound(on)


def test_a_transfer_takes_only_what_is_free() -> None:
    on = shelf(MUG=5)
    held(on, demand(MUG, 3))
    assert ask(on, dispatch(3)) == Short(MUG, BERLIN, asked=3, available=2)
    assert ask(on, arrive(3)) == NoSuchTransfer("t1", MUG)


def test_what_arrives_beyond_what_was_sent_is_sold_to_nobody_before_a_person_has_looked() -> None:
    on = shelf(MUG=5)
    ask(on, dispatch(4))
    arrived = ask(on, arrive(4000))
    assert arrived == Arrived(4000, units_over=3996, units_lost=0, available=4)
    assert figures(on, at=HAMBURG) == {"available": 4, "quality_control": 3996}
    assert "3996 more than were sent wait in quality control" in in_words(arrived)
    assert_sound(on)


@pytest.mark.parametrize(("came", "over", "lost"), [(2, 0, 1), (0, 0, 3), (5, 2, 0)])
def test_a_transfer_that_arrives_short_or_over_says_by_how_much(came: int, over: int, lost: int) -> None:
    on = shelf(MUG=5)
    ask(on, dispatch(3))
    assert ask(on, arrive(came)) == Arrived(came, over, lost, available=came - over)
    assert ask(on, arrive(1)) == TransferEnded("t1", MUG, units_sent=3, units_arrived=came, units_lost=lost)
    assert figures(on, at=HAMBURG).get("available", 0) == came - over
    assert (Reason.LOST_IN_TRANSIT in reasons(on), Reason.ARRIVED_OVER in reasons(on)) == (lost > 0, over > 0)
    assert_sound(on)


def test_a_transfer_may_arrive_in_parts() -> None:
    on = shelf(MUG=5)
    ask(on, dispatch(4))
    assert ask(on, arrive(1, is_last=False)) == Arrived(1, 0, 0, available=1)
    assert ask(on, arrive(3, is_last=False)) == Arrived(3, 0, 0, available=4)
    assert ask(on, arrive(1)) == TransferEnded("t1", MUG, units_sent=4, units_arrived=4, units_lost=0)
    assert_sound(on)


def test_a_transfer_number_is_used_once_for_a_sku() -> None:
    on = shelf(MUG=5)
    ask(on, dispatch(1))
    assert ask(on, dispatch(2)) == TransferExists("t1", MUG, units_sent=1)
    assert ask(on, dispatch(2, "t2")) == Posted(units_moved=2, available=2)


def test_a_transfer_to_where_it_is_goes_nowhere() -> None:
    with pytest.raises(MalformedError, match="goes nowhere"):
        Dispatch(key=key(), transfer_id="t", sku=MUG, origin=BERLIN, target=BERLIN, units=1)


# Returns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("into", ReturnInto)
def test_a_shipped_unit_comes_back_once_to_where_it_is_put(into: ReturnInto) -> None:
    on = shelf(MUG=5)
    tell(on, 3, units_shipped=2)
    outcome = ask(on, come_back(2, into))
    assert outcome == Posted(units_moved=2, available=2 if into is ReturnInto.AVAILABLE else 0)
    assert figures(on, at=HAMBURG) == ({} if into is ReturnInto.WRITTEN_OFF else {into.value: 2})
    assert ask(on, come_back(1, into)) == NotThatManyShipped(SHOP, "o1", MUG, asked=1, shipped=2, returned=2)
    assert moved_from(on, Outside.CUSTOMER) == 2
    assert_sound(on)


def test_a_unit_that_never_shipped_does_not_come_back() -> None:
    on = shelf(MUG=5)
    assert ask(on, come_back(1)) == NoSuchLine(SHOP, "o1", MUG)
    tell(on, 3)
    assert ask(on, come_back(1)) == NotThatManyShipped(SHOP, "o1", MUG, asked=1, shipped=0, returned=0)
    assert ask(on, come_back(1, line_id="l9")) == NoSuchLine(SHOP, "o1", MUG)


def test_a_returned_unit_goes_to_the_order_that_waits() -> None:
    on = shelf(MUG=2)
    tell(on, 2, units_shipped=2)
    tell(on, 1, order_id="o2")
    back = Return(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=2, into=ReturnInto.AVAILABLE, line_id="l1")
    assert ask(on, back) == Posted(units_moved=2, available=1)
    assert on.lines[SHOP, "o2", "l1", MUG].units_committed == 1
    assert_sound(on)


def test_a_shipment_taken_back_after_the_return_does_not_make_a_unit_of_nothing() -> None:
    on = shelf(MUG=2)
    tell(on, 2, units_shipped=2)
    ask(on, Return(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=1, into=ReturnInto.AVAILABLE))
    tell(on, 2)
    assert on.balances[MUG, BERLIN].on_hand == 2
    assert figures(on) == {"committed": 2}
    assert on.lines[SHOP, "o1", "l1", MUG].units_returned == 0
    assert_sound(on)


# Orders that only a claim has made ----------------------------------------------------------------------------------


def claimed(units: int) -> Shelf:
    on = shelf(MUG=5)
    ask(on, claim(held(on, demand(MUG, units))))
    return on


def test_a_claimed_order_ships_and_comes_back() -> None:
    on = claimed(3)
    ship = Ship(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=2)
    assert ask(on, ship) == Posted(units_moved=2, available=2)
    assert figures(on) == {"available": 2, "committed": 1}
    assert ask(on, ship) == NotThatManyHeld(SHOP, "o1", MUG, asked=2, held=1, short=0)
    assert ask(on, come_back(2)) == Posted(units_moved=2, available=2)
    assert_sound(on)


def test_a_claimed_order_that_is_cancelled_frees_its_units() -> None:
    on = claimed(3)
    cancel = Cancel(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=3)
    assert ask(on, cancel) == Posted(units_moved=3, available=5)
    assert ask(on, cancel) == NotThatManyHeld(SHOP, "o1", MUG, asked=3, held=0, short=0)
    assert_sound(on)


def test_of_an_order_that_claimed_twice_what_was_reserved_first_is_cancelled_first() -> None:
    on = shelf(MUG=5)
    first, second = held(on, demand(MUG, 1)), held(on, demand(MUG, 2))
    ask(on, claim(second))
    ask(on, claim(first))
    ask(on, Cancel(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=1))
    held_by = {line.line_id.split("/")[0]: line.units_committed for line in on.lines.values()}
    assert held_by == {str(first): 0, str(second): 2}
    assert_sound(on)


def test_an_order_of_a_channel_ships_when_the_channel_says_so() -> None:
    on = shelf(MUG=5)
    tell(on, 3)
    assert ask(on, Ship(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=1)) == NoSuchLine(SHOP, "o1", MUG)


# Counts ----------------------------------------------------------------------------------------------------------


def test_a_count_breaks_no_promise_while_other_units_can_be_missing() -> None:
    on = shelf(MUG=10)
    ask(on, move(1, AVAILABLE, DAMAGED))
    ask(on, move(2, AVAILABLE, StockState.SAFETY_STOCK))
    tell(on, 3)
    assert ask(on, count(4)) == Posted(units_moved=6, available=0)
    assert figures(on) == {"committed": 3, "damaged": 1}
    assert ask(on, count(3)) == Posted(units_moved=1, available=0)
    assert figures(on) == {"committed": 3}
    assert_sound(on)


def test_a_count_below_what_is_promised_shortens_the_latest_orders() -> None:
    on = shelf(MUG=6)
    for number in (2, 0, 1):
        tell(on, 2, order_id=f"o{number}", placed_at=NOON + timedelta(hours=number))
    assert ask(on, count(3)) == CountedShort(units_moved=3, available=0, units_short=3)
    assert {line.order_id: line.units_short for line in on.lines.values()} == {"o0": 0, "o1": 1, "o2": 2}
    assert figures(on) == {"committed": 3}
    assert_sound(on)
    assert ask(on, count(6)) == Posted(units_moved=3, available=0)
    assert not any(line.units_short for line in on.lines.values())


def test_checkouts_lose_their_units_before_orders_and_locks_last() -> None:
    on = shelf(MUG=8)
    checkout = held(on, demand(MUG, 2))
    locked = ask(on, lock(demand(MUG, 2)))
    assert isinstance(locked, Reserved)
    tell(on, 2, is_pending=1)
    tell(on, 2, order_id="o2")
    assert ask(on, count(6)) == CountedShort(units_moved=2, available=0, units_short=2)
    assert on.reservations[MUG, checkout, BERLIN].units_held == 0
    assert ask(on, count(2)) == CountedShort(units_moved=4, available=0, units_short=4)
    assert {line.units_short for line in on.lines.values()} == {2}
    assert ask(on, count(1)) == CountedShort(units_moved=1, available=0, units_short=1)
    assert on.reservations[MUG, locked.reservation_id, BERLIN].units_held == 1
    assert_sound(on)
    assert ask(on, claim(locked.reservation_id, "o3")) == Claimed(locked.reservation_id, units=1, units_short=1)
    assert [line.units_short for line in on.lines.values() if line.order_id == "o3"] == [1]
    assert_sound(on)


def test_a_count_of_nothing_loses_every_promise_and_no_order() -> None:
    on = shelf(MUG=3)
    tell(on, 3)
    assert ask(on, count(0)) == CountedShort(units_moved=3, available=0, units_short=3)
    assert on.lines[SHOP, "o1", "l1", MUG].units_held == 3
    ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=3))
    assert figures(on) == {"committed": 3}


def test_a_reservation_short_since_a_count_is_filled_by_what_comes_in() -> None:
    on = shelf(MUG=2)
    reservation = held(on, demand(MUG, 2))
    ask(on, count(1))
    ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=5))
    assert figures(on) == {"available": 4, "reserved": 2}
    assert ask(on, claim(reservation)) == Claimed(reservation, units=2, units_short=0)
    assert figures(on) == {"available": 4, "committed": 2}
    assert_sound(on)


def test_a_count_of_free_units_touches_no_promise() -> None:
    on = shelf(MUG=5)
    held(on, demand(MUG, 3))
    assert ask(on, count(0, CountedFigure.AVAILABLE)) == Posted(units_moved=2, available=0)
    assert figures(on) == {"reserved": 3}


# Kits ------------------------------------------------------------------------------------------------------------


def test_a_kit_takes_its_components_and_gives_them_back() -> None:
    on = shelf(MUG=5, CAP=3)
    assert ask(on, Assemble(key=key(), **a_set(units=2))) == Posted(units_moved=2, available=2)  # type: ignore[arg-type]  # the members are of several types
    assert (figures(on), figures(on, CAP), figures(on, SET)) == ({"available": 1}, {"available": 1}, {"available": 2})
    assert ask(on, Disassemble(key=key(), **a_set(units=1))) == Posted(units_moved=1, available=1)  # type: ignore[arg-type]  # the members are of several types
    assert (figures(on), figures(on, CAP), figures(on, SET)) == ({"available": 3}, {"available": 2}, {"available": 1})
    assert_sound(on)


def test_a_kit_is_made_of_what_is_free_or_not_at_all() -> None:
    on = shelf(MUG=5, CAP=3)
    held(on, demand(CAP, 2))
    assert ask(on, Assemble(key=key(), **a_set(units=2))) == Short(CAP, BERLIN, asked=2, available=1)  # type: ignore[arg-type]  # the members are of several types
    assert ask(on, Disassemble(key=key(), **a_set(units=1))) == Short(SET, BERLIN, asked=1, available=0)  # type: ignore[arg-type]  # the members are of several types
    assert figures(on) == {"available": 5}


def test_a_kit_of_nothing_is_one_by_the_recipe_that_is_kept() -> None:
    on = shelf(MUG=5, CAP=3)
    by_recipe = Assemble(key=key(), sku=SET, location=BERLIN, units=2)
    assert ask(on, by_recipe) == NoRecipe(SET)
    on.recipes = {SET: (Component(sku=MUG, units=2), Component(sku=CAP, units=1))}
    assert ask(on, by_recipe) == Posted(units_moved=2, available=2)
    other = Disassemble(key=key(), sku=SET, location=BERLIN, units=1, components=(Component(sku=MUG, units=9),))
    assert ask(on, other) == OtherRecipe(SET, "CAP=1 MUG=2", "MUG=9")


@pytest.mark.parametrize("parts", [(SET,), (MUG, MUG), (CAP,) * 201])
def test_a_kit_of_itself_or_of_one_part_twice_is_refused(parts: tuple[Sku, ...]) -> None:
    components = tuple(Component(sku=sku, units=1) for sku in parts)
    with pytest.raises(MalformedError):
        Assemble(key=key(), sku=SET, location=BERLIN, units=1, components=components)


# Refusals --------------------------------------------------------------------------------------------------------


def test_a_refusal_moves_nothing_and_says_the_figures() -> None:
    on = shelf(MUG=1)
    moved = len(on.movements)
    refusals: list[Outcome] = [
        ask(on, Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-2)),
        ask(on, move(2, DAMAGED, AVAILABLE)),
        ask(on, arrive(1)),
        ask(on, come_back(1)),
        ask(on, hold(demand(MUG, 2))),
    ]
    assert len(on.movements) == moved
    assert all(in_words(refusal).startswith(("refused", "short")) for refusal in refusals)
