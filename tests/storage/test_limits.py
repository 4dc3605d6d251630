"""The budget of calls that a channel grants, shared by all nodes."""

from __future__ import annotations

import asyncio
from itertools import cycle

import pytest

from oneshelf.domain.charge import Charge, Learned
from oneshelf.domain.identity import Channel
from oneshelf.storage import limits
from oneshelf.storage.limits import StoredLimiter
from storage.pinned import SHOP, PinnedDatabase, pinned

pytestmark = pytest.mark.pg

RATE_PER_S, BURST = 2.0, 5


async def opened(pin: PinnedDatabase, *, rate_per_s: float = RATE_PER_S, burst: int = BURST) -> list[StoredLimiter]:
    """One limiter for each node, over a full bucket `read`."""
    async with pin.database.transaction() as tx:
        await limits.ensure(tx, SHOP, [("read", rate_per_s, burst)])
    return [StoredLimiter(node, SHOP) for node in pin.nodes]


async def granted(limiter: StoredLimiter, *, tries: int = 20) -> int:
    """How many tokens are there at this instant."""
    return [await limiter.take(Charge("read")) for _ in range(tries)].count(0.0)


async def test_a_full_bucket_gives_its_burst_and_then_its_rate(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        assert await granted(limiter) == BURST
        for seconds, tokens in [(0.4, 0), (0.1, 1), (1.0, 2), (1.5, 3), (1000.0, BURST)]:
            await pin.turn(seconds)
            assert await granted(limiter) == tokens, f"after {seconds} s"


async def test_whoever_gets_no_token_is_told_when_the_next_one_is_free(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        await granted(limiter)
        wait_s = await limiter.take(Charge("read"))
        assert wait_s == pytest.approx(1 / RATE_PER_S)
        await pin.turn(wait_s / 2)
        assert await limiter.take(Charge("read")) == pytest.approx(wait_s / 2)
        await pin.turn(wait_s / 2)
        assert await limiter.take(Charge("read")) == 0.0


async def test_takers_at_two_nodes_together_get_exactly_what_the_channel_allows(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiters = await opened(pin)
        allowed = BURST
        for seconds in (0.0, 0.5, 1.0, 2.0):
            await pin.turn(seconds)
            takers = [limiter for limiter, _ in zip(cycle(limiters), range(24), strict=False)]
            answers = await asyncio.gather(*(limiter.take(Charge("read")) for limiter in takers))
            got = answers.count(0.0)
            assert got == (allowed if seconds == 0.0 else seconds * RATE_PER_S), f"after {seconds} s"
            assert min(wait_s for wait_s in answers if wait_s) == pytest.approx(1 / RATE_PER_S)


async def test_a_learned_rate_overrules_the_declared_one_at_every_node(dsn: str) -> None:
    async with pinned(dsn) as pin:
        one, other = await opened(pin)
        await granted(one)
        await one.learn("read", Learned(10.0))
        assert await other.take(Charge("read")) == pytest.approx(0.1), "the debt is counted in tokens, not in seconds"
        await pin.turn(0.3)
        assert await granted(other) == 3
        await other.learn("read", Learned(1.0))
        await pin.turn(2.0)
        assert await granted(one) == 2


async def test_learning_gives_nothing_away(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        assert await limiter.take(Charge("read")) == 0.0
        for rate_per_s in (4.0, 1.0, 3.0):
            await limiter.learn("read", Learned(rate_per_s))
        assert await granted(limiter) == BURST - 1


async def test_a_rate_that_cannot_be_is_not_learned(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        for rate_per_s in (0.0, -1.0):
            await limiter.learn("read", Learned(rate_per_s))
        assert await granted(limiter) == BURST
        assert await limiter.take(Charge("read")) == pytest.approx(1 / RATE_PER_S)


async def test_opening_the_channel_again_neither_fills_a_bucket_nor_forgets_its_rate(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        await limiter.learn("read", Learned(4.0))
        await granted(limiter)
        again, _ = await opened(pin)
        assert await again.take(Charge("read")) == pytest.approx(0.25)


async def test_an_operation_without_a_bucket_is_free(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin)
        await limiter.learn("write", Learned(1.0))
        assert [await limiter.take(Charge("write")) for _ in range(50)] == [0.0] * 50
        stranger = StoredLimiter(pin.database, Channel("stranger"))
        assert [await stranger.take(Charge("read")) for _ in range(20)] == [0.0] * 20
        assert await granted(limiter) == BURST


async def test_a_call_takes_what_it_costs_and_leaves_a_share_for_what_matters_more(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin, rate_per_s=10.0, burst=100)
        reading, order = Charge("read", cost=30.0, leaves=35.0), Charge("read", cost=35.0)
        assert [await limiter.take(reading) for _ in range(2)] == [0.0, 0.0]
        assert await limiter.take(reading) == pytest.approx(2.5), "40 are left, and it needs 65"
        assert await limiter.take(order) == 0.0
        assert await limiter.take(order) == pytest.approx(3.0), "5 are left"
        await pin.turn(3.0)
        assert await limiter.take(reading) == pytest.approx(3.0)
        assert await limiter.take(order) == 0.0


async def test_what_costs_more_than_the_bucket_holds_waits_until_it_is_full(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin, rate_per_s=10.0, burst=100)
        huge = Charge("read", cost=90.0, leaves=50.0)
        assert await limiter.take(Charge("read")) == 0.0
        assert await limiter.take(huge) == pytest.approx(0.1)
        await pin.turn(0.1)
        assert await limiter.take(huge) == 0.0


async def test_what_a_call_did_not_cost_is_given_back(dsn: str) -> None:
    async with pinned(dsn) as pin:
        one, other = await opened(pin, rate_per_s=10.0, burst=100)
        assert await one.take(Charge("read", cost=90.0)) == 0.0
        await one.learn("read", Learned(10.0, back=85.0))
        assert await other.take(Charge("read", cost=95.0)) == 0.0
        await one.learn("read", Learned(10.0, back=1_000.0))
        assert await other.take(Charge("read", cost=100.0)) == 0.0, "a bucket holds no more than it can"
        assert await other.take(Charge("read", cost=1.0)) == pytest.approx(0.1)


async def test_where_the_channel_counts_fewer_tokens_it_is_right_and_where_more_it_is_not_asked(dsn: str) -> None:
    """What is under way has not arrived there yet."""
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin, rate_per_s=10.0, burst=100)
        await limiter.learn("read", Learned(10.0, left=20.0))
        assert await limiter.take(Charge("read", cost=30.0)) == pytest.approx(1.0)
        await limiter.learn("read", Learned(10.0, left=90.0))
        assert await limiter.take(Charge("read", cost=30.0)) == pytest.approx(1.0)


async def test_a_richer_plan_has_a_larger_bucket(dsn: str) -> None:
    async with pinned(dsn) as pin:
        limiter, _ = await opened(pin, rate_per_s=10.0, burst=100)
        assert await limiter.take(Charge("read", cost=60.0)) == 0.0
        await limiter.learn("read", Learned(100.0, burst=1_000.0, left=940.0))
        assert await limiter.take(Charge("read", cost=940.0)) == 0.0
        assert await limiter.take(Charge("read", cost=10.0)) == pytest.approx(0.1)
