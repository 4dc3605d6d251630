"""What happens at once, told in every order: the facts stay facts, and the end is the same.

Counts and statements that race what moves are in `test_counts` and `test_statements`.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from domain.shop import BERLIN, MUG, key
from flow.shelf_world import open_ledger
from flow.test_short_list import MARKET, WEB, connect, short, sold
from flow.world import SHOP, open_world
from oneshelf.domain.command import Receive
from oneshelf.domain.order import OrderSnapshot

pytestmark = pytest.mark.pg


@pytest.mark.parametrize("order", list(permutations(("market", "web"))), ids="-".join)
async def test_two_channels_sell_the_last_unit_and_the_dearer_cancellation_wins_whoever_is_heard_first(
    dsn: str, order: tuple[str, str]
) -> None:
    """The web shop sold a moment earlier; at the marketplace a cancellation costs more. Both sales are facts."""
    placed = {"web": sold(WEB, 1), "market": sold(MARKET, 2, minute=1)}
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        await connect(ledger)
        for name in order:
            await ledger.tell(placed[name])
        assert await ledger.figures() == {"committed": 1}
        [(waits, loses, way, _, _)] = await short(ledger)
        # Who was heard last waits; who loses is the web shop in both orders.
        assert waits == f"order {order[1]}/{'0001' if order[1] == 'web' else '0002'}"
        assert (loses, way) == ((True, "cancel") if order[1] == "web" else (False, "hold back"))
        await ledger.assert_sound()


async def test_a_cancellation_that_overtakes_its_order_ends_at_nothing_sold_in_every_order(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await connect(ledger)
        for number, order in enumerate(permutations((0, 1, 1))):
            placed = sold(WEB, number)
            told: list[OrderSnapshot] = []
            for cancelled in order:
                later = sold(WEB, number, cancelled=cancelled)
                told.append(
                    OrderSnapshot(WEB, placed.order_id, f"{1 + cancelled}", placed.placed_at, False, later.lines)
                )
            for snapshot in told:
                await ledger.tell(snapshot)
            assert await ledger.figures() == {"available": 5}, order
        await ledger.assert_sound()


async def test_an_order_that_is_told_by_webhook_and_by_poll_and_twice_moves_its_units_once(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await connect(ledger)
        one, other = sold(WEB, 1, units=2), sold(MARKET, 1, units=1)
        for told in set(permutations([one, one, other, other])):
            for snapshot in told:
                await ledger.tell(snapshot)
            assert await ledger.figures() == {"available": 2, "committed": 3}
        receipt = Receive(key=key(), sku=MUG, location=BERLIN, units=4)
        for _ in range(3):
            await ledger.ask(receipt)
        assert await ledger.figures() == {"available": 6, "committed": 3}
        await ledger.assert_sound()


@pytest.mark.long
async def test_the_echo_of_our_own_write_is_no_news(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await world.receive("MUG", 5, key="more")
        await world.until_verified()
        for _ in range(5):
            await world.turn()
        assert await world.available("MUG") == 10
        assert {row["desired_units"] for row in await world.listings() if row["channel"] == SHOP} == {10}
        assert await world.drifts() == []
