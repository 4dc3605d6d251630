"""What somebody changed at eBay is heard of within minutes, by one call, and our own writes are not."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, calls, ebay_of, played, pushed
from oneshelf.connectors.ebay.events import EVERY, TOLD_MAX
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.message import Accepted, StockHint

EVERY_S = EVERY.total_seconds()


async def hinted(bench: Bench, cursor: str) -> tuple[set[ChannelSku | None], str]:
    """The listings that a poll tells to look at, and the cursor after it."""
    polled = await bench.poll(cursor)
    told = [one for delivery in polled.deliveries for one in bench.connector.parse(delivery)]
    return {one.channel_sku for one in told if isinstance(one, StockHint)}, polled.cursor


async def begun(bench: Bench, skus: Iterable[ChannelSku] = (MUG, CAP)) -> str:
    """All is read, and polled once."""
    await bench.read(*skus)
    started = await bench.poll(None)
    await bench.live(60.0)
    return (await bench.poll(started.cursor)).cursor


def test_what_the_seller_typed_is_told_once_in_both_worlds() -> None:
    async def story(bench: Bench) -> None:
        cursor = await begun(bench)
        bench.simulator.edit_by_hand(MUG, 30)
        bench.simulator.edit_by_hand(CAP, 3)
        told, cursor = await hinted(bench, cursor)
        assert told == set(), "ten minutes have not gone by"
        await bench.live(EVERY_S)
        told, cursor = await hinted(bench, cursor)
        assert told == {MUG, CAP}
        await bench.read(MUG, CAP)
        await bench.live(EVERY_S)
        assert (await hinted(bench, cursor))[0] == set()
        assert calls(bench, "GetSellerEvents") == 2

    played(story, lanes=[INVENTORY, TRADING])


def test_nobody_is_told_of_ones_own_writes() -> None:
    async def story(bench: Bench) -> None:
        cursor = await begun(bench)
        assert [await pushed(bench, sku, 4) for sku in (MUG, CAP)] == [Accepted(), Accepted()]
        await bench.live(EVERY_S)
        assert (await hinted(bench, cursor))[0] == set()

    played(story, lanes=[INVENTORY, TRADING])


def test_what_was_ended_by_hand_is_told() -> None:
    async def story(bench: Bench) -> None:
        cursor = await begun(bench)
        ebay = ebay_of(bench).ebay
        ebay.end(ebay.catalogue[MUG].listing)
        await bench.live(EVERY_S)
        assert (await hinted(bench, cursor))[0] == {MUG}

    played(story, lanes=[TRADING, TRADING])


def test_of_many_changes_those_upward_are_told_and_a_day_s_calls_are_not_spent_on_the_rest() -> None:
    """A figure that went up is sold without being there. The next pass tells the others."""

    async def story(bench: Bench) -> None:
        skus = bench.skus
        cursor = await begun(bench, skus)
        for at, sku in enumerate(skus):
            bench.simulator.edit_by_hand(sku, 11 + at if at % 2 else 9)
        await bench.live(EVERY_S)
        told, _ = await hinted(bench, cursor)
        assert len(told) == TOLD_MAX
        assert told <= {sku for at, sku in enumerate(skus) if at % 2}

    played(story, items=24)


def test_where_ebay_does_not_answer_orders_are_told_all_the_same_and_it_is_asked_again() -> None:
    async def story(bench: Bench) -> None:
        cursor = await begun(bench)
        bench.simulator.edit_by_hand(MUG, 30)
        order_id = bench.placed((CAP, 1))
        await bench.live(EVERY_S)
        ebay_of(bench).gate.quotas["TradingAPI"] = 0
        polled = await bench.poll(cursor)
        assert set(polled.orders) == {order_id}
        ebay_of(bench).gate.quotas["TradingAPI"] = 5000
        await bench.live(86_400.0)
        assert (await hinted(bench, polled.cursor))[0] == {MUG, CAP}, "and what was sold, which nobody has read since"

    played(story, lanes=[INVENTORY, INVENTORY])
