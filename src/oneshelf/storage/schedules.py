"""Rows of `schedules`: recurring work of a channel, taken by one node at a time under a lease."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from oneshelf.domain.alert import TOLD_S
from oneshelf.domain.blind_window import SILENT_TURNS
from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction

_LATE_FROM = f"coalesce(last_done_at, begun_at) + make_interval(secs => greatest({SILENT_TURNS} * every_s, {TOLD_S}))"
_BACK_AT = f"""
    case when {_LATE_FROM} <= db_now() then db_now()
         when back_at + make_interval(secs => greatest(every_s, {TOLD_S})) > db_now() then back_at end
"""
# What people are told of a channel. It is late once its orders have not been asked for in three turns of the poll, and
# in a minute at least. It is over with a poll before which they were asked for in time again, for a turn and a minute
# at least: `back_s` is since when they are, until then.
POLLS = f"""
    (select channel, every_s, last_done_at, covered_until, {_LATE_FROM} <= db_now() as is_late,
            case when {_LATE_FROM} > db_now() then extract(epoch from db_now() - back_at)::float8 end as back_s
     from schedules where task = 'orders')
"""


class Due(NamedTuple):
    """A task that this node holds until the lease runs out."""

    channel: Channel
    task: str
    cursor: str | None
    covered_until: datetime | None
    lease: UUID
    lease_s: float


async def ensure(tx: Transaction, channel: Channel, every_s: dict[str, float]) -> None:
    """Create or retime the tasks of a channel. `every_s`: task -> seconds between two runs."""
    await tx.execute(
        """
        insert into schedules (channel, task, every_s)
        select %(channel)s, task, every_s from unnest(%(tasks)s::text[], %(every_s)s::float8[]) as new (task, every_s)
        on conflict (channel, task) do update set every_s = excluded.every_s
        """,
        {"channel": channel, "tasks": list(every_s), "every_s": list(every_s.values())},
    )


async def claim(tx: Transaction, channel: Channel, task: str, *, lease: UUID, lease_s: float) -> Due | None:
    """Take the task if it is due and nobody else holds it, and its channel is not paused."""
    cursor = tx.cursor(row_factory=class_row(Due))
    await cursor.execute(
        """
        update schedules s set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        from channels c
        where s.channel = %(channel)s and s.task = %(task)s and c.channel = s.channel
          and s.next_at <= db_now() and (s.lease_until is null or s.lease_until < db_now())
          and (c.paused_until is null or c.paused_until <= db_now())
        returning s.channel, s.task, s.cursor, s.covered_until, s.lease, %(lease_s)s::float8 as lease_s
        """,
        {"channel": channel, "task": task, "lease": lease, "lease_s": lease_s},
    )
    return await cursor.fetchone()


async def advance(
    tx: Transaction, due: Due, *, cursor: str | None, covered_until: datetime | None, is_finished: bool
) -> bool:
    """Record progress; a finished run sets the next one, an unfinished one holds its lease for another while.

    False when the lease was lost to another node.
    """
    result = await tx.execute(
        f"""
        update schedules set
            cursor = %(cursor)s,
            covered_until = coalesce(%(covered_until)s, covered_until),
            last_fault = '',
            back_at = case when %(is_finished)s then {_BACK_AT} else back_at end,
            last_done_at = case when %(is_finished)s then db_now() else last_done_at end,
            next_at = case when %(is_finished)s then db_now() + make_interval(secs => every_s) else next_at end,
            lease = case when %(is_finished)s then null else lease end,
            lease_until = case when %(is_finished)s then null
                               else db_now() + make_interval(secs => %(lease_s)s) end
        where channel = %(channel)s and task = %(task)s and lease = %(lease)s
        """,
        {
            "channel": due.channel,
            "task": due.task,
            "lease": due.lease,
            "lease_s": due.lease_s,
            "cursor": cursor,
            "covered_until": covered_until,
            "is_finished": is_finished,
        },
    )
    return result.rowcount == 1


async def postpone(tx: Transaction, due: Due, *, after_s: float, fault: str) -> None:
    """The run failed, or stopped on the way (no fault): go on after a while."""
    await tx.execute(
        """
        update schedules set
            next_at = db_now() + make_interval(secs => %(after_s)s), last_fault = %(fault)s,
            lease = null, lease_until = null
        where channel = %(channel)s and task = %(task)s and lease = %(lease)s
        """,
        {"channel": due.channel, "task": due.task, "lease": due.lease, "after_s": after_s, "fault": fault[:500]},
    )


class Progress(NamedTuple):
    """How far a task has got: since its last good run, if any, and what the last failed one met ("": none since)."""

    age_s: float | None
    last_fault: str


async def progress(tx: Transaction, channel: Channel, task: str) -> Progress | None:
    """How far the task has got; None: no engine has begun it."""
    cursor = tx.cursor(row_factory=class_row(Progress))
    await cursor.execute(
        """
        select extract(epoch from db_now() - last_done_at)::float8 as age_s, last_fault from schedules
        where channel = %(channel)s and task = %(task)s
        """,
        {"channel": channel, "task": task},
    )
    return await cursor.fetchone()


async def hurry(tx: Transaction, channel: Channel, task: str, *, at_most_every_s: float) -> None:
    """Bring the next run forward to now, but not closer to the last one than `at_most_every_s`."""
    await tx.execute(
        """
        update schedules s set next_at = wanted.at
        from (
            select channel, task,
                   greatest(db_now(), coalesce(last_done_at, '-infinity') + make_interval(secs => %(gap_s)s)) as at
            from schedules where channel = %(channel)s and task = %(task)s
        ) as wanted
        where s.channel = wanted.channel and s.task = wanted.task and s.lease is null and s.next_at > wanted.at
        """,
        {"channel": channel, "task": task, "gap_s": at_most_every_s},
    )


async def hurry_to_weigh(tx: Transaction, channel: Channel, *, lag_s: float, at_most_every_s: float) -> None:
    """Bring the next poll of orders forward to when it tells of the orders from before a reading that waits for them.

    Orders show late: by as much as the last poll did not cover, or by `lag_s` where none has covered anything yet. A
    poll that is closer than that to the reading, or to the last poll, tells nothing of it, and may cost a scarce call.
    """
    await tx.execute(
        """
        update schedules s set next_at = wanted.at
        from (
            select p.channel, p.task, greatest(
                       db_now(), read.at + shown.lag + interval '0.1 s',
                       p.last_done_at + greatest(shown.lag, make_interval(secs => %(gap_s)s))) as at
            from schedules p
            cross join lateral (
                select coalesce(p.last_done_at - p.covered_until, make_interval(secs => %(lag_s)s)) as lag
            ) as shown
            cross join lateral (
                select min(suspect_at) as at from listings
                where channel = p.channel and suspect_at >= coalesce(p.covered_until, '-infinity')
            ) as read
            where p.channel = %(channel)s and p.task = 'orders' and read.at is not null
        ) as wanted
        where s.channel = wanted.channel and s.task = wanted.task and s.lease is null and s.next_at > wanted.at
        """,
        {"channel": channel, "lag_s": lag_s, "gap_s": at_most_every_s},
    )


async def covered_until(tx: Transaction, channel: Channel, task: str) -> datetime | None:
    """Until when the finished runs of this task have seen everything."""
    result = await tx.execute(
        "select covered_until from schedules where channel = %(channel)s and task = %(task)s",
        {"channel": channel, "task": task},
    )
    row = await result.fetchone()
    return row[0] if row else None
