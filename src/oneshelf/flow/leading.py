"""Which drifts are of a channel that is the source of truth of what drifts: its figure is a fact, and not an error."""

from __future__ import annotations

from collections.abc import Sequence

from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import Sku
from oneshelf.domain.truth import TruthRule
from oneshelf.storage import catalog, drifts, truth_rules
from oneshelf.storage.database import Transaction


async def led(tx: Transaction, rows: Sequence[drifts.DriftRow]) -> list[tuple[drifts.DriftRow, TruthRule]]:
    """Those of them, with the rule that says so."""
    if not rows:
        return []
    places = {row.channel: row.location for row in await catalog.channels(tx)}
    found = []
    for drift in rows:
        rule = await truth_rules.rule_of(tx, Sku(drift.sku), CountedFigure.AVAILABLE, places[drift.channel])
        if rule.leads(drift.channel) and abs(drift.size) > rule.tolerance_units:
            found.append((drift, rule))
    return found
