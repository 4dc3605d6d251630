"""Rows of `truth_rules` and `truth_rule_changes`: who decides in each scope, and who said so when and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.truth import Scope, TruthRule, deciding, rule_from
from oneshelf.storage.database import Transaction

# As many rules as a person can still read; each decision looks at all that name no other SKU.
RULES_MAX = 10_000


class RuleRow(NamedTuple):
    """A rule, by whom and when it was last changed."""

    rule: TruthRule
    set_at: datetime
    set_by: str


class ChangeRow(NamedTuple):
    """What a rule said before and after; empty: nothing, a wider one decided."""

    change_id: int
    changed_at: datetime
    actor: str
    reason: str
    sku_group: str
    pattern: str
    sku: str
    figure: str
    location: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def scope(self) -> Scope:
        return scope_of(self.sku_group, self.pattern, self.sku, self.figure, self.location)


async def lock(tx: Transaction) -> None:
    """Nobody else changes a rule until this transaction ends; everybody can read them."""
    await tx.execute("lock table truth_rules in share row exclusive mode")


async def find(tx: Transaction, scope: Scope) -> TruthRule | None:
    """The rule of exactly this scope."""
    cursor = await tx.execute(
        """
        select stated from truth_rules
        where sku_group = %(sku_group)s and pattern = %(pattern)s and sku = %(sku)s and figure = %(figure)s
          and location = %(location)s
        """,
        _key(scope),
    )
    row = await cursor.fetchone()
    return rule_from(scope, row[0]) if row else None


async def put(tx: Transaction, scope: Scope, rule: TruthRule | None, *, actor: str, reason: str) -> bool:
    """Have this rule, or none, for its scope, and write down who said so. The rules are locked. Whether it changed."""
    before = await find(tx, scope)
    if rule == before:
        return False
    key = _key(scope)
    if rule is None:
        await tx.execute(
            """
            delete from truth_rules
            where sku_group = %(sku_group)s and pattern = %(pattern)s and sku = %(sku)s and figure = %(figure)s
              and location = %(location)s
            """,
            key,
        )
    else:
        await tx.execute(
            """
            insert into truth_rules (sku_group, pattern, sku, figure, location, stated, set_by)
            values (%(sku_group)s, %(pattern)s, %(sku)s, %(figure)s, %(location)s, %(stated)s, %(actor)s)
            on conflict (sku_group, pattern, sku, figure, location)
            do update set stated = excluded.stated, set_by = excluded.set_by, set_at = db_now()
            """,
            {**key, "stated": Jsonb(rule.stated()), "actor": actor},
        )
    await write_down(tx, scope, before, rule, actor=actor, reason=reason)
    return True


async def write_down(
    tx: Transaction, scope: Scope, before: TruthRule | None, after: TruthRule | None, *, actor: str, reason: str
) -> None:
    """Who changed the rule of a scope and why, or changed something else with it, and it stays."""
    await tx.execute(
        """
        insert into truth_rule_changes (actor, reason, sku_group, pattern, sku, figure, location, before, after)
        values (%(actor)s, %(reason)s, %(sku_group)s, %(pattern)s, %(sku)s, %(figure)s, %(location)s, %(before)s,
                %(after)s)
        """,
        {
            **_key(scope),
            "actor": actor,
            "reason": reason,
            "before": Jsonb(before.stated() if before else {}),
            "after": Jsonb(after.stated() if after else {}),
        },
    )


async def listed(tx: Transaction) -> list[RuleRow]:
    """All rules, the widest first."""
    cursor = await tx.execute(
        """
        select sku_group, pattern, sku, figure, location, stated, set_at, set_by from truth_rules
        order by sku_group, pattern, sku, figure, location limit %(limit)s
        """,
        {"limit": RULES_MAX},
    )
    rows = [
        RuleRow(rule_from(scope_of(*names), stated), set_at, set_by) async for *names, stated, set_at, set_by in cursor
    ]
    return sorted(rows, key=lambda row: row.rule.scope.rank)


async def rule_of(tx: Transaction, sku: Sku, figure: CountedFigure, location: Location) -> TruthRule:
    """Who decides this figure of the SKU there now."""
    cursor = await tx.execute(
        """
        select r.sku_group, r.pattern, r.sku, r.figure, r.location, r.stated, s.sku_group as own_group
        from skus s join truth_rules r
          on r.sku in ('', s.sku) and r.sku_group in ('', s.sku_group) and r.figure in ('', %(figure)s)
         and r.location in ('', %(location)s)
        where s.sku = %(sku)s
        """,
        {"sku": sku, "figure": figure.value, "location": location},
    )
    rows = await cursor.fetchall()
    rules = [rule_from(scope_of(*names), stated) for *names, stated, _ in rows]
    sku_group = rows[0][-1] if rows else None
    return deciding(rules, sku=sku, sku_group=sku_group, figure=figure, location=location)


async def group_of(tx: Transaction, sku: Sku) -> str | None:
    """The group of a SKU; None: none, or no such SKU."""
    cursor = await tx.execute("select sku_group from skus where sku = %(sku)s", {"sku": sku})
    row = await cursor.fetchone()
    return row[0] if row else None


async def history(tx: Transaction, *, before: int | None = None, limit: int) -> list[ChangeRow]:
    """The changes, the newest first; those with a smaller number than `before`."""
    cursor = tx.cursor(row_factory=class_row(ChangeRow))
    await cursor.execute(
        """
        select change_id, changed_at, actor, reason, sku_group, pattern, sku, figure, location, before, after
        from truth_rule_changes where %(before)s::bigint is null or change_id < %(before)s
        order by change_id desc limit %(limit)s
        """,
        {"before": before, "limit": limit},
    )
    return await cursor.fetchall()


async def at(tx: Transaction, instant: datetime) -> list[TruthRule]:
    """The rules as they were at an instant, the widest first."""
    cursor = await tx.execute(
        """
        select distinct on (sku_group, pattern, sku, figure, location)
               sku_group, pattern, sku, figure, location, after
        from truth_rule_changes where changed_at <= %(instant)s
        order by sku_group, pattern, sku, figure, location, change_id desc
        """,
        {"instant": instant},
    )
    rules = [rule_from(scope_of(*names), after) async for *names, after in cursor if after]
    return sorted(rules, key=lambda rule: rule.scope.rank)


def scope_of(sku_group: str, pattern: str, sku: str, figure: str, location: str) -> Scope:
    """A scope from the columns of a row, in which '' stands for nothing named."""
    return Scope(
        sku_group=sku_group or None,
        pattern=pattern or None,
        sku=Sku(sku) if sku else None,
        figure=CountedFigure(figure) if figure else None,
        location=Location(location) if location else None,
    )


def _key(scope: Scope) -> Mapping[str, str]:
    return {
        "sku_group": scope.sku_group or "",
        "pattern": scope.pattern or "",
        "sku": scope.sku or "",
        "figure": scope.figure.value if scope.figure else "",
        "location": scope.location or "",
    }
