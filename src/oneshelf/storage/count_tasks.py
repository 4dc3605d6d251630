"""Rows of `count_tasks` and `count_lines`: what is to be counted, what was counted, and what a person said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.count_task import CountWish, Decision, Entry, Judged, Threshold
from oneshelf.domain.identity import Location, Sku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row

# What was sold in the last week, and where in it a SKU stands: the first 80 percent of the units are A, 15 more B.
_CLASSES = """
    sold as (
        select sku, sum(units) as units from sku_sales
        where slot_at >= db_now() - interval '7 days' group by sku
    ), ranked as (
        select sku, units, sum(units) over (order by units desc, sku rows unbounded preceding) - units as before_it,
               sum(units) over () as total
        from sold
    ), classes as (
        select sku, case when before_it < 0.80 * total then 'A' when before_it < 0.95 * total then 'B' else 'C' end
            as class
        from ranked
    )
"""
_ON_HAND = "available + committed + reserved + damaged + quality_control + safety_stock"


class TaskRow(NamedTuple):
    """A count and how far it has got."""

    task: str
    location: Location
    opened_at: datetime
    opened_by: str
    threshold_units: int
    threshold_percent: int
    line_count: int
    open_count: int
    review_count: int
    refused_count: int
    posted_count: int


class Task(NamedTuple):
    """A count as it was asked for."""

    task: str
    location: Location
    wish: Mapping[str, Any]
    threshold_units: int
    threshold_percent: int

    @property
    def threshold(self) -> Threshold:
        return Threshold(units=self.threshold_units, percent=self.threshold_percent)


class LineRow(NamedTuple):
    """One SKU of a count. `units_expected`: what the ledger had on hand; None until a figure is entered.

    `variance_units`: counted less that. `is_doubtful`: units moved meanwhile, and the figure fits neither end.
    """

    sku: Sku
    title: str
    location: Location
    round: int
    state: str
    units_counted: int | None
    units_expected: int | None
    variance_units: int | None
    is_doubtful: bool
    counted_by: str
    counted_at: datetime | None
    decided_by: str
    reason: str
    answer: str


class Line(NamedTuple):
    """One SKU of a count, locked."""

    sku: Sku
    task: str
    location: Location
    round: int
    state: str
    begun_token: UUID
    units_begun: int
    units_counted: int | None


class Accepted(NamedTuple):
    """A count that is to be posted."""

    task: str
    sku: Sku
    location: Location
    round: int
    units_counted: int
    token: UUID


async def task(tx: Transaction, name: str) -> Task | None:
    """The count of this number."""
    cursor = tx.cursor(row_factory=class_row(Task))
    await cursor.execute(
        "select task, location, wish, threshold_units, threshold_percent from count_tasks where task = %(task)s",
        {"task": name},
    )
    return await cursor.fetchone()


async def chosen(tx: Transaction, wish: CountWish) -> list[Sku]:
    """The SKUs that are meant, no bundles; where there are more than wanted, those counted the longest ago."""
    cursor = await tx.execute(
        f"""
        with {_CLASSES}
        select s.sku from skus s
        left join balances b on b.sku = s.sku and b.location = %(location)s
        left join ruling_counts r on r.sku = s.sku and r.location = %(location)s
        where case when %(skus)s::text[] <> '{{}}' then s.sku = any(%(skus)s::text[]) else b.version > 0 end
          and (%(like)s = '' or s.sku like %(like)s)
          and (%(classes)s::text[] = '{{}}'
               or coalesce((select c.class from classes c where c.sku = s.sku), 'C') = any(%(classes)s::text[]))
          and (not %(only_drifting)s
               or exists (select from drifts d where d.sku = s.sku and d.resolved_at is null))
          and not exists (select from bundle_components p where p.sku = s.sku)
        order by r.counted_at nulls first, s.sku limit %(limit)s
        """,
        {
            "location": wish.location,
            "skus": arrays.texts(sorted(wish.skus)),
            "like": _like(wish.pattern),
            "classes": arrays.texts([one.value for one in wish.sales_classes]),
            "only_drifting": wish.only_drifting,
            "limit": wish.limit,
        },
    )
    return sorted([Sku(sku) async for (sku,) in cursor])


def _like(pattern: str) -> str:
    """A pattern of people (`*` any letters, `?` one) as SQL has it."""
    for plain, written in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_"), ("*", "%"), ("?", "_")):
        pattern = pattern.replace(plain, written)
    return pattern


async def open_task(
    tx: Transaction, wish: CountWish, told: Mapping[str, Any], *, by: str, token: UUID, skus: Collection[Sku]
) -> bool:
    """Open a count of these SKUs, of which `token` says what was seen at the beginning. False: the number is taken."""
    cursor = await tx.execute(
        """
        insert into count_tasks (task, location, wish, threshold_units, threshold_percent, opened_by)
        values (%(task)s, %(location)s, %(wish)s, %(units)s, %(percent)s, %(by)s) on conflict do nothing
        """,
        {
            "task": wish.task,
            "location": wish.location,
            "wish": Jsonb(told),
            "units": wish.threshold.units,
            "percent": wish.threshold.percent,
            "by": by,
        },
    )
    if cursor.rowcount == 0:
        return False
    await tx.execute(
        f"""
        insert into count_lines (sku, task, begun_token, units_begun)
        select c.sku, %(task)s, c.token, {_ON_HAND}
        from unnest(%(skus)s::text[]) as wanted (sku) join counts c on c.sku = wanted.sku and c.token = %(token)s
        """,
        {"task": wish.task, "token": token, "skus": arrays.texts(sorted(skus))},
    )
    return True


async def on_hand_begun(tx: Transaction, token: UUID, sku: Sku) -> int:
    """What was on hand where a count began with this token."""
    cursor = await tx.execute(
        f"select {_ON_HAND} from counts where sku = %(sku)s and token = %(token)s", {"sku": sku, "token": token}
    )
    (units,) = await only_row(cursor)
    return int(units)


async def lock_line(tx: Transaction, name: str, sku: Sku) -> Line | None:
    """One SKU of a count, for this transaction alone."""
    cursor = tx.cursor(row_factory=class_row(Line))
    await cursor.execute(
        """
        select l.sku, l.task, t.location, l.round, l.state, l.begun_token, l.units_begun, l.units_counted
        from count_lines l join count_tasks t on t.task = l.task
        where l.sku = %(sku)s and l.task = %(task)s for update of l
        """,
        {"sku": sku, "task": name},
    )
    return await cursor.fetchone()


async def enter(tx: Transaction, line: Line, entry: Entry, *, token: UUID, units_entered: int, judged: Judged) -> None:
    """Store a figure that was entered, and what it means."""
    await tx.execute(
        """
        update count_lines set
            units_counted = %(units)s, counted_by = %(by)s, counted_at = db_now(), entered_token = %(token)s,
            units_entered = %(units_entered)s, variance_units = %(variance)s, is_doubtful = %(doubtful)s,
            token = case when %(as_begun)s then begun_token else %(token)s end,
            state = case when %(passes)s then 'accepted' else 'review' end
        where sku = %(sku)s and task = %(task)s
        """,
        {
            "sku": line.sku,
            "task": line.task,
            "units": entry.units,
            "by": entry.by,
            "token": token,
            "units_entered": units_entered,
            "variance": judged.variance_units,
            "doubtful": judged.is_doubtful,
            "as_begun": judged.is_as_begun,
            "passes": judged.passes,
        },
    )


async def rule(tx: Transaction, line: Line, decision: Decision, *, state: str) -> None:
    """A person has said what becomes of a difference."""
    await tx.execute(
        """
        update count_lines set state = %(state)s, decided_by = %(by)s, decided_at = db_now(), reason = %(reason)s
        where sku = %(sku)s and task = %(task)s
        """,
        {"sku": line.sku, "task": line.task, "state": state, "by": decision.by, "reason": decision.reason},
    )


async def begin_round(tx: Transaction, line: Line, decision: Decision, *, token: UUID, units: int) -> None:
    """Count again: what is on hand now is what the next round begins with."""
    await tx.execute(
        """
        update count_lines set
            round = round + 1, state = 'open', begun_token = %(token)s, units_begun = %(units)s,
            decided_by = %(by)s, decided_at = db_now(), reason = %(reason)s, entered_token = null,
            units_entered = null, units_counted = null, token = null, variance_units = null, is_doubtful = false,
            counted_by = '', counted_at = null, answer = ''
        where sku = %(sku)s and task = %(task)s
        """,
        {
            "sku": line.sku,
            "task": line.task,
            "token": token,
            "units": units,
            "by": decision.by,
            "reason": decision.reason,
        },
    )


async def accepted(tx: Transaction, *, task: str | None, sku: Sku | None, limit: int) -> list[Accepted]:
    """Counts that are to be posted; of one count and SKU, if these are named."""
    cursor = tx.cursor(row_factory=class_row(Accepted))
    await cursor.execute(
        """
        select l.task, l.sku, t.location, l.round, l.units_counted, l.token
        from count_lines l join count_tasks t on t.task = l.task
        where l.state = 'accepted' and (%(task)s::text is null or l.task = %(task)s)
          and (%(sku)s::text is null or l.sku = %(sku)s)
        order by l.sku, l.task limit %(limit)s
        """,
        {"task": task, "sku": sku, "limit": limit},
    )
    return await cursor.fetchall()


async def finish(tx: Transaction, done: Sequence[tuple[Accepted, bool, str]]) -> None:
    """The ledger has answered: whether it took each of these counts, and its words."""
    ordered = sorted(done, key=lambda one: (one[0].sku, one[0].task))
    await tx.execute(
        """
        update count_lines l set state = case when d.is_done then 'posted' else 'refused' end,
               posted_at = case when d.is_done then db_now() end, answer = d.answer
        from unnest(%(skus)s::text[], %(tasks)s::text[], %(rounds)s::int[], %(done)s::boolean[], %(answers)s::text[])
            as d (sku, task, round, is_done, answer)
        where l.sku = d.sku and l.task = d.task and l.round = d.round and l.state = 'accepted'
        """,
        {
            "skus": arrays.texts([one.sku for one, _, _ in ordered]),
            "tasks": arrays.texts([one.task for one, _, _ in ordered]),
            "rounds": arrays.numbers(one.round for one, _, _ in ordered),
            "done": arrays.flags(is_done for _, is_done, _ in ordered),
            "answers": arrays.texts([words for _, _, words in ordered]),
        },
    )


async def tasks(
    tx: Transaction, *, only_to_do: bool = True, name: str | None = None, after: str = "", limit: int
) -> list[TaskRow]:
    """Counts by their numbers. `only_to_do`: of which something is to be counted or to be looked at."""
    cursor = tx.cursor(row_factory=class_row(TaskRow))
    await cursor.execute(
        """
        select t.task, t.location, t.opened_at, t.opened_by, t.threshold_units, t.threshold_percent, n.*
        from count_tasks t
        cross join lateral (
            select count(*) as line_count, count(*) filter (where state = 'open') as open_count,
                   count(*) filter (where state = 'review') as review_count,
                   count(*) filter (where state = 'refused') as refused_count,
                   count(*) filter (where state in ('posted', 'accepted')) as posted_count
            from count_lines l where l.task = t.task
        ) as n
        where t.task > %(after)s and (%(name)s::text is null or t.task = %(name)s)
          and (not %(only_to_do)s
               or exists (select from count_lines l where l.task = t.task and l.state in ('open', 'review', 'refused')))
        order by t.task limit %(limit)s
        """,
        {"only_to_do": only_to_do, "name": name, "after": after, "limit": limit},
    )
    return await cursor.fetchall()


async def lines(tx: Transaction, name: str, *, sku: Sku | None = None, after: str = "", limit: int) -> list[LineRow]:
    """The SKUs of a count. What the ledger had is told once a figure is entered, and not before."""
    cursor = tx.cursor(row_factory=class_row(LineRow))
    await cursor.execute(
        """
        select l.sku, s.title, t.location, l.round, l.state, l.units_counted,
               l.units_counted - l.variance_units as units_expected, l.variance_units, l.is_doubtful, l.counted_by,
               l.counted_at, l.decided_by, l.reason, l.answer
        from count_lines l join count_tasks t on t.task = l.task join skus s on s.sku = l.sku
        where l.task = %(task)s and l.sku > %(after)s and (%(sku)s::text is null or l.sku = %(sku)s)
        order by l.sku limit %(limit)s
        """,
        {"task": name, "sku": sku, "after": after, "limit": limit},
    )
    return await cursor.fetchall()
