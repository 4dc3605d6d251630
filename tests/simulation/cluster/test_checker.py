"""The checker finds every wrong history that is planted, and accepts what an unknown outcome allows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulation.cluster import checker
from simulation.cluster.checker import Hold, Sight, Transfer
from simulation.cluster.history import Op, Outcome


def op(mark: str, outcome: Outcome, *, word: str = "", at_s: float = 0.0, **figures: Any) -> Op:
    return Op(mark, {}, invoked_s=at_s, ended_s=at_s + 1, outcome=outcome, word=word, figures=figures)


OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN


# Each acknowledged command once -----------------------------------------------------------------------------


def test_an_acknowledged_command_that_is_not_there_is_lost() -> None:
    [complaint] = checker.effects([op("a", OK), op("b", OK)], Counter(["b"]))
    assert complaint.startswith("lost: a was acknowledged 1 times, found 0 times")
    assert "a: ok" in complaint, "its history belongs to the complaint"


def test_a_command_that_is_there_twice_is_too_much() -> None:
    [complaint] = checker.effects([op("a", OK)], Counter(["a", "a"]))
    assert complaint.startswith("too much: a can have happened 1 times at most, found 2 times")
    assert checker.effects([op("a", UNKNOWN)], Counter(["a", "a"])) != []


def test_a_refused_command_and_one_that_nobody_asked_for_must_not_be_there() -> None:
    assert checker.effects([op("a", REFUSED)], Counter(["a"])) != []
    assert checker.effects([], Counter(["a"])) != []


def test_a_command_of_unknown_outcome_may_be_there_or_not() -> None:
    asked = [op("a", OK), op("happened", UNKNOWN), op("did not", UNKNOWN), op("b", REFUSED)]
    assert checker.effects(asked, Counter(["a", "happened"])) == []
    assert checker.effects(asked, Counter(["a", "happened", "did not"])) == []


def test_of_two_questions_for_one_effect_one_may_have_been_refused() -> None:
    assert checker.effects([op("a", REFUSED), op("a", OK)], Counter(["a"])) == []
    assert checker.effects([op("a", REFUSED), op("a", UNKNOWN)], Counter()) == []


# Bank -------------------------------------------------------------------------------------------------------

START = {"BER": 10, "HAM": 0}
MOVES = [Transfer("a", {"BER": -3, "HAM": 3}), Transfer("b", {"BER": -2, "HAM": 2})]


def test_units_that_come_from_nowhere_or_vanish_are_seen_even_if_the_end_is_right() -> None:
    found = Counter(["a"])
    end = {"BER": 7, "HAM": 3}
    assert checker.bank(START, MOVES, found, [Sight(1.0, {"BER": 7, "HAM": 3})], end) == []
    [complaint] = checker.bank(START, MOVES, found, [Sight(1.0, {"BER": 7, "HAM": 0})], end)
    assert "are not 10 units in all" in complaint


def test_a_figure_below_zero_is_seen() -> None:
    [complaint] = checker.bank(START, MOVES, Counter(["a"]), [Sight(1.0, {"BER": 11, "HAM": -1})], {"BER": 7, "HAM": 3})
    assert "below zero" in complaint


def test_the_end_must_follow_from_what_happened() -> None:
    [complaint] = checker.bank(START, MOVES, Counter(["a"]), [], {"BER": 5, "HAM": 5})
    assert "does not follow" in complaint
    # A move of unknown outcome is in what was found, or not.
    assert checker.bank(START, MOVES, Counter(["a", "b"]), [], {"BER": 5, "HAM": 5}) == []


# Last unit --------------------------------------------------------------------------------------------------


def bought(number: int, *, at_s: float = 0.0) -> Op:
    return op(f"buyer {number}", OK, at_s=at_s, reservation_id=f"r{number}")


def test_one_more_than_there_are_is_oversold() -> None:
    ops = [bought(1), bought(2), bought(3)]
    complaints = checker.last_unit(ops, units=2, granted={"r1": 1, "r2": 1, "r3": 1})
    assert complaints[0].startswith("oversold: 3 given, 3 acknowledged, of 2 units")


def test_a_reservation_that_was_acknowledged_and_is_gone_is_lost() -> None:
    [complaint] = checker.last_unit([bought(1), bought(2)], units=5, granted={"r1": 1})
    assert complaint.startswith("lost: reservations ['r2']")


def test_a_reservation_that_nobody_asked_for_is_too_much() -> None:
    [complaint] = checker.last_unit([bought(1)], units=5, granted={"r1": 1, "r9": 1})
    assert complaint.startswith("too much: 2 reservations for 1 buyers")


def test_two_buyers_of_one_reservation_are_found() -> None:
    assert checker.last_unit([bought(1), bought(1)], units=5, granted={"r1": 1}) != []


def test_a_buyer_refused_while_a_unit_is_there_is_found() -> None:
    refused = op("late", REFUSED, word="short", at_s=5.0)
    complaints = checker.last_unit([bought(1), refused], units=2, granted={"r1": 1})
    assert complaints[0].startswith("refused while 1 units were there")
    assert complaints[1].startswith("kept back: 1 of 2 units given")


def test_a_reservation_of_unknown_outcome_may_have_been_granted_or_not() -> None:
    unknown = op("x", UNKNOWN)
    refused = op("late", REFUSED, word="short", at_s=5.0)
    assert checker.last_unit([bought(1), unknown, refused], units=2, granted={"r1": 1, "r8": 1}) == []
    assert checker.last_unit([bought(1), unknown], units=2, granted={"r1": 1}) == []
    assert checker.last_unit([bought(1), bought(2), unknown, refused], units=2, granted={"r1": 1, "r2": 1}) == []


# Holds ------------------------------------------------------------------------------------------------------


def test_a_unit_in_two_holds_is_found() -> None:
    held = [Hold("r1", 0.0, 5.0, 1), Hold("r2", 4.0, 9.0, 1)]
    [complaint] = checker.holds(held, units=1, available=1)
    assert complaint.startswith("a unit in two holds at 4.000: 2 held of 1: r1 (0.000 to 5.000), r2")
    assert checker.holds(held, units=2, available=2) == []


def test_a_hold_may_begin_when_another_ends() -> None:
    assert checker.holds([Hold("r1", 0.0, 5.0, 1), Hold("r2", 5.0, 9.0, 1)], units=1, available=1) == []


def test_a_unit_that_does_not_come_back_is_found() -> None:
    [complaint] = checker.holds([], units=3, available=2)
    assert "2 of 3 units are free" in complaint
