"""The plan, the sign-off, the release and the undo, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]
SHOP = (
    *("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9"),
    *("--set", "location_id=75596366001", "--secret", "access_token=shpat_hidden", "--secret", "webhook_secret=hush"),
)


@pytest.fixture
def cli(run: Cli) -> Cli:
    """Runs a command on a database with one channel that watches."""
    run("stock", "add-location", "BER")
    run(*SHOP)
    return run


def look(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def listed(dsn: str, *rows: tuple[str, str, str | None, int | None, int | None]) -> None:
    """Listings as sweeps and plans leave them: (id, merchant SKU, SKU, shown, desired)."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for channel_sku, merchant_sku, sku, shown, desired in rows:
            connection.execute(
                """
                insert into listings (channel, channel_sku, merchant_sku, sku, base_units, desired_units,
                                      desired_version)
                values ('shop', %s, %s, %s, %s, %s, %s)
                """,
                (channel_sku, merchant_sku, sku, shown, desired, 0 if desired is None else 1),
            )


def five_listings(cli: Cli, dsn: str) -> None:
    for sku in ("MUG", "CAP", "HAT"):
        cli("stock", "add-sku", sku)
    cli("stock", "receive", "MUG", "BER", "7")
    listed(
        dsn,
        ("1", "MUG", "MUG", 12, 7),
        ("2", "CAP", "CAP", 3, 0),
        ("3", "HAT", "HAT", 4, None),
        ("4", "BAG", None, 9, None),
        ("5", "BAG", None, 9, None),
    )


def test_the_plan_says_what_would_change_and_why_the_worst_first(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    told = json.loads(cli("listing", "plan", "shop", "--no-check", "--json").output)
    assert [(row["channel_sku"], row["cause"], row["change"]) for row in told["listings"]] == [
        ("2", "zero", -3),
        ("1", "cut", -5),
        ("4", "twins", None),
        ("5", "twins", None),
        ("3", "uncounted", None),
    ]
    assert told["listings"][1]["because"] == "7 on hand = 7 available"
    [whole] = told["channels"]
    assert (whole["written"], whole["signed_off"], whole["units_now"], whole["units_then"]) == (2, 0, 15, 7)
    said = cli("listing", "plan", "shop", "--no-check").output
    assert "5 listings: 1 zero, 1 cut, 2 twins, 1 uncounted" in said.replace("  ", " ")
    assert "next: oneshelf listing apply shop" in said


def test_a_channel_that_cannot_be_asked_is_a_finding_of_the_plan(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    assert "WRONG answers" in cli("listing", "plan", "shop").output


def test_applying_signs_off_the_channel(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    said = cli("listing", "apply", "shop", "--by", "Ada").output
    assert "shop: live; 3 listings signed off just now" in said
    assert look(dsn, "select mode, signs_off from channels") == [("live", "channel")]
    assert look(dsn, "select distinct signed_off_by from listings where sku is not null") == [("Ada",)]


def test_applying_some_listings_leaves_the_others_unwritten(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("listing", "apply", "shop", "MUG", "--by", "Ada")
    assert look(dsn, "select mode, signs_off from channels") == [("live", "listing")]
    assert look(dsn, "select channel_sku from listings where signed_off_at is not null") == [("1",)]
    refused = cli("listing", "apply", "shop", "4", exits=2).stderr
    assert "linked to no SKU" in refused

    # Pausing and going live again signs nothing off.
    cli("channel", "pause", "shop")
    cli("channel", "live", "shop")
    assert look(dsn, "select mode, signs_off from channels") == [("live", "listing")]
    # Another SKU, another sign-off.
    cli("listing", "link", "shop", "1", "CAP")
    assert look(dsn, "select channel_sku from listings where signed_off_at is not null") == []


def test_a_channel_that_was_signed_off_as_a_whole_begins_again_from_watch(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("listing", "apply", "shop")
    assert "signed off as a whole" in cli("listing", "apply", "shop", "MUG", exits=2).stderr
    cli("channel", "watch", "shop")
    cli("listing", "apply", "shop", "MUG")
    assert look(dsn, "select channel_sku from listings where signed_off_at is not null") == [("1",)]


def test_going_live_on_what_frightens_needs_a_yes_of_somebody(cli: Cli, dsn: str) -> None:
    for n in range(12):
        cli("stock", "add-sku", f"MUG-{n}")
    listed(dsn, *((str(n), f"MUG-{n}", f"MUG-{n}", 5, 0) for n in range(12)))
    refused = cli("channel", "live", "shop", exits=1)
    assert "12 of 12 listings that sell something would show 0" in refused.output
    assert look(dsn, "select mode from channels") == [("watch",)]
    cli("channel", "live", "shop", "--yes")
    assert look(dsn, "select mode from channels") == [("live",)]


def test_a_channel_of_which_nothing_was_read_has_no_plan_to_sign_off(cli: Cli, dsn: str) -> None:
    for words in (("listing", "apply", "shop"), ("channel", "live", "shop")):
        refused = cli(*words, exits=1)
        assert "no plan to sign off" in refused.output
        assert look(dsn, "select mode from channels") == [("watch",)]
    cli("channel", "live", "shop", "--yes")
    assert look(dsn, "select mode from channels") == [("live",)]


def test_another_shop_behind_the_channel_was_not_signed_off(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("listing", "apply", "shop", "--yes")
    cli(*SHOP, "--set", "location_id=7")
    assert look(dsn, "select mode from channels") == [("watch",)]
    assert look(dsn, "select 1 from listings where signed_off_at is not null") == []


def test_a_release_says_what_it_lets_go(cli: Cli, dsn: str) -> None:
    assert "shop is not held" in cli("channel", "release", "shop").output
    look(
        dsn,
        """
        update channels set held_at = now(), held_reason = 'zeroed', held_figures = '{"zeroed": 30, "shown": 40}'
        returning 1
        """,
    )
    assert "zeroed" in cli("channel", "list").output
    assert "30 of 40 listings that sell something would show 0" in cli("channel", "release", "shop").output
    assert look(dsn, "select held_at from channels") == [(None,)]


def test_a_channel_has_limits_of_its_own(cli: Cli) -> None:
    assert json.loads(cli("channel", "breaker", "shop", "--json").output)["zero_least"] == 10
    cli("channel", "breaker", "shop", "--set", "zero_least=3", "--set", "zero_share=0.5")
    told = json.loads(cli("channel", "breaker", "shop", "--json").output)
    assert (told["zero_least"], told["zero_share"], told["change_least"]) == (3, 0.5, 50)
    assert "there are: change_least" in cli("channel", "breaker", "shop", "--set", "nope=3", exits=2).stderr


def on_hand(cli: Cli) -> dict[str, int]:
    rows = json.loads(cli("stock", "list", "--json").output)
    return {row["sku"]: row["on_hand"] for row in rows}


def test_a_file_is_taken_back_in_one_action_and_once(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    for sku in ("CAP", "HAT"):
        cli("stock", "receive", sku, "BER", "4")
    for sku in ("MUG", "CAP", "HAT"):
        cli("stock", "count", sku, "BER", "0", "--key", f"night/{sku}")
    assert set(on_hand(cli).values()) == {0}
    planned = cli("undo", "--command", "night/*").output
    assert "cli night/MUG" in planned
    assert "nothing was done; to do it, say --yes" in planned
    assert set(on_hand(cli).values()) == {0}
    assert "3 taken back, 0 refused" in cli("undo", "--command", "night/*", "--yes").output
    assert on_hand(cli) == {"MUG": 7, "CAP": 4, "HAT": 4}
    again = cli("undo", "--command", "night/*", "--yes").output
    assert "nothing is left to take back" in again
    assert "3 more were taken back before" in again
    assert on_hand(cli) == {"MUG": 7, "CAP": 4, "HAT": 4}
    assert cli("audit").exit_code == 0
    assert "no such command" in cli("undo", "--command", "nihgt/*", "--yes").output


def test_what_was_done_since_an_instant_is_taken_back_for_the_skus_of_a_channel(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("stock", "add-sku", "TOY")
    cli("stock", "receive", "TOY", "BER", "2")
    [(instant,)] = look(dsn, "select now()::text")
    cli("stock", "count", "MUG", "BER", "0")
    cli("stock", "count", "TOY", "BER", "0")  # no listing of this channel sells it
    cli("stock", "move", "MUG", "BER", "0", "available", "damaged", exits=2)
    told = json.loads(cli("undo", "shop", "--to", instant.replace(" ", "T") + ":00", "--yes", "--json").output)
    assert [(row["sku"], row["take_back"]) for row in told["deeds"]] == [("MUG", 7)]
    assert on_hand(cli) == {"MUG": 7, "TOY": 0}


def test_an_undo_is_not_undone(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("stock", "count", "MUG", "BER", "0", "--key", "night")
    [(instant,)] = look(dsn, "select now()::text")
    cli("undo", "--command", "night", "--yes")
    assert "nothing is left" in cli("undo", "shop", "--to", instant.replace(" ", "T") + ":00").output
    assert on_hand(cli)["MUG"] == 7


def test_units_that_were_sold_since_cannot_be_taken_back(cli: Cli, dsn: str) -> None:
    five_listings(cli, dsn)
    cli("stock", "receive", "CAP", "BER", "10", "--key", "typo")
    cli("stock", "reserve", "CAP", "BER", "4", "--kind", "allocation")
    refused = cli("undo", "--command", "typo", "--yes", exits=1)
    assert "0 taken back, 1 refused" in refused.output
    assert on_hand(cli)["CAP"] == 10


def test_an_undo_is_asked_for_in_one_way(cli: Cli) -> None:
    for wrong in ((), ("shop",), ("shop", "--last", "--to", "2026-11-25T14:00:00Z"), ("shop", "--command", "x")):
        assert "--command KEY" in cli("undo", *wrong, exits=2).stderr
    assert "was never held" in cli("undo", "shop", "--last", exits=2).stderr
