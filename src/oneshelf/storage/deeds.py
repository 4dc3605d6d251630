"""What people and files did to units, read from `movements`, command by command: for taking it back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku
from oneshelf.domain.undo import REVERSIBLE, SCOPE, Deed, keys_of
from oneshelf.storage.breakers import BY_HAND
from oneshelf.storage.database import Transaction

# Each movement as what it did to the states of one location.
_DEEDS = """
    with chosen as (
        {chosen}
    ), legs as (
        select sku, location, source, reason, to_account as state, units, posted_at from chosen
        where to_location is not null
        union all
        select sku, location, source, reason, from_account, -units, posted_at from chosen
        where from_location is not null
    ), summed as (
        select sku, location, source, state, sum(units)::bigint as units, min(posted_at) as posted_at
        from legs group by sku, location, source, state
    ), why as (
        select sku, location, source, array_agg(distinct reason order by reason) as reasons
        from legs group by sku, location, source
    )
    select source, sku, location, array_agg(state order by state), array_agg(units order by state), min(reasons)
    from summed join why using (source, sku, location)
    group by source, sku, location order by min(posted_at), source, sku, location
"""
_MOVED = """
    select m.sku, coalesce(m.to_location, m.from_location) as location, m.source, m.reason, m.from_location,
           m.from_account, m.to_location, m.to_account, m.units, m.posted_at
    from movements m
"""
_SINCE = _DEEDS.format(
    chosen=f"""
        {_MOVED}
        where m.sku in (
                select l.sku from listings l where l.channel = %(channel)s and l.sku is not null
                union
                select b.component from listings l join bundle_components b on b.sku = l.sku
                where l.channel = %(channel)s)
          and m.posted_at >= %(since)s and m.{BY_HAND} and m.reason = any(%(reasons)s::text[])
          and coalesce(m.to_location, m.from_location) = (select location from channels where channel = %(channel)s)
          and not starts_with(m.source, %(scope)s)
    """
)
_OF_COMMANDS = _DEEDS.format(
    chosen=f"""
        {_MOVED}
        join (
            select distinct scope || ' ' || key as source, posted_at from commands
            where scope <> %(undo)s and (%(scope)s = '' or scope = %(scope)s)
              and (key = %(key)s or (%(prefix)s <> '' and starts_with(key, %(prefix)s)))
        ) as wanted on wanted.source = m.source
        where m.{BY_HAND} and m.reason = any(%(reasons)s::text[])
          and coalesce(m.to_location, m.from_location) is not null
    """
)


class Republished(NamedTuple):
    """A listing's figure at an instant and now, in its own units. None: no figure had been planned."""

    channel: Channel
    channel_sku: ChannelSku
    sku: Sku
    units_then: int | None
    units_now: int | None


async def since(tx: Transaction, channel: Channel, at: datetime) -> list[Deed]:
    """What was done by hand since then to the SKUs that this channel sells, where it sells them; oldest first."""
    return await _read(
        tx,
        _SINCE,
        {"channel": channel, "since": at, "reasons": [reason.value for reason in REVERSIBLE], "scope": f"{SCOPE} "},
    )


async def of_commands(tx: Transaction, key: str, *, scope: str = "") -> list[Deed]:
    """What one command did, or all whose keys begin with `key` up to its last sign, a star; of one scope, or of any."""
    return await _read(
        tx,
        _OF_COMMANDS,
        {
            "key": key,
            "prefix": key[:-1] if key.endswith("*") else "",
            "scope": scope,
            "undo": SCOPE,
            "reasons": [reason.value for reason in REVERSIBLE],
        },
    )


async def _read(tx: Transaction, statement: str, wanted: dict[str, object]) -> list[Deed]:
    cursor = await tx.execute(statement, wanted)
    deeds = [
        Deed(
            source=source,
            sku=Sku(sku),
            location=Location(location),
            reasons=tuple(reasons),
            changes={StockState(state): units for state, units in zip(states, units_of, strict=True)},
        )
        async for source, sku, location, states, units_of, reasons in cursor
    ]
    undone = await _posted(tx, [key for deed in deeds for key in keys_of(deed)])
    return [replace(deed, is_undone=not undone.isdisjoint(keys_of(deed))) for deed in deeds]


async def _posted(tx: Transaction, keys: Collection[str]) -> set[str]:
    """Those keys of an undo that were answered with something done. A refused one may be tried again."""
    cursor = await tx.execute(
        """
        select key from commands
        where scope = %(scope)s and key = any(%(keys)s::text[]) and kind = 'Posted'
        """,
        {"scope": SCOPE, "keys": sorted(keys)},
    )
    return {key async for (key,) in cursor}


async def republished(tx: Transaction, channel: Channel, at: datetime) -> list[Republished]:
    """The listings whose figure is another one than at that instant."""
    cursor = await tx.execute(
        """
        select l.channel, l.channel_sku, l.sku, was.units, l.desired_units
        from listings l
        left join lateral (
            select p.units from publications p
            where p.channel = l.channel and p.channel_sku = l.channel_sku and p.sku = l.sku and p.planned_at <= %(at)s
            order by p.version desc limit 1
        ) as was on true
        where l.channel = %(channel)s and l.sku is not null and was.units is distinct from l.desired_units
        order by l.channel_sku
        """,
        {"channel": channel, "at": at},
    )
    return [Republished(*row) async for row in cursor]
