"""Rows of `pools` and `pool_carvings`: what each channel may still sell of a SKU at a location, and how it was cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import class_row

from oneshelf.domain.allocation import plan_of
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.movement import Reason
from oneshelf.domain.pool import Change, Pool, Pools, change_of
from oneshelf.storage import arrays, policies, touched
from oneshelf.storage.database import Transaction

# By how much the clocks of nodes, which make the ids of movements, may differ. What is missed counts as nobody's.
CLOCKS_DIFFER_S = 600.0
KEPT_DAYS = 90


class Followed(NamedTuple):
    """Pools as they are stored, and until when movements were looked for."""

    pools: Pools
    followed_at: datetime


class CarvingRow(NamedTuple):
    """All that was available, shared anew. `pools`: channel, its percentage then (null: a fixed number), its units."""

    sku: Sku
    location: Location
    carved_at: datetime
    why: str
    available: int
    pools: list[dict[str, Any]]


async def read(tx: Transaction, skus: Collection[Sku], *, is_locked: bool = False) -> dict[BalanceKey, Followed]:
    """The pools of these SKUs, by SKU and location; locked in that order if somebody is going to write them."""
    cursor = await tx.execute(
        f"""
        select sku, location, plan_group, plan_sku, plan_pattern, stated, pools, rest_units, rest_carved_units, version,
               followed_at, carved_at, why, refill_at
        from pools where sku = any(%(skus)s::text[]) order by sku, location {"for update" if is_locked else ""}
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found = {}
    async for sku, location, group, of_sku, pattern, stated, said, rest, rest_carved, version, *times in cursor:
        plan = plan_of(policies.scope_of("", group, of_sku, pattern), stated)
        parts = {part.channel: part for part in plan.parts}
        followed_at, carved_at, why, refill_at = times
        pools = Pools(
            plan=plan,
            pools=[Pool(part=parts[Channel(one.pop("channel"))], **one) for one in said],
            version=version,
            carved_at=carved_at,
            why=why,
            refill_at=refill_at,
            rest=rest,
            rest_carved=rest_carved,
        )
        found[Sku(sku), Location(location)] = Followed(pools, followed_at)
    return found


async def changes_of(
    tx: Transaction, behind: Mapping[BalanceKey, tuple[Followed, int]]
) -> dict[BalanceKey, list[Change]]:
    """What happened to the available units of these balances since their pools were followed, until a version of each.

    Ids begin with the time of the node that made them, so those of a bit before are where to begin to look.
    """
    ordered = sorted(behind)
    cursor = await tx.execute(
        """
        select w.sku, w.location, m.reason, m.source, m.units, m.to_account = 'available'
        from unnest(%(skus)s::text[], %(locations)s::text[], %(since)s::bigint[], %(until)s::bigint[],
                    %(instants)s::timestamptz[]) as w (sku, location, since, until, followed_at)
        join movements m on m.sku = w.sku
             and m.movement_id >= (lpad(to_hex((extract(epoch from w.followed_at - make_interval(secs => %(differ_s)s))
                                                * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
             and m.version > w.since and m.version <= w.until
             and coalesce(m.from_location, m.to_location) = w.location
             and 'available' in (m.from_account, m.to_account)
        order by w.sku, w.location, m.version
        """,
        {
            "skus": arrays.texts([sku for sku, _ in ordered]),
            "locations": arrays.texts([location for _, location in ordered]),
            "since": arrays.numbers(behind[key][0].pools.version for key in ordered),
            "until": arrays.numbers(behind[key][1] for key in ordered),
            "instants": arrays.instants(behind[key][0].followed_at for key in ordered),
            "differ_s": CLOCKS_DIFFER_S,
        },
    )
    found: dict[BalanceKey, list[Change]] = {}
    async for sku, location, reason, source, units, is_more in cursor:
        change = change_of(Reason(reason), source, units=units, is_more=is_more)
        found.setdefault((Sku(sku), Location(location)), []).append(change)
    return found


async def save(tx: Transaction, pools: Mapping[BalanceKey, Pools], *, at: datetime) -> None:
    """Store these pools, followed until `at`, unless somebody has followed them further, and what was carved then."""
    if not pools:
        return
    ordered = sorted(pools)
    held = [pools[key] for key in ordered]
    columns: dict[str, object] = {
        "skus": arrays.texts([sku for sku, _ in ordered]),
        "locations": arrays.texts([location for _, location in ordered]),
        "groups": arrays.texts([one.plan.scope.sku_group or "" for one in held]),
        "plan_skus": arrays.texts([one.plan.scope.sku or "" for one in held]),
        "patterns": arrays.texts([one.plan.scope.pattern or "" for one in held]),
        "stated": arrays.texts([_json(one.plan.stated()) for one in held]),
        "pools": arrays.texts([_json(list(map(_document, one.pools))) for one in held]),
        "rests": arrays.numbers(one.rest for one in held),
        "rests_carved": arrays.numbers(one.rest_carved for one in held),
        "versions": arrays.numbers(one.version for one in held),
        "carved_at": arrays.instants(one.carved_at for one in held),
        "whys": arrays.texts([one.why for one in held]),
        "refill_at": arrays.instants(one.refill_at for one in held),
        "at": at,
    }
    await tx.execute(
        """
        insert into pools (sku, location, plan_group, plan_sku, plan_pattern, stated, pools, rest_units,
                           rest_carved_units, version, followed_at, carved_at, why, refill_at)
        select sku, location, plan_group, plan_sku, plan_pattern, stated, pools, rest, rest_carved, version, %(at)s,
               carved_at, why, refill_at
        from unnest(
            %(skus)s::text[], %(locations)s::text[], %(groups)s::text[], %(plan_skus)s::text[], %(patterns)s::text[],
            %(stated)s::jsonb[], %(pools)s::jsonb[], %(rests)s::bigint[], %(rests_carved)s::bigint[],
            %(versions)s::bigint[],
            %(carved_at)s::timestamptz[], %(whys)s::text[], %(refill_at)s::timestamptz[]
        ) as new (sku, location, plan_group, plan_sku, plan_pattern, stated, pools, rest, rest_carved, version,
                  carved_at, why, refill_at)
        on conflict (sku, location) do update set
            plan_group = excluded.plan_group, plan_sku = excluded.plan_sku, plan_pattern = excluded.plan_pattern,
            stated = excluded.stated, pools = excluded.pools, rest_units = excluded.rest_units,
            rest_carved_units = excluded.rest_carved_units,
            version = excluded.version, followed_at = excluded.followed_at, carved_at = excluded.carved_at,
            why = excluded.why, refill_at = excluded.refill_at
        where pools.version <= excluded.version
        """,
        columns,
    )
    await _note_carvings(tx, {key: one for key, one in pools.items() if one.carved_at == at}, at=at)


async def _note_carvings(tx: Transaction, carved: Mapping[BalanceKey, Pools], *, at: datetime) -> None:
    if not carved:
        return
    ordered = sorted(carved)
    shares = [
        [{"channel": pool.channel, "percent": pool.percent, "units": pool.left} for pool in carved[key].pools]
        for key in ordered
    ]
    columns = {
        "skus": arrays.texts([sku for sku, _ in ordered]),
        "locations": arrays.texts([location for _, location in ordered]),
        "whys": arrays.texts([carved[key].why for key in ordered]),
        "available": arrays.numbers(carved[key].units for key in ordered),
        "shares": arrays.texts([_json(one) for one in shares]),
        "at": at,
        "days": KEPT_DAYS,
    }
    await tx.execute(
        """
        insert into pool_carvings (sku, location, carved_at, why, available, pools)
        select sku, location, %(at)s, why, available, shares
        from unnest(%(skus)s::text[], %(locations)s::text[], %(whys)s::text[], %(available)s::bigint[],
                    %(shares)s::jsonb[]) as new (sku, location, why, available, shares)
        on conflict do nothing
        """,
        columns,
    )
    await tx.execute(
        """
        delete from pool_carvings c using unnest(%(skus)s::text[], %(locations)s::text[]) as of (sku, location)
        where c.sku = of.sku and c.location = of.location
          and c.carved_at < %(at)s::timestamptz - make_interval(days => %(days)s)
        """,
        columns,
    )


async def drop(tx: Transaction, keys: Collection[BalanceKey]) -> None:
    """Forget the pools of these balances: no plan reaches them any more, or nobody sells them from there."""
    if keys:
        await tx.execute(
            """
            delete from pools p using unnest(%(skus)s::text[], %(locations)s::text[]) as gone (sku, location)
            where p.sku = gone.sku and p.location = gone.location
            """,
            arrays.places(keys),
        )


async def in_suspense(tx: Transaction, skus: Collection[Sku]) -> dict[BalanceKey, dict[Channel, int]]:
    """Units of these counted SKUs that each channel no longer shows, for which an order may still come."""
    cursor = await tx.execute(
        """
        select held.sku, c.location, held.channel, sum(held.units)::bigint from (
            select sku, channel, suspense_units * pack_units as units
            from listings where sku = any(%(skus)s::text[]) and suspense_units > 0
            union all
            select b.component, l.channel, l.suspense_units * l.pack_units * b.units
            from bundle_components b join listings l on l.sku = b.sku
            where b.component = any(%(skus)s::text[]) and l.suspense_units > 0
        ) as held join channels c on c.channel = held.channel
        group by held.sku, c.location, held.channel
        """,
        {"skus": arrays.texts(sorted(skus))},
    )
    found: dict[BalanceKey, dict[Channel, int]] = {}
    async for sku, location, channel, units in cursor:
        found.setdefault((Sku(sku), Location(location)), {})[Channel(channel)] = units
    return found


async def ask_refill(tx: Transaction, sku: Sku) -> int:
    """Have all pools of this SKU shared anew at the next planning. Returns at how many locations it has some."""
    cursor = await tx.execute("update pools set refill_at = db_now() where sku = %(sku)s", {"sku": sku})
    await touched.mark(tx, [sku] if cursor.rowcount else [])
    return cursor.rowcount


async def carvings(tx: Transaction, sku: Sku, *, limit: int) -> list[CarvingRow]:
    """When all of a SKU was shared anew, the newest first. Older than 90 days they are forgotten."""
    cursor = tx.cursor(row_factory=class_row(CarvingRow))
    await cursor.execute(
        """
        select sku, location, carved_at, why, available, pools from pool_carvings where sku = %(sku)s
        order by carved_at desc, location limit %(limit)s
        """,
        {"sku": sku, "limit": limit},
    )
    return await cursor.fetchall()


def _document(pool: Pool) -> dict[str, Any]:
    return {
        "channel": pool.channel,
        "percent": pool.percent,
        "carved": pool.carved,
        "sold": pool.sold,
        "left": pool.left,
    }


def _json(said: object) -> str:
    return msgspec.json.encode(said).decode()
