"""A stamp is later than all that could have caused it, however wrong the clocks are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from domain.version.laws import holds, is_broken
from domain.version.strategies import SOURCES, numbers, rows
from oneshelf.domain.version.hybrid_clock import DRIFT_MS_MAX, HybridClock, Stamp, TooFarAhead

Receive = Callable[[HybridClock, Stamp, int], HybridClock | TooFarAhead]
# Sender, receiver, and the milliseconds since the event before; a clock is wrong by up to 200 ms.
events = rows(3, 3, 4, most=12)
skews = numbers(401, 401, 401).map(lambda given: tuple(number - 200 for number in given))


def causality_law(receive: Receive) -> Callable[[list[tuple[int, int, int]], tuple[int, ...]], None]:
    def law(told: list[tuple[int, int, int]], skew: tuple[int, ...]) -> None:
        now = 1_000
        clocks = [HybridClock(node) for node in SOURCES]
        stamps: list[list[Stamp]] = [[] for _ in SOURCES]
        for sender, receiver, passed in told:
            now += passed
            clocks[sender] = clocks[sender].tick(now + skew[sender])
            sent = clocks[sender].last
            stamps[sender].append(sent)
            if receiver != sender:
                heard = receive(clocks[receiver], sent, now + skew[receiver])
                assert isinstance(heard, HybridClock)
                assert heard.last > sent, "the message is before what it causes"
                clocks[receiver] = heard
                stamps[receiver].append(heard.last)
        assert all(before < after for row in stamps for before, after in pairwise(row)), "own events are in their order"
        assert all(clock.last.wall_ms <= now + max(skew) for clock in clocks), "no clock is ahead of the fastest"

    return law


@pytest.mark.long
def test_an_effect_is_never_before_its_cause() -> None:
    holds(causality_law(HybridClock.receive), events, skews)


def test_a_clock_on_the_wall_is_caught() -> None:
    is_broken(causality_law(lambda clock, _, now_ms: clock.tick(now_ms)), events, skews)


def test_a_clock_that_forgets_the_step_is_caught() -> None:
    def wrong(clock: HybridClock, stamp: Stamp, now_ms: int) -> HybridClock:
        return replace(clock, last=Stamp(max(clock.last.wall_ms, stamp.wall_ms, now_ms), 0, clock.node))

    is_broken(causality_law(wrong), events, skews)


def test_a_stamp_from_a_wrong_clock_is_refused_with_how_wrong_it_is() -> None:
    clock = HybridClock("shop").tick(1_000)
    wrong = Stamp(1_000 + DRIFT_MS_MAX + 1, 0, "erp")
    assert clock.receive(wrong, 1_000) == TooFarAhead(wrong, DRIFT_MS_MAX + 1)
    heard = clock.receive(Stamp(1_000 + DRIFT_MS_MAX, 3, "erp"), 1_000)
    assert isinstance(heard, HybridClock)
    assert heard.last == Stamp(1_000 + DRIFT_MS_MAX, 4, "shop")


def test_a_clock_that_was_set_back_goes_on() -> None:
    clock = HybridClock("shop").tick(1_000).tick(400)
    assert clock.last == Stamp(1_000, 1, "shop")
