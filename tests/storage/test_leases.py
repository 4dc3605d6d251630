"""Whether an engine that starts is the only one: then what a killed one had claimed is free again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from oneshelf.errors import DatabaseUnavailableError
from oneshelf.storage import leases
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg


@asynccontextmanager
async def running_engine(dsn: str) -> AsyncIterator[tuple[bool, Database]]:
    """Whether it found itself alone, and its connections."""
    async with leases.only_engine(dsn) as is_alone, Database.open(dsn, application_name=leases.ENGINE) as database:
        yield is_alone, database


async def end_all_sessions(dsn: str) -> None:
    """As a restart of the server does."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
        await session.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


async def come_back(database: Database) -> None:
    """The engine's next step finds the connection dead, and the one after it has a new one."""
    for _ in range(10):
        try:
            async with database.transaction() as tx:
                await tx.execute("select 1")
        except DatabaseUnavailableError:
            continue
        return
    pytest.fail("no connection comes back")


async def test_an_engine_that_starts_sees_whether_another_one_runs(dsn: str) -> None:
    async with running_engine(dsn) as (is_alone, _):
        assert is_alone
        async with running_engine(dsn) as (is_second_alone, _):
            assert not is_second_alone
    async with running_engine(dsn) as (is_alone, _):
        assert is_alone


async def test_an_engine_that_outlived_a_restart_of_the_database_is_still_seen(dsn: str) -> None:
    """Else the next one to start would free claims of work that are in use."""
    async with running_engine(dsn) as (_, database):
        await end_all_sessions(dsn)
        await come_back(database)
        async with running_engine(dsn) as (is_alone, _):
            assert not is_alone


async def test_what_a_killed_engine_held_is_free_again_whatever_it_was(dsn: str) -> None:
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            await tx.execute("insert into locations (location) values ('BER')")
            await tx.execute("insert into channels (channel, kind, location) values ('shop', 'paper', 'BER')")
            await tx.execute(
                """
                insert into schedules (channel, task, every_s, lease, lease_until)
                values ('shop', 'orders', 9, gen_random_uuid(), now() + interval '1 minute')
                """
            )
            await tx.execute(
                """
                insert into wanted_orders (channel, order_id, lease, lease_until)
                values ('shop', 'A', gen_random_uuid(), now() + interval '1 minute')
                """
            )
        assert await leases.clear(database) == 2
        assert await leases.clear(database) == 0
