"""Selling is stopped everywhere at once. A till shows no figure: nothing can be proved of it, nor waits for it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

Run = Callable[..., Result]
TILL = ("channel", "add", "till", "corner", "--location", "BER", "--secret", "webhook_secret=hush-hush-hush-hush")

SHOP = (
    *("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9"),
    *("--set", "location_id=75596366001", "--secret", "access_token=shpat_hidden", "--secret", "webhook_secret=hush"),
)


@pytest.fixture
def shelf(run: Run, dsn: str) -> Run:
    """A mug that a till sells."""
    run("stock", "add-location", "BER")
    run("stock", "add-sku", "MUG")
    run("stock", "receive", "MUG", "BER", "12")
    run(*TILL)
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into listings (channel, channel_sku) values ('corner', 'MUG')")
    run("listing", "link", "corner", "MUG", "MUG")
    return run


def test_a_till_goes_on_with_what_it_has_in_hand(shelf: Run) -> None:
    said = shelf("stock", "freeze", "MUG", "--wait", "0").output
    assert "0 listings are proved to show 0" in said
    assert "corner shows no figure" in said


def test_there_is_no_plan_of_a_till_to_sign_off(shelf: Run) -> None:
    said = shelf("listing", "apply", "corner", exits=1).output
    assert said == "corner shows no figure, so there is nothing to write to it; what it tells counts already\n"
    assert "next:" not in shelf("listing", "plan", "corner").output


def test_a_till_holds_up_no_channel_that_is_signed_off_after_it(shelf: Run) -> None:
    shelf(*SHOP)
    said = shelf("listing", "apply", "--yes").output
    assert "corner" not in said
    assert "shop: live;" in said
