"""The command `simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oneshelf.simulation.many import Tally
    from oneshelf.simulation.outcome import Outcome, Terms


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    seeds: Annotated[int, typer.Option(help="How many runs, each of a seed of its own.", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="The first seed.", min=0)] = 1,
    faults: Annotated[
        str, typer.Option(help="Such as crash=heavy,slow=rare (all others off), or none; default: each seed draws.")
    ] = "",
    channels: Annotated[
        str | None,
        typer.Option(help="With commas, of shopify, amazon, ebay; default: each seed draws.", metavar="KINDS"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Virtual seconds of a day until all faults end, and longer on some.", min=1, max=3600)
    ] = 30.0,
    workers: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 2,
    report: Annotated[str | None, typer.Option(help="Write the report to this file.")] = None,
    shrink: Annotated[bool, typer.Option(help="Leave out faults that a failure does not need.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON and nothing else.")] = False,
) -> None:
    """Live through days of business from seeds: the whole engine, hostile channels, faults of every kind, crashes.

    After every change an independent model looks whether all invariants hold. Ends with 1 where one did not, and says
    how to repeat it.
    """
    import sys

    from oneshelf.simulation import many

    if not many.has_fixed_hashes():
        raise typer.Exit(many.in_fixed_order(sys.argv[1:]))
    from pathlib import Path

    from oneshelf.cli.common import show_json, typed
    from oneshelf.simulation.faults import asked_for
    from oneshelf.simulation.outcome import Terms
    from oneshelf.simulation.shops import kinds_named
    from oneshelf.telemetry import configure_logging

    configure_logging(level="CRITICAL")
    grades = asked_for("" if faults == "none" else faults) if faults else None
    terms = Terms(grades, () if channels is None else kinds_named(typed(channels, what="--channels")), seconds)
    wanted = range(seed, seed + seeds)
    with many.workplace() as directory:
        tally, took_s = _run(directory, wanted, terms, workers, is_quiet=as_json)
        smallest = [_shrunk(directory, one, shrink=shrink, is_quiet=as_json) for one in tally.failures[:3]]
    tally.failures[: len(smallest)] = smallest
    document = many.as_document(tally, seconds=took_s, seeds=wanted, machine=_machine())
    if report is not None:
        many.written(document, Path(report))
    if as_json:
        show_json(document)
    else:
        _show(tally, took_s)
    raise typer.Exit(1 if tally.failures else 0)


def _run(directory: Path, seeds: Sequence[int], terms: Terms, workers: int, *, is_quiet: bool) -> tuple[Tally, float]:
    from time import monotonic

    from oneshelf.simulation.many import simulate as simulate_many

    began = monotonic()
    told = began

    def tell(tally: Tally, seconds: float) -> None:
        nonlocal told
        if is_quiet or (monotonic() - told < 2 and tally.runs < len(seeds)):
            return
        told = monotonic()
        left_s = seconds / tally.runs * (len(seeds) - tally.runs)
        typer.echo(
            f"{tally.runs} of {len(seeds)} runs, {tally.events:,} events, {tally.crashes} crashes, "
            f"{len(tally.failures)} failed; about {left_s:.0f} s left",
            err=True,
        )

    tally = simulate_many(directory, seeds, terms=terms, workers=workers, tell=tell)
    return tally, monotonic() - began


def _shrunk(directory: Path, outcome: Outcome, *, shrink: bool, is_quiet: bool) -> Outcome:
    from oneshelf.simulation.many import shrunk

    if not shrink:
        return outcome

    def tell(words: str) -> None:
        if not is_quiet:
            typer.echo(f"seed {outcome.seed} once more, {words}", err=True)

    return shrunk(directory, outcome, tell=tell)


def _machine() -> str:
    import os
    import platform

    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _show(tally: Tally, seconds: float) -> None:
    from oneshelf.simulation.many import replay_command

    faults = sum(tally.hits.values())
    typer.echo(
        f"{tally.runs} runs in {seconds:.0f} s: {tally.events:,} events, {tally.orders:,} orders, "
        f"{tally.commands:,} commands, {faults:,} faults, {tally.crashes:,} crashes, "
        f"{tally.looks:,} looks at the ledger; all came to rest within {tally.settled_s_max:.0f} s"
    )
    for outcome in tally.failures:
        typer.echo(f"FAILED seed {outcome.seed}: {outcome.violation}")
        typer.echo(f"       {replay_command(outcome)}")
    typer.echo(f"{len(tally.failures)} violations")
