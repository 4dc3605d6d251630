"""The sessions of a simulated database: kept when a node dies and when a run ends, since to open one takes long.

The process behind one can be stopped, so that several that wait for a lock get it one after the other.

A session that is ended is as good as new: rolled back, without locks and settings, at the begin of a transaction. What
is kept is what nobody can see, prepared statements; they are planned anew in each run, as its tables are others.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg._preparing import PrepareManager
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, ExecStatus, PGconn, PipelineStatus, TransactionStatus, abc

# The same plan whenever it is made, so that rows come in the same order whatever a session has done before.
_OPTIONS = "-c timezone=UTC -c deadlock_timeout=1ms -c plan_cache_mode=force_generic_plan"
_GONE_MS = 10_000
# Apart: what is asked before a `begin` in one message belongs to its transaction.
_AS_NEW = (b"rollback; reset all; select pg_advisory_unlock_all()", b"begin")

# What a session is told once it has changed the ledger.
CHANGED = "changed"
# `db_now()` of a simulated database: the kernel's time, kept in a sequence since those stand outside transactions; and
# out of the log, as it is set all the time.
_CLOCK = """
create unlogged sequence if not exists simulated_now minvalue 0;
create or replace function db_now() returns timestamptz language sql volatile as $$
    select to_timestamp(last_value / 1000000.0) from simulated_now
$$;
create or replace function note_change() returns trigger language plpgsql as $$
begin raise notice 'changed'; return null; end $$;
"""
_WATCHED = ("balances", "movements", "reservations", "order_lines")
_WATCH = """
create or replace trigger noted after insert or update or delete on {table}
for each statement execute function note_change()
"""
TELL = b"tell_time"
_TELLING = b"select setval('simulated_now', $1)"
# Tables that hold a page, or whose numbers have been given out, also where what was written was rolled back.
_FILLED = """
select c.relname from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> 'schema_migrations'
  and (pg_relation_size(c.oid) > 0 or exists (
      select from pg_depend d join pg_sequence q on q.seqrelid = d.objid
      where d.refobjid = c.oid and d.classid = 'pg_class'::regclass and pg_sequence_last_value(q.seqrelid) is not null
  ))
order by c.relname
"""


class _Lasting(PrepareManager):
    """Statements that are prepared at once and stay so: the schema is not going to change."""

    prepare_threshold = 0
    prepared_max = 10_000

    def clear(self) -> bool:
        return False


class Session:
    """A session of the server, whoever uses it."""

    def __init__(self, dsn: str) -> None:
        self.pgconn = PGconn.connect(make_conninfo(dsn, options=_OPTIONS).encode())
        self.prepared = _Lasting()
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError(self.pgconn.get_error_message())
        for command in _AS_NEW:
            self.pgconn.exec_(command)
        self.pgconn.nonblocking = 1
        self._process = _process_behind(self.pgconn)
        self._is_stopped = False

    def stop(self) -> None:
        """Its process stands still, where it is one of this machine: whatever it waits for, it takes it later."""
        if self._process and not self._is_stopped:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._process, signal.SIGSTOP)
                self._is_stopped = True

    def go_on(self) -> None:
        """Its process runs again."""
        if self._is_stopped:
            self._is_stopped = False
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGCONT)

    def is_as_new(self) -> bool:
        """Make it so. False where it cannot be: something is under way, or it has gone."""
        pgconn = self.pgconn
        if pgconn.pipeline_status != PipelineStatus.OFF or pgconn.transaction_status in {
            TransactionStatus.ACTIVE,
            TransactionStatus.UNKNOWN,
        }:
            return False
        pgconn.nonblocking = 0
        is_done = all(
            pgconn.exec_(command).status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK} for command in _AS_NEW
        )
        pgconn.nonblocking = 1
        return is_done


def _process_behind(pgconn: abc.PGconn) -> int:
    """The process that serves this session; 0 where it is none of this machine, or none that we can tell for sure.

    It has to be a child of whoever listens at the other end of the socket. Only Linux says so.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    with socket.socket(fileno=os.dup(pgconn.socket)) as end, suppress(OSError, ValueError, IndexError):
        if end.family == socket.AF_UNIX:
            server = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            stat = Path(f"/proc/{pgconn.backend_pid}/stat").read_text()
            return pgconn.backend_pid if server and int(stat.rpartition(")")[2].split()[1]) == server else 0
    return 0


class Sessions:
    """All sessions of this process in one database. `own` sees what is committed, and nothing else."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.own: Connection[tuple[Any, ...]] = psycopg.connect(dsn, autocommit=True, options=_OPTIONS)
        self._free: list[Session] = []
        self.own.execute(_CLOCK)
        self.own.pgconn.prepare(TELL, _TELLING)
        for table in _WATCHED:
            self.own.execute(sql.SQL(_WATCH).format(table=sql.Identifier(table)))
        for (name,) in self.own.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        ):
            # It would take locks and move rows at moments of its own.
            self.own.execute(sql.SQL("alter table {} set (autovacuum_enabled = false)").format(sql.Identifier(name)))
        self.own.prepare_threshold = 0

    def is_alive(self) -> bool:
        """Whether the server still knows us: it may have been restarted, or emptied by somebody."""
        try:
            self.own.execute("select")
        except psycopg.OperationalError:
            return False
        return True

    def begin(self) -> None:
        """A run begins: the database is empty."""
        filled = [sql.Identifier(name) for (name,) in self.own.execute(_FILLED)]
        if filled:
            self.own.execute(sql.SQL("truncate {} restart identity cascade").format(sql.SQL(", ").join(filled)))

    def open(self) -> Session:
        """A session that is as good as new."""
        return self._free.pop() if self._free else Session(self.dsn)

    def end(self, session: Session) -> None:
        """What was open in it is gone, with its locks, when this returns."""
        session.go_on()
        if session.is_as_new():
            self._free.append(session)
            return
        pid = session.pgconn.backend_pid
        session.pgconn.finish()
        self.own.execute("select pg_terminate_backend(%s, %s)", (pid, _GONE_MS))

    def close(self) -> None:
        for session in self._free:
            session.pgconn.finish()
        self.own.close()


_kept: list[Sessions] = []


def kept(dsn: str) -> Sessions:
    """The sessions of this process in that database; those in another one are closed."""
    if not _kept or _kept[0].dsn != dsn or not _kept[0].is_alive():
        close_kept()
        _kept.append(Sessions(dsn))
    return _kept[0]


def close_kept() -> None:
    """No session of this process is open any more; the next run opens its own."""
    while _kept:
        _kept.pop().close()
