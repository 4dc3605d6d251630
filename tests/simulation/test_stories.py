"""The failure stories of the field: our engine gets through each, and the hub that does as most do oversells.

Both are put through the same act; what was sold is what the simulated channels' books say.
"""

from __future__ import annotations

import pytest

from simulation.stories.page import shown, table
from simulation.stories.tales import AMAZON, NAIVE, SHOPIFY, TALES, tell
from simulation.stories.teller import Told

# Both plays of a story, on a machine that has much else to do.
pytestmark = [pytest.mark.pg, pytest.mark.timeout(400)]


def told_twice(dsn: str, tale: str) -> tuple[Told, Told]:
    """The story of our engine and of the naive hub. What is true of all four is asserted here."""
    ours, naive = tell(dsn, tale, is_naive=False), tell(dsn, tale, is_naive=True)
    assert ours.violation == "", "the auditor of the simulation looks on"
    assert naive.violation == "", "nobody judges it, and it got to its end"
    assert (ours.oversold, ours.turned_away) == (0, 1)
    assert naive.oversold > 0
    assert naive.turned_away == 0, "what was left was sold to somebody who had to be turned away"
    assert shown(tale) == table(ours, naive), 'the page is out of date: make simulate ARGS="--only stories"'
    return ours, naive


@pytest.mark.long
def test_a_sale_that_is_not_imported_yet_is_not_put_back_on_sale(dsn: str) -> None:
    ours, naive = told_twice(dsn, "stale absolute write")
    assert (ours.relisted, naive.relisted) == (0, 3), "the three of the first buyer; of the second it hears in time"
    assert ours.shown_at(1) == {SHOPIFY: 2}
    assert naive.shown_at(1) == {SHOPIFY: 5}
    assert ours.seen["drifts"] == {"drifts": []}, "the order explains the fall"


@pytest.mark.long
def test_a_stale_comparison_is_answered_by_asking_for_orders_and_not_by_the_same_wish(dsn: str) -> None:
    ours, naive = told_twice(dsn, "compare-and-set re-forced")
    assert (ours.relisted, naive.relisted) == (0, 3)
    assert naive.shown_at(1.5) == {SHOPIFY: 7}
    assert ours.shown_at(1.5) == {SHOPIFY: 2}, "nothing is written before the orders are known"
    assert ours.shown_at(15) == {SHOPIFY: 4}, "the goods that came in, less the order"
    assert ours.seen["drifts"] == {"drifts": []}


@pytest.mark.long
def test_an_accepted_write_is_no_proof_and_nothing_is_raised_on_the_strength_of_it(dsn: str) -> None:
    ours, naive = told_twice(dsn, "lying accepted")
    assert ours.shown_at(75) == {SHOPIFY: 0, AMAZON: 6}
    assert naive.shown_at(75) == {SHOPIFY: 3, AMAZON: 6}
    assert naive.seen["drifts while lying"] == naive.seen["drifts"] == {"drifts": []}, "it never learns of it"
    (drift,) = ours.seen["drifts while lying"]["drifts"]
    assert (drift["channel"], drift["cause"], drift["resolved_at"]) == (AMAZON, "lost write", None)
    assert (drift["expected_units"], drift["observed_units"]) == (0, 6)
    assert drift["heal_count"] == 1, "written again, and nothing came of that either"
    assert drift["age_s"] > 10


@pytest.mark.long
def test_a_sale_that_is_not_paid_yet_is_a_promise(dsn: str) -> None:
    ours, naive = told_twice(dsn, "pending orders")
    assert ours.shown_at(12) == {SHOPIFY: 1, AMAZON: 1}
    assert naive.shown_at(12) == {SHOPIFY: 5, AMAZON: 1}
    assert naive.seen["orders while pending"]["orders"] == []
    pending = ours.seen["orders while pending"]["orders"]
    assert sorted((one["is_pending"], one["units_pending"], one["units_committed"]) for one in pending) == [
        (True, 1, 0),
        (True, 3, 0),
    ]
    shelf = ours.seen["shelf while pending"]
    assert (shelf["on_hand"], shelf["available"], shelf["committed"], shelf["reserved"]) == (5, 1, 0, 4)
    paid = ours.seen["orders when paid"]["orders"]
    assert sorted((one["is_pending"], one["units_pending"], one["units_committed"]) for one in paid) == [
        (False, 0, 0),
        (False, 0, 3),
    ]
    assert ours.shown_at(70) == {SHOPIFY: 2, AMAZON: 2}, "what was not paid is on sale again everywhere"


def test_each_naive_hub_has_its_story() -> None:
    assert NAIVE.keys() == TALES.keys()
