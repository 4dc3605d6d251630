"""The page on policies runs as it is written: each command, in its order, answers what stands below it."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.domain.policy import TERMS
from oneshelf.flow import plan
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "set-policies.md"
SHOP = """
insert into locations (location) values ('BER');
insert into skus (sku) values ('MUG-BLUE'), ('CAP');
insert into channels (channel, kind, location) values ('my-shop', 'shopify', 'BER'), ('my-amz', 'amazon', 'BER');
insert into listings (channel, channel_sku, title, sku, pack_units) values
    ('my-shop', 'MUG-BLUE', 'Blue mug', 'MUG-BLUE', 1), ('my-shop', 'CAP', 'Cap', 'CAP', 1),
    ('my-amz', 'MUG-BLUE', 'Blue mug', 'MUG-BLUE', 1), ('my-amz', 'SIX', 'Six mugs', 'MUG-BLUE', 6);
"""


def examples() -> Iterator[tuple[str, str]]:
    """The commands of the page, each with what it says below it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.S):
        for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, said = example.partition("\n")
            yield command, said


def pattern(said: str) -> str:
    """Blanks are any blanks; … stands for whatever stands there."""
    parts = (r"\s+".join(map(re.escape, part.split())) for part in said.split("…"))
    return r"\s*" + r".*".join(rf"\s*{part}\s*" for part in parts) + r"\s*"


def run_engine(dsn: str) -> None:
    """What a running engine does meanwhile: it plans."""

    async def run() -> None:
        async with Database.open(dsn) as database:
            while await plan.plan(database):
                pass

    asyncio.run(run())


def test_every_command_of_the_page_answers_what_it_says(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(SHOP)
    for sku, units in (("MUG-BLUE", "24"), ("CAP", "6")):
        CliRunner().invoke(app, ["stock", "count", sku, "BER", units], catch_exceptions=False)
    found = list(examples())
    assert len(found) > 8
    for command, said in found:
        run_engine(dsn)
        program, *arguments = shlex.split(command)
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert (program, result.exit_code) == ("oneshelf", 0), f"{command}: {result.output}"
        assert re.fullmatch(pattern(said), result.output, re.S), f"{command} says\n{result.output}"


def test_the_page_explains_every_term() -> None:
    page = PAGE.read_text()
    assert [term for term in TERMS if f"`{term}" not in page] == []
