"""Changes add up, a count replaces exactly what it had seen, and the order of arrival means nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random

import pytest

from domain.version.laws import holds, is_broken, merge_law
from domain.version.strategies import DOTS, SOURCES, randoms, rows
from oneshelf.domain.version.context import NOTHING_SEEN, Dot, context_of
from oneshelf.domain.version.quantity import Contradicted, Count, Delta, Operation, Quantity, Reading

Written = tuple[Dot, Operation]


def history(drawn: Sequence[tuple[int, ...]]) -> list[Written]:
    """What sources wrote, in the order of their numbers; a count has seen some of what was written before it."""
    told: list[Written] = []
    for at, is_count, units, rank, mask in drawn:
        source = SOURCES[at]
        dot = Dot(source, 1 + sum(other.source == source for other, _ in told))
        seen = context_of(dots=[other for place, (other, _) in enumerate(told) if mask >> place & 1])
        told.append((dot, Count(units, seen, rank=rank) if is_count else Delta(units - 5)))
    return told


histories = rows(3, 2, 10, 2, 2**6, most=7).map(history)
# Also such as nobody who is in order can have written.
anything = rows(len(DOTS), 2, 3, most=6).map(
    lambda drawn: [
        (DOTS[at], Count(units, NOTHING_SEEN) if is_count else Delta(units)) for at, is_count, units in drawn
    ]
)


def learn(quantity: Quantity, written: Written) -> Quantity:
    return quantity.with_operation(*written)


@pytest.mark.long
def test_any_order_duplication_and_batching_ends_the_same() -> None:
    holds(merge_law(Quantity(), learn, Quantity.merge), anything, randoms)


def test_a_merge_that_takes_one_of_two_things_under_a_dot_is_caught() -> None:
    def wrong(one: Quantity, two: Quantity) -> Quantity:
        return Quantity(frozenset({**dict(one.written), **dict(two.written)}.items()))

    is_broken(merge_law(Quantity(), learn, wrong), anything, randoms)


def test_a_balance_that_is_set_and_changed_is_caught() -> None:
    """It forgets what it was told: the difference between a stock figure and a ledger."""

    def wrong(balance: int, written: Written) -> int:
        return written[1].units if isinstance(written[1], Count) else balance + written[1].units

    is_broken(merge_law(0, wrong, max), histories, randoms)


def reading_law(read: Callable[[Sequence[Written]], int]) -> Callable[[Sequence[Written], Random], None]:
    """A reading is what `read` makes of the list of all that happened, and the ledger's way ends at it in any order.

    The ledger's way never forgets what moved: each change is posted as it comes, then one correction.
    """

    def law(told: Sequence[Written], random: Random) -> None:
        quantity, on_hand, outside, corrections = Quantity(), 0, 0, 0
        for written in random.sample(told, len(told)):
            quantity = learn(quantity, written)
            moved = written[1].units if isinstance(written[1], Delta) else 0
            on_hand, outside = on_hand + moved, outside - moved
            reading = quantity.read()
            assert isinstance(reading, Reading)
            corrections, on_hand = corrections - (reading.units - on_hand), reading.units
            assert on_hand + outside + corrections == 0, "no unit comes from nowhere"
        assert on_hand == read(told)

    return law


def by_definition(told: Sequence[Written]) -> int:
    counts = {dot: one for dot, one in told if isinstance(one, Count)}
    standing = {dot: one for dot, one in counts.items() if not any(other.seen.has(dot) for other in counts.values())}
    if not standing:
        return sum(one.units for _, one in told)
    rank = max(one.rank for one in standing.values())
    return min(
        one.units + sum(other.units for dot, other in told if isinstance(other, Delta) and not one.seen.has(dot))
        for one in standing.values()
        if one.rank == rank
    )


@pytest.mark.long
def test_a_reading_is_what_was_counted_and_what_the_count_had_not_seen_also_in_double_entry() -> None:
    holds(reading_law(by_definition), histories, randoms)


def test_a_count_that_erases_all_before_it_is_caught() -> None:
    def erases(told: Sequence[Written]) -> int:
        figure = 0
        for _, one in told:
            figure = one.units if isinstance(one, Count) else figure + one.units
        return figure

    is_broken(reading_law(erases), histories, randoms)


def test_a_count_without_what_it_had_seen_is_caught() -> None:
    def adds_itself(told: Sequence[Written]) -> int:
        return by_definition(
            [(dot, Count(one.units, NOTHING_SEEN, one.rank) if isinstance(one, Count) else one) for dot, one in told]
        )

    is_broken(reading_law(adds_itself), histories, randoms)


def read_anyhow(*told: Written) -> Reading:
    readings = {Quantity(frozenset(order)).read() for order in permutations(told)}
    one_by_one = set()
    for order in permutations(told):
        quantity = Quantity()
        for written in order:
            quantity = learn(quantity, written)
        one_by_one.add(quantity.read())
    (reading,) = readings | one_by_one
    assert isinstance(reading, Reading)
    return reading


A1, W1, W2, W3 = Dot("erp", 1), Dot("wms", 1), Dot("wms", 2), Dot("wms", 3)


def test_a_count_races_a_shipment() -> None:
    """10 came, 2 left, and before the third left 7 were counted by somebody who had seen the 10 and the 2."""
    reading = read_anyhow(
        (A1, Delta(10)), (W1, Delta(-2)), (W2, Delta(-1)), (W3, Count(7, context_of({"erp": 1, "wms": 1})))
    )
    assert reading == Reading(6, W3)


def test_a_figure_of_the_erp_races_two_sales() -> None:
    erp = Count(25, context_of({"erp": 1, "shop": 1}))
    reading = read_anyhow(
        (A1, Delta(20)), (Dot("shop", 1), Delta(-1)), (Dot("amazon", 1), Delta(-1)), (Dot("erp", 2), erp)
    )
    assert reading.units == 24


def test_of_two_counts_at_once_the_higher_rank_then_the_lower_figure_rules_and_the_other_is_shown() -> None:
    received, shipped = (A1, Delta(12)), (W1, Delta(-1))
    erp, wms = Dot("erp", 2), W2
    counted = (wms, Count(9, context_of({"erp": 1, "wms": 1})))
    ranked = read_anyhow(received, shipped, (erp, Count(12, context_of({"erp": 1}), rank=1)), counted)
    assert ranked == Reading(11, erp, (wms,))
    assert ranked.beaten
    alike = read_anyhow(received, shipped, (erp, Count(12, context_of({"erp": 1}))), counted)
    assert alike == Reading(9, wms, (erp,))
    ended = Count(8, context_of({"erp": 2, "wms": 2}))
    quantity = Quantity(frozenset([received, shipped, (erp, Count(12, context_of({"erp": 1}))), counted]))
    assert quantity.with_operation(W3, ended).read() == Reading(8, W3)


def test_two_things_under_one_dot_are_no_figure() -> None:
    quantity = Quantity().with_operation(A1, Delta(1)).with_operation(W1, Delta(1)).with_operation(A1, Delta(2))
    assert quantity.read() == Contradicted((A1,))


def test_counts_that_claim_to_have_seen_each_other_are_shown_and_not_forgotten() -> None:
    one, two = Count(3, context_of({"wms": 1})), Count(5, context_of({"erp": 1}))
    assert read_anyhow((A1, one), (W1, two)) == Reading(3, A1, (W1,))


def test_a_count_here_and_now_has_seen_all_that_is_known_here() -> None:
    quantity = Quantity().with_operation(A1, Delta(4)).with_operation(W2, Delta(1))
    assert quantity.context == context_of({"erp": 1}, [W2])
    assert quantity.with_operation(Dot("shop", 1), Count(3, quantity.context)).read() == Reading(3, Dot("shop", 1))
