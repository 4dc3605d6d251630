"""What orders do to the ledger: each unit moves once, nothing is invented, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from random import Random
from time import process_time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Adjust, CommandKey, Count, CountedFigure, Receive
from oneshelf.domain.fulfilment import Link, OrderPosted, post_order
from oneshelf.domain.identity import UNITS_MAX, Channel, ChannelSku, Location, Sku
from oneshelf.domain.ledger import Balance, Shelf
from oneshelf.domain.movement import Reason
from oneshelf.domain.order import OrderLine, OrderSnapshot, is_older, turnovers
from oneshelf.domain.outcome import CountedShort, Posted, Short
from oneshelf.domain.posting import post_command
from oneshelf.errors import MalformedError

SHOP, BERLIN, MUG, CAP = Channel("shop"), Location("BER"), Sku("MUG"), Sku("CAP")
PLACED = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LINKS = {
    ChannelSku("mug"): Link(MUG, BERLIN, 1),
    ChannelSku("cap"): Link(CAP, BERLIN, 1),
    ChannelSku("six mugs"): Link(MUG, BERLIN, 6),
}


def ids() -> Callable[[], UUID]:
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


def shelf(**available: int) -> Shelf:
    """A shelf in Berlin with these available units, brought by the supplier."""
    opened = Shelf(balances={(Sku(sku), BERLIN): Balance() for sku in ("MUG", "CAP")}, new_id=ids())
    for sku, units in available.items():
        opened.move(
            Sku(sku),
            origin=Account(Outside.SUPPLIER),
            target=Account(StockState.AVAILABLE, BERLIN),
            units=units,
            reason=Reason.RECEIVED,
            source="setup",
        )
    return opened


def order(*lines: OrderLine, order_id: str = "o1", version: str = "1", is_pending: bool = False) -> OrderSnapshot:
    return OrderSnapshot(SHOP, order_id, version, PLACED, is_pending, lines)


def line(units: int, listing: str = "mug", line_id: str = "l1", **said: Any) -> OrderLine:
    return OrderLine(line_id, ChannelSku(listing), units, **said)


def post(on: Shelf, *snapshots: OrderSnapshot) -> OrderPosted:
    """Post as the flow does: a snapshot that is older than the newest one posted is left out."""
    newest: dict[str, OrderSnapshot] = {}
    posted = OrderPosted({}, ())
    for snapshot in snapshots:
        if is_older(snapshot, newest.get(snapshot.order_id)):
            continue
        newest[snapshot.order_id] = snapshot
        posted = post_order(on, snapshot, LINKS)
    return posted


def figures(of: Shelf, sku: Sku = MUG) -> dict[str, int]:
    return {state.value: units for state, units in of.balances[sku, BERLIN].units.items() if units}


def assert_balances(of: Shelf) -> None:
    """Every balance is the sum of its movements, and no line waits for a unit that is free."""
    for (sku, location), balance in of.balances.items():
        for state, units in balance.units.items():
            account = Account(state, location)
            moved = sum(m.units for m in of.movements if m.sku == sku and m.target == account)
            moved -= sum(m.units for m in of.movements if m.sku == sku and m.origin == account)
            assert moved == units
        lines = [line for line in of.lines.values() if line.sku == sku]
        assert balance.units[StockState.COMMITTED] == sum(line.units_committed for line in lines)
        assert balance.units[StockState.RESERVED] == sum(line.units_pending for line in lines)
        assert balance.available == 0 or not any(line.units_short for line in lines)


def test_an_order_commits_its_units() -> None:
    on = shelf(MUG=5)
    assert post(on, order(line(2))).off_listing == {"mug": 2}
    assert figures(on) == {"available": 3, "committed": 2}
    assert_balances(on)


def test_the_same_order_told_again_moves_nothing() -> None:
    on = shelf(MUG=5)
    post(on, order(line(2)))
    moved = len(on.movements)
    assert post(on, order(line(2))).off_listing == {"mug": 0}
    assert len(on.movements) == moved


def test_a_pending_order_reserves_and_is_committed_when_paid() -> None:
    on = shelf(MUG=5)
    post(on, order(line(2), is_pending=True))
    assert figures(on) == {"available": 3, "reserved": 2}
    post(on, order(line(2), version="2"))
    assert figures(on) == {"available": 3, "committed": 2}
    assert_balances(on)


def test_a_cancelled_line_gives_its_units_back_once() -> None:
    on = shelf(MUG=5)
    cancelled = order(line(2, units_cancelled=2, units_relisted=2), version="2")
    assert post(on, order(line(2)), cancelled, cancelled).off_listing == {"mug": 0}
    assert figures(on) == {"available": 5}
    assert_balances(on)


def test_what_went_back_and_forth_is_counted_though_it_comes_to_nothing() -> None:
    cancelled = order(line(2, units_cancelled=2, units_relisted=2), version="2")
    assert turnovers(cancelled, None) == {"mug": 4}, "two were off the listing, and came back"
    assert turnovers(cancelled, order(line(2))) == {"mug": 2}
    assert turnovers(cancelled, cancelled) == {"mug": 0}
    edited = order(line(3, units_cancelled=1, units_relisted=1), version="2")
    assert turnovers(edited, order(line(2))) == {"mug": 2}, "one more was ordered, and one cancelled"


def test_units_that_the_channel_kept_off_sale_do_not_come_back_on_its_listing() -> None:
    on = shelf(MUG=5)
    post(on, order(line(2)))
    kept = post_order(on, order(line(2, units_cancelled=2, units_relisted=0), version="2"), LINKS)
    assert kept.off_listing == {"mug": 0}, "two were taken off by the order, and none came back"
    assert figures(on) == {"available": 5}


def test_a_cancellation_that_overtakes_its_order_counts_as_both() -> None:
    on = shelf(MUG=5)
    post(on, order(line(2, units_cancelled=2, units_relisted=2), version="2"), order(line(2), version="1"))
    assert figures(on) == {"available": 5}
    assert_balances(on)


def test_a_shipped_line_leaves_for_the_customer_even_in_parts() -> None:
    on = shelf(MUG=5)
    post(on, order(line(3)), order(line(3, units_shipped=1), version="2"))
    assert figures(on) == {"available": 2, "committed": 2}
    post(on, order(line(3, units_shipped=2, units_cancelled=1, units_relisted=1), version="3"))
    assert figures(on) == {"available": 3}
    assert_balances(on)


def test_a_shipment_taken_back_in_the_channels_books_is_committed_again() -> None:
    on = shelf(MUG=5)
    post(on, order(line(2, units_shipped=2)), order(line(2), version="2"))
    assert figures(on) == {"available": 3, "committed": 2}
    assert_balances(on)


def test_what_the_channel_put_on_sale_again_is_available_here_too() -> None:
    on = shelf(MUG=5)
    post(on, order(line(3)), order(line(3, units_shipped=2), version="2"))
    back = order(line(3, units_shipped=2, units_returned=1), version="3")
    assert post_order(on, back, LINKS).off_listing == {"mug": -1}
    assert figures(on) == {"available": 3, "committed": 1}
    assert post_order(on, back, LINKS).off_listing == {"mug": 0}
    assert figures(on) == {"available": 3, "committed": 1}
    assert_balances(on)


def test_a_return_that_overtakes_its_order_counts_as_all_of_it() -> None:
    on = shelf(MUG=5)
    shipped = order(line(2, units_shipped=2), version="2")
    posted = post(on, order(line(2, units_shipped=2, units_returned=2), version="3"), shipped, order(line(2)))
    assert posted.off_listing == {"mug": 0}
    assert figures(on) == {"available": 5}
    assert_balances(on)


def test_a_returned_pack_brings_its_base_units_to_the_order_that_waits() -> None:
    on = shelf(MUG=6)
    post(on, order(line(1, listing="six mugs")), order(line(1, listing="six mugs", units_shipped=1), version="2"))
    post(on, order(line(2), order_id="o2"))
    post(on, order(line(1, listing="six mugs", units_shipped=1, units_returned=1), version="3"))
    assert figures(on) == {"available": 4, "committed": 2}
    assert_balances(on)


def test_a_pack_takes_its_base_units() -> None:
    on = shelf(MUG=13)
    assert post(on, order(line(2, listing="six mugs"))).off_listing == {"six mugs": 2}
    assert figures(on) == {"available": 1, "committed": 12}


def test_two_lines_of_one_order_cannot_both_take_the_last_mug() -> None:
    on = shelf(MUG=1)
    post(on, order(line(1), line(1, line_id="l2")))
    assert figures(on) == {"committed": 1}
    assert sorted(held.units_short for held in on.lines.values()) == [0, 1]
    assert_balances(on)


def test_an_order_beyond_the_shelf_is_recorded_as_short_and_never_lost() -> None:
    on = shelf(MUG=1)
    post(on, order(line(3)))
    assert figures(on) == {"committed": 1}
    assert on.lines[SHOP, "o1", "l1", MUG].units_short == 2
    assert on.lines[SHOP, "o1", "l1", MUG].units_held == 3


def test_a_receipt_fills_the_oldest_short_order_first() -> None:
    on = shelf()
    post(on, replace(order(line(2), order_id="late"), placed_at=PLACED + timedelta(hours=1)), order(line(2)))
    receive = Receive(key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, units=3)
    assert post_command(on, receive, now=PLACED) == Posted(units_moved=3, available=0)
    assert on.lines[SHOP, "o1", "l1", MUG].units_short == 0
    assert on.lines[SHOP, "late", "l1", MUG].units_short == 1
    assert_balances(on)


def test_a_cancellation_frees_its_units_for_an_order_that_is_short() -> None:
    on = shelf(MUG=1)
    post(on, order(line(1)), order(line(1), order_id="o2"))
    post(on, order(line(1, units_cancelled=1, units_relisted=1), version="2"))
    assert on.lines[SHOP, "o2", "l1", MUG].units_committed == 1
    assert_balances(on)


def test_what_shipped_was_there_even_if_no_count_knew_it() -> None:
    on = shelf(MUG=1)
    post(on, order(line(3)), order(line(3, units_shipped=3), version="2"))
    assert figures(on) == {}
    assert on.lines[SHOP, "o1", "l1", MUG].units_short == 0
    assert {m.reason.value for m in on.movements} >= {"shipped", "shipped_uncounted"}
    assert_balances(on)


def test_a_line_of_an_unlinked_listing_is_left_out_and_named() -> None:
    on = shelf(MUG=5)
    posted = post(on, order(line(1), line(1, listing="mystery", line_id="l2")))
    assert posted.unlinked == ("mystery",)
    assert figures(on) == {"available": 4, "committed": 1}


def test_a_posted_line_stays_with_its_sku_when_the_listing_is_linked_to_another() -> None:
    on = shelf(MUG=5, CAP=5)
    post(on, order(line(2)))
    cancelled = order(line(2, units_cancelled=2, units_relisted=2), version="2")
    post_order(on, cancelled, {ChannelSku("mug"): Link(CAP, BERLIN, 1)})
    assert figures(on) == {"available": 5}
    assert figures(on, CAP) == {"available": 5}


def test_a_line_of_absurdly_many_units_is_refused_and_moves_nothing() -> None:
    on = shelf(MUG=5)
    with pytest.raises(MalformedError, match="1000000 units that one line may move"):
        post(on, order(line(1), line(200_000, listing="six mugs", line_id="l2")))
    assert figures(on) == {"available": 5}
    assert not on.lines


@pytest.mark.parametrize(
    "said",
    [
        {"units_cancelled": 3},
        {"units_cancelled": 1, "units_shipped": 2},
        {"units_relisted": 1},
        {"units_shipped": -1},
        {"units_shipped": 1, "units_returned": 2},
    ],
)
def test_a_line_whose_figures_contradict_each_other_is_refused(said: dict[str, int]) -> None:
    with pytest.raises(MalformedError):
        line(2, **said)  # type: ignore[arg-type]  # keywords of several types


def test_an_order_that_names_a_line_twice_is_refused() -> None:
    with pytest.raises(MalformedError, match="twice"):
        order(line(1), line(1))


def test_nothing_can_be_taken_that_is_not_there() -> None:
    on = shelf(MUG=2)
    taking = Adjust(key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, delta_units=-3)
    assert post_command(on, taking, now=PLACED) == Short(MUG, BERLIN, asked=3, available=2)
    assert figures(on) == {"available": 2}


def test_a_count_of_what_lies_there_does_not_erase_open_orders() -> None:
    on = shelf(MUG=10)
    post(on, order(line(3)))
    counted = Count(key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, units=8)
    assert post_command(on, counted, now=PLACED) == Posted(units_moved=2, available=5)
    assert figures(on) == {"available": 5, "committed": 3}
    assert_balances(on)


def test_a_count_of_free_units_says_what_is_free() -> None:
    on = shelf(MUG=10)
    post(on, order(line(3)))
    counted = Count(
        key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, units=9, figure=CountedFigure.AVAILABLE
    )
    assert post_command(on, counted, now=PLACED) == Posted(units_moved=2, available=9)


def test_a_count_below_what_is_promised_shortens_the_order_and_is_never_refused() -> None:
    on = shelf(MUG=10)
    post(on, order(line(3)))
    counted = Count(key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, units=2)
    assert post_command(on, counted, now=PLACED) == CountedShort(units_moved=8, available=0, units_short=1)
    assert (on.lines[SHOP, "o1", "l1", MUG].units_committed, on.lines[SHOP, "o1", "l1", MUG].units_short) == (2, 1)
    assert_balances(on)


def lives() -> st.SearchStrategy[list[OrderSnapshot]]:
    """The whole life of one order: snapshots in which pending ends, and cancelled and shipped units only grow."""

    @st.composite
    def life(draw: st.DrawFn) -> list[OrderSnapshot]:
        ordered = draw(st.integers(1, 4))
        listing = draw(st.sampled_from(["mug", "six mugs", "cap"]))
        order_id = draw(st.sampled_from(["a", "b", "c"]))
        snapshots, cancelled, shipped, returned, is_pending = [], 0, 0, 0, draw(st.booleans())
        for version in range(draw(st.integers(1, 4))):
            said = line(
                ordered,
                listing,
                units_cancelled=cancelled,
                units_relisted=cancelled,
                units_shipped=shipped,
                units_returned=returned,
            )
            snapshots.append(order(said, order_id=order_id, version=str(version), is_pending=is_pending))
            is_pending = is_pending and draw(st.booleans())
            cancelled = draw(st.integers(cancelled, ordered - shipped))
            shipped = shipped if is_pending else draw(st.integers(shipped, ordered - cancelled))
            returned = draw(st.integers(returned, shipped))
        return snapshots

    return life()


@pytest.mark.long
@settings(max_examples=300)
@given(life=lives(), stock=st.integers(0, 30))
def test_any_order_of_arrival_and_any_repetition_ends_the_same(life: list[OrderSnapshot], stock: int) -> None:
    def ending(arrivals: Sequence[OrderSnapshot]) -> tuple[dict[str, int], dict[str, int]]:
        on = shelf(MUG=stock, CAP=stock)
        post(on, *arrivals)
        assert_balances(on)
        return figures(on), figures(on, CAP)

    straight = ending(life)
    shipped_at_the_end = life[-1].lines[0].units_shipped
    for arrivals in list(permutations(life))[:24]:
        assert ending([*arrivals, *arrivals]) == straight or shipped_at_the_end > 0
    assert ending([*life, *life, life[0]]) == straight


@pytest.mark.long
@settings(max_examples=200)
@given(
    lived=st.lists(lives(), min_size=1, max_size=3), stock=st.integers(0, 20), seed=st.randoms(use_true_random=False)
)
def test_no_interleaving_of_orders_invents_or_loses_a_unit(
    lived: list[list[OrderSnapshot]], stock: int, seed: Random
) -> None:
    by_id = {life[0].order_id: life for life in lived}
    arrivals = [snapshot for life in by_id.values() for snapshot in life]
    seed.shuffle(arrivals)
    on = shelf(MUG=stock, CAP=stock)
    post(on, *arrivals)
    assert_balances(on)
    for order_id, life in by_id.items():
        said, [held] = life[-1].lines[0], on.positions(SHOP, order_id, "l1")
        assert held.units_shipped == said.units_shipped * held.pack_units
        assert held.units_held == said.units_open * held.pack_units
        assert held.units_back == said.units_returned * held.pack_units


def test_a_cancellation_on_the_fullest_shelf_stops_nothing() -> None:
    """The largest count that anybody may enter, and a unit that comes back on top of it."""
    on = shelf(MUG=5)
    post(on, order(line(1)))
    most = Count(
        key=CommandKey(scope="test", key="1"), sku=MUG, location=BERLIN, units=UNITS_MAX, figure=CountedFigure.AVAILABLE
    )
    assert isinstance(post_command(on, most, now=PLACED), Posted)
    post(on, order(line(1, units_cancelled=1, units_relisted=1), version="2"))
    assert figures(on) == {"available": UNITS_MAX + 1}
    assert_balances(on)


def test_of_two_snapshots_of_one_second_the_one_that_says_more_is_the_newer() -> None:
    two, three = order(line(2)), order(line(3))
    assert is_older(two, three)
    assert not is_older(three, two)
    assert is_older(order(line(3)), order(line(3), line(1, line_id="l2")))
    assert is_older(order(line(3), is_pending=True), order(line(3)))
    assert is_older(order(line(3)), order(line(3, units_shipped=1)))
    assert is_older(order(line(3, units_shipped=1)), order(line(3, units_shipped=1, units_returned=1)))


def test_a_long_queue_for_units_that_are_not_there_costs_a_sale_nothing() -> None:
    """A till sells what nobody has counted in: each sale is short, and the ten-thousandth is posted like the first."""
    on = shelf()
    began = process_time()
    for number in range(10_000):
        post_order(on, order(line(1), order_id=f"o{number:05}"), LINKS)
    assert process_time() - began < 10, "with a look at the whole queue for each sale it takes minutes"
    post_command(on, Receive(key=CommandKey(scope="test", key="r"), sku=MUG, location=BERLIN, units=3), now=PLACED)
    assert on.units_short((MUG, BERLIN)) == 10_000 - 3
    assert [one.order_id for one in on.lines.values() if one.units_committed] == ["o00000", "o00001", "o00002"]
