"""`oneshelf channel matrix`: what each installed kind of channel can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to those of channels."""
    app.command()(matrix)


def matrix(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="Write a page for each kind, and their index, in Markdown.")
    ] = None,
) -> None:
    """What each kind of channel can do, as its connector declares it, and the tier of quality that it has earned."""
    from rich.table import Table

    from oneshelf.cli.common import show, show_json
    from oneshelf.sdk.kinds import load_kinds
    from oneshelf.sdk.matrix import lines_of, pages_of, row_of

    kinds = dict(sorted(load_kinds().items()))
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for name, text in pages_of(kinds).items():
            (write / name).write_text(text, encoding="utf-8")
        typer.echo(f"{len(kinds) + 1} pages are in {write}")
        return
    if as_json:
        show_json([row_of(kind) for kind in kinds.values()])
        return
    table = Table("", *(kind.title for kind in kinds.values()), box=None, pad_edge=False, header_style="bold")
    columns = [lines_of(kind) for kind in kinds.values()]
    for what in columns[0]:
        table.add_row(what, *(column[what] for column in columns))
    show(table)
