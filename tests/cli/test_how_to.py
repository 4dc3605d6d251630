"""The how-to guides do what they say: every command of their consoles runs, and says the lines below it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app

pytestmark = pytest.mark.pg

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
SHOP = (
    *("channel", "add", "shopify", "my-shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9"),
    *("--set", "location_id=1", "--secret", "access_token=shpat_hidden", "--secret", "webhook_secret=hush"),
)
Cli = Callable[..., str]


def commands(guide: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of a guide's consoles, and the lines that it is to say."""
    text = (HOW_TO / guide).read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for part in re.split(r"^\$ oneshelf ", block, flags=re.M)[1:]:
            command, *said = part.rstrip().splitlines()
            yield shlex.split(command), said


@pytest.fixture
def cli(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A shop with five listings, of which a sweep has told, and four SKUs, two of them counted."""
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("stock", "add-location", "BER")
    run(*SHOP)
    for sku in ("MUG-BLUE", "CAP", "HAT", "TOY"):
        run("stock", "add-sku", sku)
    for sku in ("MUG-BLUE", "HAT"):
        run("stock", "receive", sku, "BER", "7")
    listed = [("1", "MUG-BLUE", "MUG-BLUE", 12, 7), ("2", "CAP", "CAP", 3, 0), ("3", "HAT", "HAT", 4, 7)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.cursor().executemany(
            """
            insert into listings (channel, channel_sku, merchant_sku, sku, base_units, desired_units, desired_version)
            values ('my-shop', %s, %s, %s, %s, %s, 1)
            """,
            [*listed, ("4", "TOY", "TOY", 0, 0), ("5", "BAG", None, 9, 0)],
        )
    return run


def follow(cli: Cli, guide: str) -> None:
    steps = list(commands(guide))
    assert steps
    for arguments, said in steps:
        output = [re.sub(r"\s+", " ", line).strip() for line in cli(*arguments).splitlines()]
        for line in said:
            assert re.sub(r"\s+", " ", line).strip() in output, (
                f"{guide}: {arguments} did not say {line!r} but {output}"
            )


def test_going_live(cli: Cli) -> None:
    follow(cli, "go-live.md")


def test_taking_back(cli: Cli, dsn: str) -> None:
    for sku in ("MUG-BLUE", "HAT"):
        cli("stock", "count", sku, "BER", "0", "--key", f"night/{sku}")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update channels set held_from = now()")
    follow(cli, "undo.md")


@pytest.mark.long
def test_two_in_the_morning(cli: Cli) -> None:
    follow(cli, "two-in-the-morning.md")


def test_working_in_the_warehouse(cli: Cli) -> None:
    cli("stock", "add-location", "HAM")
    cli("stock", "receive", "MUG-BLUE", "BER", "1")
    reserved = json.loads(cli("stock", "reserve", "MUG-BLUE", "BER", "1", "--kind", "lock", "--json"))
    cli("stock", "claim", reserved["figures"]["reservation_id"], "my-shop/1001")
    cli("stock", "ship", "my-shop/1001", "MUG-BLUE", "BER", "1")
    follow(cli, "work-in-the-warehouse.md")
