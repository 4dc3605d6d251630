"""What an audit says: to a person, to a program, and to somebody who waits for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from oneshelf.cli.common import show_json
from oneshelf.flow.audit import Audit
from oneshelf.storage.audits import Violation
from oneshelf.storage.movements import MovementRow


@contextmanager
def progress_on_a_terminal() -> Iterator[Callable[[str], None]]:
    """Shows what is being done, rule by rule, while somebody watches; nothing of it stays."""
    if not sys.stderr.isatty():
        yield lambda _what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def show_audit(found: Audit, *, as_json: bool) -> None:
    """Print each violation with the movements behind it, and the verdict."""
    if as_json:
        show_json(
            {
                "movement_count": found.movement_count,
                "violation_count": found.violation_count,
                "violations": [_document(violation) for violation in found.violations],
            }
        )
        return
    for violation in found.violations:
        typer.echo(f"WRONG {violation.rule}: {violation.where}: {violation.figures}")
        for moved in violation.movements:
            typer.echo(f"      {_in_words(moved)}")
        if violation.movement_count > len(violation.movements):
            typer.echo(f"      and {violation.movement_count - len(violation.movements)} movements before these")
    unlisted = found.violation_count - len(found.violations)
    if unlisted:
        typer.echo(f"and {unlisted} more violations")
    verdict = f"{found.violation_count} violations" if found.violations else "the ledger balances"
    typer.echo(f"{verdict}; {found.movement_count} movements read")


def _document(violation: Violation) -> dict[str, object]:
    return {
        "rule": violation.rule,
        "where": violation.where,
        "figures": violation.figures,
        "sku": violation.sku,
        "movement_count": violation.movement_count,
        "movements": [moved._asdict() for moved in violation.movements],
    }


def _in_words(moved: MovementRow) -> str:
    at = moved.posted_at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    origin = " ".join(filter(None, (moved.from_location, moved.from_account)))
    target = " ".join(filter(None, (moved.to_location, moved.to_account)))
    return f"{at}  {moved.units} {origin} → {target}  {moved.reason}  {moved.source}  {moved.movement_id}"
