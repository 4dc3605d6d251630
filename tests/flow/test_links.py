"""An order and the link of what it sold come at the same time: whoever is first, the order is posted."""

from __future__ import annotations

import asyncio

import pytest

from domain.shop import BERLIN, CAP, MUG, NOON, SHOP, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow import post
from oneshelf.storage import facts, listings
from oneshelf.storage.database import Database
from simulation.cluster.house import until

pytestmark = pytest.mark.pg

CAP_LISTING, MUG_LISTING = ChannelSku("cap"), ChannelSku("mug")
WAITING = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def link_mug(database: Database) -> None:
    async with database.transaction() as tx:
        await listings.link(tx, (SHOP, MUG_LISTING), MUG, pack_units=1)
        await facts.requeue_for_listings(tx, SHOP, [MUG_LISTING])


async def so_many_wait(ledger: Ledger, count: int) -> bool:
    return len(await ledger.rows(WAITING)) >= count


async def test_an_order_that_is_being_posted_while_its_listing_is_linked_is_not_left_behind(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger, Database.open(dsn, connections_max=2) as holder:
        async with ledger.database.transaction() as tx:
            await listings.link(tx, (SHOP, CAP_LISTING), CAP, pack_units=1)
            lines = tuple(OrderLine(one, one, 1, 0, 0) for one in (CAP_LISTING, MUG_LISTING))
            await facts.add(tx, [(OrderSnapshot(SHOP, "o1", "1", NOON, False, lines), CLOCK.now())])
        async with asyncio.TaskGroup() as group, holder.transaction() as tx:
            # The posting stands where it has read the links and not yet the shelf.
            await tx.execute("select from balances where sku = 'CAP' for update")
            group.create_task(post.post_facts(ledger.database, CLOCK.new_id))
            assert await until(lambda: so_many_wait(ledger, 1), at_most_s=5)
            linking = group.create_task(link_mug(ledger.database))

            async def is_done_or_waits() -> bool:
                return linking.done() or await so_many_wait(ledger, 2)

            assert await until(is_done_or_waits, at_most_s=5)
        await post.post_facts(ledger.database, CLOCK.new_id)
        assert await ledger.rows("select state from facts") == [{"state": "posted"}]
        assert await ledger.figures("MUG") == {"available": 4, "committed": 1}
        await ledger.ask_one(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        await ledger.assert_sound()
