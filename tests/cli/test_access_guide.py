"""The guide to access runs as it is written, and the page of roles and routes is that of the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli.test_how_to import follow
from web.access_page import PAGE, page


@pytest.mark.pg
def test_the_guide_runs_as_it_is_written(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATA_DIR", str(tmp_path / "data"))
    run("stock", "add-location", "BER")
    run("channel", "add", "shopify", "my-shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9",
        "--set", "location_id=1", "--secret", "access_token=shpat_hidden",
        "--secret", "webhook_secret=hush")  # fmt: skip
    follow(lambda *arguments: run(*arguments).output, "give-people-access.md")


def test_the_page_of_routes_and_roles_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
