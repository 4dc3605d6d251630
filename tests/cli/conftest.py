"""Commands as a user types them, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from oneshelf.cli import app


@pytest.fixture
def run(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command on a fresh database, and demands its exit code: `run("short", "--json", exits=0)`."""
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)

    def run(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == exits, result.output
        return result

    return run
