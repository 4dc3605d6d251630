"""Rows of `imports`: the files that were brought in. What they did to units is in `commands` and `movements`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from psycopg.rows import class_row

from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction, only_row

# Whoever brings a file in is heard of with every few thousand rows, which take seconds.
SILENT_S = 120
_COLUMNS = f"""
import_id, kind, source, file_name, row_count, applied_count, problem_count, problems, reasons, began_at, ended_at,
stopped_by,
ended_at is null and heard_at < db_now() - make_interval(secs => {SILENT_S}) as is_broken_off
"""
_ON_HAND = "available + committed + reserved + damaged + quality_control + safety_stock"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why one row of a file is not applied. `line`: as a person counts them; `value`: what stands in the cell."""

    line: int
    column: str
    value: str
    reason: str


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why `row_count` rows of a file are not applied, all for the same reason. `line`: of the first of them."""

    column: str
    reason: str
    row_count: int
    line: int


class ImportRow(NamedTuple):
    """One file. `problems`: the first of them, `reasons`: each once. `ended_at`: None while it is under way.

    `stopped_by`: who had it stopped before all of it was applied. `is_broken_off`: it is under way, and whoever did it
    has not been heard of for so long that they have died.
    """

    import_id: str
    kind: str
    source: str
    file_name: str
    row_count: int
    applied_count: int
    problem_count: int
    problems: list[dict[str, object]]
    reasons: list[dict[str, object]]
    began_at: datetime
    ended_at: datetime | None
    stopped_by: str
    is_broken_off: bool

    @property
    def is_complete(self) -> bool:
        """Whether every row of it was applied, so that nothing is left to do."""
        return self.ended_at is not None and self.problem_count == 0 and not self.stopped_by


async def find(tx: Transaction, import_id: str) -> ImportRow | None:
    """The file with this id, if any of it was ever applied."""
    cursor = tx.cursor(row_factory=class_row(ImportRow))
    await cursor.execute(f"select {_COLUMNS} from imports where import_id = %(import_id)s", {"import_id": import_id})
    return await cursor.fetchone()


async def listed(tx: Transaction, *, limit: int, before: datetime | None = None) -> list[ImportRow]:
    """The files that were brought in, the newest first; those that began before an instant."""
    cursor = tx.cursor(row_factory=class_row(ImportRow))
    await cursor.execute(
        f"""
        select {_COLUMNS} from imports where %(before)s::timestamptz is null or began_at < %(before)s
        order by began_at desc, import_id limit %(limit)s
        """,
        {"before": before, "limit": limit},
    )
    return await cursor.fetchall()


async def last(tx: Transaction, *, kind: str, source: str) -> ImportRow | None:
    """The file of this kind that came last from this source."""
    cursor = tx.cursor(row_factory=class_row(ImportRow))
    await cursor.execute(
        f"""
        select {_COLUMNS} from imports where kind = %(kind)s and source = %(source)s and source <> ''
        order by began_at desc limit 1
        """,
        {"kind": kind, "source": source},
    )
    return await cursor.fetchone()


async def begin(tx: Transaction, *, import_id: str, kind: str, source: str, file_name: str, row_count: int) -> None:
    """A file begins to be applied, or is taken up again. A wish to stop it holds while somebody else is at it."""
    await tx.execute(
        f"""
        insert into imports (import_id, kind, source, file_name, row_count)
        values (%(import_id)s, %(kind)s, %(source)s, %(file_name)s, %(row_count)s)
        on conflict (import_id) do update set ended_at = null, heard_at = db_now(), stopped_by = case
            when imports.ended_at is null and imports.heard_at >= db_now() - make_interval(secs => {SILENT_S})
            then imports.stopped_by else '' end
        """,
        {"import_id": import_id, "kind": kind, "source": source, "file_name": file_name, "row_count": row_count},
    )


async def note(tx: Transaction, import_id: str, *, applied_count: int) -> bool:
    """So many of its rows are applied by now. Returns whether somebody wants it to stop."""
    cursor = await tx.execute(
        """
        update imports set applied_count = %(applied_count)s, heard_at = db_now() where import_id = %(import_id)s
        returning stopped_by <> ''
        """,
        {"import_id": import_id, "applied_count": applied_count},
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def ask_to_stop(tx: Transaction, import_id: str, *, by: str) -> None:
    """Have a file stopped that is being applied: within some thousand rows. One that has ended stays as it is."""
    await tx.execute(
        """
        update imports set stopped_by = case stopped_by when '' then %(by)s else stopped_by end
        where import_id = %(import_id)s and ended_at is null
        """,
        {"import_id": import_id, "by": by},
    )


async def end(
    tx: Transaction,
    import_id: str,
    *,
    applied_count: int,
    problem_count: int,
    problems: Sequence[Problem],
    reasons: Sequence[Reason],
) -> None:
    """All of it is done that can be done; or what was done before it was stopped."""
    await tx.execute(
        """
        update imports set applied_count = %(applied_count)s, problem_count = %(problem_count)s,
            problems = %(problems)s::jsonb, reasons = %(reasons)s::jsonb, ended_at = db_now(),
            stopped_by = case when row_count > %(applied_count)s + %(problem_count)s then stopped_by else '' end
        where import_id = %(import_id)s
        """,
        {
            "import_id": import_id,
            "applied_count": applied_count,
            "problem_count": problem_count,
            "problems": msgspec.json.encode(problems).decode(),
            "reasons": msgspec.json.encode(reasons).decode(),
        },
    )


async def on_hand(tx: Transaction, keys: Collection[BalanceKey]) -> dict[BalanceKey, int]:
    """Units on hand of these balances, unlocked; those that never held a unit are left out."""
    cursor = await tx.execute(
        f"""
        select b.sku, b.location, {_ON_HAND} from balances b
        join unnest(%(skus)s::text[], %(locations)s::text[]) as wanted (sku, location)
          on b.sku = wanted.sku and b.location = wanted.location
        """,
        arrays.places(keys),
    )
    return {(Sku(sku), Location(location)): units for sku, location, units in await cursor.fetchall()}


async def filled_count(tx: Transaction, locations: Collection[Location]) -> int:
    """Of how many SKUs something lies at these locations, each location counted by itself."""
    cursor = await tx.execute(
        f"select count(*) from balances where location = any(%(locations)s::text[]) and {_ON_HAND} > 0",
        {"locations": sorted(locations)},
    )
    (count,) = await only_row(cursor)
    return int(count)
