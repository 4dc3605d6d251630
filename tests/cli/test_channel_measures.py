"""What a person is shown of a channel's windows, objective and sweeps."""

from __future__ import annotations

import asyncio
import json

import pytest

from cli.test_cli import SHOP, Cli, cli, rows, shelf
from oneshelf.app import keyring_of, open_channels
from oneshelf.config import Settings
from oneshelf.flow.measure import measure
from oneshelf.storage.database import Database

__all__ = ["cli", "shelf"]

pytestmark = pytest.mark.pg


def measured(dsn: str) -> None:
    async def run() -> None:
        keyring = keyring_of(Settings())
        async with Database.open(dsn, keyring=keyring) as database, open_channels(database) as channels:
            await measure(database, channels.by_name, every_s=0)

    asyncio.run(run())


def test_before_the_first_measurement_it_says_what_to_do(shelf: Cli) -> None:
    shelf(*SHOP)
    assert "oneshelf serve" in shelf("channel", "windows").output
    assert json.loads(shelf("channel", "windows", "--json").output) == {"channels": [], "windows": []}


def test_windows_say_what_is_declared_where_nothing_is_measured(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    measured(dsn)
    [told] = json.loads(shelf("channel", "windows", "shop", "--json").output)["channels"]
    # A poll a minute and the lag of the search; ten seconds to apply.
    assert (told["tau_in_s"], told["tau_in_is"], told["tau_out_s"]) == (65.0, "declared", 10.0)
    assert told["budget_left"] is None
    assert "declared" in shelf("channel", "windows").output


def test_an_objective_is_set_and_reset(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    shelf("channel", "objective", "shop", "--share", "0.95", "--seen-s", "30")
    shelf("channel", "objective", "shop", "--detect-s", "600")
    assert rows(dsn, "select share, seen_s, detect_s from objectives") == [(0.95, 30.0, 600.0)]
    measured(dsn)
    [told] = json.loads(shelf("channel", "windows", "--json").output)["channels"]
    assert (told["share_wanted"], told["seen_within_s"], told["detect_within_s"]) == ("95.00%", 30.0, 600.0)
    shelf("channel", "objective", "shop", "--reset")
    assert rows(dsn, "select share, seen_s, detect_s from objectives") == [(None, None, None)]
    for wrong in (("--share", "1"), ("--share", "-0.5"), ("--seen-s", "inf"), ()):
        shelf("channel", "objective", "shop", *wrong, exits=2)
    assert "no channel 'shp'" in shelf("channel", "objective", "shp", "--share", "0.9", exits=2).output


def with_listings(dsn: str, count: int) -> None:
    """So many of the channel `shop`."""
    numbers = f"from generate_series(1, {count}) n"
    insert = "insert into listings (channel, channel_sku) select 'shop', n::text"
    assert rows(dsn, f"with made as ({insert} {numbers} returning 1) table made limit 1") == [(1,)]


def test_a_sweep_is_priced_before_it_is_made(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    with_listings(dsn, 15_000)
    [plan] = json.loads(shelf("channel", "sweep-plan", "--json").output)
    # A hundred variants a page, a hundred points a second, forty a page, half of them for passes.
    assert (plan["way"], plan["pass_calls"], plan["pass_s"], plan["is_in_budget"]) == ("pages", 150, 120, True)


@pytest.mark.long
def test_a_large_catalogue_is_read_from_a_file_and_what_that_takes_is_known_after_the_first(
    shelf: Cli, dsn: str
) -> None:
    shelf(*SHOP)
    with_listings(dsn, 100_000)
    [plan] = json.loads(shelf("channel", "sweep-plan", "--json").output)
    assert (plan["way"], plan["pass_calls"], plan["pass_s"], plan["found_within_s"]) == ("file", 3, None, None)
    assert (plan["by_pages_calls"], plan["by_pages_s"]) == (1_000, 800)
    said = shelf("channel", "sweep-plan", "shop").output
    assert "known after the first" in said
    assert "1,000 calls and 800 s" in said
    assert "sweep_stock_s" not in said
    opened = (
        """insert into schedules (channel, task, every_s, cursor) values ('shop', 'stock', 900, '{"took_s":1000}')"""
    )
    assert rows(dsn, f"{opened} returning 1") == [(1,)]
    [plan] = json.loads(shelf("channel", "sweep-plan", "--json").output)
    # Three calls, and a look each time that a fifth of the time has passed again, but at least every half minute.
    assert (plan["pass_s"], plan["found_within_s"], plan["is_in_budget"]) == (1_000, 2_000, False)
    assert 3 < plan["pass_calls"] < 60
    assert "sweep_stock_s" in shelf("channel", "sweep-plan", "shop").output


def test_where_the_last_file_failed_the_next_pass_is_said_to_go_by_pages(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    with_listings(dsn, 10_000)
    opened = (
        """insert into schedules (channel, task, every_s, cursor) values ('shop', 'stock', 900, '{"by_pages":true}')"""
    )
    assert rows(dsn, f"{opened} returning 1") == [(1,)]
    assert "so the next pass goes by pages: by pages it takes 100 calls" in shelf("channel", "sweep-plan").output
    [plan] = json.loads(shelf("channel", "sweep-plan", "--json").output)
    assert (plan["way"], plan["pass_calls"], plan["pass_s"]) == ("pages", 100, 80)


def test_status_raises_an_alarm_where_a_poll_is_late(shelf: Cli, dsn: str) -> None:
    shelf(*SHOP)
    measured(dsn)
    assert "ALARM" not in shelf("status").output
    moved = "update schedules set last_done_at = now() - interval '10 minutes' where task = 'orders' returning 1"
    assert rows(dsn, moved) == [(1,)]
    assert "ALARM shop: its orders have not been asked for" in shelf("status").output
