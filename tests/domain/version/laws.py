"""The laws that each merge is held to, and how something wrong is shown to break them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

State = TypeVar("State")
Message = TypeVar("Message")

LAW = settings(max_examples=2_000, report_multiple_bugs=False)
# Something wrong has to be caught, and nobody needs to know how little it takes.
CAUGHT = settings(LAW, phases=(Phase.explicit, Phase.generate))


def holds(law: Callable[..., None], *drawn: st.SearchStrategy[object]) -> None:
    """The law is true of 2,000 examples."""
    LAW(given(*drawn)(law))()


def is_broken(law: Callable[..., None], *drawn: st.SearchStrategy[object]) -> None:
    """One of the 2,000 examples breaks the law: what it is asked of is wrong."""
    with pytest.raises(AssertionError):
        CAUGHT(given(*drawn)(law))()


def assert_joins(one: State, two: State, three: State, merge: Callable[[State, State], State]) -> None:
    """Merge is commutative, associative and idempotent."""
    assert merge(one, two) == merge(two, one), "whoever is told first"
    assert merge(merge(one, two), three) == merge(one, merge(two, three)), "however it is batched"
    assert merge(one, one) == one, "however often"


def merge_law(
    nothing: State, learn: Callable[[State, Message], State], merge: Callable[[State, State], State]
) -> Callable[[Sequence[Message], Random], None]:
    """Any order, duplication and batching of the same messages ends in the same state, and merge has its laws."""

    def law(told: Sequence[Message], random: Random) -> None:
        expected = nothing
        for one in told:
            expected = learn(expected, one)
        arriving = [*told, *(one for one in told if random.random() < 0.5)]
        random.shuffle(arriving)
        alone, replicas = nothing, [nothing] * 3
        for one in arriving:
            alone = learn(alone, one)
            at, other = random.randrange(3), random.randrange(3)
            replicas[at] = learn(replicas[at], one)
            if random.random() < 0.3:
                # Gossip, now and then the same twice.
                replicas[other] = merge(replicas[other], replicas[at])
        assert alone == expected, "one by one"
        random.shuffle(replicas)
        assert_joins(replicas[0], replicas[1], replicas[2], merge)
        assert merge(merge(replicas[0], replicas[1]), replicas[2]) == expected, "in batches"

    return law
