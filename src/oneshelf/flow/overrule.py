"""A person decides a conflict otherwise than its rule did.

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
from oneshelf.storage import conflicts, statements
from oneshelf.storage.conflicts import ConflictRow
from oneshelf.storage.database import Database
from oneshelf.storage.statements import FigureKey

Post = Callable[[Command], Awaitable[tuple[Outcome, bool]]]
Settle = Callable[[FigureKey], Awaitable[int]]


async def overrule(
    database: Database, conflict_id: UUID, *, actor: str, reason: str, post: Post, settle: Settle
) -> str:
    """What was beaten is right. Returns what was done, in words; said again, it says so and does nothing.

    `post`: has the ledger decide a command. `settle`: has a figure decided anew. Raises CannotResolveError.
    """
    async with database.transaction() as tx:
        row = await conflicts.find(tx, conflict_id, locked=True)
        if row is None:
            raise UnknownConflictError(f"no conflict {conflict_id}; those there are: oneshelf conflict list")
        if row.state == "overruled":
            return f"{_name(row.winner)} was made right already by {row.ruled_by}; nothing was done again"
        if row.state == "ended":
            raise CannotResolveError("a later statement has ended this conflict: there is nothing to decide any more")
        if row.kind == "equivocation":
            raise CannotResolveError(
                f"{_name(row.winner)} says two things. Way out: have {row.winner['source']} state what is right under "
                "a new document number; what came first stands until then"
            )
        if row.kind == "statement":
            await statements.favour(tx, row.sku, row.conflict_id)
            await conflicts.overrule(tx, row, winner=row.beaten, actor=actor, reason=reason)
    if row.kind == "statement":
        await settle(FigureKey(row.sku, row.location, CountedFigure(row.figure)))
        return f"{_name(row.beaten)} rules {row.sku} at {row.location} until a later statement has seen it"
    return await _give_back(database, row, actor=actor, reason=reason, post=post)


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
