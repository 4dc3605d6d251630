"""What a person is told of a feed of many figures that a channel works through, and of one that is stuck."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

from cli.test_queue_of_news import AMAZON

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]


def told(run: Cli) -> list[str]:
    said = json.loads(run("doctor", "--json", exits=1).stdout)
    return [f"{row['is_good']} {row['detail']}" for row in said if row["what"] == "channel market: feed"]


def test_the_doctor_and_the_status_tell_the_age_of_a_feed_and_that_it_is_stuck(run: Cli, dsn: str) -> None:
    run("stock", "add-location", "BER")
    run("stock", "add-sku", "MUG")
    run(*AMAZON)
    assert told(run) == ["True none is under way"]
    assert "stuck" not in run("status").stdout
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into feeds (feed_id, channel, lease, lease_until, write_count, begun_at) values "
            "(gen_random_uuid(), 'market', gen_random_uuid(), now(), 2000, now() - interval '5 minutes')"
        )
        [line] = told(run)
        assert line.startswith("True under way for 30")
        assert line.endswith(" s; 0 of its 2000 listings wait for it")
        connection.execute("update feeds set begun_at = now() - interval '2 hours'")
        assert told(run)[0].startswith("False nobody has looked at it; begun 720"), "no engine is at work"
        connection.execute("update feeds set stuck_at = now() - interval '1 hour', words = '5001 is IN_PROGRESS'")
        assert told(run)[0].startswith("False 5001 is IN_PROGRESS; begun 720")
    assert "ALARM market: a feed is stuck, 5001 is IN_PROGRESS; 0 listings wait for it" in run("status").stdout
    [row] = json.loads(run("status", "--json").stdout)["channels"]
    assert (round(row["feed_age_s"], -2), round(row["feed_stuck_s"], -2)) == (7200, 3600)


def test_when_a_feed_is_used_and_when_it_is_stuck_is_a_setting(run: Cli) -> None:
    run("stock", "add-location", "BER")
    run(*AMAZON, "--timing", "feed_s_max=7200", "--timing", "feed_writes_least=500")
    assert json.loads(run("channel", "list", "--json").stdout)[0]["timing"] == {
        "feed_s_max": 7200,
        "feed_writes_least": 500,
    }
    for few in ("1", "0", "2.5", "many", "1e99"):
        said = run(*AMAZON, "--timing", f"feed_writes_least={few}", exits=2).stderr
        assert "feed_writes_least takes a number of listings from 2 on" in said or "takes seconds" in said, said
