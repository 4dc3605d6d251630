"""Rows of `policies` and `policy_changes`: the rule of each scope, and who changed it when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.identity import Channel, Sku
from oneshelf.domain.offering import Rules
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import Rule, Scope, UnknownChannel, rule_of
from oneshelf.storage import arrays, catalog, touched
from oneshelf.storage.database import Transaction

Stated = Mapping[str, int | bool]


class PolicyRow(NamedTuple):
    """A rule, by whom and when it was last changed."""

    rule: Rule
    set_at: datetime
    set_by: str


class ChangeRow(NamedTuple):
    """What was stated for a scope before and after; of a SKU's group `{"sku_group": …}`."""

    change_id: int
    changed_at: datetime
    actor: str
    channel: str
    sku_group: str
    sku: str
    pattern: str
    before: dict[str, Any]
    after: dict[str, Any]


async def lock(tx: Transaction) -> None:
    """Nobody else changes a rule until this transaction ends; everybody can read them."""
    await tx.execute("lock table policies in share row exclusive mode")


async def unknown(tx: Transaction, scope: Scope) -> UnknownSku | UnknownChannel | None:
    """What this scope names and nobody knows. A group is known by its name alone."""
    if scope.sku is not None and not await catalog.known_skus(tx, [scope.sku]):
        return UnknownSku(scope.sku)
    if scope.channel is not None and scope.channel not in {row.channel for row in await catalog.channels(tx)}:
        return UnknownChannel(scope.channel)
    return None


async def rules_of(tx: Transaction, sold: Collection[tuple[Sku, Channel]]) -> Rules:
    """All rules that reach these SKUs on these channels, and the groups of the SKUs. By key, however many there are."""
    ordered = sorted(set(sold))
    cursor = await tx.execute(
        """
        with sold as (
            select wanted.sku, wanted.channel, coalesce(s.sku_group, '') as sku_group
            from unnest(%(skus)s::text[], %(channels)s::text[]) as wanted (sku, channel)
            join skus s on s.sku = wanted.sku
        ), scopes as (
            select distinct k.channel collate "C" as channel, k.sku_group collate "C" as sku_group,
                   k.sku collate "C" as sku
            from sold cross join lateral (values
                (sold.channel, '', sold.sku), ('', '', sold.sku), (sold.channel, sold.sku_group, ''),
                ('', sold.sku_group, ''), (sold.channel, '', ''), ('', '', '')
            ) as k (channel, sku_group, sku)
        )
        select p.channel, p.sku_group, p.sku, p.stated from scopes
        join policies p on p.channel = scopes.channel and p.sku_group = scopes.sku_group and p.sku = scopes.sku
        union all
        select distinct '', sold.sku_group, sold.sku, null::jsonb from sold where sold.sku_group <> ''
        """,
        {"skus": arrays.texts([sku for sku, _ in ordered]), "channels": arrays.texts([name for _, name in ordered])},
    )
    rules, groups = [], {}
    async for channel, sku_group, sku, stated in cursor:
        if stated is None:
            groups[Sku(sku)] = str(sku_group)
        else:
            rules.append(rule_of(scope_of(channel, sku_group, sku), stated))
    return Rules(rules, groups)


async def find(tx: Transaction, scope: Scope) -> Rule | None:
    """The rule of exactly this scope."""
    cursor = await tx.execute(
        """
        select stated from policies
        where channel = %(channel)s and sku_group = %(sku_group)s and sku = %(sku)s
        """,
        _key(scope),
    )
    row = await cursor.fetchone()
    return rule_of(scope, row[0]) if row else None


async def put(tx: Transaction, rule: Rule, *, actor: str) -> None:
    """Have this rule, and no other, for its scope; one that states nothing ends it. The rules are locked."""
    before = await find(tx, rule.scope)
    stated = rule.stated()
    if stated == (before.stated() if before else {}):
        return
    if stated:
        await tx.execute(
            """
            insert into policies (channel, sku_group, sku, stated, set_by)
            values (%(channel)s, %(sku_group)s, %(sku)s, %(stated)s, %(actor)s)
            on conflict (channel, sku_group, sku) do update set
                stated = excluded.stated, set_at = excluded.set_at, set_by = excluded.set_by
            """,
            {**_key(rule.scope), "stated": Jsonb(stated), "actor": actor},
        )
    else:
        await tx.execute(
            """
            delete from policies
            where channel = %(channel)s and sku_group = %(sku_group)s and sku = %(sku)s
            """,
            _key(rule.scope),
        )
    await note(tx, rule.scope, before.stated() if before else {}, stated, actor=actor)
    await touched.mark_scope(tx, rule.scope)


async def put_in_group(tx: Transaction, sku: Sku, sku_group: str | None, *, actor: str) -> bool:
    """Have a SKU in this group, None: in none. False where there is no such SKU."""
    cursor = await tx.execute("select sku_group from skus where sku = %(sku)s for no key update", {"sku": sku})
    row = await cursor.fetchone()
    if row is None:
        return False
    before, after = ({"sku_group": name} if name else {} for name in (row[0], sku_group))
    if before != after:
        named = {"sku": sku, "sku_group": sku_group}
        await tx.execute("update skus set sku_group = %(sku_group)s where sku = %(sku)s", named)
        await note(tx, Scope(sku=sku), before, after, actor=actor)
        await touched.mark(tx, [sku])
    return True


async def listed(
    tx: Transaction, *, channel: Channel | None = None, after: tuple[str, str, str] | None = None, limit: int
) -> list[PolicyRow]:
    """Rules by channel, group and SKU, the first after `after`; those for everything and for all channels first."""
    cursor = await tx.execute(
        """
        select channel, sku_group, sku, stated, set_at, set_by from policies
        where (%(is_first)s or (channel, sku_group, sku) > (%(after_channel)s, %(after_group)s, %(after_sku)s))
          and (%(channel)s::text is null or channel = %(channel)s)
        order by channel, sku_group, sku limit %(limit)s
        """,
        {
            "is_first": after is None,
            **dict(zip(("after_channel", "after_group", "after_sku"), after or ("", "", ""), strict=True)),
            "channel": channel,
            "limit": limit,
        },
    )
    return [
        PolicyRow(rule_of(scope_of(name, group, sku), stated), set_at, set_by)
        async for name, group, sku, stated, set_at, set_by in cursor
    ]


async def history(tx: Transaction, *, before: int | None = None, limit: int) -> list[ChangeRow]:
    """The changes, the newest first; those with a smaller number than `before`."""
    cursor = tx.cursor(row_factory=class_row(ChangeRow))
    await cursor.execute(
        """
        select change_id, changed_at, actor, channel, sku_group, sku, pattern, before, after from policy_changes
        where %(before)s::bigint is null or change_id < %(before)s order by change_id desc limit %(limit)s
        """,
        {"before": before, "limit": limit},
    )
    return await cursor.fetchall()


def scope_of(channel: str, sku_group: str, sku: str, pattern: str = "") -> Scope:
    """A scope from the columns of a row, in which '' stands for nothing named."""
    return Scope(
        channel=Channel(channel) if channel else None,
        sku_group=sku_group or None,
        sku=Sku(sku) if sku else None,
        pattern=pattern or None,
    )


def _key(scope: Scope) -> dict[str, str]:
    return {"channel": scope.channel or "", "sku_group": scope.sku_group or "", "sku": scope.sku or ""}


async def note(tx: Transaction, scope: Scope, before: Stated | Any, after: Stated | Any, *, actor: str) -> None:
    """Write down who changed what is stated for a scope."""
    await tx.execute(
        """
        insert into policy_changes (actor, channel, sku_group, sku, pattern, before, after)
        values (%(actor)s, %(channel)s, %(sku_group)s, %(sku)s, %(pattern)s, %(before)s, %(after)s)
        """,
        {**_key(scope), "pattern": scope.pattern or "", "actor": actor, "before": Jsonb(before), "after": Jsonb(after)},
    )
