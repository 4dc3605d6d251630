"""What the doctor and the list of errors must not keep quiet about at two in the morning."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

from cli.test_how_to import SHOP

pytestmark = pytest.mark.pg


def test_the_doctor_says_whether_an_engine_is_at_work(run: Callable[..., Result], dsn: str) -> None:
    def told() -> list[str]:
        # The database of the tests is not durable, which the doctor does not like either.
        said = json.loads(run("doctor", "--json", exits=1).stdout)
        return [f"{row['is_good']} {row['detail']}" for row in said if row["what"] == "engine"]

    assert told() == ["True none has been at work yet; run it: oneshelf serve"]
    run("stock", "add-location", "BER")
    run(*SHOP)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into schedules (channel, task, every_s) values ('my-shop', 'orders', 60)")
        connection.execute("update schedules set begun_at = now() - interval '1 hour'")
        assert told() == ["False none is at work; nothing is written. Run oneshelf serve"]
        run("audit", "--new")
        [late] = told()
        assert re.match(r"False at work \d s ago, but the orders of my-shop have not been asked for", late)
        connection.execute("update schedules set last_done_at = now()")
        assert told()[0].startswith("True at work ")
        connection.execute("update audit_position set audited_at = now() - interval '2 hours'")
        [silent] = told()
        assert re.match(r"False none is at work, the last sign of it is 72\d\d s old", silent)


def test_what_is_parked_is_told_of_listings_too(run: Callable[..., Result], dsn: str) -> None:
    run("stock", "add-location", "BER")
    run("stock", "add-sku", "MUG")
    run(*SHOP)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into listings (channel, channel_sku, sku, phase, parked_reason) "
            "values ('my-shop', '7', 'MUG', 'parked', 'no')"
        )
    [row] = json.loads(run("errors", "list", "--json").stdout)
    told = {"id": None, "channel": "my-shop", "what": "listing 7", "received_at": None, "reason": "no"}
    assert row == {**told, "snapshot_count": None}
    assert "oneshelf listing retry CHANNEL LISTING" in run("errors", "retry", "my-shop/7", exits=2).stderr
    run("listing", "retry", "my-shop", "7")
    assert "nothing is parked" in run("errors", "list").output
