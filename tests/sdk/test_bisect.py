"""A batch that is refused as a whole goes again in parts until the bad write stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.bisect import CALLS_MAX, push_each, read_each
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Applied, Refused, StockReading, StockWrite, Throttled, Unknown, WriteOutcome


def batch(count: int) -> list[StockWrite]:
    return [
        StockWrite(key=UUID(int=n + 1), channel_sku=ChannelSku(str(n)), units=1, expected_units=0) for n in range(count)
    ]


class Shop:
    """Refuses a call that has one of the bad ones in it; fails in another way at the given call."""

    def __init__(self, *bad: int, fails_at: int = 0, fault: ChannelFault | MalformedError | None = None) -> None:
        self.bad = {str(n) for n in bad}
        self.calls: list[int] = []
        self.fails_at, self.fault = fails_at, fault
        self.written: list[str] = []

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        self.calls.append(len(writes))
        if self.fault and len(self.calls) == self.fails_at:
            raise self.fault
        if self.bad & {write.channel_sku for write in writes}:
            raise RefusedError("one of these is not allowed")
        self.written += [write.channel_sku for write in writes]
        return (Applied(),) * len(writes)


async def test_a_good_batch_is_one_call() -> None:
    shop = Shop()
    assert await push_each(shop.push, batch(250)) == (Applied(),) * 250
    assert shop.calls == [250]


@pytest.mark.parametrize("culprit", [0, 1, 124, 125, 249])
async def test_the_culprit_is_refused_and_the_others_are_written_once(culprit: int) -> None:
    shop = Shop(culprit)
    outcomes = await push_each(shop.push, batch(250))
    assert outcomes[culprit] == Refused("one of these is not allowed")
    assert [n for n, outcome in enumerate(outcomes) if outcome != Applied()] == [culprit]
    assert len(shop.written) == len(set(shop.written)) == 249
    assert len(shop.calls) <= 17


async def test_two_culprits_are_found_within_the_calls_that_are_allowed() -> None:
    shop = Shop(3, 200)
    outcomes = await push_each(shop.push, batch(250))
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Refused)] == [3, 200]
    assert len(shop.calls) <= CALLS_MAX


async def test_what_is_left_when_the_calls_are_spent_comes_later() -> None:
    shop = Shop(*range(0, 250, 2))
    outcomes = await push_each(shop.push, batch(250))
    assert len(shop.calls) == CALLS_MAX
    assert {type(outcome) for outcome in outcomes} == {Applied, Refused, Throttled}


async def test_a_channel_that_takes_nothing_is_no_bad_listing() -> None:
    with pytest.raises(RefusedError):
        await push_each(Shop(0, 1, 2, 3).push, batch(4))


async def test_a_write_that_is_alone_and_refused_is_the_culprit() -> None:
    assert await push_each(Shop(0).push, batch(1)) == (Refused("one of these is not allowed"),)


async def test_a_fault_of_the_first_call_is_a_fault_of_the_channel() -> None:
    for fault in (RetryLaterError("busy"), ReauthenticateError("no"), OutcomeUnknownError("lost")):
        with pytest.raises(type(fault)):
            await push_each(Shop(fails_at=1, fault=fault).push, batch(4))


async def test_a_fault_in_the_middle_leaves_the_rest_for_later_and_what_was_lost_unknown() -> None:
    shop = Shop(7, fails_at=3, fault=OutcomeUnknownError("lost"))
    outcomes = await push_each(shop.push, batch(8))
    assert shop.calls == [8, 4, 4]
    assert outcomes == (*(Applied(),) * 4, *(Unknown("lost"),) * 4)


async def test_an_answer_that_nobody_can_read_leaves_the_outcome_unknown() -> None:
    shop = Shop(7, fails_at=3, fault=MalformedError("no JSON"))
    assert await push_each(shop.push, batch(8)) == (*(Applied(),) * 4, *(Unknown("no JSON"),) * 4)


async def test_a_throttle_in_the_middle_says_how_long() -> None:
    shop = Shop(7, fails_at=3, fault=RetryLaterError("busy", retry_after_s=7))
    assert await push_each(shop.push, batch(8)) == (*(Applied(),) * 4, *(Throttled(7),) * 4)


async def test_where_nothing_was_taken_before_a_fault_nobody_is_to_blame() -> None:
    shop = Shop(0, fails_at=4, fault=OutcomeUnknownError("lost"))
    outcomes = await push_each(shop.push, batch(4))
    assert shop.calls == [4, 2, 1, 1]
    assert outcomes == (Throttled(1.0), Unknown("lost"), Throttled(1.0), Throttled(1.0))


class Shelf:
    """Answers with something that nobody can read where one of the bad ones is asked for."""

    def __init__(self, *bad: int) -> None:
        self.bad = {str(n) for n in bad}
        self.calls = 0

    async def read(self, asked: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        self.calls += 1
        if self.bad & set(asked):
            raise MalformedError("variant 3 has no quantity")
        return tuple(StockReading(channel_sku=sku, units=int(sku)) for sku in asked)


async def test_a_listing_that_cannot_be_read_hides_no_other() -> None:
    shelf = Shelf(3)
    readings = await read_each(shelf.read, [ChannelSku(str(n)) for n in range(8)])
    assert [reading.units for reading in readings] == [0, 1, 2, None, 4, 5, 6, 7]
    assert readings[3].note == "cannot be read: variant 3 has no quantity"
    assert shelf.calls == 7


async def test_a_channel_that_nobody_can_read_is_no_bad_listing() -> None:
    for count in (1, 4):
        with pytest.raises(MalformedError):
            await read_each(Shelf(*range(4)).read, [ChannelSku(str(n)) for n in range(count)])
