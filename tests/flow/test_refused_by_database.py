"""What the database refuses waits for a person with its own reason, and nothing else waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from flow.world import CLOCK, MARKET, PATIENCE_S, SHOP, World, open_world
from oneshelf.connectors.amazon.notification import delivery_from
from oneshelf.connectors.amazon.simulator import SIMULATED_SETTINGS
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.interpret import interpret
from oneshelf.flow.post import post_facts
from oneshelf.storage import facts, inbox
from oneshelf.storage.database import Database
from web.paper import CAPABILITY, PaperConnector

pytestmark = pytest.mark.pg


class Overtaken:
    """The database of a node that another one overtakes: before the so-manieth transaction `overtake` happens."""

    def __init__(self, database: Database, *, before: int, overtake: Any) -> None:
        self._database = database
        self._left = before
        self._overtake = overtake

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._left -= 1
        if self._left == 0:
            await self._overtake()
        async with self._database.transaction() as tx:
            yield tx


async def add_orders(world: World, *order_ids: str) -> None:
    line = OrderLine("l1", ChannelSku(world.listing(SHOP, "MUG")), 1)
    told = [OrderSnapshot(SHOP, order_id, "1", CLOCK.now(), False, (line,)) for order_id in order_ids]
    async with world.database.transaction() as tx:
        # Stands for any figure or text that the schema will not take.
        await tx.execute("alter table order_lines add check (order_id <> 'refused')")
        await facts.add(tx, [(snapshot, CLOCK.now()) for snapshot in told])


async def states(world: World) -> dict[str, tuple[str, str]]:
    found = await world.rows("select order_id, state, reason from facts where order_id in ('refused', 'innocent')")
    return {row["order_id"]: (row["state"], row["reason"]) for row in found}


async def test_a_refusal_parks_the_order_that_it_is_of_whoever_holds_it_meanwhile(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world, await psycopg.AsyncConnection.connect(dsn) as another:
        await add_orders(world, "refused", "innocent")

        async def lock_it() -> None:
            await another.execute("select from facts where order_id = 'refused' for update")

        # The batch, the order alone, and now its parking.
        node: Any = Overtaken(world.database, before=3, overtake=lock_it)
        waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        deadline = CLOCK.monotonic() + PATIENCE_S
        async with asyncio.TaskGroup() as group:
            posting = group.create_task(post_facts(node, CLOCK.new_id))
            while not posting.done() and not await world.rows(waits):
                assert CLOCK.monotonic() < deadline, await states(world)
                await CLOCK.sleep(0.01)
            await another.rollback()
        told = await states(world)
        assert told["innocent"] == ("posted", "")
        assert told["refused"][0] == "parked"
        assert "refuses" in told["refused"][1]


async def test_an_order_that_another_node_posted_meanwhile_is_not_parked(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        await add_orders(world, "refused")

        async def post_it() -> None:
            # Whatever stood in its way is gone.
            await world.database_do("alter table order_lines drop constraint order_lines_order_id_check")
            assert await post_facts(world.database, CLOCK.new_id) == 1

        node: Any = Overtaken(world.database, before=3, overtake=post_it)
        await post_facts(node, CLOCK.new_id)
        assert await states(world) == {"refused": ("posted", "")}
        assert await world.available("MUG") == 4


async def test_a_delivery_that_the_database_refuses_is_parked_and_all_others_are_read(dsn: str) -> None:
    """A connector may be anybody's: this one takes every text for a name."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        paper = OpenChannel(MARKET, "paper", PaperConnector(MARKET), CAPABILITY)
        named = {"nul": "a\x00b", "half": "a\ud800b", "whole": "innocent"}
        async with world.database.transaction() as tx:
            for key, order_id in named.items():
                placed_at = "2026-11-23T10:00:00+00:00"
                body = json.dumps({"order": order_id, "placed_at": placed_at, "lines": {"MUG": 1}}).encode()
                await inbox.store(tx, MARKET, [inbox.NewDelivery(key, "order", body)])
        assert await interpret(world.database, {**world.channels.by_name, MARKET: paper}) == 3
        found = await world.rows("select delivery_key, state, reason from inbox where topic = 'order'")
        assert {row["delivery_key"]: row["state"] for row in found} == {
            "nul": "parked",
            "half": "parked",
            "whole": "done",
        }
        assert all("refuses" in row["reason"] for row in found if row["state"] == "parked")
        assert list(await states(world)) == ["innocent"]


async def test_a_message_of_amazon_with_a_nul_in_a_sku_keeps_no_sale_of_the_shop_waiting(dsn: str) -> None:
    async with open_world(dsn, skus={"MUG": 5}) as world:
        payload = {"sellerId": SIMULATED_SETTINGS["seller_id"], "fulfillmentChannelCode": "DEFAULT", "sku": "M\x00G"}
        told = {"notificationType": "LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "payload": payload}
        delivery = delivery_from(json.dumps(told).encode())
        async with world.database.transaction() as tx:
            await inbox.store(tx, MARKET, [inbox.NewDelivery(delivery.key, delivery.topic, delivery.body)])
        world.sell(SHOP, "MUG")

        async def is_counted() -> bool:
            return await world.available("MUG") == 4

        await world.until(is_counted, what="the sale of the shop is counted")
        [parked] = await world.rows("select reason from inbox where state = 'parked'")
        assert "refuses" in parked["reason"]
