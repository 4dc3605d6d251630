"""Rows of `conflicts`: what disagreed, which rule decided, what was beaten, and what a person said of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import Location, Sku
from oneshelf.storage import arrays
from oneshelf.storage.database import Transaction
from oneshelf.storage.drifts import DriftRow
from oneshelf.storage.statements import FigureKey

KINDS = ("statement", "ledger", "drift", "equivocation")


class ConflictRow(NamedTuple):
    """A disagreement. `winner`, `beaten`: source, document, units and value of each side.

    `state`: `open`, somebody should look; `decided` by the rule; `overruled` by a person; `ended` by later news.
    """

    conflict_id: UUID
    sku: Sku
    location: Location
    figure: str
    kind: str
    state: str
    rule: str
    winner: dict[str, Any]
    beaten: dict[str, Any]
    opened_at: datetime
    changed_at: datetime
    ruled_by: str = ""
    reason: str = ""


_COLUMNS = """
    conflict_id, sku, location, figure, kind, state, rule, winner, beaten, opened_at, changed_at, ruled_by, reason
"""


class ConflictPlace(NamedTuple):
    """Where a list of conflicts goes on: behind this one."""

    is_closed: bool
    opened_at: datetime
    conflict_id: UUID


class NewConflict(NamedTuple):
    """A disagreement as it is found. Found again, its figures are the newest."""

    conflict_id: UUID
    sku: Sku
    location: Location
    figure: str
    kind: str
    state: str
    rule: str
    winner: dict[str, Any]
    beaten: dict[str, Any]


def of_drift(drift: DriftRow, rule: str, location: Location, *, pack_units: int) -> NewConflict:
    """A channel that rules showed another figure than the ledger's. Units are the SKU's."""
    shown, own = drift.observed_units * pack_units, drift.expected_units * pack_units
    return NewConflict(
        drift.drift_id,
        Sku(drift.sku),
        location,
        CountedFigure.AVAILABLE.value,
        "drift",
        "decided",
        rule,
        {"source": drift.channel, "document": drift.channel_sku, "units": shown, "value": shown},
        {"source": "engine", "document": "", "units": own, "value": own},
    )


async def note(tx: Transaction, found: Collection[NewConflict]) -> None:
    """Write these down. One that a person has decided stays as it is; so does a document's second content, told again
    after it was settled."""
    for one in sorted(found, key=lambda new: (new.sku, new.conflict_id)):
        await tx.execute(
            """
            insert into conflicts (sku, conflict_id, location, figure, kind, state, rule, winner, beaten)
            values (%(sku)s, %(conflict_id)s, %(location)s, %(figure)s, %(kind)s, %(state)s, %(rule)s, %(winner)s,
                    %(beaten)s)
            on conflict (sku, conflict_id) do update set
                kind = excluded.kind, state = excluded.state, rule = excluded.rule, winner = excluded.winner,
                beaten = excluded.beaten, changed_at = db_now()
            where conflicts.state <> 'overruled' and (conflicts.kind <> 'equivocation' or conflicts.state = 'open')
              and (conflicts.kind, conflicts.state, conflicts.rule, conflicts.winner, conflicts.beaten)
                  is distinct from (excluded.kind, excluded.state, excluded.rule, excluded.winner, excluded.beaten)
            """,
            {**one._asdict(), "winner": Jsonb(one.winner), "beaten": Jsonb(one.beaten)},
        )


async def end(tx: Transaction, sku: Sku, ids: Collection[UUID]) -> None:
    """Later news has ended these, where they were open."""
    if ids:
        await tx.execute(
            """
            update conflicts set state = 'ended', changed_at = db_now()
            where sku = %(sku)s and conflict_id = any(%(ids)s::uuid[]) and state = 'open'
            """,
            {"sku": sku, "ids": sorted(ids)},
        )


async def end_by(tx: Transaction, row: ConflictRow, *, actor: str, reason: str) -> None:
    """A person has ended this one: what won holds."""
    await tx.execute(
        """
        update conflicts set state = 'ended', ruled_by = %(actor)s, reason = %(reason)s, changed_at = db_now()
        where sku = %(sku)s and conflict_id = %(conflict_id)s
        """,
        {"sku": row.sku, "conflict_id": row.conflict_id, "actor": actor, "reason": reason},
    )


async def end_quarantined(tx: Transaction, key: FigureKey, documents: Collection[tuple[str, str]]) -> None:
    """A later statement of this figure has replaced these `(source, document)`: their two contents are history."""
    if documents:
        await tx.execute(
            """
            update conflicts c set state = 'ended', changed_at = db_now()
            from unnest(%(sources)s::text[], %(documents)s::text[]) as gone (source, document)
            where c.sku = %(sku)s and c.location = %(location)s and c.figure = %(figure)s
              and c.kind = 'equivocation' and c.state = 'open'
              and c.winner->>'source' = gone.source and c.winner->>'document' = gone.document
            """,
            {
                **key._asdict(),
                "figure": key.figure.value,
                "sources": arrays.texts([source for source, _ in documents]),
                "documents": arrays.texts([document for _, document in documents]),
            },
        )


async def overrule(tx: Transaction, row: ConflictRow, *, winner: dict[str, Any], actor: str, reason: str) -> None:
    """A person decided otherwise: what won is beaten."""
    await tx.execute(
        """
        update conflicts set state = 'overruled', winner = %(winner)s, beaten = %(beaten)s, ruled_by = %(actor)s,
            reason = %(reason)s, changed_at = db_now()
        where sku = %(sku)s and conflict_id = %(conflict_id)s
        """,
        {
            "sku": row.sku,
            "conflict_id": row.conflict_id,
            "winner": Jsonb(winner),
            "beaten": Jsonb(row.winner),
            "actor": actor,
            "reason": reason,
        },
    )


async def find(tx: Transaction, conflict_id: UUID, *, locked: bool = False) -> ConflictRow | None:
    """One of them; `locked`: held until this transaction ends."""
    cursor = tx.cursor(row_factory=class_row(ConflictRow))
    await cursor.execute(
        f"select {_COLUMNS} from conflicts where conflict_id = %(conflict_id)s {'for update' if locked else ''}",
        {"conflict_id": conflict_id},
    )
    return await cursor.fetchone()


async def listed(
    tx: Transaction,
    *,
    only_open: bool = False,
    sku: Sku | None = None,
    kind: str | None = None,
    behind: ConflictPlace | None = None,
    limit: int = 100,
) -> list[ConflictRow]:
    """Open ones first, then the newest."""
    cursor = tx.cursor(row_factory=class_row(ConflictRow))
    await cursor.execute(
        f"""
        select {_COLUMNS} from conflicts
        where (not %(only_open)s or state = 'open') and (%(sku)s::text is null or sku = %(sku)s)
          and (%(kind)s::text is null or kind = %(kind)s)
          and (%(is_closed)s::boolean is null or (state <> 'open') > %(is_closed)s
               or ((state <> 'open') = %(is_closed)s and (opened_at, conflict_id) < (%(opened_at)s, %(conflict_id)s)))
        order by state <> 'open', opened_at desc, conflict_id desc limit %(limit)s
        """,
        {
            "only_open": only_open,
            "sku": sku,
            "kind": kind,
            "limit": limit,
            **(behind or ConflictPlace(None, None, None))._asdict(),  # type: ignore[arg-type]  # nowhere: all of them
        },
    )
    return await cursor.fetchall()


async def open_by_kind(tx: Transaction) -> dict[str, tuple[int, float]]:
    """Kind -> how many are open, and the age of the oldest in s."""
    cursor = await tx.execute(
        """
        select kind, count(*), extract(epoch from db_now() - min(opened_at))::float8 from conflicts
        where state = 'open' group by kind
        """
    )
    return {kind: (count, age_s) async for kind, count, age_s in cursor}
