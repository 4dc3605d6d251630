"""The page on sharing stock among channels runs as it is written, and what channels sell in between is sold."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cli.test_set_policies_page import pattern, run_engine
from oneshelf.cli import app
from oneshelf.clock import SystemClock
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow import post
from oneshelf.storage import facts
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "share-stock-among-channels.md"
SHOP = """
insert into locations (location) values ('BER');
insert into skus (sku) values ('MUG-BLUE');
insert into channels (channel, kind, location) values
    ('my-shop', 'shopify', 'BER'), ('my-amz', 'amazon', 'BER'), ('my-ebay', 'ebay', 'BER');
insert into listings (channel, channel_sku, title, sku) values
    ('my-shop', 'MUG-BLUE', 'Blue mug', 'MUG-BLUE'), ('my-amz', 'MUG-BLUE', 'Blue mug', 'MUG-BLUE');
"""
SALE = re.compile(r"\*\*Now (\S+) sells (\d+)\.\*\*")


def steps() -> Iterator[tuple[str, str]]:
    """What the page does, in its order: commands with what they say, and sales ("", "my-shop 70")."""
    for part in re.split(r"(```console\n.*?```)", PAGE.read_text(), flags=re.S):
        if not part.startswith("```console"):
            yield from (("", f"{channel} {units}") for channel, units in SALE.findall(part))
            continue
        for example in re.split(r"^\$ ", part.removeprefix("```console\n").removesuffix("```"), flags=re.M)[1:]:
            command, _, said = example.partition("\n")
            yield command, said


def sell(dsn: str, channel: str, units: int, order_id: str) -> None:
    """The channel tells of an order, and it is posted."""

    async def run() -> None:
        clock = SystemClock()
        line = OrderLine("1", ChannelSku("MUG-BLUE"), units)
        async with Database.open(dsn) as database:
            async with database.transaction() as tx:
                snapshot = OrderSnapshot(Channel(channel), order_id, "1", clock.now(), False, (line,))
                await facts.add(tx, [(snapshot, clock.now())])
            while await post.post_facts(database, clock.new_id):
                pass

    asyncio.run(run())


@pytest.mark.long
def test_the_worked_example_comes_out_as_it_is_written(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(SHOP)
    CliRunner().invoke(app, ["stock", "count", "MUG-BLUE", "BER", "100"], catch_exceptions=False)
    found = list(steps())
    assert len(found) > 12
    assert sum(not command for command, _ in found) >= 3
    for number, (command, said) in enumerate(found):
        run_engine(dsn)
        if not command:
            channel, units = said.split()
            sell(dsn, channel, int(units), f"o{number}")
            continue
        program, *arguments = shlex.split(command, comments=True)
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert (program, result.exit_code) == ("oneshelf", 0), f"{command}: {result.output}"
        assert re.fullmatch(pattern(said), result.output, re.S), f"{command} says\n{result.output}"
