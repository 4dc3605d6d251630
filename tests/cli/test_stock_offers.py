"""Bundles, backorders and what is short, on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from domain.shop import key
from oneshelf.clock import SystemClock
from oneshelf.domain.command import Demand, ReservationKind, Reserve
from oneshelf.domain.identity import Location, Sku
from oneshelf.flow.post import post_commands
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]


@pytest.fixture
def cli(run: Cli) -> Cli:
    """Runs a command on a database that knows some SKUs and one location."""
    for sku in ("MUG", "CAP", "DUO"):
        run("stock", "add-sku", sku)
    run("stock", "add-location", "BER")
    return run


def reserve(dsn: str, units: int) -> None:
    async def post() -> None:
        line = Demand(sku=Sku("MUG"), location=Location("BER"), units=units)
        wanted = Reserve(key=key(), kind=ReservationKind.LOCK, lines=(line,), holder="cart 7")
        async with Database.open(dsn) as database:
            await post_commands(database, SystemClock().new_id, [wanted])

    asyncio.run(post())


def test_a_bundle_is_defined_listed_and_refused_where_it_has_no_units(cli: Cli) -> None:
    assert "DUO is a bundle now" in cli("stock", "bundle", "DUO", "MUG=2", "CAP=1").output
    assert "CAP=1 MUG=2" in cli("stock", "bundles").output
    assert json.loads(cli("stock", "bundles", "--json").output) == [
        {"sku": "DUO", "components": [{"sku": "CAP", "units": 1}, {"sku": "MUG", "units": 2}]}
    ]
    assert "name its components: CAP, MUG" in cli("stock", "receive", "DUO", "BER", "1", exits=1).output
    assert "no equals sign" in cli("stock", "bundle", "DUO", "MUG", exits=2).output
    assert "add-sku NOBODY" in cli("stock", "bundle", "DUO", "NOBODY=1", exits=1).output
    cli("stock", "add-sku", "SET")
    cli("stock", "receive", "SET", "BER", "1")
    assert "Name a new SKU" in cli("stock", "bundle", "SET", "CAP=1", exits=1).output


def test_what_is_short_is_listed_the_oldest_first(cli: Cli, dsn: str) -> None:
    assert "nothing is short" in cli("short").output
    assert (
        "up to 5 units may be short, as preorder" in cli("stock", "backorder", "MUG", "BER", "5", "--preorder").output
    )
    reserve(dsn, 2)
    reserve(dsn, 3)
    rows = json.loads(cli("short", "--json").output)
    assert [(row["kind"], row["promised_to"], row["sku"], row["units_short"]) for row in rows] == [
        ("lock", "cart 7", "MUG", 2),
        ("lock", "cart 7", "MUG", 3),
    ]
    assert "cart 7" in cli("short", "MUG").output
    assert "nothing is short" in cli("short", "CAP").output
    [policy] = json.loads(cli("stock", "backorders", "--json").output)
    assert (policy["cap_units"], policy["units_short"]) == (5, 5)
    assert "5 units short at 2 promises" in cli("status").output
    cli("stock", "receive", "MUG", "BER", "9")
    assert "nothing is short" in cli("short").output
    assert "nothing is promised" in cli("stock", "backorder", "MUG", "BER", "0").output
    assert "no SKU" in cli("stock", "backorder", "NOBODY", "BER", "1", exits=1).output


def test_a_bundle_is_told_by_what_it_is_made_of(cli: Cli) -> None:
    cli("stock", "bundle", "DUO", "MUG=2", "CAP=1")
    assert "a bundle of 1 CAP, 2 MUG" in cli("sku", "DUO").output
    assert json.loads(cli("sku", "DUO", "--json").output)["components"] == [
        {"sku": "CAP", "units": 1},
        {"sku": "MUG", "units": 2},
    ]


@pytest.mark.parametrize("option", ["--sku", "--group", "--pattern"])
def test_a_plan_for_a_name_that_nobody_filled_in_is_no_plan_for_everything(cli: Cli, option: str) -> None:
    refused = cli("stock", "pools", "set", "shop=50%", option, "", exits=2)
    assert "is empty" in refused.output
    assert "shop" not in cli("stock", "pools", "list").output


def test_a_plan_that_nobody_made_is_not_ended_and_a_pattern_is_no_sku(cli: Cli) -> None:
    none = cli("stock", "pools", "end", "--pattern", "MUG-*").output
    assert "no allocation plan was set for SKUs like MUG-*; oneshelf stock pools list" in none
    assert json.loads(cli("stock", "pools", "end", "--pattern", "MUG-*", "--json").output) == {"ended": None}
    for act in ("show", "refill"):
        told = cli("stock", "pools", act, "MUG-*", exits=1).output
        assert "takes one SKU, no pattern" in told
        assert "add-sku" not in told
        assert "add-sku NOBODY" in cli("stock", "pools", act, "NOBODY", exits=1).output
