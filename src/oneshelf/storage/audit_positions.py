"""Rows of `audit_position`, `audited_accounts` and `audit_violations`: what the auditor has added up, and found.

A position is the number of a transaction: all earlier ones have ended, and their movements are in `audited_accounts`.
Later movements are added on top at each run, also those whose transaction will only be below the next position.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from oneshelf.storage.audits import Violation
from oneshelf.storage.database import Transaction, only_row, try_only

_KEY = int.from_bytes(b"audit")
# Longer than any audit takes; a machine that is paused in one keeps only other audits waiting.
_AUDIT_S_MAX = 6 * 3_600


class Position(NamedTuple):
    """Where the auditor stands. `movement_count`: how many movements lie before it."""

    xid: int
    patrolled_sku: str
    movement_count: int


class AuditStatus(NamedTuple):
    """What the auditor knows. `age_s`: since its last run; `lag`: transactions begun since its position."""

    age_s: float | None
    lag: int
    movement_count: int
    violation_count: int


class KnownViolation(NamedTuple):
    """A violation as it was stored."""

    rule: str
    where: str
    sku: str


async def try_lock(tx: Transaction, *, of_all: bool) -> bool:
    """Be the only one, until this transaction ends, that audits everything, or what is new. False: another does.

    It stands still for as long as the audit takes in a transaction of its own.
    """
    await tx.execute(f"set local idle_in_transaction_session_timeout = '{_AUDIT_S_MAX}s'".encode())
    return await try_only(tx, _KEY + int(of_all))


async def position(tx: Transaction) -> Position | None:
    """Where the auditor stands; None where it has to begin, also because this is another cluster than it was."""
    cursor = await tx.execute(
        """
        select xid, patrolled_sku, movement_count from audit_position
        where cluster = (select system_identifier from pg_control_system())
          and xid <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        """
    )
    row = await cursor.fetchone()
    return None if row is None else Position(*row)


async def next_xid(tx: Transaction) -> int:
    """The first transaction that may still be under way for this snapshot: all earlier ones have ended."""
    (xid,) = await only_row(await tx.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    return int(xid)


async def is_due(tx: Transaction, *, every_s: float) -> bool:
    """Whether nobody has audited for so long."""
    cursor = await tx.execute(
        "select not exists (select from audit_position where audited_at > db_now() - make_interval(secs => %(s)s))",
        {"s": every_s},
    )
    (is_due_now,) = await only_row(cursor)
    return bool(is_due_now)


async def forget(tx: Transaction) -> None:
    """Let the next run begin with the first movement."""
    await tx.execute("delete from audited_accounts")
    await tx.execute("delete from audit_position")


async def store_all(tx: Transaction) -> None:
    """Everything before the new position is audited: what `audit_scopes.sum_all` has added up of it."""
    await forget(tx)
    await tx.execute(
        """
        insert into audited_accounts (sku, location, account, units)
        select sku, location, account, units_audited from summed_accounts where units_audited <> 0
        order by sku, location, account
        """
    )


async def store_new(tx: Transaction) -> int:
    """Move the sums on by the new movements below the next position. Returns how many those are."""
    await tx.execute(
        """
        insert into audited_accounts as a (sku, location, account, units)
        select sku, location, account, sum(units) from (
            select sku, coalesce(to_location, '') as location, to_account as account, units
            from new_movements where is_settled
            union all
            select sku, coalesce(from_location, ''), from_account, -units from new_movements where is_settled
        ) as legs
        group by sku, location, account order by sku, location, account
        on conflict (sku, location, account) do update set units = a.units + excluded.units
        """
    )
    (count,) = await only_row(await tx.execute("select count(*) from new_movements where is_settled"))
    return int(count)


async def settled_count(tx: Transaction, *, position: int) -> int:
    """How many movements lie before a position. Reads all of them."""
    cursor = await tx.execute("select count(*) from movements where xid < %(xid)s", {"xid": position})
    (count,) = await only_row(cursor)
    return int(count)


async def store_position(tx: Transaction, at: Position) -> None:
    """The auditor stands here now."""
    await tx.execute(
        """
        insert into audit_position (xid, cluster, patrolled_sku, movement_count, audited_at)
        select %(xid)s, system_identifier, %(patrolled)s, %(count)s, db_now() from pg_control_system()
        on conflict (is_only) do update set
            xid = excluded.xid, cluster = excluded.cluster, patrolled_sku = excluded.patrolled_sku,
            movement_count = excluded.movement_count, audited_at = excluded.audited_at
        """,
        {"xid": at.xid, "patrolled": at.patrolled_sku, "count": at.movement_count},
    )


async def known_violations(tx: Transaction) -> set[KnownViolation]:
    """What was found and has not been found mended."""
    cursor = await tx.execute("select rule, place, sku from audit_violations")
    return {KnownViolation(*row) async for row in cursor}


async def store_violations(tx: Transaction, found: Sequence[Violation], gone: Collection[KnownViolation]) -> None:
    """Remember what was found; forget what is `gone`."""
    mended = sorted(gone)
    await tx.execute(
        """
        delete from audit_violations v
        using unnest(%(skus)s::text[], %(rules)s::text[], %(places)s::text[]) as gone (sku, rule, place)
        where v.sku = gone.sku and v.rule = gone.rule and v.place = gone.place
        """,
        {
            "skus": [one.sku for one in mended],
            "rules": [one.rule for one in mended],
            "places": [one.where for one in mended],
        },
    )
    await tx.execute(
        """
        insert into audit_violations (sku, rule, place, figures)
        select sku, rule, place, figures
        from unnest(%(skus)s::text[], %(rules)s::text[], %(places)s::text[], %(figures)s::text[])
            as new (sku, rule, place, figures)
        on conflict (sku, rule, place) do update set figures = excluded.figures
        """,
        {
            "skus": [one.sku for one in found],
            "rules": [one.rule for one in found],
            "places": [one.where for one in found],
            "figures": [one.figures for one in found],
        },
    )


async def status(tx: Transaction) -> AuditStatus:
    """How fresh the auditor is, and how much it found."""
    cursor = await tx.execute(
        """
        select extract(epoch from db_now() - p.audited_at)::float8,
               greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - coalesce(p.xid, 0), 0),
               coalesce(p.movement_count, 0), (select count(*) from audit_violations)
        from (select 1) as always left join audit_position p on true
        """
    )
    return AuditStatus(*await only_row(cursor))
