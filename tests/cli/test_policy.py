"""Policies and explanations on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.testing import Result

from oneshelf.flow import plan
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]

LISTINGS = """
insert into channels (channel, kind, location) values ('my-shop', 'paper', 'BER'), ('my-amz', 'paper', 'BER');
insert into listings (channel, channel_sku, merchant_sku, title, sku, pack_units) values
    ('my-shop', '7001', 'MUG', 'Blue mug', 'MUG', 1), ('my-amz', 'B01', 'MUG-6', 'Six mugs', 'MUG', 6),
    ('my-amz', 'B02', 'DUO', 'Mug and cap', 'DUO', 1), ('my-amz', 'B03', '', 'Odd', null, 1);
"""


@pytest.fixture
def cli(run: Cli, dsn: str) -> Cli:
    """Runs a command on a database with mugs, caps and a bundle of them, on two channels."""
    run("stock", "add-location", "BER")
    for sku in ("MUG", "CAP", "DUO"):
        run("stock", "add-sku", sku)
    with psycopg.connect(dsn) as connection:
        connection.execute(LISTINGS)
    run("stock", "count", "MUG", "BER", "20")
    run("stock", "count", "CAP", "BER", "4")
    run("stock", "bundle", "DUO", "MUG=2", "CAP=1")
    return run


def planned(dsn: str) -> None:
    async def run() -> None:
        async with Database.open(dsn) as database:
            while await plan.plan(database):
                pass

    asyncio.run(run())


def test_a_rule_is_previewed_set_changed_listed_and_removed(cli: Cli) -> None:
    wished = cli("policy", "preview", "--channel", "my-amz", "percent=50", "--limit", "1").output
    assert "1 of these 1 listings would change; nothing was saved" in wished
    assert "1 more listings are in it" in wished
    assert "no rule" in cli("policy", "list").output
    said = cli("policy", "set", "--channel", "my-amz", "percent=50", "cap_units=2", "low.cap_units=1", "low_stock_at=3")
    assert said.output == (
        "channel my-amz: percent=50 cap_units=2 low_stock_at=3 low.cap_units=1; 2 listings are in it\n"
    )
    cli("policy", "set", "--channel", "my-amz", "percent=", "computed_buffer=yes")
    [rule] = json.loads(cli("policy", "list", "--json").output)
    assert (rule["terms"], rule["low"], rule["set_by"]) == (
        {"computed_buffer": True, "cap_units": 2, "low_stock_at": 3},
        {"cap_units": 1},
        "cli",
    )
    assert "computed_buffer=yes cap_units=2" in cli("policy", "list", "my-amz").output
    assert "no rule" in cli("policy", "list", "my-shop").output
    assert "it was computed_buffer=yes" in cli("policy", "remove", "--channel", "my-amz").output
    assert "no rule was set for channel my-amz" in cli("policy", "remove", "--channel", "my-amz").output
    told = json.loads(cli("policy", "history", "--json").output)
    assert [(one["actor"], one["channel"], bool(one["after"])) for one in told] == [
        ("cli", "my-amz", False),
        ("cli", "my-amz", True),
        ("cli", "my-amz", True),
    ]
    assert "channel my-amz" in cli("policy", "history", "--limit", "1").output


def test_a_group_is_made_and_left(cli: Cli) -> None:
    assert "MUG is in the group cups" in cli("policy", "group", "MUG", "cups").output
    assert "2 listings are in it" in cli("policy", "set", "--group", "cups", "buffer_units=1").output
    assert "MUG is in no group" in cli("policy", "group", "MUG").output
    assert "no SKU" in cli("policy", "group", "NOBODY", "cups", exits=1).output


@pytest.mark.parametrize(
    ("words", "exits", "reason"),
    [
        (["percent"], 2, "no equals sign"),
        (["percent=half"], 2, "percent must be a whole number"),
        (["percent=101"], 2, "from 0 to 100"),
        (["discount=3"], 2, "there is no term 'discount'"),
        (["may_oversell=perhaps"], 2, "yes or no"),
        (["floor_units=2"], 2, "may_oversell"),
        (["percent=1", "--sku", "MUG", "--group", "cups"], 2, "two rules"),
        (["percent=1", "--sku", "NOBODY"], 1, "no SKU NOBODY"),
        (["percent=1", "--channel", "nowhere"], 1, "oneshelf channel list"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_in_one_line(cli: Cli, words: list[str], exits: int, reason: str) -> None:
    refused = cli("policy", "set", *words, exits=exits).output
    assert reason in refused
    assert refused.count("\n") == 1


def test_why_a_listing_is_7_is_answered_on_one_screen(cli: Cli, dsn: str) -> None:
    cli("policy", "set", "buffer_units=3")
    cli("policy", "set", "--channel", "my-shop", "cap_units=7")
    due = cli("explain", "my-shop", "MUG").output
    assert "my-shop 7001 should show 7; planned is no figure yet until the engine plans it again" in due
    planned(dsn)
    told = cli("explain", "my-shop", "MUG").output
    assert told.splitlines() == [
        "my-shop 7001 should show 7; it is held",
        "",
        'identity  sells SKU MUG "Blue mug"',
        "ledger    BER: 20 on hand = 20 available (ledger version 1)",
        "          20 available to sell",
        "policy        20 -> 17     buffer of 3   [everything]",
        "              17 -> 7      cap of 7   [channel my-shop]",
        told.splitlines()[7],
        "          sent     not yet",
        "          accepted not yet",
        "          verified not yet",
        "drift     none is open",
    ]
    assert told.splitlines()[7].startswith("publish   desired  7, ")
    packs = cli("explain", "my-amz", "B01").output
    assert "in packs of 6" in packs
    assert "17 -> 2      whole packs of 6" in packs
    bundle = cli("explain", "my-amz", "DUO").output
    assert "sells the bundle DUO" in bundle
    assert "CAP at BER: 4 on hand" in bundle
    assert "MUG: 20 to sell; 2 in each of 10 bundles" in bundle
    document = json.loads(cli("explain", "my-shop", "7001", "--json").output)
    assert document["derived"]["units"] == 7


def test_a_past_figure_is_explained_from_what_was_stored_with_it(cli: Cli, dsn: str) -> None:
    planned(dsn)
    then = datetime.now(UTC)  # noqa: TID251  # An instant between two commands of a person.
    cli("policy", "set", "cap_units=1")
    planned(dsn)
    assert "should show 1" in cli("explain", "my-shop", "MUG").output
    was = cli("explain", "my-shop", "MUG", "--at", then.isoformat()).output
    assert "should show 20; it was desired" in was
    assert "no rule: all is shown" in was
    long_ago = cli("explain", "my-shop", "MUG", "--at", (then - timedelta(days=1)).isoformat()).output
    assert "no figure had been published by then" in long_ago
    assert "has not come yet" in cli("explain", "my-shop", "MUG", "--at", "2400-01-01T00:00:00Z", exits=2).output


def test_what_is_not_linked_or_not_there_says_the_way_out(cli: Cli) -> None:
    assert "oneshelf listing link my-amz B03 SKU" in cli("explain", "my-amz", "B03").output
    assert "has shown no listing" in cli("explain", "my-amz", "nothing", exits=2).output
    assert "no channel 'nowhere'" in cli("explain", "nowhere", "MUG", exits=2).output
