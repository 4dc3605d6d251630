"""Take what external systems state, and have the ledger follow whoever the rules say.

Reads: statements, the rules of truth, movements. Writes: statements, settlements, conflicts; what a figure had seen.
Next: post, which moves the units; push and plan follow as always.

A difference is a fact: the ledger takes it once, whatever rules. A figure is held against the ledger, and the rule of
its SKU, state and location says whether the ledger follows. Who rules is a function of the set of statements, not of
their order, so each arrival decides anew; a crash in the middle leaves a settlement that the next turn ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID, uuid5

from oneshelf.domain.command import Adjust, Command, CommandKey
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.outcome import Done, Outcome
from oneshelf.domain.outcome import in_words as outcome_in_words
from oneshelf.domain.statement import Stated, Statement
from oneshelf.domain.statement_answer import Answer, Refused
from oneshelf.errors import RowExistsError
from oneshelf.flow import settlement
from oneshelf.storage import catalog, conflicts, counts, sources, statements
from oneshelf.storage.conflicts import NewConflict
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.storage.statements import FigureKey, StatementRow
from oneshelf.telemetry import get_logger

BATCH = 100
# A figure is settled anew where another statement came meanwhile. So many at once are a storm; the next turn goes on.
SETTLES_MAX = 20
# Differences that a statement of the same SKU has tried again.
RETRIES_MAX = 20

Post = Callable[[Command], Awaitable[tuple[Outcome, bool]]]

log = get_logger(__name__)


async def take(database: Database, new_id: Callable[[], UUID], post: Post, stated: Sequence[Statement]) -> list[Answer]:
    """Take statements in the order given; one answer for each. Said again, the answer is the first one.

    `post`: has the ledger decide a command; returns the outcome, and whether it was answered before.
    """
    return [await _take_one(database, new_id, post, one) for one in stated]


async def state(database: Database, new_id: Callable[[], UUID], post: Post) -> int:
    """Go on with what an earlier turn could not end: differences that wait for units, figures not followed yet."""
    async with database.transaction() as tx:
        differences, figures = await statements.undecided(tx, limit=BATCH)
    done = 0
    for row in differences:
        done += await _post_difference(database, post, row) is Stated.POSTED
    for key in figures:
        done += await settle(database, new_id, post, key)
    return done


async def settle(database: Database, new_id: Callable[[], UUID], post: Post, key: FigureKey) -> int:
    """Decide who rules a figure, and have the ledger follow. Returns how often it was told to."""
    for turn in range(SETTLES_MAX):
        async with database.transaction() as tx:
            wish = await settlement.decide(tx, new_id, key)
        if wish is None:
            return turn
        outcome, _ = await post(wish.count)
        async with database.transaction() as tx:
            await settlement.follow(tx, key, wish, outcome)
        if not isinstance(outcome, Done):
            log.warning("statement.refused", sku=key.sku, location=key.location, words=outcome_in_words(outcome))
            return turn
        log.info("statement.followed", sku=key.sku, location=key.location, figure=key.figure.value)
    return SETTLES_MAX


async def _take_one(database: Database, new_id: Callable[[], UUID], post: Post, said: Statement) -> Answer:
    try:
        async with database.transaction() as tx:
            kept = await _keep(tx, new_id(), said)
    except RowExistsError:
        # Somebody stated the same at the same time and was faster: it is there now.
        async with database.transaction() as tx:
            kept = await _keep(tx, new_id(), said)
    if isinstance(kept, Answer):
        return kept
    if kept.state is Stated.NEW:
        if said.figure is None:
            await _post_difference(database, post, kept)
        else:
            await settle(database, new_id, post, FigureKey(said.sku, said.location, said.figure))
        await _retry_waiting(database, post, said.sku, said.location)
    async with database.transaction() as tx:
        row = await statements.find(tx, said.sku, kept.statement_id)
        conflict = await conflicts.find(tx, kept.statement_id)
    after = row or kept
    return Answer(
        outcome=after.state,
        words=after.words or after.state.value,
        statement_id=after.statement_id,
        conflict_id=conflict.conflict_id if conflict else None,
    )


async def _keep(tx: Transaction, statement_id: UUID, said: Statement) -> StatementRow | Answer:
    """The statement, kept; or why not, or what was answered to it before."""
    error_s = await sources.error_s(tx, said.source)
    if error_s is None:
        words = f"no source {said.source!r} is known. Way out: oneshelf source add {said.source}"
        return Answer(outcome=Refused.UNKNOWN_SOURCE, words=words)
    if refusal := await _unknown(tx, said):
        return refusal
    same = await statements.same(tx, said)
    if same is not None:
        if same.fingerprint != said.fingerprint:
            return await _quarantine(tx, same, said)
        return Answer(
            outcome=same.state, words=same.words or same.state.value, statement_id=same.statement_id, is_replayed=True
        )
    error_s = error_s if said.error_s is None else said.error_s
    if refusal := await _unfounded(tx, said, error_s=error_s):
        return refusal
    is_echo = said.write_id is not None and await statements.is_movement(tx, said.sku, said.write_id)
    await statements.add(tx, statement_id, said, error_s=error_s, state=Stated.ECHO if is_echo else Stated.NEW)
    if is_echo:
        await statements.mark(
            tx, said.sku, [statement_id], Stated.ECHO, words=f"we told them: movement {said.write_id}"
        )
    row = await statements.find(tx, said.sku, statement_id)
    assert row is not None  # noqa: S101  # Written a line ago.
    return row


async def _unknown(tx: Transaction, said: Statement) -> Answer | None:
    known = await catalog.told_known(await catalog.ask_known(tx, [said.sku], [said.location]))
    if said.sku not in known.skus:
        words = f"no SKU {said.sku}. Way out: oneshelf stock add-sku, or POST /v1/skus"
        return Answer(outcome=Refused.UNKNOWN_SKU, words=words)
    if said.location not in known.locations:
        words = f"no location {said.location}. Way out: oneshelf stock add-location, or POST /v1/locations"
        return Answer(outcome=Refused.UNKNOWN_LOCATION, words=words)
    if known.bundles.get(said.sku):
        words = f"{said.sku} is a bundle and has no units of its own; state its components"
        return Answer(outcome=Refused.IS_BUNDLE, words=words)
    return None


async def _unfounded(tx: Transaction, said: Statement, *, error_s: int) -> Answer | None:
    """Why nobody can tell what this had seen, or None."""
    at = await now(tx)
    instant = said.as_of or said.happened_at
    if instant is not None and instant > at + timedelta(seconds=error_s):
        words = f"{said.document}: {instant:%Y-%m-%d %H:%M:%S} UTC is still to come, it is {at:%Y-%m-%d %H:%M:%S}"
        return Answer(outcome=Refused.IN_FUTURE, words=words)
    if said.token is not None and not await counts.has_begun(tx, said.token, (said.sku, said.location)):
        words = (
            f"no count of {said.sku} at {said.location} began with the token {said.token}. "
            f"Way out: oneshelf stock count-begin {said.location} {said.sku}"
        )
        return Answer(outcome=Refused.NO_SUCH_COUNT, words=words)
    if said.as_of is not None:
        first = await statements.first_at(tx, (said.sku, said.location))
        if first is not None and said.as_of < first - timedelta(seconds=error_s):
            words = (
                f"the first movement of {said.sku} at {said.location} is of {first:%Y-%m-%d %H:%M:%S} UTC, so nobody "
                "knows what moved since as_of; quote documents, or state a later figure"
            )
            return Answer(outcome=Refused.BEFORE_HISTORY, words=words)
    return None


async def _quarantine(tx: Transaction, kept: StatementRow, said: Statement) -> Answer:
    """Two stories of one document: the first stands, the second is shown and never merged."""
    conflict_id = uuid5(kept.statement_id, said.fingerprint.hex())
    found = NewConflict(
        conflict_id,
        said.sku,
        said.location,
        said.figure.value if said.figure else "",
        "equivocation",
        "open",
        "one document says one thing: what came first stands",
        settlement.shown(kept.statement),
        settlement.shown(said),
    )
    await conflicts.note(tx, [found])
    log.error("statement.quarantined", source=said.source, document=said.document, sku=said.sku)
    words = (
        f"{said} is known as {kept.statement.units} units ({kept.statement.document}), and now says {said.units} or "
        f"something else differs; nothing moved. Way out: oneshelf conflict show {conflict_id}"
    )
    return Answer(outcome=Refused.QUARANTINED, words=words, statement_id=kept.statement_id, conflict_id=conflict_id)


# Differences ----------------------------------------------------------------------------------------------------------


async def _post_difference(database: Database, post: Post, row: StatementRow) -> Stated:
    """Have the ledger take a difference; where too few units are there it waits, and is asked again under a new key."""
    outcome, was_replayed = await post(_adjust(row, row.try_count))
    if was_replayed and not settlement.is_done(outcome):
        async with database.transaction() as tx:
            number = await statements.try_again(tx, row.statement.sku, row.statement_id)
        outcome, _ = await post(_adjust(row, number))
    after = Stated.POSTED if settlement.is_done(outcome) else Stated.WAITING
    async with database.transaction() as tx:
        await statements.mark(tx, row.statement.sku, [row.statement_id], after, words=outcome_in_words(outcome))
    return after


async def _retry_waiting(database: Database, post: Post, sku: Sku, location: Location) -> None:
    """What waited for units may have them now. Each that goes may be what another one waits for.

    So many at most, the oldest first: somebody waits for the answer, and `state` does the rest.
    """
    left = RETRIES_MAX
    while left > 0:
        async with database.transaction() as tx:
            rows = (await statements.waiting(tx, sku, location))[:left]
        left -= len(rows)
        posted = [await _post_difference(database, post, row) is Stated.POSTED for row in rows]
        if not any(posted):
            return


def _adjust(row: StatementRow, number: int) -> Adjust:
    said = row.statement
    key = said.key
    if number:
        key = CommandKey(scope=key.scope, key=f"{key.key}:{number}")
    return Adjust(
        key=key,
        sku=said.sku,
        location=said.location,
        delta_units=said.units,
        reason=f"stated by {said}",
        # Dated, so that a figure that has seen this document can say so whenever it comes.
        happened_at=said.happened_at or row.received_at,
    )
