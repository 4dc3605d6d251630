"""Rows of `events`: what was told, of levels the newest only. Numbered in the order in which they come to light."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from oneshelf.domain.event import Event, Wanted
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row
from oneshelf.storage.told_figures import News

COLUMNS = "e.position, e.event_id, e.event_type, e.happened_at, e.body, e.channels, e.skus"


class Bounds(NamedTuple):
    """The oldest and the newest position in the log; 0 where there is none."""

    first: int
    last: int


def event_from(row: Sequence[object]) -> Event:
    """An event from the columns of `COLUMNS`."""
    position, event_id, event_type, happened_at, body, channels, skus = row
    return msgspec.convert(
        {
            "position": position,
            "event_id": event_id,
            "event_type": event_type,
            "happened_at": happened_at,
            "figures": body,
            "channels": channels,
            "skus": skus,
        },
        Event,
    )


async def add(tx: Transaction, news: Sequence[News], *, after: int, run: str) -> int:
    """Tell these, numbered from `after` + 1 on; whoever follows them gets them. Returns the last number.

    `run`: a text that no other run has: after a restore the numbers come again, and the ids do not.
    """
    if not news:
        return after
    positions = range(after + 1, after + 1 + len(news))
    ids = [f"evt_{position}_{run}" for position in positions]
    await tx.execute(
        """
        insert into events (slot, position, event_id, event_type, subject, channels, skus, body, is_level, happened_at)
        select slot, position, event_id, event_type, subject,
               array(select jsonb_array_elements_text(channels)), array(select jsonb_array_elements_text(skus)),
               body, is_level, happened_at
        from unnest(
            %(slots)s::text[], %(positions)s::bigint[], %(ids)s::text[], %(types)s::text[], %(subjects)s::text[],
            %(channels)s::jsonb[], %(skus)s::jsonb[], %(bodies)s::jsonb[], %(levels)s::boolean[],
            %(happened)s::timestamptz[])
            as new (slot, position, event_id, event_type, subject, channels, skus, body, is_level, happened_at)
        on conflict (slot) do update set
            position = excluded.position, event_id = excluded.event_id, channels = excluded.channels,
            skus = excluded.skus, body = excluded.body, happened_at = excluded.happened_at, told_at = db_now()
        """,
        {
            "slots": arrays.texts([one.slot or event_id for one, event_id in zip(news, ids, strict=True)]),
            "positions": arrays.numbers(positions),
            "ids": arrays.texts(ids),
            "types": arrays.texts([one.event_type for one in news]),
            "subjects": arrays.texts([one.subject for one in news]),
            "channels": arrays.texts([_json(one.channels) for one in news]),
            "skus": arrays.texts([_json(one.skus) for one in news]),
            "bodies": arrays.texts([_json(one.figures) for one in news]),
            "levels": arrays.flags(bool(one.slot) for one in news),
            "happened": arrays.instants(one.happened_at for one in news),
        },
    )
    return positions[-1]


async def page(tx: Transaction, wanted: Wanted, *, after: int, limit: int) -> list[Event]:
    """The next events that somebody follows, in their order."""
    cursor = await tx.execute(
        f"""
        select {COLUMNS} from events e
        where e.position > %(after)s
          and (%(types)s::text[] = '{{}}' or e.event_type = any(%(types)s::text[]))
          and (%(skus)s::text[] = '{{}}' or e.skus && %(skus)s::text[])
          and (%(channels)s::text[] = '{{}}' or e.channels && %(channels)s::text[])
        order by e.position limit %(limit)s
        """,
        {
            "after": after,
            "limit": limit,
            "types": arrays.texts(sorted(wanted.event_types)),
            "skus": arrays.texts(sorted(wanted.skus)),
            "channels": arrays.texts(sorted(wanted.channels)),
        },
    )
    return [event_from(row) async for row in cursor]


async def bounds(tx: Transaction) -> Bounds:
    """What the log holds."""
    cursor = await tx.execute("select coalesce(min(position), 0), coalesce(max(position), 0) from events")
    return Bounds(*await only_row(cursor))


async def position_before(tx: Transaction, instant: datetime) -> int:
    """The position after which lies all that was told since an instant."""
    cursor = await tx.execute(
        """
        select coalesce((select min(position) - 1 from events where told_at >= %(instant)s),
                        (select max(position) from events), 0)
        """,
        {"instant": instant},
    )
    (position,) = await only_row(cursor)
    return int(position)


async def forget(tx: Transaction, *, kept_s: float, limit: int) -> int:
    """Forget facts that were told so long ago, delivered or not. Levels stay. Returns how many."""
    cursor = await tx.execute(
        """
        delete from events where slot in (
            select slot from events where not is_level and told_at < db_now() - make_interval(secs => %(kept_s)s)
            order by told_at limit %(limit)s
        )
        """,
        {"kept_s": kept_s, "limit": limit},
    )
    return cursor.rowcount


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
