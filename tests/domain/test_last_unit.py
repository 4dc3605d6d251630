"""Who gets the last unit, the cheapest way out for who does not, and what a channel still forgives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from oneshelf.domain.last_unit import Advice, Claimant, Way, advise, cost_of, grant
from oneshelf.domain.seller_metric import RULES, budget_left, is_nearly_used_up, is_run_nearly_full

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
AMAZON, EBAY = RULES["amazon"], RULES["ebay"]


def line(
    name: str, *, held: int = 0, short: int = 0, cost: float = 1.0, minute: int = 0, locked: bool = True
) -> Claimant:
    return Claimant(
        source=f"order {name}/1",
        promised_to=f"order {name}",
        is_locked=locked,
        cancellation_cost=cost,
        placed_at=NOON + timedelta(minutes=minute),
        units_held=held,
        units_short=short,
    )


def winner(*claimants: Claimant) -> str:
    found = {name for order in permutations(claimants) for name, units in grant(order, 1).items() if units}
    (only,) = found
    return only


def test_what_is_locked_comes_first_then_the_dearer_channel_then_the_time_then_the_name() -> None:
    one = line("b", short=1)
    assert winner(one, line("a", short=1, cost=10, locked=False)) == one.source
    assert winner(line("a", short=1, minute=-5), replace(one, cancellation_cost=10.0)) == one.source
    assert winner(one, line("a", short=1, minute=1)) == one.source
    assert winner(one, line("a", short=1)) == "order a/1"


def test_no_unit_is_granted_twice_and_none_is_left() -> None:
    given = grant([line("a", short=2), line("b", short=2, minute=1)], 3)
    assert given == {"order a/1": 2, "order b/1": 1}


def test_units_at_another_location_are_the_cheapest_way_out() -> None:
    told, left = advise([line("a", short=2)], elsewhere={"HAM": 1, "MUC": 3}, incoming=9)
    assert told == {"order a/1": Advice(loses=True, way=Way.TRANSFER, through=("MUC",))}
    assert left == {"HAM": 1, "MUC": 1}


def test_then_what_is_incoming_then_an_order_of_lower_rank_then_a_cancellation_with_its_cost() -> None:
    dear = line("amazon", short=1, cost=10)
    cheap = line("shop", held=1, minute=-9)
    told, _ = advise([dear, cheap], elsewhere={"HAM": 0}, incoming=1)
    assert told["order amazon/1"].way is Way.WAIT
    told, _ = advise([dear, cheap], elsewhere={}, incoming=0)
    assert told == {"order amazon/1": Advice(loses=False, way=Way.HOLD_BACK, through=("order shop",))}
    told, _ = advise([replace(dear, cancellation_cost=0.5), cheap], elsewhere={}, incoming=0)
    assert told == {"order amazon/1": Advice(loses=True, way=Way.CANCEL, cost=0.5)}


def test_no_unit_is_the_way_out_of_two() -> None:
    told, left = advise([line("a", short=1), line("b", short=1, minute=1)], elsewhere={"HAM": 1}, incoming=0)
    assert [one.way for _, one in sorted(told.items())] == [Way.TRANSFER, Way.CANCEL]
    assert left == {"HAM": 0}


def test_a_cancellation_costs_most_at_amazon_unless_somebody_says_otherwise() -> None:
    assert cost_of("amazon", None) > cost_of("ebay", None) > cost_of("shopify", None)
    assert cost_of("shopify", 99.0) == 99.0


@pytest.mark.parametrize(("orders", "cancelled", "left"), [(400, 0, 10), (400, 10, 0), (40, 1, 0), (30, 1, -1)])
def test_what_amazon_forgives_within_a_week(orders: int, cancelled: int, left: int) -> None:
    assert budget_left(AMAZON, order_count=orders, cancelled_count=cancelled) == left


def test_a_budget_is_tight_from_four_fifths_on_and_never_without_a_cancellation() -> None:
    assert not is_nearly_used_up(AMAZON, order_count=400, cancelled_count=7)
    assert is_nearly_used_up(AMAZON, order_count=400, cancelled_count=8)
    assert not is_nearly_used_up(EBAY, order_count=10, cancelled_count=0)
    assert is_nearly_used_up(EBAY, order_count=10, cancelled_count=1)


def test_one_cancellation_before_the_last_that_amazon_forgives_a_listing() -> None:
    assert [is_run_nearly_full(AMAZON, run) for run in (0, 1, 2)] == [False, True, True]
    assert not is_run_nearly_full(EBAY, 5)
