"""Rows of `statements` and `settlements`: what sources stated, and which of it the ledger follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from oneshelf.clock import first_id
from oneshelf.domain.account import Outside, StockState
from oneshelf.domain.command import CommandKey, Count, CountedFigure
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.seen import Context, Moved
from oneshelf.domain.statement import LIVE, Stated, Statement
from oneshelf.storage import counts
from oneshelf.storage.database import Transaction

# Ids are made by the clock of a node and instants by that of the database: no two are further apart than this.
_CLOCKS_APART_AT_MOST = timedelta(days=1)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_ACCOUNTS: dict[str, StockState | Outside] = {account.value: account for account in (*StockState, *Outside)}


class FigureKey(NamedTuple):
    """What is decided about: one figure of a SKU at a location."""

    sku: Sku
    location: Location
    figure: CountedFigure


class StatementRow(NamedTuple):
    """A statement, what became of it, and why in words."""

    statement_id: UUID
    statement: Statement
    fingerprint: bytes
    error_s: int
    received_at: datetime
    try_count: int
    state: Stated
    words: str
    favoured_at: datetime | None


class Settlement(NamedTuple):
    """The statement that rules a figure, and the one that the ledger follows; None: none yet."""

    ruling: UUID | None
    followed: UUID | None
    try_count: int


_COLUMNS = """
    statement_id, said, fingerprint, error_s, received_at, try_count, state, words, favoured_at
"""


async def add(tx: Transaction, statement_id: UUID, statement: Statement, *, error_s: int, state: Stated) -> None:
    """Keep a statement. Raises RowExistsError where somebody was faster with this document."""
    await tx.execute(
        """
        insert into statements
            (sku, location, figure, source, document, statement_id, fingerprint, said, error_s, state)
        values (%(sku)s, %(location)s, %(figure)s, %(source)s, %(document)s, %(statement_id)s, %(fingerprint)s,
                %(said)s, %(error_s)s, %(state)s)
        """,
        {
            **_key(statement),
            "source": statement.source,
            "document": statement.document,
            "statement_id": statement_id,
            "fingerprint": statement.fingerprint,
            "said": Jsonb(msgspec.to_builtins(statement)),
            "error_s": error_s,
            "state": state.value,
        },
    )


async def same(tx: Transaction, statement: Statement) -> StatementRow | None:
    """What this source has stated under the same document number, or with the same sequence number, of this figure."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements
        where sku = %(sku)s and location = %(location)s and figure = %(figure)s and source = %(source)s
          and (document = %(document)s or (figure <> '' and %(sequence)s::bigint is not null
               and (said->>'sequence')::bigint = %(sequence)s and (said->>'epoch')::bigint = %(epoch)s))
        order by document = %(document)s desc limit 1
        """,
        {
            **_key(statement),
            "source": statement.source,
            "document": statement.document,
            "sequence": statement.sequence,
            "epoch": statement.epoch,
        },
    )
    row = await cursor.fetchone()
    return _row(row) if row else None


async def of_document(
    tx: Transaction, sku: Sku, location: Location, *, source: str, document: str
) -> StatementRow | None:
    """The difference that this source has stated under this document number."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements
        where sku = %(sku)s and location = %(location)s and figure = '' and source = %(source)s
          and document = %(document)s
        """,
        {"sku": sku, "location": location, "source": source, "document": document},
    )
    row = await cursor.fetchone()
    return _row(row) if row else None


async def live(tx: Transaction, key: FigureKey) -> list[StatementRow]:
    """The statements of a figure among which it is decided who rules, the earliest first."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements
        where sku = %(sku)s and location = %(location)s and figure = %(figure)s and state = any(%(states)s)
        order by received_at, statement_id
        """,
        {**key._asdict(), "figure": key.figure.value, "states": [state.value for state in LIVE]},
    )
    return [_row(row) async for row in cursor]


async def undecided(tx: Transaction, *, limit: int) -> tuple[list[StatementRow], list[FigureKey]]:
    """Differences that the ledger can take now, the oldest first; and figures that have to be settled."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements t
        where figure = '' and (state = 'new' or (state = 'waiting' and exists (
            select from balances b
            where b.sku = t.sku and b.location = t.location and b.available >= -(t.said->>'units')::bigint)))
        order by received_at limit %(limit)s
        """,
        {"limit": limit},
    )
    differences = [_row(row) async for row in cursor]
    cursor = await tx.execute(
        """
        select sku, location, figure from settlements where ruling is distinct from followed
        union select sku, location, figure from statements where figure <> '' and state = 'new' limit %(limit)s
        """,
        {"limit": limit},
    )
    return differences, [_figure(*row) async for row in cursor]


async def waiting(tx: Transaction, sku: Sku, location: Location) -> list[StatementRow]:
    """Differences of a SKU there that the ledger cannot take yet, the oldest first."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements
        where sku = %(sku)s and location = %(location)s and figure = '' and state = 'waiting'
        order by received_at, statement_id
        """,
        {"sku": sku, "location": location},
    )
    return [_row(row) async for row in cursor]


async def figures_of(tx: Transaction, skus: Collection[Sku] | None = None) -> list[FigureKey]:
    """The figures about which anything is stated that is not superseded."""
    cursor = await tx.execute(
        """
        select distinct sku, location, figure from statements
        where figure <> '' and state = any(%(states)s) and (%(skus)s::text[] is null or sku = any(%(skus)s::text[]))
        order by sku, location, figure
        """,
        {"states": [state.value for state in LIVE], "skus": None if skus is None else sorted(skus)},
    )
    return [_figure(*row) async for row in cursor]


async def find(tx: Transaction, sku: Sku, statement_id: UUID) -> StatementRow | None:
    """One statement by its id."""
    cursor = await tx.execute(
        f"select {_COLUMNS} from statements where sku = %(sku)s and statement_id = %(statement_id)s",
        {"sku": sku, "statement_id": statement_id},
    )
    row = await cursor.fetchone()
    return _row(row) if row else None


async def newest(tx: Transaction, *, source: str = "", sku: Sku | None = None, limit: int = 100) -> list[StatementRow]:
    """Statements for a person, the newest first."""
    cursor = await tx.execute(
        f"""
        select {_COLUMNS} from statements
        where %(source)s in ('', source) and (%(sku)s::text is null or sku = %(sku)s)
        order by received_at desc, statement_id limit %(limit)s
        """,
        {"source": source, "sku": sku, "limit": limit},
    )
    return [_row(row) async for row in cursor]


async def mark(tx: Transaction, sku: Sku, ids: Collection[UUID], state: Stated, *, words: str = "") -> None:
    """Say what became of these."""
    if ids:
        await tx.execute(
            """
            update statements set state = %(state)s, words = %(words)s
            where sku = %(sku)s and statement_id = any(%(ids)s::uuid[])
              and (state, words) is distinct from (%(state)s, %(words)s)
            """,
            {"sku": sku, "ids": sorted(ids), "state": state.value, "words": words},
        )


async def favour(tx: Transaction, sku: Sku, statement_id: UUID) -> None:
    """A person decided for this one."""
    await tx.execute(
        """
        update statements set favoured_at = db_now(), state = 'new'
        where sku = %(sku)s and statement_id = %(statement_id)s
        """,
        {"sku": sku, "statement_id": statement_id},
    )


async def try_again(tx: Transaction, sku: Sku, statement_id: UUID) -> int:
    """The ledger is asked once more, under another key. Returns the number of the try."""
    cursor = await tx.execute(
        """
        update statements set try_count = try_count + 1 where sku = %(sku)s and statement_id = %(statement_id)s
        returning try_count
        """,
        {"sku": sku, "statement_id": statement_id},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


# Who rules ------------------------------------------------------------------------------------------------------------


async def lock_settlement(tx: Transaction, key: FigureKey) -> Settlement:
    """Whom the ledger follows in this figure. Nobody else decides about it until this transaction ends."""
    names = {**key._asdict(), "figure": key.figure.value}
    await tx.execute(
        """
        insert into settlements (sku, location, figure) values (%(sku)s, %(location)s, %(figure)s)
        on conflict do nothing
        """,
        names,
    )
    cursor = await tx.execute(
        """
        select ruling, followed, try_count from settlements
        where sku = %(sku)s and location = %(location)s and figure = %(figure)s for update
        """,
        names,
    )
    row = await cursor.fetchone()
    return Settlement(*row) if row else Settlement(None, None, 0)


async def settle(tx: Transaction, key: FigureKey, settlement: Settlement) -> None:
    """Who rules now, and whom the ledger follows. The settlement is locked."""
    await tx.execute(
        """
        update settlements set ruling = %(ruling)s, followed = %(followed)s, try_count = %(try_count)s
        where sku = %(sku)s and location = %(location)s and figure = %(figure)s
        """,
        {**key._asdict(), "figure": key.figure.value, **settlement._asdict()},
    )


# What they had not seen ----------------------------------------------------------------------------------------------


async def is_movement(tx: Transaction, sku: Sku, movement_id: UUID) -> bool:
    """Whether the ledger has moved units of the SKU under this id."""
    cursor = await tx.execute(
        "select exists (select from movements where sku = %(sku)s and movement_id = %(id)s)",
        {"sku": sku, "id": movement_id},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def first_at(tx: Transaction, key: BalanceKey) -> datetime | None:
    """When the first unit of the SKU moved there; None: none has."""
    cursor = await tx.execute(
        """
        select posted_at from movements where sku = %(sku)s and %(location)s in (from_location, to_location)
        order by movement_id limit 1
        """,
        {"sku": key[0], "location": key[1]},
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def not_seen(tx: Transaction, rows: Sequence[StatementRow]) -> dict[UUID, tuple[Moved, ...]]:
    """statement -> what has moved there that it had not seen, surely or perhaps. Their balance must be locked.

    Corrections of counts are no news. One without an instant reads the whole history of its SKU.
    """
    found: dict[UUID, tuple[Moved, ...]] = {row.statement_id: () for row in rows}
    for row in rows:
        said = row.statement
        if said.token is not None:
            continue
        error = timedelta(seconds=row.error_s)
        as_of = max(said.as_of, EARLIEST) if said.as_of else None
        cursor = await tx.execute(
            """
            select from_account, to_account, sum(units)::bigint,
                   coalesce(coalesce(happened_at, posted_at) <= %(missed_from)s, false) as is_ambiguous
            from movements
            where sku = %(sku)s and movement_id >= %(first_id)s and %(location)s in (from_location, to_location)
              and reason not in ('counted', 'seen_by_count', 'shipped_uncounted')
              and (%(seen_until)s::timestamptz is null or coalesce(happened_at, posted_at) > %(seen_until)s)
              and not exists (
                  select from unnest(%(documents)s::text[]) as d (document)
                  where starts_with(
                      case when 'customer' in (from_account, to_account) and starts_with(source, 'order ')
                           then 'shipped ' || source else source end, d.document))
            group by 1, 2, 4
            """,
            {
                "sku": said.sku,
                "location": said.location,
                "documents": list(said.seen_sources),
                "seen_until": as_of - error if as_of else None,
                "missed_from": as_of + error if as_of else None,
                "first_id": first_id(as_of - error - _CLOCKS_APART_AT_MOST if as_of else EARLIEST),
            },
        )
        found[row.statement_id] = tuple(
            [
                Moved(units, _ACCOUNTS[origin], _ACCOUNTS[target], is_ambiguous)
                async for origin, target, units, is_ambiguous in cursor
            ]
        )
    return found


async def begun(tx: Transaction, rows: Sequence[StatementRow]) -> Mapping[UUID, Context]:
    """statement -> where its balance stood when its counting began, of those with a token that is known."""
    asked = {
        CommandKey(scope="statement", key=str(row.statement_id)): row for row in rows if row.statement.token is not None
    }
    wanted = [
        Count(
            key=key,
            sku=row.statement.sku,
            location=row.statement.location,
            units=row.statement.units,
            figure=row.statement.figure or CountedFigure.ON_HAND,
            token=row.statement.token,
        )
        for key, row in asked.items()
    ]
    return {asked[key].statement_id: context for key, context in (await counts.contexts(tx, wanted)).items()}


def _key(statement: Statement) -> dict[str, str]:
    return {
        "sku": statement.sku,
        "location": statement.location,
        "figure": statement.figure.value if statement.figure else "",
    }


def _figure(sku: str, location: str, figure: str) -> FigureKey:
    return FigureKey(Sku(sku), Location(location), CountedFigure(figure))


def _row(columns: tuple[Any, ...]) -> StatementRow:
    statement_id, said, fingerprint, error_s, received_at, try_count, state, words, favoured_at = columns
    return StatementRow(
        statement_id,
        msgspec.convert(said, Statement),
        bytes(fingerprint),
        error_s,
        received_at,
        try_count,
        Stated(state),
        words,
        favoured_at,
    )
