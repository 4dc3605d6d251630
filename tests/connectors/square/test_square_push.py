"""Writing to Square: as of which instant, under which key, and what a refusal says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.square.till import at_the_till, square_of
from oneshelf.connectors.square.push import PATH
from oneshelf.domain.identity import ChannelSku, instant_from
from oneshelf.sdk.bisect import push_each
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.wire import Sent, answered
from oneshelf.sdk.fault import MisconfiguredError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Accepted, Refused, StockWrite


def sent_by(bench: Bench) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.body) for one in bench.wire.sent if one.url.endswith(PATH)]


def test_a_write_is_a_physical_count_of_now_that_is_never_dropped_as_unchanged() -> None:
    async def play(bench: Bench) -> None:
        write = bench.write(bench.skus[0], 4)
        await bench.push(write)
        [asked] = sent_by(bench)
        [change] = asked["changes"]
        assert asked["ignore_unchanged_counts"] is False
        assert change["type"] == "PHYSICAL_COUNT"
        told = change["physical_count"]
        assert told["reference_id"] == str(write.key)
        assert (told["quantity"], told["state"]) == ("4", "IN_STOCK")
        assert abs((instant_from(told["occurred_at"], what="") - bench.clock.now()).total_seconds()) < 1

    at_the_till(play)


def test_the_same_count_again_after_a_sale_counts() -> None:
    """By default Square drops a count that repeats the last one, whatever was sold since."""

    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        await bench.push(bench.write(sku, 8))
        square_of(bench).sell_at_till([(sku, 3)])
        assert bench.shown()[sku] == 5
        await bench.live(1.0)
        await bench.push(bench.write(sku, 8))
        assert bench.shown()[sku] == 8

    at_the_till(play)


def test_a_sale_while_the_write_is_under_way_stays_subtracted() -> None:
    """The count is as of the call, and the sale is after it."""

    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        await bench.read(sku)

        def somebody_buys(sent: Sent) -> None:
            if sent.is_write:
                square_of(bench).sell_at_till([(sku, 1)])

        bench.wire.before = somebody_buys
        await bench.push(bench.write(sku, 7))
        assert bench.shown()[sku] == 6

    at_the_till(play)


def test_a_sale_from_before_the_write_that_we_have_not_heard_of_is_overwritten() -> None:
    """That is what blind means. A reading finds it, since the order is told."""

    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        square_of(bench).sell_at_till([(sku, 1)])
        await bench.live(1.0)
        await bench.push(bench.write(sku, 7))
        assert bench.shown()[sku] == 7

    at_the_till(play)


def test_each_call_has_a_key_of_its_own() -> None:
    async def play(bench: Bench) -> None:
        write = bench.write(bench.skus[0], 4)
        for _ in range(2):
            assert await bench.push(write) == (Accepted(),)
            await bench.live(1.0)
        first, second = (asked["idempotency_key"] for asked in sent_by(bench))
        assert first != second

    at_the_till(play)


@pytest.mark.parametrize("skew_s", [-90.0, -0.6, 45.0])
def test_a_clock_of_squares_that_is_off_is_found_in_its_answers(skew_s: float) -> None:
    """Behind: our now lies in its future. Ahead: our count would be older than the one before."""

    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        await bench.live(600.0)
        square_of(bench).skew_clock(skew_s)
        bench.simulator.edit_by_hand(sku, 3)
        await bench.live(5.0)
        assert await bench.push(bench.write(sku, 8)) == (Accepted(),)
        assert bench.shown()[sku] == 8

    at_the_till(play)


@pytest.mark.parametrize("lives_s", [0.0, 0.3, 0.7])
def test_a_stamp_that_square_calls_the_future_lies_further_back_the_next_time(lives_s: float) -> None:
    """Half a second is more than a date of whole seconds tells."""

    async def play(bench: Bench) -> None:
        await bench.live(600.0 + lives_s)
        square_of(bench).skew_clock(-0.5)
        await bench.read(*bench.skus)
        assert await bench.push(bench.write(bench.skus[0], 4)) == (Accepted(),)
        assert bench.shown()[bench.skus[0]] == 4

    at_the_till(play)


def test_an_instant_that_square_goes_on_refusing_is_our_clocks_fault_and_no_listings() -> None:
    async def play(bench: Bench) -> None:
        await bench.read(bench.skus[0])
        error = {"category": "INVALID_REQUEST_ERROR", "code": "INVALID_TIME", "detail": "in the future"}
        refusal = answered(400, msgspec.json.encode({"errors": [error]}))
        bench.wire.strike(refusal, times=20, writes_only=True)
        for _ in range(7):
            with pytest.raises(RetryLaterError):
                await bench.connector.push([bench.write(bench.skus[0], 4)])
        with pytest.raises(MisconfiguredError, match="clock"):
            await bench.connector.push([bench.write(bench.skus[0], 4)])
        assert bench.shown()[bench.skus[0]] == 10

    at_the_till(play)


def test_one_row_that_square_refuses_is_found_by_halves_and_its_neighbours_are_written() -> None:
    """Deleted after it was read: Square refuses the whole request."""

    async def play(bench: Bench) -> None:
        await bench.read(*bench.skus)
        gone = bench.skus[1]
        bench.simulator.end_listing(gone)
        writes = [bench.write(sku, 4) for sku in bench.skus]
        with pytest.raises(RefusedError):
            await bench.connector.push(writes)
        outcomes = await push_each(bench.connector.push, writes)
        assert [type(outcome) for outcome in outcomes] == [Accepted, Refused, Accepted]
        assert [bench.shown()[sku] for sku in bench.skus] == [4, 0, 4]

    at_the_till(play)


def test_a_listing_that_may_not_be_written_is_refused_without_a_call() -> None:
    async def play(bench: Bench) -> None:
        nowhere = StockWrite(bench.clock.new_id(), ChannelSku("nobody/knows"), units=1, expected_units=1)
        [outcome] = await bench.push(nowhere)
        assert isinstance(outcome, Refused)
        assert sent_by(bench) == []
        square_of(bench).untrack(bench.skus[0])
        [outcome] = await bench.push(bench.write(bench.skus[0], 4))
        assert isinstance(outcome, Refused)
        assert "stock tracking" in outcome.words
        square_of(bench).articles[bench.skus[0]].is_tracked = True
        assert await bench.push(bench.write(bench.skus[0], 4)) == (Accepted(),), "somebody switched it on"

    at_the_till(play)
