"""One transaction is one decision: all of it or nothing."""

from __future__ import annotations

import asyncio
import socket

import pytest

from oneshelf.domain.identity import Sku
from oneshelf.errors import DatabaseUnavailableError, InvariantError
from oneshelf.storage import catalog
from oneshelf.storage import database as database_module
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.telemetry import is_inside_transaction

pytestmark = pytest.mark.pg

SKUS = {Sku("CUP"): "", Sku("MUG"): ""}


async def named(database: Database) -> set[Sku]:
    async with database.transaction() as tx:
        return await catalog.known_skus(tx, list(SKUS))


async def backend(tx: Transaction) -> int:
    row = await (await tx.execute("select pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


async def end(database: Database, pid: int) -> None:
    """The server ends a session, as it does when it restarts."""
    async with database.transaction() as tx:
        await tx.execute("select pg_terminate_backend(%(pid)s, 5000)", {"pid": pid})


async def test_what_ends_well_is_kept(dsn: str) -> None:
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            await catalog.add_skus(tx, SKUS)
        assert await named(database) == set(SKUS)


@pytest.mark.parametrize("error", [ValueError, InvariantError, asyncio.CancelledError, KeyError])
async def test_an_error_rolls_everything_back_and_goes_on_as_itself(dsn: str, error: type[BaseException]) -> None:
    async with Database.open(dsn) as database:
        with pytest.raises(error):
            await _name_and_raise(database, error)
        assert await named(database) == set()


async def _name_and_raise(database: Database, error: type[BaseException]) -> None:
    async with database.transaction() as tx:
        await catalog.add_skus(tx, SKUS)
        raise error("in the middle")


async def test_a_lost_connection_is_the_database_being_unavailable_and_the_next_one_is_good(dsn: str) -> None:
    async with Database.open(dsn) as database:
        with pytest.raises(DatabaseUnavailableError, match="did not finish"):
            await _name_on_a_connection_that_ends(database)
        assert await named(database) == set()


async def _name_on_a_connection_that_ends(database: Database) -> None:
    async with database.transaction() as tx:
        await catalog.add_skus(tx, SKUS)
        await end(database, await backend(tx))
        await tx.execute("select 1")


async def test_a_connection_that_ended_while_it_lay_in_the_pool_is_found_out_and_replaced(dsn: str) -> None:
    async with Database.open(dsn, connections_max=2) as database, Database.open(dsn) as other:
        pids = set()
        async with database.transaction() as one, database.transaction() as two:
            pids = {await backend(one), await backend(two)}
        for pid in pids:
            await end(other, pid)
        unavailable = 0
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await named(database) == set()
                except DatabaseUnavailableError:
                    unavailable += 1
                else:
                    break
        assert 1 <= unavailable <= 2


async def test_a_deadlock_is_the_database_being_unavailable_for_one_of_the_two(dsn: str) -> None:
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            await catalog.add_skus(tx, SKUS)
        met = asyncio.Barrier(2)
        results = await asyncio.gather(
            _rename(database, ["CUP", "MUG"], met), _rename(database, ["MUG", "CUP"], met), return_exceptions=True
        )
        failures = [result for result in results if result is not None]
        assert [type(failure) for failure in failures] == [DatabaseUnavailableError]
        assert "deadlock" in str(failures[0])


async def _rename(database: Database, skus: list[str], met: asyncio.Barrier) -> None:
    async with database.transaction() as tx:
        await tx.execute("set local deadlock_timeout = '50ms'")
        for sku in skus:
            await tx.execute("update skus set title = 'x' where sku = %(sku)s", {"sku": sku})
            if sku == skus[0]:
                await met.wait()


async def test_a_lock_that_is_not_had_in_time_is_the_database_being_unavailable(dsn: str) -> None:
    async with Database.open(dsn) as database, database.transaction() as tx:
        await tx.execute("lock table skus")
        with pytest.raises(DatabaseUnavailableError, match="lock timeout"):
            await _name_without_patience(database)


async def _name_without_patience(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("set local lock_timeout = '20ms'")
        await catalog.add_skus(tx, SKUS)


@pytest.mark.long
@pytest.mark.parametrize("is_pipelined", [False, True])
async def test_who_stands_still_in_a_transaction_does_not_keep_its_rows_from_the_others(
    dsn: str, monkeypatch: pytest.MonkeyPatch, *, is_pipelined: bool
) -> None:
    """As an engine does whose machine is paused: it must not stop the other engines until somebody wakes it."""
    monkeypatch.setattr(database_module, "STANDSTILL_S", 3)
    went_on = asyncio.Event()
    async with Database.open(dsn) as stopped, Database.open(dsn) as other:
        async with stopped.transaction() as tx:
            await catalog.add_skus(tx, SKUS)
            version = tx.info.server_version
        if is_pipelined and version < database_module.TRANSACTION_TIMEOUT_SINCE:
            pytest.skip("an older server cannot tell a pipeline that stands still from one that works")
        with pytest.raises(DatabaseUnavailableError):
            await _stand_still(stopped, other, went_on, is_pipelined=is_pipelined)
        assert went_on.is_set()
        assert await named(stopped) == set(SKUS), "it has a connection again"


async def _stand_still(stopped: Database, other: Database, went_on: asyncio.Event, *, is_pipelined: bool) -> None:
    """Lock rows, do nothing until the other one has had them, and try to go on."""
    lock = "select sku from skus for update"
    async with stopped.transaction(is_pipelined=is_pipelined) as tx:
        await (await tx.execute(lock)).fetchall()
        async with other.transaction() as next_one:
            await next_one.execute(lock)
        went_on.set()
        await (await tx.execute(lock)).fetchall()


async def test_where_no_database_answers_opening_says_so(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "POOL_WAIT_S", 0.2)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nowhere = f"host=127.0.0.1 port={held.getsockname()[1]} dbname=oneshelf"
        with pytest.raises(DatabaseUnavailableError, match="does not answer"):
            async with Database.open(nowhere):
                pass


async def test_the_marker_says_who_is_inside_a_transaction(dsn: str) -> None:
    seen: list[bool] = []

    async def look(opened: asyncio.Event) -> None:
        await opened.wait()
        seen.append(is_inside_transaction())

    async with Database.open(dsn) as database, asyncio.TaskGroup() as group:
        opened = asyncio.Event()
        group.create_task(look(opened))
        assert not is_inside_transaction()
        async with database.transaction():
            assert is_inside_transaction()
            async with database.transaction():
                pass
            assert is_inside_transaction(), "the end of an inner one does not end the outer one"
            opened.set()
        assert not is_inside_transaction()
    assert seen == [False], "another task has transactions of its own"


async def test_the_marker_is_gone_after_an_error(dsn: str) -> None:
    async with Database.open(dsn) as database:
        with pytest.raises(ValueError, match="in the middle"):
            await _name_and_raise(database, ValueError)
        assert not is_inside_transaction()


async def test_all_nodes_share_the_clock_of_the_database_and_it_can_be_set(dsn: str) -> None:
    async with Database.open(dsn) as database, database.transaction() as tx:
        real = await now(tx)
        assert real.utcoffset() is not None
        assert await now(tx) > real, "it goes on within a transaction"
        await tx.execute("select set_config('oneshelf.now', '2026-11-23 12:00+00', true)")
        assert (await now(tx)).isoformat() == "2026-11-23T12:00:00+00:00"
