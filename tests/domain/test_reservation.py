"""Reservations: nothing is promised beyond what is there, and each ends once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

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
    release,
    shelf,
    tell,
)
from oneshelf.domain.command import ClaimInto, Command, Extend, Receive, ReservationKind, Reserve
from oneshelf.domain.identity import Sku
from oneshelf.domain.ledger import ReservationState
from oneshelf.domain.outcome import (
    Claimed,
    NoSuchReservation,
    NotAHold,
    Posted,
    Released,
    ReservationEnded,
    Reserved,
    Short,
)
from oneshelf.errors import MalformedError

LATER = NOON + timedelta(seconds=60)


def test_a_hold_sets_units_aside_until_its_time() -> None:
    on = shelf(MUG=5)
    outcome = ask(on, hold(demand(MUG, 2)))
    assert isinstance(outcome, Reserved)
    assert outcome == Reserved(outcome.reservation_id, units=2, expires_at=LATER)
    assert figures(on) == {"available": 3, "reserved": 2}
    assert_sound(on)


def test_what_is_reserved_cannot_be_reserved_again() -> None:
    on = shelf(MUG=5)
    held(on, demand(MUG, 4))
    assert ask(on, hold(demand(MUG, 2))) == Short(MUG, BERLIN, asked=2, available=1)
    assert figures(on) == {"available": 1, "reserved": 4}


def test_two_lines_of_one_basket_cannot_both_take_the_last_mug() -> None:
    on = shelf(MUG=1)
    assert ask(on, hold(demand(MUG, 1), demand(MUG, 1))) == Short(MUG, BERLIN, asked=2, available=1)
    assert figures(on) == {"available": 1}


def test_a_basket_is_reserved_whole_or_not_at_all() -> None:
    on = shelf(MUG=5, CAP=1)
    assert ask(on, hold(demand(MUG, 1), demand(CAP, 2))) == Short(CAP, BERLIN, asked=2, available=1)
    assert figures(on) == {"available": 5}
    assert not on.reservations
    assert isinstance(ask(on, hold(demand(MUG, 1), demand(CAP, 1))), Reserved)
    assert_sound(on)


def test_the_same_sku_at_two_places_is_two_demands() -> None:
    on = shelf(MUG=1)
    ask(on, Receive(key=key(), sku=MUG, location=HAMBURG, units=1))
    assert isinstance(ask(on, hold(demand(MUG, 1), demand(MUG, 1, HAMBURG))), Reserved)
    assert figures(on) == figures(on, at=HAMBURG) == {"reserved": 1}


def test_a_hold_past_its_time_never_blocks_a_sale() -> None:
    on = shelf(MUG=1)
    first = held(on, demand(MUG, 1))
    assert ask(on, hold(demand(MUG, 1)), now=LATER - timedelta(seconds=1)) == Short(MUG, BERLIN, 1, 0)
    assert isinstance(ask(on, hold(demand(MUG, 1)), now=LATER), Reserved)
    assert ask(on, claim(first), now=LATER) == ReservationEnded(first, "expired")
    assert_sound(on)


def test_a_hold_is_not_claimed_after_its_time_even_if_nobody_wanted_its_units() -> None:
    on = shelf(MUG=1)
    reservation = held(on, demand(MUG, 1))
    assert ask(on, claim(reservation), now=LATER) == ReservationEnded(reservation, "expired")
    assert figures(on) == {"available": 1}


def test_an_extended_hold_lasts_longer_and_never_shorter() -> None:
    on = shelf(MUG=1)
    reservation = held(on, demand(MUG, 1))
    longer = Extend(key=key(), reservation_id=reservation, ttl_s=90)
    assert ask(on, longer) == Reserved(reservation, units=1, expires_at=NOON + timedelta(seconds=90))
    shorter = Extend(key=key(), reservation_id=reservation, ttl_s=5)
    assert ask(on, shorter) == Reserved(reservation, units=1, expires_at=NOON + timedelta(seconds=90))
    assert isinstance(ask(on, claim(reservation), now=LATER), Claimed)


def test_only_a_hold_has_an_end_to_be_moved() -> None:
    on = shelf(MUG=1)
    outcome = ask(on, lock(demand(MUG, 1)))
    assert isinstance(outcome, Reserved)
    assert outcome.expires_at is None
    extended = ask(on, Extend(key=key(), reservation_id=outcome.reservation_id, ttl_s=90))
    assert extended == NotAHold(outcome.reservation_id, "lock")


def test_a_released_hold_gives_its_units_back_once() -> None:
    on = shelf(MUG=3)
    reservation = held(on, demand(MUG, 2))
    assert ask(on, release(reservation)) == Released(reservation, units=2)
    assert ask(on, release(reservation)) == ReservationEnded(reservation, "released")
    assert figures(on) == {"available": 3}
    assert_sound(on)


def test_released_units_go_to_the_oldest_order_that_is_short() -> None:
    on = shelf(MUG=2)
    reservation = held(on, demand(MUG, 2))
    tell(on, 1, order_id="late", placed_at=LATER)
    tell(on, 1, order_id="early")
    tell(on, 1, order_id="later", placed_at=LATER + timedelta(seconds=1))
    ask(on, release(reservation))
    assert {line.order_id: line.units_short for line in on.lines.values()} == {"early": 0, "late": 0, "later": 1}
    assert_sound(on)


def test_a_claimed_hold_is_committed_to_its_order() -> None:
    on = shelf(MUG=3)
    reservation = held(on, demand(MUG, 2))
    assert ask(on, claim(reservation)) == Claimed(reservation, units=2, units_short=0)
    assert figures(on) == {"available": 1, "committed": 2}
    assert_sound(on)


@pytest.mark.parametrize("told_first", [True, False])
def test_an_order_and_the_claim_of_its_hold_take_the_units_once_whichever_comes_first(told_first: bool) -> None:
    on = shelf(MUG=5)
    reservation = held(on, demand(MUG, 2))
    for is_told in (told_first, not told_first):
        if is_told:
            tell(on, 2)
        else:
            ask(on, claim(reservation))
    assert figures(on) == {"available": 3, "committed": 2}
    assert on.lines[SHOP, "o1", "l1", MUG].units_committed == 2
    assert_sound(on)


@pytest.mark.parametrize("told_first", [True, False])
def test_the_last_units_on_hold_reach_the_order_that_claims_them(told_first: bool) -> None:
    on = shelf(MUG=2)
    reservation = held(on, demand(MUG, 2))
    if told_first:
        tell(on, 2)
        assert on.lines[SHOP, "o1", "l1", MUG].units_short == 2
        tell(on, 1, order_id="older", placed_at=NOON - timedelta(days=1))
    ask(on, claim(reservation))
    tell(on, 2)
    assert figures(on) == {"committed": 2}
    assert (on.lines[SHOP, "o1", "l1", MUG].units_committed, on.lines[SHOP, "o1", "l1", MUG].units_short) == (2, 0)
    assert_sound(on)


def test_a_claim_of_more_than_the_order_says_is_given_back_when_the_channel_tells() -> None:
    on = shelf(MUG=5)
    ask(on, claim(held(on, demand(MUG, 4))))
    tell(on, 3)
    assert figures(on) == {"available": 2, "committed": 3}
    assert_sound(on)


def test_a_claimed_order_told_in_packs_counts_base_units() -> None:
    on = shelf(MUG=7)
    ask(on, claim(held(on, demand(MUG, 6))))
    tell(on, 1, pack_units=6)
    tell(on, 1, pack_units=6, units_shipped=1)
    assert figures(on) == {"available": 1}
    assert_sound(on)


def test_a_claim_for_an_unpaid_order_keeps_the_units_reserved() -> None:
    on = shelf(MUG=2)
    reservation = held(on, demand(MUG, 2))
    tell(on, 2, is_pending=1)
    ask(on, claim(reservation))
    assert figures(on) == {"reserved": 2}
    assert on.lines[SHOP, "o1", "l1", MUG].units_pending == 2
    assert_sound(on)


def test_a_hold_that_became_a_lock_lasts_until_it_is_claimed() -> None:
    on = shelf(MUG=2)
    reservation = held(on, demand(MUG, 2))
    assert ask(on, claim(reservation, into=ClaimInto.LOCK)) == Claimed(reservation, units=2, units_short=0)
    assert ask(on, claim(reservation, into=ClaimInto.LOCK)) == NotAHold(reservation, "lock")
    next_year = NOON + timedelta(days=365)
    assert ask(on, hold(demand(MUG, 1)), now=next_year) == Short(MUG, BERLIN, 1, 0)
    assert ask(on, claim(reservation), now=next_year) == Claimed(reservation, units=2, units_short=0)
    assert_sound(on)


@pytest.mark.parametrize("how", ["claimed", "released", "expired"])
@pytest.mark.parametrize("then", ["claim", "release", "extend"])
def test_a_reservation_ends_once(how: str, then: str) -> None:
    on = shelf(MUG=2, CAP=1)
    reservation = held(on, demand(MUG, 2), demand(CAP, 1))
    now = NOON
    if how == "claimed":
        ask(on, claim(reservation))
    elif how == "released":
        ask(on, release(reservation))
    else:
        now = LATER
        ask(on, Receive(key=key(), sku=CAP, location=BERLIN, units=1), now=now)
    before, moved = figures(on), len(on.movements)
    commands: dict[str, Command] = {
        "claim": claim(reservation),
        "release": release(reservation),
        "extend": Extend(key=key(), reservation_id=reservation, ttl_s=60),
    }
    assert ask(on, commands[then], now=now) == ReservationEnded(reservation, how)
    assert (figures(on), len(on.movements)) == (before, moved)


def test_a_hold_of_which_a_sale_took_back_one_part_has_ended_as_a_whole() -> None:
    on = shelf(MUG=1, CAP=1)
    reservation = held(on, demand(MUG, 1), demand(CAP, 1))
    on.reservations[CAP, reservation, BERLIN].state = ReservationState.EXPIRED
    assert ask(on, claim(reservation)) == ReservationEnded(reservation, "expired")
    assert on.reservations[MUG, reservation, BERLIN].is_held


def test_nobody_claims_what_nobody_reserved() -> None:
    on = shelf(MUG=1)
    assert ask(on, claim(UUID(int=99))) == NoSuchReservation(UUID(int=99))


def test_a_receipt_after_a_reservation_is_free() -> None:
    on = shelf(MUG=1)
    held(on, demand(MUG, 1))
    assert ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=2)) == Posted(units_moved=2, available=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": ()},
        {"ttl_s": None},
        {"ttl_s": 0},
        {"ttl_s": 10**9},
        {"kind": ReservationKind.LOCK},
        {"lines": (demand(MUG, 1),) * 201},
    ],
)
def test_a_reservation_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"kind": ReservationKind.HOLD, "lines": (demand(MUG, 1),), "ttl_s": 60, **wrong}
    with pytest.raises(MalformedError):
        Reserve(key=key(), **fields)  # type: ignore[arg-type]  # keywords of several types


def test_no_units_are_no_demand() -> None:
    with pytest.raises(MalformedError):
        demand(Sku("MUG"), 0)
