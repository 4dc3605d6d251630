"""What was written at the same time stands side by side; what had seen it replaces it; nothing else is ever gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.version.laws import assert_joins, holds, is_broken
from domain.version.strategies import SOURCES, rows
from oneshelf.domain.version.context import NOTHING_SEEN, CausalContext
from oneshelf.domain.version.siblings import Siblings

Merge = Callable[[Siblings[int], Siblings[int]], Siblings[int]]


class Act(NamedTuple):
    """A replica writes after it has read itself (fresh) or what somebody read before; or hears of another."""

    writes: int
    at: int
    other: int
    is_fresh: int


acts = rows(2, 3, 3, 2, most=10).map(lambda drawn: [Act(*one) for one in drawn])


class Lived(NamedTuple):
    """What came of it. `written`: value -> what its writer had seen."""

    replicas: list[Siblings[int]]
    seen: dict[int, set[int]]


def lived(told: Sequence[Act], merge: Merge) -> Lived:
    replicas = [Siblings[int]() for _ in SOURCES]
    known: list[set[int]] = [set() for _ in SOURCES]
    read: list[tuple[CausalContext, set[int]]] = [(NOTHING_SEEN, set())]
    seen: dict[int, set[int]] = {}
    for number, act in enumerate(told):
        if act.writes:
            context, values = (replicas[act.at].context, set(known[act.at])) if act.is_fresh else read[-1]
            replicas[act.at] = replicas[act.at].put(SOURCES[act.at], number, seen=context)
            seen[number] = values
            known[act.at] |= {number, *values}
        else:
            replicas[act.at] = merge(replicas[act.at], replicas[act.other])
            known[act.at] |= known[act.other]
        read.append((replicas[act.at].context, set(known[act.at])))
    return Lived(replicas, seen)


def sibling_law(merge: Merge) -> Callable[[list[Act]], None]:
    """Exactly what nobody had seen before writing stands, at whoever has heard of all."""

    def law(told: list[Act]) -> None:
        (one, two, three), seen = lived(told, merge)
        assert_joins(one, two, three, merge)
        standing = {value for value in seen if not any(value in before for before in seen.values())}
        assert sorted(merge(merge(three, one), two).values) == sorted(standing)

    return law


def test_exactly_what_nobody_had_seen_before_writing_stands() -> None:
    holds(sibling_law(Siblings.merge), acts)


def test_a_merge_that_keeps_all_values_is_caught() -> None:
    def wrong(one: Siblings[int], two: Siblings[int]) -> Siblings[int]:
        return Siblings(one.written | two.written, one.context.join(two.context))

    is_broken(sibling_law(wrong), acts)


def test_a_merge_that_keeps_what_both_have_is_caught() -> None:
    def wrong(one: Siblings[int], two: Siblings[int]) -> Siblings[int]:
        return Siblings(one.written & two.written, one.context.join(two.context))

    is_broken(sibling_law(wrong), acts)


def test_a_merge_that_takes_the_newest_write_is_caught() -> None:
    def wrong(one: Siblings[int], two: Siblings[int]) -> Siblings[int]:
        merged = one.merge(two)
        return Siblings(frozenset(sorted(merged.written)[-1:]), merged.context)

    is_broken(sibling_law(wrong), acts)


def test_two_regions_write_at_once_and_a_person_ends_it() -> None:
    first = Siblings[str]().put("eu", "10 %", seen=NOTHING_SEEN)
    eu = first.put("eu", "20 %", seen=first.context)
    us = first.put("us", "30 %", seen=first.context)
    both = eu.merge(us)
    assert both.values == ("20 %", "30 %")
    ended = both.put("us", "25 %", seen=both.context)
    assert ended.merge(eu).values == ("25 %",)


def test_a_late_writer_of_one_source_has_siblings_too() -> None:
    """Two clients write through one node, and the second had not read the first: one number each would lose one."""
    node = Siblings[str]().put("eu", "a", seen=NOTHING_SEEN).put("eu", "b", seen=NOTHING_SEEN)
    assert node.values == ("a", "b")
