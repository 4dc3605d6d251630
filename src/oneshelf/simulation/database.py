"""Real PostgreSQL, driven step by step: each round trip is a step of the kernel, and can be where a node dies.

One statement runs at a time and is waited for in real time, so the order of their effects is the kernel's. A statement
that waits for a lock gives way, and goes on once the transaction that holds it has ended.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import AsyncConnection, AsyncTransaction, Connection, generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.waiting import READY_R, READY_W, WAIT_R, WAIT_W

from oneshelf.simulation.kernel import EPOCH, Kernel
from oneshelf.simulation.sessions import CHANGED, TELL, Session, Sessions, kept

if TYPE_CHECKING:
    from oneshelf.simulation.node import Node

# In real time: after so long without an answer it is asked whether the statement waits for a lock. PostgreSQL looks for
# a deadlock sooner, so of those that wait for each other it is the last one that is refused.
_LOOK_S = 0.004
_BEGUN = {TransactionStatus.IDLE, TransactionStatus.INTRANS}
_ENDS = {b"COMMIT", b"ROLLBACK"}
# What the driver calls the round trip that ends a transaction.
_EXIT = "_exit_gen"


class SimulatedDatabase:
    """The database of a run: a migrated one whose clock is the kernel's. Empties it first."""

    def __init__(self, dsn: str, kernel: Kernel) -> None:
        self.kernel = kernel
        self.sessions: Sessions = kept(dsn)
        self.session: Connection[tuple[Any, ...]] = self.sessions.own
        self.blocked: list[SteppedConnection] = []
        self._told_s = -1.0
        self._has_changed = False
        # Called when the ledger has changed and time goes on.
        self.changed: Callable[[], None] = lambda: None
        self.sessions.begin()

    def ledger_changed(self) -> None:
        """What is committed may be another ledger than before."""
        self._has_changed = True

    def tell_time(self) -> None:
        """The clock of the database shows the kernel's time from now on. Something may have changed until now."""
        if self._told_s != self.kernel.now_s:
            self._told_s = self.kernel.now_s
            microseconds = int((EPOCH.timestamp() + self.kernel.now_s) * 1_000_000)
            # Past the driver's cursors: this is asked for as often as all else together.
            self.session.pgconn.exec_prepared(TELL, [str(microseconds).encode()])
            if self._has_changed:
                self._has_changed = False
                self.changed()

    def written(self) -> int:
        """Bytes that the database has logged until now: more wherever anything was written."""
        row = self.session.execute("select (pg_current_wal_insert_lsn() - '0/0')::bigint", prepare=True).fetchone()
        return int(row[0]) if row else 0

    def blocked_of(self, pids: Sequence[int]) -> set[int]:
        """Which of these backends wait for a lock of another."""
        rows = self.session.execute(
            "select pid from unnest(%s::int[]) as pid where cardinality(pg_blocking_pids(pid)) > 0",
            (list(pids),),
            prepare=True,
        )
        return {pid for (pid,) in rows}

    def waits_in_a_circle(self, pid: int) -> bool:
        """Whether this backend waits, over others that wait, for itself: PostgreSQL is about to refuse somebody."""
        rows = self.session.execute(
            "select pid, pg_blocking_pids(pid) from unnest(%s::int[]) as pid",
            ([pid, *(one.pid for one in self.blocked if not one.closed)],),
            prepare=True,
        )
        blocking = {waiting: set(others) for waiting, others in rows}
        reached: set[int] = set()
        while more := set().union(*(blocking.get(one, set()) for one in (reached or {pid}))) - reached:
            reached |= more
        return pid in reached

    def is_at_rest(self, pid: int) -> bool:
        """Whether this backend waits for us, for a lock or is gone, with whatever was sent ahead to it."""
        row = self.session.execute(
            """
            select wait_event_type = 'Client' or cardinality(pg_blocking_pids(%s)) > 0 from pg_stat_get_activity(%s)
            """,
            (pid, pid),
            prepare=True,
        ).fetchone()
        return row is None or bool(row[0])

    def transaction_ended(self) -> None:
        """Locks may be free: who waited for one goes on in the database, in the order in which they began to wait.

        Each alone, until it has an answer or waits again: where several are let go at once, they race for the row, and
        PostgreSQL's own timing says who is first. Who asked goes on when its turn comes.
        """
        has_one = True
        while has_one:
            has_one = False
            for connection in list(self.blocked):
                if connection.goes_on():
                    self.blocked.remove(connection)
                    connection.unblocked()
                    has_one = True

    def end(self, sessions: list[Session]) -> None:
        """What was open in these sessions is gone, with their locks, when this returns."""
        for session in sessions:
            self.sessions.end(session)
        self.transaction_ended()


class _Transaction(AsyncTransaction):
    """One that needs no round trip to begin: the end of the one before it has begun it, and that nobody can see."""

    async def __aenter__(self) -> Self:
        if self.pgconn.transaction_status != TransactionStatus.INTRANS or self._conn._num_transactions:
            return await super().__aenter__()
        self._check_enter()
        self.status = self.Status.ACTIVE
        self._outer_transaction = True
        self._stack_index, self._conn._num_transactions = 0, 1
        return self


class SteppedConnection(AsyncConnection[tuple[Any, ...]]):
    """A connection of one node. Its session may have served others, and may serve others after it."""

    def __init__(self, session: Session, node: Node) -> None:
        super().__init__(session.pgconn)
        self.session = session
        self.node = node
        self._prepared = session.prepared
        self._is_lost = self._has_written = self._is_ending = False
        self._turn: asyncio.Future[None] | None = None
        self.add_notice_handler(self._noticed)

    @property
    def pid(self) -> int:
        return self.pgconn.backend_pid

    @property
    def closed(self) -> bool:
        return self._is_lost or super().closed

    def _check_connection_ok(self) -> None:
        if self._is_lost:
            raise psycopg.OperationalError("the connection is closed")
        super()._check_connection_ok()

    @property
    def is_free(self) -> bool:
        """Whether it can begin a transaction."""
        return not self.closed and not self._num_transactions and self.pgconn.transaction_status in _BEGUN

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        tx = _Transaction(self, savepoint_name, force_rollback)
        async with AsyncExitStack() as both:
            # As the driver does it: the pipeline inside gets its answers before the end of the transaction is sent.
            for part in (self.pipeline(), tx, self.pipeline()) if self._pipeline else (tx,):
                await both.enter_async_context(part)
            yield tx

    def _exec_command(self, command: Any, result_format: Any = Format.TEXT) -> PQGen[PGresult | None]:
        """The end of a transaction begins the next one."""
        if command not in _ENDS:
            done: PGresult | None = yield from super()._exec_command(command, result_format)
            return done
        self._check_connection_ok()
        self._is_ending = True
        if self._pipeline:
            yield from super()._exec_command(command, result_format)
            yield from super()._exec_command(b"BEGIN", result_format)
            return None
        self.pgconn.send_query(command + b"; BEGIN")
        results: list[PGresult] = yield from generators.execute(self.pgconn)
        result = results[0]
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, encoding=self.pgconn._encoding)
        return result

    def _start_query(self) -> PQGen[None]:
        self._check_connection_ok()
        yield from super()._start_query()

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        self._has_written = self._has_written or notice.message_primary == CHANGED

    def unblocked(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def wait(self, gen: PQGen[Any], interval: float = 0.0, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # as in the driver
        """One round trip: a step before it; it may be lost, or the node may die, before it and after it."""
        if self._is_lost:
            return _unsent(gen)
        database = self.node.database
        # What was sent ahead in a pipeline is under way: nobody comes in between.
        if self._pipeline is None or not self._pipeline.result_queue:
            await self.node.step("database")
            database.tell_time()
            self._maybe_fail(is_end=getattr(gen, "__name__", "") == _EXIT)
        try:
            result = await self._answered(gen)
        except BaseException as failure:
            if isinstance(failure, asyncio.CancelledError):
                # Whoever waited is gone; so is what it asked.
                self.abandon()
            with suppress(psycopg.Error):
                gen.close()
            raise
        finally:
            if self._is_ending and not self.closed and not (self._pipeline and self._pipeline.result_queue):
                self._transaction_ended()
        self._maybe_lose_the_answer()
        self.node.maybe_crash("after the database")
        return result

    def _transaction_ended(self) -> None:
        self._is_ending = False
        if self._has_written:
            self._has_written = False
            self.node.database.ledger_changed()
        self.node.database.transaction_ended()

    def _maybe_fail(self, *, is_end: bool) -> None:
        faults = self.node.faults
        if faults.strikes("connection_lost"):
            self.abandon()
            raise psycopg.OperationalError("the connection broke")
        # A transaction whose end was not sent would still be open, and the next one would go on in it.
        if is_end or not self._num_transactions or self.pgconn.transaction_status != TransactionStatus.INTRANS:
            return
        if faults.strikes("deadlock"):
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        if faults.strikes("disk_full"):
            raise psycopg.errors.DiskFull("could not extend file: no space left on device")

    def _maybe_lose_the_answer(self) -> None:
        if self.node.faults.strikes("commit_unknown"):
            self.abandon()
            raise psycopg.OperationalError("the connection broke before the answer came")

    async def _answered(self, gen: PQGen[Any]) -> Any:
        try:
            wanted = next(gen)
            while True:
                ready = self._ready(wanted)
                if ready:
                    wanted = gen.send(ready)
                elif self._waits_for_a_lock() and not self._ready(wanted):
                    await self._until_unblocked()
        except StopIteration as finished:
            return finished.value

    def goes_on(self) -> bool:
        """Let the server go on with what waited for a lock, until it is done (also with failure) or waits again."""
        database = self.node.database
        self.session.go_on()
        while not self.closed and (not database.is_at_rest(self.pid) or database.waits_in_a_circle(self.pid)):
            pass
        if self.closed or not database.blocked_of([self.pid]):
            return True
        self._stop()
        return False

    def _stop(self) -> None:
        """Once PostgreSQL has looked whether this closes a circle."""
        select.select([], [], [], _LOOK_S)
        self.session.stop()

    def _waits_for_a_lock(self) -> bool:
        database = self.node.database
        return bool(database.blocked_of([self.pid])) and not database.waits_in_a_circle(self.pid)

    def _ready(self, wanted: int, wait_s: float = _LOOK_S) -> int:
        """What the socket is ready for, after a short wait at most."""
        socket = [self.pgconn.socket]
        readable, writable, _ = select.select(
            socket if wanted & WAIT_R else [], socket if wanted & WAIT_W else [], [], wait_s
        )
        return (READY_R if readable else 0) | (READY_W if writable else 0)

    async def _until_unblocked(self) -> None:
        self.node.kernel.note(f"{self.node.name} waits for a lock")
        self.node.faults.saw("a statement waited for a lock")
        self._turn = self.node.kernel.loop.create_future()
        self.session.stop()
        self.node.database.blocked.append(self)
        try:
            await self._turn
        finally:
            if self in self.node.database.blocked:
                self.node.database.blocked.remove(self)
        await self.node.step("lock")

    def abandon(self) -> None:
        """Hang up, and see to it that the server has noticed."""
        if not self.closed:
            self.node.database.end([self.lost()])

    def lost(self) -> Session:
        """Nothing is sent on it any more. What was under way may have been done. Returns what is to be ended."""
        self._is_lost = True
        self.node.database.ledger_changed()
        return self.session


def _unsent(gen: PQGen[Any]) -> Any:
    """What comes of it on a connection that is closed: it fails before it sends anything, or needs to send nothing."""
    try:
        next(gen)
    except StopIteration as finished:
        return finished.value
    # A pipeline wants to send what it holds.
    with suppress(psycopg.Error):
        gen.close()
    raise psycopg.OperationalError("the connection is closed")
