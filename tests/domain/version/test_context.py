"""What was seen is a set of dots, in one form, however it was learnt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.version.laws import LAW, holds, is_broken, merge_law
from domain.version.strategies import DOTS, SOURCES, contexts, randoms, rows
from oneshelf.domain.version.context import NOTHING_SEEN, CausalContext, Dot, context_of
from oneshelf.errors import InvariantError

learnt = rows(len(DOTS), most=9).map(lambda drawn: [DOTS[at] for (at,) in drawn])
Join = Callable[[CausalContext, CausalContext], CausalContext]


def seen(context: CausalContext) -> set[Dot]:
    return {dot for dot in DOTS if context.has(dot)}


def union_law(join: Join) -> Callable[[CausalContext, CausalContext], None]:
    def law(one: CausalContext, two: CausalContext) -> None:
        assert seen(join(one, two)) == seen(one) | seen(two)
        assert one.is_within(two) == (seen(one) <= seen(two))

    return law


@pytest.mark.long
def test_a_join_has_what_either_has_and_no_more() -> None:
    holds(union_law(CausalContext.join), contexts, contexts)


def test_a_vector_that_forgets_its_gaps_is_caught() -> None:
    """Documents 1 and 3 were read, and 3 is remembered: nobody knows any more that 2 was not."""

    def wrong(one: CausalContext, two: CausalContext) -> CausalContext:
        joined = one.join(two)
        return context_of(dict(joined.vector) | {dot.source: dot.number for dot in joined.cloud})

    is_broken(union_law(wrong), contexts, contexts)


@pytest.mark.long
def test_the_same_dots_are_the_same_context_whatever_the_order() -> None:
    holds(merge_law(NOTHING_SEEN, CausalContext.with_dot, CausalContext.join), learnt, randoms)


def test_a_cloud_that_is_never_taken_into_the_vector_is_caught() -> None:
    def learn(context: CausalContext, dot: Dot) -> CausalContext:
        return CausalContext(context.vector, context.cloud | {dot})

    is_broken(merge_law(NOTHING_SEEN, learn, CausalContext.join), learnt, randoms)


def test_a_join_that_takes_the_vector_of_one_is_caught() -> None:
    def wrong(one: CausalContext, two: CausalContext) -> CausalContext:
        return CausalContext(two.vector or one.vector, one.cloud | two.cloud)

    is_broken(merge_law(NOTHING_SEEN, CausalContext.with_dot, wrong), learnt, randoms)


@pytest.mark.long
@LAW
@given(contexts, st.sampled_from(SOURCES))
def test_the_next_dot_of_a_source_is_beyond_all_it_wrote(context: CausalContext, source: str) -> None:
    following = context.next_dot(source)
    assert following.number == 1 + max((dot.number for dot in seen(context) if dot.source == source), default=0)


def test_a_gap_is_remembered_until_it_is_filled() -> None:
    gap = context_of({"erp": 2}, [Dot("erp", 4)])
    assert (gap.vector, gap.cloud) == ((("erp", 2),), frozenset({Dot("erp", 4)}))
    assert not gap.has(Dot("erp", 3))
    assert gap.with_dot(Dot("erp", 3)) == context_of({"erp": 4})
    assert gap.join(context_of({"erp": 3, "shop": 0})) == context_of({"erp": 4})


def test_a_source_numbers_from_one_on() -> None:
    with pytest.raises(InvariantError, match="from 1 on"):
        context_of(dots=[Dot("erp", 0)])
