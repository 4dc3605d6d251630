"""A person decides a conflict otherwise than its rule did, or which of two contents of a document holds.

Reads: conflicts, statements, rules. Writes: what was said of a conflict, which statement is favoured.
Next: state (a statement that is favoured), post (units that go back).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from oneshelf.domain.command import Adjust, Command, CommandKey, CountedFigure
from oneshelf.domain.outcome import Done, Outcome
from oneshelf.domain.outcome import in_words as outcome_in_words
from oneshelf.domain.statement import Stated
from oneshelf.errors import CannotResolveError, UnknownConflictError
from oneshelf.flow.settlement import is_done
from oneshelf.storage import conflicts, statements
from oneshelf.storage.conflicts import ConflictRow
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.statements import FigureKey, StatementRow

Post = Callable[[Command], Awaitable[tuple[Outcome, bool]]]
Settle = Callable[[FigureKey], Awaitable[int]]


async def keep(database: Database, conflict_id: UUID, *, actor: str, reason: str) -> str:
    """What came first of a document with two contents is right: nobody needs to look any more, and nothing moves.

    Returns what was done, in words; said again, it says so. Raises CannotResolveError.
    """
    async with database.transaction() as tx:
        row = await _found(tx, conflict_id)
        if row.state == "ended" and row.ruled_by:
            return f"{_name(row.winner)} was kept already by {row.ruled_by}; nothing was done again"
        _require_open(row)
        if row.kind != "equivocation":
            words = "holds as it is, by its rule: only a document with two contents is kept by a person"
            raise CannotResolveError(f"{_name(row.winner)} {words}")
        await conflicts.end_by(tx, row, actor=actor, reason=reason)
    return f"{_name(row.winner)} holds with {row.winner['units']} units; its other content is set aside"


async def overrule(
    database: Database, conflict_id: UUID, *, actor: str, reason: str, post: Post, settle: Settle
) -> str:
    """What was beaten is right. Returns what was done, in words; said again, it says so and does nothing.

    `post`: has the ledger decide a command. `settle`: has a figure decided anew. Raises CannotResolveError.
    """
    async with database.transaction() as tx:
        row = await _found(tx, conflict_id)
        if row.state == "overruled":
            return f"{_name(row.winner)} was made right already by {row.ruled_by}; nothing was done again"
        _require_open(row)
        first = await _first_content(tx, row) if row.kind == "equivocation" else None
        if row.kind == "statement":
            await statements.favour(tx, row.sku, row.conflict_id)
            await conflicts.overrule(tx, row, winner=row.beaten, actor=actor, reason=reason)
    if row.kind == "statement":
        await settle(FigureKey(row.sku, row.location, CountedFigure(row.figure)))
        return f"{_name(row.beaten)} rules {row.sku} at {row.location} until a later statement has seen it"
    if first is not None:
        return await _correct(database, row, first, actor=actor, reason=reason, post=post)
    return await _give_back(database, row, actor=actor, reason=reason, post=post)


async def _found(tx: Transaction, conflict_id: UUID) -> ConflictRow:
    row = await conflicts.find(tx, conflict_id, locked=True)
    if row is None:
        raise UnknownConflictError(f"no conflict {conflict_id}; those there are: oneshelf conflict list")
    return row


def _require_open(row: ConflictRow) -> None:
    if row.state == "ended" and row.ruled_by:
        raise CannotResolveError(f"{row.ruled_by} has ended this conflict: {_name(row.winner)} holds")
    if row.state == "ended":
        raise CannotResolveError("a later statement has ended this conflict: there is nothing to decide any more")
    if row.state == "overruled":
        raise CannotResolveError(f"{row.ruled_by} has decided otherwise: {_name(row.winner)} holds")


async def _first_content(tx: Transaction, row: ConflictRow) -> StatementRow:
    """What the ledger took of a document with two contents. Raises CannotResolveError where nothing can correct it."""
    name = _name(row.winner)
    otherwise = f"or keep what came first: oneshelf conflict keep {row.conflict_id} --by NAME"
    if row.figure:
        raise CannotResolveError(
            f"{name} says two things, and what its other content had seen is not known. Way out: have "
            f"{row.winner['source']} state what is right under a new document number, which ends this; {otherwise}"
        )
    first = await statements.of_document(
        tx, row.sku, row.location, source=row.winner["source"], document=row.winner["document"]
    )
    if first is None or first.state is not Stated.POSTED:
        raise CannotResolveError(f"{name}: the ledger has not taken what came first, so there is nothing to correct")
    return first


async def _correct(
    database: Database, row: ConflictRow, first: StatementRow, *, actor: str, reason: str, post: Post
) -> str:
    """The other content of a difference is right: the ledger takes what it says beyond the first one, once.

    The key is the document's, so two contents of it are never both made right.
    """
    units = row.beaten["units"] - first.statement.units
    number, outcome = 0, None
    while units:
        wish = Adjust(
            key=CommandKey(scope="conflict", key=f"{first.statement_id}:{number}"),
            sku=row.sku,
            location=row.location,
            delta_units=units,
            reason=f"{_name(row.winner)} corrected"[:100],
        )
        outcome, was_replayed = await post(wish)
        if not was_replayed or is_done(outcome):
            break
        # It was refused, then; units may have come since.
        number += 1
    if outcome is not None and not is_done(outcome):
        raise CannotResolveError(f"the ledger did not take it: {outcome_in_words(outcome)}")
    async with database.transaction() as tx:
        await conflicts.overrule(tx, row, winner=row.beaten, actor=actor, reason=reason)
    return f"the ledger took {units:+d} {row.sku} at {row.location}: {_name(row.winner)} says {row.beaten['units']}"


async def _give_back(database: Database, row: ConflictRow, *, actor: str, reason: str, post: Post) -> str:
    """The engine was right: by how much the figure was changed it is changed back. What was sold since stays sold."""
    units = row.beaten["value"] - row.winner["value"]
    wish = Adjust(
        key=CommandKey(scope="conflict", key=str(row.conflict_id)),
        sku=row.sku,
        location=row.location,
        delta_units=units,
        reason=f"overruled by {actor}"[:100],
    )
    outcome, _ = await post(wish)
    if not isinstance(outcome, Done):
        raise CannotResolveError(f"the ledger did not take it: {outcome_in_words(outcome)}")
    async with database.transaction() as tx:
        if row.kind == "ledger":
            words = f"set aside by {actor}"
            await statements.mark(tx, row.sku, [row.conflict_id], Stated.DISMISSED, words=words)
        await conflicts.overrule(tx, row, winner=row.beaten, actor=actor, reason=reason)
    return f"the ledger took {units:+d} {row.sku} at {row.location} back; {_name(row.winner)} is set aside"


def _name(side: dict[str, object]) -> str:
    return f"{side['source']} {side['document']}".strip()
