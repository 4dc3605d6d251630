"""What a person is told of the queue into which Amazon puts its news."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

AMAZON = (
    *("channel", "add", "amazon", "market", "--location", "BER", "--set", "seller_id=A1SELLER"),
    *("--set", "base_url=http://127.0.0.1:9", "--set", "token_url=http://127.0.0.1:9/token"),
    *("--secret", "client_id=c", "--secret", "client_secret=s", "--secret", "refresh_token=r"),
)
QUEUE = (
    *("--set", "queue_url=http://127.0.0.1:9/123456789012/oneshelf", "--set", "queue_region=us-east-1"),
    *("--secret", "queue_access_key_id=AKIAHIDDEN", "--secret", "queue_secret_access_key=hidden"),
)
Cli = Callable[..., Result]


def told(run: Cli) -> list[str]:
    said = json.loads(run("doctor", "--json", exits=1).stdout)
    return [f"{row['is_good']} {row['detail']}" for row in said if row["what"] == "channel market: queue"]


def test_the_doctor_says_whether_somebody_listens_and_what_is_wrong(run: Cli, dsn: str) -> None:
    run("stock", "add-location", "BER")
    run(*AMAZON)
    assert told(run) == []
    run(*AMAZON, *QUEUE)
    assert told(run) == ["True nobody has listened yet; a running engine does it at once"]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into schedules (channel, task, every_s, last_fault) values ('market', 'queue', 1, 'no such queue')"
        )
        assert told(run) == ["False no such queue; until it can be heard, orders are polled"]
        connection.execute("update schedules set last_fault = '', last_done_at = now() where task = 'queue'")
        assert [line.startswith("True listened to ") for line in told(run)] == [True]
        connection.execute("update schedules set last_done_at = now() - interval '1 hour' where task = 'queue'")
        [line] = told(run)
        assert line.startswith("False listened to 36")
        assert line.endswith("s ago; is the engine running?")
    assert "AKIAHIDDEN" not in run("channel", "list", "--json").stdout


def test_the_status_counts_orders_that_are_still_to_be_asked_for(run: Cli, dsn: str) -> None:
    run("stock", "add-location", "BER")
    run(*AMAZON, *QUEUE)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into wanted_orders (channel, order_id) values ('market', '1'), ('market', '2')")
    assert "2 orders to ask for" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["overview"]["wanted_orders"] == 2


def test_half_a_queue_is_refused_with_what_is_missing(run: Cli) -> None:
    run("stock", "add-location", "BER")
    said = run(*AMAZON, *QUEUE[:2], exits=2)
    assert "queue_access_key_id and queue_secret_access_key must be set too" in said.stderr
