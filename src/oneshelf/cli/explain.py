"""`oneshelf explain CHANNEL LISTING`: why a listing shows its figure, on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from oneshelf.cli.common import instant_in, on_database, refuse_unknown_channel, show_json, typed

if TYPE_CHECKING:
    from oneshelf.flow.explain import Explanation
    from oneshelf.web.policy_outputs import DerivedOut, ExplanationOut, ReachedOut, ShelfOut

_STATES = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock")
_WIDTH = 10


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(explain)


def explain(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")],
    listing: Annotated[str, typer.Argument(metavar="LISTING", help="Its id there, or the seller's SKU.")],
    at: Annotated[str, typer.Option("--at", help="Why at this instant: 2026-11-25T14:00:00Z.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Why a listing shows what it shows: identity, ledger, policy, publishing, each figure with its source and age."""
    from oneshelf.cli.listing import meant
    from oneshelf.domain.identity import channel_from
    from oneshelf.errors import ConfigurationError
    from oneshelf.flow.explain import explain as tell
    from oneshelf.storage.database import Database
    from oneshelf.web.policy_outputs import explanation_out

    owner, wanted, instant = channel_from(channel), typed(listing, what="LISTING"), instant_in(at, what="--at")

    async def read(database: Database) -> Explanation:
        async with database.transaction() as tx:
            await refuse_unknown_channel(tx, owner)
            _, channel_sku = await meant(tx, owner, wanted)
        told = await tell(database, (owner, channel_sku), at=instant)
        if told is None:
            raise ConfigurationError(f"{owner} has no listing {channel_sku} any more; oneshelf listing list {owner}")
        return told

    document = explanation_out(on_database(read))
    if as_json:
        show_json(document.model_dump(mode="json"))
        return
    for line in _lines(document):
        typer.echo(line.rstrip())


def _lines(told: ExplanationOut) -> Iterator[str]:
    yield _headline(told)
    yield ""
    yield _row("identity", _identity(told))
    if told.derived is not None:
        yield from _ledger(told, told.derived)
        yield from _policy(told.derived)
        yield from _publishing(told)
    if told.drift is None:
        yield _row("drift", "none is open" if not told.is_past else "none was open")
    else:
        yield _row(
            "drift",
            f"{told.drift.cause}: read {told.drift.observed_units}, expected {told.drift.expected_units}, "
            f"open for {_age((told.at - told.drift.opened_at).total_seconds())}; oneshelf drift list",
        )
    if told.issues:
        yield _row("channel", f"says of this listing: {told.issues}")


def _headline(told: ExplanationOut) -> str:
    name = f"{told.channel} {told.channel_sku}"
    when = f" at {told.at:%Y-%m-%d %H:%M:%S} UTC" if told.is_past else ""
    if told.derived is None:
        if told.is_past:
            return f"{name}{when}: no figure had been published by then"
        return f"{name} is not linked, so nothing is published. Way out: oneshelf listing link {name} SKU"
    desired = told.figures[0].units
    if told.is_past:
        return f"{name}{when} should show {desired}; it was {told.state}"
    if told.is_plan_due:
        shown = "no figure yet" if desired is None else desired
        return f"{name} should show {told.derived.units}; planned is {shown} until the engine plans it again"
    return f"{name} should show {desired}; it is {told.state}"


def _identity(told: ExplanationOut) -> str:
    named = f' "{told.title}"' if told.title else ""
    if told.sku is None:
        return f"{told.merchant_sku or told.channel_sku}{named}, linked to no SKU"
    packs = told.derived.pack_units if told.derived else 1
    kind = "the bundle" if told.derived and told.derived.components else "SKU"
    return f"sells {kind} {told.sku}{named}" + (f" in packs of {packs}" if packs > 1 else "")


def _ledger(told: ExplanationOut, derived: DerivedOut) -> Iterator[str]:
    name = "ledger"
    for shelf in told.shelves:
        yield _row(name, _shelf(shelf, is_named=bool(derived.components)))
        name = ""
    if not told.shelves:
        yield _row(name, "nothing was ever counted of it")
        name = ""
    if told.is_past and derived.available:
        there = ", ".join(f"{units} at {place}" for place, units in derived.available.items())
        yield _row(name, f"the figure was derived {_ago(told, derived)} from {there} available")
    for part in derived.components:
        suspense = f", {part.in_suspense} in suspense" if part.in_suspense else ""
        allowed = f"{part.bundle_units} in each of {part.bundles} bundles"
        yield _row(name, f"{part.sku}: {part.available_to_sell} to sell{suspense}; {allowed}")
    if derived.in_suspense:
        yield _row(name, f"{derived.in_suspense} in suspense: gone from a channel, and no order explains them yet")
    if derived.may_be_promised_beyond:
        yield _row(name, f"{derived.may_be_promised_beyond} more may be promised beyond what is there")
    yield _row(name, f"{derived.available_to_sell} available to sell")


def _ago(told: ExplanationOut, derived: DerivedOut) -> str:
    return f"{_age((told.at - derived.at).total_seconds())} before"


def _shelf(shelf: ShelfOut, *, is_named: bool) -> str:
    states = {state: getattr(shelf, state) for state in _STATES}
    parts = " + ".join(f"{units} {state.replace('_', ' ')}" for state, units in states.items() if units)
    where = f"{shelf.sku} at {shelf.location}" if is_named else shelf.location
    feeds = "" if shelf.feeds else ", feeds other channels"
    incoming = f", {shelf.incoming} incoming" if shelf.incoming else ""
    return f"{where}: {shelf.on_hand} on hand = {parts or '0'}{incoming} (ledger version {shelf.version}{feeds})"


def _policy(derived: DerivedOut) -> Iterator[str]:
    name = "policy"
    for step in derived.steps:
        yield _row(
            name, f"{step.before:>6} -> {step.after:<6} {step.name}" + (f"   [{step.rule}]" if step.rule else "")
        )
        name = ""
    if not derived.steps:
        yield _row(name, "no rule: all is shown that is available to sell")
    if derived.units_beyond:
        yield _row("", f"EXPOSED: {derived.units_beyond} units of this are not there; a floor shows them")


def _publishing(told: ExplanationOut) -> Iterator[str]:
    name = "publish"
    desired = told.figures[0].version
    for figure in told.figures:
        yield _row(name, f"{figure.name:<9}{_reached(figure, desired)}")
        name = ""


def _reached(figure: ReachedOut, desired: int | None) -> str:
    if figure.at is None or figure.version is None:
        return "not yet"
    units = "" if figure.units is None else f"{figure.units}, "
    behind = "" if figure.version == desired else ", an older plan"
    return f"{units}{_age(figure.age_s or 0)} ago (plan {figure.version}{behind})"


def _age(age_s: float) -> str:
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if age_s >= 2 * unit_s:
            return f"{age_s / unit_s:.0f} {unit}"
    return f"{age_s:.0f} s"


def _row(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"
