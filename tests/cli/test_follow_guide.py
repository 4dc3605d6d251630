"""The guide on following the engine does what it says, and its receiver verifies what comes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.test_how_to import commands
from flow.follower import outgoing
from oneshelf.cli import app
from oneshelf.clock import SystemClock
from oneshelf.domain.event import EventType
from oneshelf.flow import follow
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

EXAMPLE = Path(__file__).parents[2] / "examples" / "follower" / "receiver.py"
GUIDE = EXAMPLE.parents[2] / "docs" / "how-to" / "follow-the-engine.md"


def test_the_commands_of_the_guide_say_what_it_says(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    secrets = set()
    for command, said in commands(GUIDE.name):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[: len(said)] == said
        secrets.add(result.output.splitlines()[-1])
    assert len(secrets) == 2
    listed = CliRunner().invoke(app, ["endpoint", "list", "--json"], catch_exceptions=False).output
    assert '"endpoint": "erp"' in listed
    assert not any(secret in listed for secret in secrets)


def test_the_guide_names_every_type_of_event() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [kind for kind in EventType if kind is not EventType.TEST and f"`{kind.value}`" not in text] == []


async def test_the_receiver_of_the_guide_takes_what_is_ours_and_nothing_else(dsn: str) -> None:
    clock = SystemClock()
    async with Database.open(dsn) as database, outgoing() as out:
        wish = follow.wish_from("erp", "http://127.0.0.1:1/", event_types=[], allows_http=True)
        secret = await follow.define(database, wish)
        assert secret is not None
        started = subprocess.Popen(  # noqa: ASYNC220  # it says its port at once
            [sys.executable, EXAMPLE, "0"],
            env={**os.environ, "WEBHOOK_SECRET": secret},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        try:
            port = int(started.stdout.readline())
            wish = follow.wish_from("erp", f"http://127.0.0.1:{port}/", event_types=[], allows_http=True)
            await follow.define(database, wish)
            assert (await follow.attempt(database, out, "erp", new_id=clock.new_id())).status == 204
            await follow.rotate(database, "erp", overlap_s=0)
            assert (await follow.attempt(database, out, "erp", new_id=clock.new_id())).status == 400
        finally:
            started.kill()
            started.wait()
            started.stdout.close()
