"""Add up the whole ledger again and compare.

Reads: movements, balances, orders and their lines, in one snapshot. Writes: nothing.
Next: a person.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneshelf.storage import audits
from oneshelf.storage.database import Database


@dataclass(frozen=True, slots=True)
class Audit:
    """What the auditor read, and what is wrong. No violations: the ledger balances."""

    movement_count: int
    violations: tuple[audits.Violation, ...]


async def audit(database: Database) -> Audit:
    """Check every rule over the whole history."""
    async with database.transaction() as tx:
        await audits.hold_still(tx)
        return Audit(await audits.movement_count(tx), tuple(await audits.violations(tx)))
