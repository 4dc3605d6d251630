"""Add up the whole ledger again and compare; or, every minute, what moved since.

Reads: movements, balances, reservations, transfers, orders and their lines, listings, in one snapshot.
Writes: only how far it got and what it found; it mends nothing.
Next: a person.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from oneshelf.errors import AnotherAuditError
from oneshelf.storage import audit_positions, audit_scopes, audits
from oneshelf.storage.audit_positions import KnownViolation, Position
from oneshelf.storage.audit_scopes import ALL, CHECKED, Scope
from oneshelf.storage.database import Database, Transaction
from oneshelf.telemetry import get_logger

EVERY_S = 60.0
# So many SKUs of the catalogue are looked at in each run although nothing of them moved.
PATROL = 200
LOGGED_MAX = 20
IDS_LOGGED_MAX = 5

Progress = Callable[[str], None]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the auditor read, and what is wrong. No violations: the ledger balances.

    `violation_count` may be more than the violations that are listed.
    """

    movement_count: int
    violations: tuple[audits.Violation, ...]
    violation_count: int


def _in_silence(_what: str) -> None:
    """Progress that nobody watches."""


async def audit(database: Database, *, progress: Progress = _in_silence) -> Audit:
    """Check every rule over the whole history, and what the auditor remembers of it. Writes nothing.

    `progress` is told what comes next. Raises AnotherAuditError.
    """
    async with _alone(database, of_all=True) as tx:
        stands = await audit_positions.position(tx)
        progress("adding up all movements")
        await audit_scopes.sum_all(tx, position=stands.xid if stands else 0)
        return await _checked(tx, ALL, progress)


async def audit_new(
    database: Database, *, from_the_first: bool = False, progress: Progress = _in_silence, patrol: int = PATROL
) -> Audit:
    """Check the SKUs that moved since the last time, and a few others; remember how far that got.

    The first time, and `from_the_first`, it reads all. Raises AnotherAuditError.
    """
    async with _alone(database, of_all=False) as tx:
        stands = None if from_the_first else await audit_positions.position(tx)
        known = await audit_positions.known_violations(tx)
        progress("adding up new movements" if stands else "adding up all movements")
        if stands is None:
            scope, at = ALL, await _begin(tx)
        else:
            scope, at = CHECKED, await _go_on(tx, stands, patrol)
        done = await _checked(tx, scope, progress)
        found = {KnownViolation(one.rule, one.where, one.sku): one for one in done.violations}
        # All that was known is looked at in each run: what is not found is mended.
        await audit_positions.store_violations(tx, list(found.values()), known - found.keys())
        await audit_positions.store_position(tx, at)
    _tell([one for key, one in found.items() if key not in known], had=len(known), has=done.violation_count)
    return done


async def audit_if_due(database: Database) -> int:
    """What the engine does again and again: one audit of what is new in a minute, whichever node comes first."""
    async with database.transaction() as tx:
        # A little less, so that one node alone does not miss every other turn.
        if not await audit_positions.is_due(tx, every_s=0.9 * EVERY_S):
            return 0
    try:
        await audit_new(database)
    except AnotherAuditError:
        return 0
    return 1


@asynccontextmanager
async def _alone(database: Database, *, of_all: bool) -> AsyncIterator[Transaction]:
    """One snapshot, taken after this auditor is known to be the only one, so that it sees what the last one wrote."""
    async with database.transaction() as guard:
        if not await audit_positions.try_lock(guard, of_all=of_all):
            raise AnotherAuditError("another audit of this kind is under way; wait for it and try again")
        async with database.transaction() as tx:
            await audit_scopes.hold_still(tx)
            yield tx


async def _begin(tx: Transaction) -> Position:
    following = await audit_positions.next_xid(tx)
    await audit_scopes.sum_all(tx, position=following)
    await audit_positions.store_all(tx)
    return Position(following, "", await audit_positions.settled_count(tx, position=following))


async def _go_on(tx: Transaction, stands: Position, patrol: int) -> Position:
    following = await audit_positions.next_xid(tx)
    await audit_scopes.sum_new(tx, position=stands.xid, following=following, after=stands.patrolled_sku, patrol=patrol)
    count = stands.movement_count + await audit_positions.store_new(tx)
    return Position(following, await audit_scopes.last_patrolled(tx, after=stands.patrolled_sku, patrol=patrol), count)


async def _checked(tx: Transaction, scope: Scope, progress: Progress) -> Audit:
    found: list[audits.Violation] = []
    count = 0
    for rule in audits.rules(scope):
        progress(rule)
        broken, broken_count = await audits.broken(tx, rule, scope)
        found += broken
        count += broken_count
    return Audit(await audits.movement_count(tx), tuple(await audits.explained(tx, found)), count)


def _tell(fresh: Sequence[audits.Violation], *, had: int, has: int) -> None:
    """One line for each new violation, as far as they are few; one when there are none any more."""
    for violation in fresh[:LOGGED_MAX]:
        log.error(
            "ledger.violation",
            rule=violation.rule,
            where=violation.where,
            figures=violation.figures,
            movements=[str(moved.movement_id) for moved in violation.movements[:IDS_LOGGED_MAX]],
            movement_count=violation.movement_count,
        )
    if len(fresh) > LOGGED_MAX:
        log.error("ledger.violations_more", count=len(fresh) - LOGGED_MAX)
    if had and not has:
        log.info("ledger.balances", violations_before=had)
