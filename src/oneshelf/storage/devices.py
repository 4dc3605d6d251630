"""Rows of `devices` and `device_gaps`: how far the numbers of each device have got, and which are missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from oneshelf.domain.device import Gap, Numbers
from oneshelf.domain.identity import Channel, Location
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction

DeviceKey = tuple[Channel, str]


class Heard(NamedTuple):
    """A device as it was heard just now. `told_count`: numbers that were new. `clock_ahead_s`: None where not told."""

    numbers: Numbers
    told_count: int
    heard_at: datetime
    clock_ahead_s: float | None


class DeviceRow(NamedTuple):
    """A device of a channel. `silent_s`: since it told anything; `is_offline`: for longer than its heartbeat,
    and nobody has settled it since.

    `missing_count`: numbers that are missing, in `gap_count` gaps, the oldest of them for `gap_age_s`. `refused_count`:
    events that move nothing; `conflict_count`: numbers that were told again with other content; `waiting_count`: voids
    whose sale is not told yet.
    """

    channel: Channel
    device: str
    location: Location
    highest: int
    told_count: int
    heard_at: datetime
    silent_s: float
    heartbeat_s: float
    is_offline: bool
    clock_ahead_s: float | None
    gap_count: int
    missing_count: int
    gap_age_s: float | None
    refused_count: int
    conflict_count: int
    waiting_count: int


class GapRow(NamedTuple):
    """Numbers from `first` to `last` of a device that are missing for `age_s`."""

    device: str
    first: int
    last: int
    age_s: float


async def lock_channels(tx: Transaction, channels: Collection[Channel]) -> None:
    """Nobody else takes what devices of these channels tell until this transaction ends."""
    await tx.execute(
        "select from channels where channel = any(%(channels)s::text[]) order by channel for no key update",
        {"channels": sorted(channels)},
    )


async def numbers(tx: Transaction, keys: Collection[DeviceKey]) -> dict[DeviceKey, Numbers]:
    """How far these devices have got; those that were never heard are left out. Their channels are locked."""
    cursor = await tx.execute(
        """
        select d.channel, d.device, d.highest, g.first, g.last, g.noticed_at
        from devices d
        join unnest(%(channels)s::text[], %(devices)s::text[]) as wanted (channel, device)
          on d.channel = wanted.channel and d.device = wanted.device
        left join device_gaps g on g.channel = d.channel and g.device = d.device
        order by d.channel, d.device, g.first
        """,
        _names(sorted(keys)),
    )
    found: dict[DeviceKey, Numbers] = {}
    async for channel, device, highest, first, last, noticed_at in cursor:
        key = (Channel(channel), device)
        gaps = found[key].gaps if key in found else ()
        found[key] = Numbers(highest, (*gaps, Gap(first, last, noticed_at)) if first is not None else gaps)
    return found


async def save(tx: Transaction, heard: Mapping[DeviceKey, Heard]) -> None:
    """Store how far these devices have got, with the gaps that are left. Their channels are locked."""
    ordered = sorted(heard.items())
    names = _names([key for key, _ in ordered])
    await tx.execute(
        """
        insert into devices (channel, device, highest, told_count, heard_at, clock_ahead_s)
        select * from unnest(%(channels)s::text[], %(devices)s::text[], %(highest)s::bigint[], %(told)s::bigint[],
                             %(heard_at)s::timestamptz[], %(ahead)s::float8[])
        on conflict (channel, device) do update set
            highest = excluded.highest, told_count = devices.told_count + excluded.told_count,
            heard_at = greatest(devices.heard_at, excluded.heard_at),
            clock_ahead_s = coalesce(excluded.clock_ahead_s, devices.clock_ahead_s)
        """,
        {
            **names,
            "highest": [one.numbers.highest for _, one in ordered],
            "told": [one.told_count for _, one in ordered],
            "heard_at": [one.heard_at for _, one in ordered],
            "ahead": [one.clock_ahead_s for _, one in ordered],
        },
    )
    await tx.execute(
        """
        delete from device_gaps g using unnest(%(channels)s::text[], %(devices)s::text[]) as wanted (channel, device)
        where g.channel = wanted.channel and g.device = wanted.device
        """,
        names,
    )
    gaps = [(key, gap) for key, one in ordered for gap in one.numbers.gaps]
    if gaps:
        await tx.execute(
            """
            insert into device_gaps (channel, device, first, last, noticed_at)
            select * from unnest(%(channels)s::text[], %(devices)s::text[], %(first)s::bigint[], %(last)s::bigint[],
                                 %(noticed)s::timestamptz[])
            """,
            {
                **_names([key for key, _ in gaps]),
                "first": [gap.first for _, gap in gaps],
                "last": [gap.last for _, gap in gaps],
                "noticed": [gap.noticed_at for _, gap in gaps],
            },
        )


_HEARTBEAT_S = r"""
    case when btrim(c.settings ->> 'heartbeat_s') ~ '^[0-9]{1,7}(\.[0-9]{1,9})?$'
         then (c.settings ->> 'heartbeat_s')::float8 else 900 end
"""


async def listed(tx: Transaction, channel: Channel | None = None) -> list[DeviceRow]:
    """All devices, or those of one channel."""
    cursor = tx.cursor(row_factory=class_row(DeviceRow))
    await cursor.execute(
        f"""
        select d.channel, d.device, c.location, d.highest, d.told_count, d.heard_at, silence.silent_s,
               silence.heartbeat_s, d.clock_ahead_s,
               silence.silent_s > silence.heartbeat_s and d.heard_at > coalesce(d.settled_at, '-infinity')
                   as is_offline,
               gaps.gap_count, gaps.missing_count, gaps.gap_age_s, events.refused_count, events.waiting_count,
               (select count(distinct sequence) from device_conflicts k
                where k.channel = d.channel and k.device = d.device) as conflict_count
        from devices d join channels c on c.channel = d.channel
        cross join lateral (
            select extract(epoch from db_now() - d.heard_at)::float8 as silent_s, {_HEARTBEAT_S} as heartbeat_s
        ) as silence
        cross join lateral (
            select count(*) as gap_count, coalesce(sum(g.last - g.first + 1), 0)::bigint as missing_count,
                   extract(epoch from db_now() - min(g.noticed_at))::float8 as gap_age_s
            from device_gaps g where g.channel = d.channel and g.device = d.device
        ) as gaps
        cross join lateral (
            select count(*) filter (where e.state = 'refused') as refused_count,
                   count(*) filter (where e.state = 'waiting') as waiting_count
            from device_events e
            where e.channel = d.channel and e.device = d.device and e.state <> 'told' and e.settled_at is null
        ) as events
        where %(channel)s::text is null or d.channel = %(channel)s
        order by d.channel, d.device
        """,
        {"channel": channel},
    )
    return await cursor.fetchall()


async def gaps_of(tx: Transaction, channel: Channel, *, limit: int = 500) -> list[GapRow]:
    """The numbers that are missing of the devices of a channel, the oldest gaps first."""
    cursor = tx.cursor(row_factory=class_row(GapRow))
    await cursor.execute(
        """
        select device, first, last, extract(epoch from db_now() - noticed_at)::float8 as age_s from device_gaps
        where channel = %(channel)s order by noticed_at, device, first limit %(limit)s
        """,
        {"channel": channel, "limit": limit},
    )
    return await cursor.fetchall()


async def settle(tx: Transaction, channel: Channel, device: str) -> int:
    """Nobody waits for this device and its missing numbers any more: a person says so. How many numbers they were.

    What comes under one of them later is posted all the same, and the device is there again.
    """
    await tx.execute(
        "update devices set settled_at = db_now() where channel = %(channel)s and device = %(device)s",
        {"channel": channel, "device": device},
    )
    cursor = await tx.execute(
        """
        delete from device_gaps where channel = %(channel)s and device = %(device)s returning last - first + 1
        """,
        {"channel": channel, "device": device},
    )
    return sum([size async for (size,) in cursor])


async def allowances(tx: Transaction) -> dict[Location, int]:
    """Location -> units of each SKU that its tills may sell before we hear of it."""
    cursor = await tx.execute("select location, units from till_allowances where units > 0")
    return {Location(location): units async for location, units in cursor}


def _names(keys: Collection[DeviceKey]) -> dict[str, str]:
    return {
        "channels": arrays.texts([channel for channel, _ in keys]),
        "devices": arrays.texts([device for _, device in keys]),
    }
