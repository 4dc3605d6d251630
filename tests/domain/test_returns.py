"""A unit that came back is told by its channel, which put it on sale, by people, or by both: it comes back once."""

from __future__ import annotations

import pytest

from domain.shop import BERLIN, HAMBURG, LINKS, MUG, NOON, SHOP, ask, assert_sound, figures, key, shelf, tell
from oneshelf.domain.command import OrderRef, Return, ReturnInto
from oneshelf.domain.fulfilment import post_order
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import NotThatManyShipped, Posted, Short

ORDER = OrderRef(SHOP, "o1")


def come_back(units: int, into: ReturnInto = ReturnInto.AVAILABLE) -> Return:
    return Return(key=key(), order=ORDER, sku=MUG, location=HAMBURG, units=units, into=into)


@pytest.mark.parametrize("is_booked_first", [True, False])
@pytest.mark.parametrize("into", ReturnInto)
def test_a_unit_that_people_and_its_channel_tell_of_comes_back_once(into: ReturnInto, is_booked_first: bool) -> None:
    """Whichever comes first: it lies where the person put it."""
    on = shelf(MUG=3)
    tell(on, 2, units_shipped=2)
    if is_booked_first:
        ask(on, come_back(1, into))
    tell(on, 2, units_shipped=2, units_returned=1)
    if not is_booked_first:
        assert figures(on) == {"available": 2}
        assert ask(on, come_back(1, into)) == Posted(units_moved=1, available=int(into is ReturnInto.AVAILABLE))
    assert figures(on) == {"available": 1}
    assert figures(on, at=HAMBURG) == ({} if into is ReturnInto.WRITTEN_OFF else {into.value: 1})
    assert on.lines[SHOP, "o1", "l1", MUG].units_back == 1
    assert_sound(on)


def test_a_unit_that_is_on_sale_where_it_is_booked_back_moves_no_further() -> None:
    on = shelf(MUG=2)
    tell(on, 1, units_shipped=1, units_returned=1)
    back = Return(key=key(), order=ORDER, sku=MUG, location=BERLIN, units=1, into=ReturnInto.AVAILABLE)
    assert ask(on, back) == Posted(units_moved=0, available=2)
    assert ask(on, back) == NotThatManyShipped(SHOP, "o1", MUG, asked=1, shipped=1, returned=1)
    assert figures(on) == {"available": 2}


def test_people_book_another_unit_than_those_that_the_channel_told_of() -> None:
    on = shelf(MUG=3)
    tell(on, 3, units_shipped=3, units_returned=1)
    assert ask(on, come_back(3, ReturnInto.DAMAGED)) == Posted(units_moved=3, available=0)
    assert figures(on, at=HAMBURG) == {"damaged": 3}
    assert figures(on) == {}
    tell(on, 3, units_shipped=3, units_returned=3)
    assert figures(on) == {}
    assert_sound(on)


def test_a_unit_that_came_back_and_was_sold_again_is_not_found_damaged() -> None:
    on = shelf(MUG=1)
    tell(on, 1, units_shipped=1, units_returned=1)
    tell(on, 1, order_id="o2")
    assert ask(on, come_back(1, ReturnInto.DAMAGED)) == Short(MUG, BERLIN, asked=1, available=0)
    assert figures(on) == {"committed": 1}
    assert_sound(on)


@pytest.mark.parametrize("is_booked_first", [True, False])
def test_a_return_that_names_no_line_is_of_the_line_that_the_channel_names(is_booked_first: bool) -> None:
    on = shelf(MUG=2)

    def tell_both(returned: int) -> None:
        lines = (
            OrderLine("l1", ChannelSku("mug"), 1, units_shipped=1),
            OrderLine("l2", ChannelSku("mug"), 1, units_shipped=1, units_returned=returned),
        )
        post_order(on, OrderSnapshot(SHOP, "o1", "1", NOON, False, lines), LINKS)

    tell_both(0)
    if is_booked_first:
        ask(on, come_back(1, ReturnInto.DAMAGED))
    tell_both(1)
    if not is_booked_first:
        ask(on, come_back(1, ReturnInto.DAMAGED))
    assert figures(on) == {}
    assert figures(on, at=HAMBURG) == {"damaged": 1}
    assert_sound(on)
