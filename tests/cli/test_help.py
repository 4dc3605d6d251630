"""Help names every command, and tells of each in a whole sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from oneshelf.cli import app


def groups(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    if isinstance(command, TyperGroup):
        yield path, sorted(command.commands)
        for name, one in command.commands.items():
            yield from groups(one, (*path, name))


@pytest.mark.parametrize(("path", "names"), [*groups(typer.main.get_command(app))], ids=lambda one: " ".join(one))
def test_help_names_every_command_and_cuts_no_sentence(path: tuple[str, ...], names: list[str]) -> None:
    said = CliRunner().invoke(app, [*path, "--help"]).output
    shown = [line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert set(names) <= set(shown)
    assert [line for line in said.splitlines() if line.endswith("...") and not line.startswith("Usage")] == []
