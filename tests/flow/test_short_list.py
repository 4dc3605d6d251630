"""Who loses the last unit, the way out, and what a channel still forgives of cancellations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from domain.shop import BERLIN, HAMBURG, MUG, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.rights import Mode
from oneshelf.flow import plan, tally
from oneshelf.storage import budgets, catalog, detail_views, rights, short_list

MARKET, WEB = Channel("market"), Channel("web")
ENTRY = ChannelSku("entry")


async def connect(ledger: Ledger) -> None:
    """An Amazon account and a Shopify shop, each with a listing of mugs. Neither is ever called."""
    async with ledger.database.transaction() as tx:
        for name, kind in ((MARKET, "amazon"), (WEB, "shopify")):
            await catalog.add_channel(tx, catalog.NewChannel(name, kind, BERLIN, {}, {}, {}))
            await catalog.set_mode(tx, name, "live")
            await tx.execute(
                "insert into listings (channel, channel_sku, sku, base_units) values (%(name)s, 'entry', 'MUG', 9)",
                {"name": name},
            )


def sold(channel: Channel, number: int, *, units: int = 1, cancelled: int = 0, minute: int = 0) -> OrderSnapshot:
    line = OrderLine(
        line_id="1", channel_sku=ENTRY, units_ordered=units, units_cancelled=cancelled, units_relisted=cancelled
    )
    placed_at = CLOCK.now() - timedelta(hours=1) + timedelta(minutes=minute)
    return OrderSnapshot(channel, f"{number:04}", "1", placed_at, False, (line,))


async def short(ledger: Ledger) -> list[tuple[str, bool, str, Sequence[str], float]]:
    async with ledger.database.transaction() as tx:
        rows = await detail_views.short_rows(tx)
        told = await short_list.advised(tx, rows)
        shown = [short_list.as_shown(row, told) for row in rows]
    return [(row["promised_to"], row["loses"], row["way_out"], row["through"], row["cost"]) for row in shown]


async def test_the_order_at_the_dearest_channel_gets_the_last_unit_of_the_shop(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 1}) as ledger:
        await connect(ledger)
        await ledger.tell(sold(WEB, 1))
        await ledger.tell(sold(MARKET, 2, minute=5))
        assert await short(ledger) == [("order market/0002", False, "hold back", ["order web/0001"], 0.0)]
        async with ledger.database.transaction() as tx:
            await catalog.set_cancellation_cost(tx, MARKET, 0.5)
        assert await short(ledger) == [("order market/0002", True, "cancel", [], 0.5)]
        await ledger.ask(Receive(key=key(), sku=MUG, location=HAMBURG, units=1))
        assert await short(ledger) == [("order market/0002", True, "transfer", ["HAM"], 0.0)]


@pytest.mark.long
async def test_what_amazon_still_forgives_is_measured_and_guards_what_is_scarce_in_trust(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 500}) as ledger:
        await connect(ledger)
        async with ledger.database.transaction() as tx:
            await rights.set_mode(tx, [MUG], Mode.AUTO, guard_at_units=0)
        for number in range(40):
            await ledger.tell(sold(MARKET, number, minute=number))
        assert await tally.tally_cancellations(ledger.database) == 0
        assert await guarded(ledger) == [False]

        await ledger.tell(sold(MARKET, 50, cancelled=1, minute=50))
        assert await tally.tally_cancellations(ledger.database) == 1
        async with ledger.database.transaction() as tx:
            whole, listing = await budgets.listed(tx)
            assert (whole.order_count, whole.cancelled_count, whole.budget_left) == (41, 1, 0)
            assert (listing.channel_sku, listing.run_count, listing.budget_left) == (ENTRY, 1, 1)
            assert whole.is_tight
            assert listing.is_tight
            assert await budgets.tight_skus(tx, [MUG, Sku("CAP")]) == {MUG}
        assert await guarded(ledger) == [True]

        await ledger.tell(sold(MARKET, 51, minute=51))
        for number in range(60, 100):
            await ledger.tell(sold(MARKET, number, minute=52))
        assert await tally.tally_cancellations(ledger.database) == 1
        assert await guarded(ledger) == [False]


async def guarded(ledger: Ledger) -> list[bool]:
    await plan.plan(ledger.database)
    return [row["is_guarded"] for row in await ledger.rows("select is_guarded from skus where sku = 'MUG'")]
