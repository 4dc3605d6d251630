"""Say who decides the figures of a scope, and who may state any: with the name of who said so, when and why.

Reads: sources, channels, rules. Writes: sources, rules and their history; marks the statements to be decided anew.
Next: state, resolve.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneshelf.domain.architecture import LIVE, WATCH, Architecture, Change, Wish, changes, named, whole
from oneshelf.domain.command import CountedFigure
from oneshelf.domain.identity import Location, Sku
from oneshelf.domain.statement import Stated
from oneshelf.domain.truth import DEFAULT, Scope, TruthRule, deciding
from oneshelf.errors import MalformedError
from oneshelf.flow import settlement
from oneshelf.storage import catalog, drifts, sources, statements, truth_rules
from oneshelf.storage.database import Database, Transaction
from oneshelf.storage.statements import FigureKey

# So much is looked at for a preview; more is counted and not shown.
PREVIEW_MAX = 500


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not done: nobody knows this. `what`: source, SKU or location; `way_out` in words."""

    what: str
    name: str
    way_out: str

    def __str__(self) -> str:
        return f"no {self.what} {self.name!r} is known. Way out: {self.way_out}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What would be decided differently. Units are the SKU's, of a drift those of its listing; None: nothing moves."""

    what: str
    sku: Sku
    location: Location
    figure: str
    now_by: str
    would_by: str
    now_units: int
    would_units: int


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a rule would change. `looked_count`: figures and drifts that were looked at."""

    rule: TruthRule
    effects: tuple[Effect, ...]
    looked_count: int
    is_whole: bool


async def add_source(database: Database, source: str, *, title: str, error_s: int, actor: str) -> None:
    """Know this system. Raises MalformedError for the name of a channel: whose word it is must be clear."""
    async with database.transaction() as tx:
        if source == "engine" or await sources.is_channel(tx, source):
            raise MalformedError(f"{source!r} is the engine's name or a channel's; name the source otherwise")
        await sources.add(tx, source, title=title, error_s=error_s, actor=actor)


async def put_rule(database: Database, rule: TruthRule, *, actor: str, reason: str) -> bool | Unknown:
    """Have this rule for its scope. What is stated there is decided anew. Whether it changed anything."""
    async with database.transaction() as tx:
        return await put_in(tx, rule.scope, rule, actor=actor, reason=reason)


async def end_rule(database: Database, scope: Scope, *, actor: str, reason: str) -> bool | Unknown:
    """Have no rule for this scope: a wider one decides, or the engine. Whether there was one."""
    async with database.transaction() as tx:
        return await put_in(tx, scope, None, actor=actor, reason=reason)


async def put_in(tx: Transaction, scope: Scope, rule: TruthRule | None, *, actor: str, reason: str) -> bool | Unknown:
    """As `put_rule`, within a transaction that does more."""
    if refusal := await _unknown(tx, scope, rule):
        return refusal
    await truth_rules.lock(tx)
    if not await truth_rules.put(tx, scope, rule, actor=actor, reason=reason):
        return False
    for key in await _stated_in(tx, scope):
        rows = await statements.live(tx, key)
        await statements.mark(tx, key.sku, [row.statement_id for row in rows], Stated.NEW)
    return True


async def preview(database: Database, scope: Scope, rule: TruthRule | None) -> Previewed | Unknown:
    """What this rule (None: none) would decide differently of all that is stated now, and of open drifts."""
    async with database.transaction() as tx:
        return await _previewed(tx, scope, rule)


async def _previewed(tx: Transaction, scope: Scope, rule: TruthRule | None) -> Previewed | Unknown:
    if refusal := await _unknown(tx, scope, rule):
        return refusal
    held = [row.rule for row in await truth_rules.listed(tx)]
    would = [one for one in held if one.scope != scope] + ([rule] if rule else [])
    keys = await _stated_in(tx, scope)
    effects = []
    for key in keys[:PREVIEW_MAX]:
        effects += await _of_figure(tx, key, held, would)
    rows = [row for row in await drifts.newest(tx, only_open=True, limit=PREVIEW_MAX) if not row.is_decided]
    places = {row.channel: row.location for row in await catalog.channels(tx)}
    for row in rows:
        effects += await _of_drift(tx, row, places[row.channel], held, would)
    return Previewed(rule or DEFAULT, tuple(effects), len(keys) + len(rows), len(keys) <= PREVIEW_MAX)


async def _of_figure(tx: Transaction, key: FigureKey, held: list[TruthRule], would: list[TruthRule]) -> list[Effect]:
    sku_group = await truth_rules.group_of(tx, key.sku)
    rules = [
        deciding(rules, sku=key.sku, sku_group=sku_group, figure=key.figure, location=key.location)
        for rules in (held, would)
    ]
    rows = await statements.live(tx, key)
    weighed = [await settlement.weigh(tx, key, rows, rule) for rule in rules]
    by = [str(one.verdict.winner.statement) if one.verdict.winner else "the engine" for one in weighed]
    units = [one.verdict.winner.value if one.verdict.winner else one.present for one in weighed]
    if by[0] == by[1] and units[0] == units[1]:
        return []
    return [
        Effect(
            what="statement",
            sku=key.sku,
            location=key.location,
            figure=key.figure.value,
            now_by=by[0],
            would_by=by[1],
            now_units=weighed[0].present,
            would_units=units[1],
        )
    ]


async def _of_drift(
    tx: Transaction,
    row: drifts.DriftRow,
    location: Location,
    held: list[TruthRule],
    would: list[TruthRule],
) -> list[Effect]:
    sku = Sku(row.sku)
    sku_group = await truth_rules.group_of(tx, sku)
    leads = [
        deciding(rules, sku=sku, sku_group=sku_group, figure=CountedFigure.AVAILABLE, location=location).leads(
            row.channel
        )
        for rules in (held, would)
    ]
    if leads[0] == leads[1]:
        return []
    by = ["the channel's figure is adopted" if lead else "our figure is written again" for lead in leads]
    units = [row.observed_units if lead else row.expected_units for lead in leads]
    return [
        Effect(
            what=f"drift of {row.channel_sku} at {row.channel}",
            sku=sku,
            location=location,
            figure=CountedFigure.AVAILABLE.value,
            now_by=by[0],
            would_by=by[1],
            now_units=units[0],
            would_units=units[1],
        )
    ]


async def _stated_in(tx: Transaction, scope: Scope) -> list[FigureKey]:
    """The figures in this scope about which anything is stated."""
    found = []
    for key in await statements.figures_of(tx, None if scope.sku is None else [scope.sku]):
        sku_group = await truth_rules.group_of(tx, key.sku) if scope.sku_group is not None else None
        if scope.reaches(sku=key.sku, sku_group=sku_group, figure=key.figure, location=key.location):
            found.append(key)
    return found


async def _unknown(tx: Transaction, scope: Scope, rule: TruthRule | None) -> Unknown | None:
    if scope.sku is not None and not await catalog.known_skus(tx, [scope.sku]):
        return Unknown("SKU", scope.sku, "oneshelf stock add-sku, or POST /v1/skus")
    if scope.location is not None and not await catalog.known_locations(tx, [scope.location]):
        return Unknown("location", scope.location, "oneshelf stock add-location, or POST /v1/locations")
    if rule is None:
        return None
    if names := await sources.unknown(tx, rule.names):
        return Unknown("channel or source", names[0], f"oneshelf source add {names[0]}, or oneshelf channel add")
    for row in await catalog.channels(tx):
        if row.channel in rule.names and not row.shows_figures:
            raise MalformedError(
                f"{row.channel} tells what it sold and shows no figure, so it cannot be right about one. Way out: name "
                "a channel that shows figures, or a source"
            )
    return None


# Architectures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arranged:
    """The shape that the shop has, and what would change or has changed. `rule`: the one for everything, `narrower`:
    those that are exceptions to it.
    """

    architecture: Architecture
    rule: TruthRule
    changes: tuple[Change, ...]
    narrower: tuple[TruthRule, ...]


async def arrangement(database: Database) -> Arranged:
    """The shape that the shop has."""
    async with database.transaction() as tx:
        return await _arranged(tx, None)


async def foresee(database: Database, wish: Wish) -> tuple[Arranged, Previewed] | Unknown:
    """What `arrange` would change, and what would then be decided differently. Nothing is saved."""
    async with database.transaction() as tx:
        found = await _arranged(tx, wish)
        previewed = await _previewed(tx, Scope(), wish.rule)
    return previewed if isinstance(previewed, Unknown) else (found, previewed)


async def arrange(database: Database, wish: Wish, *, actor: str, reason: str) -> Arranged | Unknown:
    """Give the shop this shape: the rule for everything, and of `none` the mode of each channel. What was changed.

    No channel goes live by this: what it would show is signed off first. Narrower rules stay.
    """
    async with database.transaction() as tx:
        # The rules first: what is changed is what was read.
        await truth_rules.lock(tx)
        found = await _arranged(tx, wish)
        done = await put_in(tx, Scope(), wish.rule, actor=actor, reason=reason)
        if isinstance(done, Unknown):
            return done
        switched = []
        if wish.architecture is Architecture.NONE:
            for row in await catalog.channels(tx):
                if row.mode == LIVE:
                    await catalog.set_mode(tx, row.channel, WATCH)
                    switched.append(row.channel)
        if switched and not done:
            # A mode has no history of its own: why it was switched stands where the reasons of all shapes do.
            why = f"architecture {wish.architecture}, {', '.join(switched)} to {WATCH}" + (reason and f": {reason}")
            await truth_rules.write_down(tx, Scope(), wish.rule, wish.rule, actor=actor, reason=why)
    return found


async def _arranged(tx: Transaction, wish: Wish | None) -> Arranged:
    rules = [row.rule for row in await truth_rules.listed(tx)]
    # A till or a buyer is never written, in whatever shape.
    modes = {row.channel: row.mode for row in await catalog.channels(tx) if row.shows_figures}
    narrower = tuple(rule for rule in rules if rule.scope != Scope())
    return Arranged(named(rules, modes), whole(rules), tuple(changes(wish, rules, modes)) if wish else (), narrower)
