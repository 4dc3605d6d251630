"""What is typed is written down: the command and what it is done to, and never the value of an option."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from oneshelf.cli import app
from oneshelf.cli.acts import READS
from oneshelf.cli.common import os_user

pytestmark = pytest.mark.pg

Run = Callable[..., Result]


def every_command(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield " ".join(path)
        return
    for name, one in command.commands.items():
        yield from every_command(one, (*path, name))


def test_what_only_reads_is_a_command() -> None:
    assert set(every_command(typer.main.get_command(app))) >= READS


def test_commands_are_written_down_without_the_values_of_their_options(run: Run) -> None:
    run("stock", "add-location", "BER", "--title", "in Berlin")
    run("stock", "list")
    run("stock", "low")
    run("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9",
        "--set", "location_id=1", "--secret", "access_token=shpat_canary",
        "--secret=webhook_secret=canary")  # fmt: skip
    run("channel", "state-changes", "shop", "ask")
    run("channel", "live", "nobody", "--yes", exits=2)
    run("token", "add", "till", "--scope", "read")
    run("stock", "adjust", "MUG", "BER", "-3", "--reason", "canary", exits=1)
    told = json.loads(run("audit-log", "--json").output)
    assert [(one["act"], one["object"], one["result"]) for one in reversed(told)] == [
        ("stock add-location", "BER", "begun"),
        ("channel add", "shopify shop", "begun"),
        ("channel state-changes", "shop ask", "begun"),
        ("channel live", "nobody", "begun"),
        ("channel live", "nobody", "failed: ConfigurationError"),
        ("token add", "till", "begun"),
        ("stock adjust", "MUG BER -3", "begun"),
    ]
    assert {(one["via"], one["who"]) for one in told} == {("cli", os_user())}
    assert "canary" not in str(told)
    assert "BER" in run("audit-log", "--limit", "10").output
    assert json.loads(run("audit-log", "--who", "nobody", "--json").output) == []


def test_how_the_program_was_called_is_no_part_of_what_was_done(run: Run) -> None:
    for typed in (["stock", "add-location", "BER"], ["stock", "list"]):
        done = CliRunner().invoke(app, typed, catch_exceptions=False, prog_name="python -m oneshelf.cli")
        assert done.exit_code == 0
    told = json.loads(run("audit-log", "--json").output)
    assert [one["act"] for one in told] == ["stock add-location"]
