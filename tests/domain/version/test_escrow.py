"""Whatever replicas hear of each other, and when: they never sell more than there is."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random
from typing import NamedTuple

import pytest

from domain.version.laws import assert_joins, holds, is_broken
from domain.version.strategies import SOURCES, randoms, rows
from oneshelf.domain.version.escrow import Escrow, NoRights
from oneshelf.errors import InvariantError

Merge = Callable[[Escrow, Escrow], Escrow]
Use = Callable[[Escrow, str, int], Escrow | NoRights]
Give = Callable[[Escrow, str, str, int], Escrow | NoRights]


class What(Enum):
    RECEIVE, USE, GIVE, HEAR, HEAR_LATE = range(5)


class Act(NamedTuple):
    """What a replica does with so many units; or it hears of another, or of some state of the past."""

    what: What
    at: int
    other: int
    units: int


acts = rows(5, 3, 3, 4, most=20).map(
    lambda drawn: [Act(list(What)[what], at, other, units + 1) for what, at, other, units in drawn]
)


def give_to_others(escrow: Escrow, giver: str, taker: str, units: int) -> Escrow | NoRights:
    return escrow if giver == taker else escrow.give(giver, taker, units)


def escrow_law(
    *, use: Use = Escrow.use, give: Give = give_to_others, merge: Merge = Escrow.merge
) -> Callable[[list[Act], Random], None]:
    """No more is ever sold than there is, and the rights add up to what is left."""

    def law(told: list[Act], random: Random) -> None:
        states, past, units = [Escrow() for _ in SOURCES], [Escrow()], 0
        for act in told:
            state, name = states[act.at], SOURCES[act.at]
            done: Escrow | NoRights
            match act.what:
                case What.RECEIVE:
                    done, change = state.receive(name, act.units), act.units
                case What.USE:
                    done, change = use(state, name, act.units), -act.units
                case What.GIVE:
                    done, change = give(state, name, SOURCES[act.other], act.units), 0
                case What.HEAR:
                    done, change = merge(state, states[act.other]), 0
                case What.HEAR_LATE:
                    done, change = merge(state, random.choice(past)), 0
            if isinstance(done, Escrow):
                states[act.at] = done
                units += change
            past.append(states[act.at])
            assert units >= 0, "more was sold than there is"
            # Each knows its own rights best.
            assert sum(state.rights(name) for state, name in zip(states, SOURCES, strict=True)) <= units
        one, two, three = states
        assert_joins(one, two, three, merge)
        all_known = merge(merge(one, two), three)
        assert all_known.units == units == sum(map(all_known.rights, SOURCES))
        assert all(all_known.rights(name) >= 0 for name in SOURCES)

    return law


@pytest.mark.long
def test_rights_never_exceed_the_units_and_no_unit_is_sold_twice() -> None:
    holds(escrow_law(), acts, randoms)


def test_a_counter_that_looks_at_what_is_left_in_all_is_caught() -> None:
    """Ten are left as far as each knows; one sells 7, the other 5."""

    def use(escrow: Escrow, replica: str, units: int) -> Escrow | NoRights:
        if escrow.units < units:
            return NoRights(replica, units, escrow.units)
        used = dict(escrow.used)
        used[replica] = used.get(replica, 0) + units
        return Escrow(escrow.granted, tuple(sorted(used.items())))

    is_broken(escrow_law(use=use), acts, randoms)


def test_a_merge_that_adds_is_caught() -> None:
    def add(one: Escrow, two: Escrow) -> Escrow:
        granted = dict(one.granted)
        for key, units in two.granted:
            granted[key] = granted.get(key, 0) + units
        return Escrow(tuple(sorted(granted.items())), one.merge(two).used)

    is_broken(escrow_law(merge=add), acts, randoms)


def test_a_gift_to_oneself_is_caught() -> None:
    def give(escrow: Escrow, giver: str, taker: str, units: int) -> Escrow | NoRights:
        return escrow.receive(giver, units) if giver == taker else escrow.give(giver, taker, units)

    is_broken(escrow_law(give=give), acts, randoms)
    with pytest.raises(InvariantError, match="gives 1 units to itself"):
        Escrow().receive("eu", 2).give("eu", "eu", 1)


def test_a_gift_without_rights_is_caught() -> None:
    def give(escrow: Escrow, giver: str, taker: str, units: int) -> Escrow | NoRights:
        return escrow if giver == taker else Escrow().merge(escrow.receive(taker, units))

    is_broken(escrow_law(give=give), acts, randoms)


def test_an_hour_apart_and_together_again() -> None:
    """EU holds 6 of 10 units, US 4. Both want to sell on while they cannot hear of each other."""
    start = Escrow().receive("eu", 10).give("eu", "us", 4)
    assert isinstance(start, Escrow)
    assert start.use("eu", 7) == NoRights("eu", 7, 6)
    eu, us = start.use("eu", 6), start.use("us", 2)
    assert isinstance(eu, Escrow)
    assert isinstance(us, Escrow)
    assert (eu.units, us.units) == (4, 8), "each knows of its own sales alone"
    both = eu.merge(us)
    assert (both.units, both.rights("eu"), both.rights("us")) == (2, 0, 2)
    moved = both.give("us", "eu", 1)
    assert isinstance(moved, Escrow)
    assert (moved.rights("eu"), moved.rights("us")) == (1, 1)


def test_a_change_is_of_one_unit_at_least() -> None:
    with pytest.raises(InvariantError, match="0 units"):
        Escrow().use("eu", 0)
