"""What a channel of many listings would show is worked out while it is read; neither database nor engine waits."""

from __future__ import annotations

import asyncio
from time import thread_time

import psycopg
import pytest

from oneshelf.domain.go_live import PlanLine
from oneshelf.domain.identity import Channel
from oneshelf.flow.preview import preview_of_channel
from oneshelf.storage import database as database_module
from oneshelf.storage.database import Database

pytestmark = [pytest.mark.pg, pytest.mark.timeout(200)]

LISTINGS = 60_000
FILL = """
    set local session_replication_role = replica;
    insert into locations (location) values ('BER');
    insert into channels (channel, kind, mode, location) values ('shop', 'paper', 'watch', 'BER');
    insert into skus (sku) select 'SKU-' || n from generate_series(1, %(listings)s) as n;
    insert into balances (sku, location, available, version) select sku, 'BER', 20, 1 from skus;
    insert into listings (channel, channel_sku, merchant_sku, sku, desired_units, desired_version, base_units)
    select 'shop', sku, sku, sku, 20, 1, 7 from skus;
    insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at)
    select channel, channel_sku, 1, sku, 20, '{"available": {"BER": 20}}', now() from listings;
"""
# A database that waits longer for the next question gives up. Reading all of them first takes seconds.
STANDSTILL_S = 1
TURN_S_MAX = 1.5


@pytest.mark.long
async def test_the_plan_of_many_listings_lets_nobody_wait(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(dsn) as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute(FILL, {"listings": LISTINGS})
    turns: list[float] = []  # Seconds of computing: those in which somebody else had the core are not counted.
    plan: list[PlanLine] = []

    async def read(database: Database) -> None:
        plan.extend(await preview_of_channel(database, Channel("shop")))

    async def take_turns() -> None:
        while not plan:
            before = thread_time()
            await asyncio.sleep(0)
            turns.append(thread_time() - before)

    with monkeypatch.context() as patched:
        patched.setattr(database_module, "STANDSTILL_S", STANDSTILL_S)
        async with Database.open(dsn) as database:
            await asyncio.gather(read(database), take_turns())
    assert len(plan) == LISTINGS
    assert {(line.channel_says, line.we_would_say) for line in plan} == {(7, 20)}
    assert max(turns) < TURN_S_MAX
