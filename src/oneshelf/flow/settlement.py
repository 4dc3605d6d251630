"""Who rules a figure, worked out under its lock, and what the ledger has to be told so that it follows.

Not a step: what steps and previews call. Nothing is posted here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args
from uuid import UUID

from oneshelf.domain.command import CommandKey, Count
from oneshelf.domain.ledger import Balance
from oneshelf.domain.outcome import AnsweredBefore, Done, Outcome
from oneshelf.domain.outcome import in_words as outcome_in_words
from oneshelf.domain.seen import FIGURE_STATES, Begun, Context, LookedBack, Moved, since_begun, since_instant
from oneshelf.domain.statement import Standing, Stated, Statement
from oneshelf.domain.truth import TruthRule
from oneshelf.domain.verdict import Verdict
from oneshelf.domain.verdict import decide as decide_among
from oneshelf.storage import balances, conflicts, counts, statements, truth_rules
from oneshelf.storage.conflicts import NewConflict
from oneshelf.storage.database import Transaction
from oneshelf.storage.statements import EARLIEST, FigureKey, Settlement, StatementRow

DONE_KINDS = frozenset(kind.__name__ for kind in get_args(Done))


@dataclass(frozen=True, slots=True)
class Weighed:
    """All that is stated of a figure, and what the rule says to it. `present`: the ledger's own figure."""

    rule: TruthRule
    verdict: Verdict
    present: int
    balance: Balance
    unseen: Mapping[UUID, tuple[Moved, ...]]

    def is_within(self, one: Standing, other: int) -> bool:
        return abs(one.value - other) <= self.rule.tolerance_units


@dataclass(frozen=True, slots=True)
class Wish:
    """The count that has the ledger follow `winner`. `difference`: by how much it changes the figure, as known now."""

    winner: Standing
    count: Count
    difference: int
    weighed: Weighed


async def weigh(
    tx: Transaction, key: FigureKey, rows: Collection[StatementRow], rule: TruthRule | None = None
) -> Weighed:
    """What stands against what, by this rule or the one that holds. Locks the balance."""
    by_rule = rule or await truth_rules.rule_of(tx, key.sku, key.figure, key.location)
    balance = (await balances.lock(tx, [(key.sku, key.location)]))[key.sku, key.location]
    ordered = list(rows)
    unseen = await statements.not_seen(tx, ordered)
    begun = await statements.begun(tx, ordered)
    standing = [_standing(row, key, balance, unseen[row.statement_id], begun.get(row.statement_id)) for row in ordered]
    present = sum(balance.units[state] for state in FIGURE_STATES[key.figure])
    return Weighed(by_rule, decide_among(by_rule, standing), present, balance, unseen)


async def decide(tx: Transaction, new_id: Callable[[], UUID], key: FigureKey) -> Wish | None:
    """Decide who rules, write down what disagrees, and return what to post; None: the ledger follows already."""
    settled = await statements.lock_settlement(tx, key)
    weighed = await weigh(tx, key, await statements.live(tx, key))
    verdict, winner = weighed.verdict, weighed.verdict.winner
    await _write_down(tx, key, weighed)
    if winner is None or winner.statement_id == settled.followed:
        if settled.ruling != settled.followed:
            await statements.settle(tx, key, settled._replace(ruling=settled.followed))
        return None
    difference = winner.value - weighed.present
    if difference and weighed.is_within(winner, weighed.present) and not winner.is_favoured:
        await statements.settle(tx, key, Settlement(winner.statement_id, winner.statement_id, settled.try_count))
        words = f"{abs(difference)} units off, within the tolerance of {weighed.rule.tolerance_units}; nothing moved"
        await statements.mark(tx, key.sku, [winner.statement_id], Stated.AGREED, words=words)
        return None
    number = settled.try_count + 1
    await statements.settle(tx, key, Settlement(winner.statement_id, settled.followed, number))
    token = winner.statement.token or new_id()
    if winner.statement.token is None:
        await _note_seen(tx, token, key, winner, weighed)
    count = Count(
        key=CommandKey(scope="statement", key=f"{winner.statement_id}:{number}"),
        sku=key.sku,
        location=key.location,
        units=winner.statement.units,
        figure=key.figure,
        token=token,
    )
    return Wish(winner, count, difference, replace(weighed, verdict=verdict))


async def follow(tx: Transaction, key: FigureKey, wish: Wish, outcome: Outcome) -> None:
    """Write down what the ledger answered. Whoever rules by now is followed by the next turn."""
    settled = await statements.lock_settlement(tx, key)
    winner = wish.winner
    if not isinstance(outcome, Done):
        await statements.mark(tx, key.sku, [winner.statement_id], Stated.NEW, words=outcome_in_words(outcome))
        return
    await statements.settle(tx, key, settled._replace(followed=winner.statement_id))
    doubt = f"; {winner.units_ambiguous} units moved so close to it that nobody can tell" * bool(winner.units_ambiguous)
    words = f"the ledger follows: {wish.weighed.verdict.why}; {outcome_in_words(outcome)}{doubt}"
    await statements.mark(tx, key.sku, [winner.statement_id], Stated.RULES, words=words)
    if wish.difference:
        found = NewConflict(
            winner.statement_id,
            key.sku,
            key.location,
            key.figure.value,
            "ledger",
            "open" if winner.units_ambiguous else "decided",
            wish.weighed.verdict.why,
            {**shown(winner.statement), "value": winner.value},
            {"source": "engine", "document": "", "units": wish.weighed.present, "value": wish.weighed.present},
        )
        await conflicts.note(tx, [found])


def is_done(outcome: Outcome) -> bool:
    """Whether the ledger took it, perhaps so long ago that only the kind of its answer is known."""
    return isinstance(outcome, Done) or (isinstance(outcome, AnsweredBefore) and outcome.kind in DONE_KINDS)


def shown(statement: Statement) -> dict[str, Any]:
    """One side of a conflict."""
    return {"source": statement.source, "document": statement.document, "units": statement.units}


async def _write_down(tx: Transaction, key: FigureKey, weighed: Weighed) -> None:
    """What became of those that do not rule, and where that is a conflict."""
    verdict = weighed.verdict
    against = verdict.winner.value if verdict.winner else weighed.present
    winner = (
        {**shown(verdict.winner.statement), "value": against}
        if verdict.winner
        else {"source": "engine", "document": "", "units": against, "value": against}
    )
    found = []
    for one in verdict.beaten:
        if weighed.is_within(one, against):
            await statements.mark(tx, key.sku, [one.statement_id], Stated.AGREED, words=f"as {winner['source']} has it")
            await conflicts.end(tx, key.sku, [one.statement_id])
            continue
        words = f"beaten by {winner['source']}, which has {against}: {verdict.why}"
        await statements.mark(tx, key.sku, [one.statement_id], Stated.BEATEN, words=words)
        side = {**shown(one.statement), "value": one.value}
        found.append(
            NewConflict(
                one.statement_id,
                key.sku,
                key.location,
                key.figure.value,
                "statement",
                "open",
                verdict.why,
                winner,
                side,
            )
        )
    await conflicts.note(tx, found)
    gone = [one.statement_id for one in verdict.superseded]
    await statements.mark(tx, key.sku, gone, Stated.SUPERSEDED, words="a later statement has seen it")
    await conflicts.end(tx, key.sku, gone)
    replaced = sorted((one.statement.source, one.statement.document) for one in verdict.superseded)
    await conflicts.end_quarantined(tx, key, replaced)


async def _note_seen(tx: Transaction, token: UUID, key: FigureKey, winner: Standing, weighed: Weighed) -> None:
    """What the winner had seen of the balance: what is there less what it had not seen."""
    units = dict(weighed.balance.units)
    for moved in weighed.unseen[winner.statement_id]:
        # In doubt the figure is the lower one: what came was seen, what left was not.
        if moved.is_ambiguous and moved.change(key.figure) >= 0:
            continue
        for account, change in ((moved.origin, moved.units), (moved.target, -moved.units)):
            if account in units:
                units[account] += change  # type: ignore[index]  # An outside account is in no balance.
    begun = Begun(
        location=key.location,
        begun_at=winner.statement.as_of or EARLIEST,
        units=units,
        documents=winner.statement.seen_sources,
        error_s=winner.error_s,
    )
    await counts.note_seen(tx, token, (key.sku, key.location), version=weighed.balance.version, begun=begun)


def _standing(
    row: StatementRow, key: FigureKey, balance: Balance, unseen: tuple[Moved, ...], context: Context | None
) -> Standing:
    begun = context if isinstance(context, Begun) else None
    since = (
        since_begun(begun, balance.units, (), key.figure)
        if begun
        else since_instant(LookedBack(moved=unseen, first_at=None), (), key.figure)
    )
    return Standing(
        statement_id=row.statement_id,
        statement=row.statement,
        received_at=row.received_at,
        value=max(0, row.statement.units + since.units),
        error_s=row.error_s,
        begun_at=begun.begun_at if begun else None,
        units_ambiguous=since.units_ambiguous,
        is_favoured=row.favoured_at is not None,
    )
