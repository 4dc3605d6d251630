"""What the commands for drifts say to somebody who got it wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import CliRunner, Result

from oneshelf.cli import app

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]
ID = "0199aaaa-0000-7000-8000-000000000000"


@pytest.fixture
def cli(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command on a database with a shop that nobody ever called."""
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into locations (location) values ('BER')")
        connection.execute("insert into skus (sku) values ('MUG')")
        connection.execute("insert into channels (channel, kind, location) values ('shop', 'shopify', 'BER')")
        connection.execute("insert into listings (channel, channel_sku, sku) values ('shop', '1', 'MUG')")
        connection.execute(
            "insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units) "
            "values (%s, 'shop', '1', 'MUG', 'foreign edit', 5, 9)",
            (ID,),
        )

    def run(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == exits, result.output
        return result

    return run


def test_a_drift_is_shown_with_what_is_known_about_it(cli: Cli) -> None:
    assert "why: no write and no order explains it" in cli("drift", "show", ID).output
    told = json.loads(cli("drift", "show", ID, "--json").stdout)
    assert (told["size"], told["evidence"]["silent_states"][0]) == (4, "committed")


def test_one_way_out_is_chosen_for_a_drift_that_there_is(cli: Cli) -> None:
    assert "one of --publish, --adopt or --wait" in cli("drift", "resolve", ID, exits=2).output
    assert "one of --publish" in cli("drift", "resolve", ID, "--publish", "--adopt", exits=2).output
    assert "oneshelf channel live shop" in cli("drift", "resolve", ID, "--publish", exits=2).output
    other = ID.replace("aaaa", "bbbb")
    assert "oneshelf drift list --all" in cli("drift", "resolve", other, "--adopt", exits=2).output
    assert "waits 60 s" in cli("drift", "resolve", ID, "--wait", "60").output


def test_a_canary_needs_a_listing_that_is_proved_and_shows_something(cli: Cli) -> None:
    assert "there are: shop" in cli("drift", "canary", "stall", "1", exits=2).output
    assert "not proved" in cli("drift", "canary", "shop", "1", exits=2).output


def test_nothing_measured_is_told_as_nothing(cli: Cli) -> None:
    [told] = json.loads(cli("drift", "objective", "--json").stdout)
    assert (told["channel"], told["measured"], told["p95_s"]) == ("shop", 0, None)


def test_a_channel_has_the_cost_that_a_person_says(cli: Cli) -> None:
    assert "shop: 7.5" in cli("channel", "cancellation-cost", "shop", "7.5").output
    assert "as is usual" in cli("channel", "cancellation-cost", "shop").output
    cli("channel", "cancellation-cost", "shop", "nan", exits=2)


def test_a_person_says_what_becomes_of_units_that_are_moved_at_a_channel(cli: Cli) -> None:
    assert "shop: book" in cli("channel", "state-changes", "shop").output
    assert "shop: ask" in cli("channel", "state-changes", "shop", "ask").output
    assert "shop: ask" in cli("channel", "state-changes", "shop").output
    assert "book, ask, ignore" in cli("channel", "state-changes", "shop", "guess", exits=2).output
    assert "--move-to is one of damaged" in cli("drift", "canary", "shop", "1", "--move-to", "sold", exits=2).output


def test_a_listing_is_activated_only_where_somebody_asks_for_one_that_there_is(cli: Cli) -> None:
    assert "has shown no listing" in cli("listing", "activate", "shop", "2", exits=2).output
    assert "not activated from here" in cli("listing", "activate", "shop", "1", exits=2).output


def test_units_are_moved_only_between_two_states_and_where_something_may_be_changed(cli: Cli) -> None:
    move = ("listing", "move", "shop", "1", "2")
    assert "--from and --to" in cli(*move, exits=2).output
    assert "--from and --to" in cli(*move, "--from", "damaged", "--to", "damaged", exits=2).output
    assert "--to must be one of available" in cli(*move, "--to", "sold", exits=2).output
    assert "oneshelf channel live shop" in cli(*move, "--from", "available", "--to", "damaged", exits=2).output
    assert "between 1 and" in cli("listing", "move", "shop", "1", "0", "--to", "damaged", exits=2).output
    assert "has shown no listing" in cli("listing", "move", "shop", "2", "1", "--to", "damaged", exits=2).output
