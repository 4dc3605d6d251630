"""What a channel that is right shows: units are found or gone, and no promise is kept with what is not there."""

from __future__ import annotations

from domain.shop import BERLIN, MUG, ask, assert_sound, demand, figures, held, key, shelf, tell
from oneshelf.domain.command import Adopt
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.domain.outcome import CountedShort, NoRoom, Posted


def adopt(units: int) -> Adopt:
    return Adopt(key=key(), sku=MUG, location=BERLIN, delta_units=units)


def test_more_are_found_and_go_first_to_who_waits() -> None:
    on = shelf(MUG=1)
    tell(on, 3)
    assert ask(on, adopt(5)) == Posted(units_moved=5, available=3)
    assert figures(on) == {"available": 3, "committed": 3}
    assert_sound(on)


def test_fewer_are_gone_from_what_is_free() -> None:
    on = shelf(MUG=5)
    tell(on, 2)
    assert ask(on, adopt(-3)) == Posted(units_moved=3, available=0)
    assert figures(on) == {"committed": 2}
    assert_sound(on)


def test_fewer_than_are_promised_leave_checkouts_and_then_the_latest_orders_short() -> None:
    on = shelf(MUG=6)
    tell(on, 2)
    held(on, demand(MUG, 3))
    assert ask(on, adopt(-5)) == CountedShort(units_moved=5, available=0, units_short=4)
    assert figures(on) == {"committed": 1}
    assert_sound(on)


def test_what_was_never_there_is_not_taken() -> None:
    on = shelf(MUG=2)
    assert ask(on, adopt(-7)) == Posted(units_moved=2, available=0)
    assert figures(on) == {}
    assert_sound(on)


def test_no_balance_overflows() -> None:
    on = shelf(MUG=5)
    assert isinstance(ask(on, adopt(UNITS_MAX)), NoRoom)
    assert figures(on) == {"available": 5}
