"""What a person is told of a channel that they check, over a real socket, and what they are asked before a write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from typer.testing import Result

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.cli.channel_budget import in_words

pytestmark = pytest.mark.pg

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "check-a-channel.md"
SHOP = (
    *("channel", "add", "shopify", "shop", "--location", "BER", "--set", "base_url=http://127.0.0.1:9"),
    *("--set", "location_id=75596366001", "--secret", "access_token=shpat_hidden", "--secret", "webhook_secret=hush"),
)
Cli = Callable[..., Result]


@pytest.fixture
def cli(run: Cli) -> Cli:
    """Runs a command on a database with one shop, which nobody can reach."""
    run("stock", "add-location", "BER")
    run(*SHOP)
    return run


@pytest.mark.long
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert "something does not hold" in said
    assert "my-shop declares compare-and-set, and is written so: blind-set" in said
    assert "it lacks compare since" in said
    with psycopg.connect(dsn) as connection:
        probes = connection.execute("select has_written from probes order by probed_at").fetchall()
        assert probes == [(False,), (True,), (True,)]
        assert connection.execute("select fallbacks from channels").fetchall() == [({},)]


def test_a_shop_that_cannot_be_reached_fails_its_check(cli: Cli) -> None:
    told = json.loads(cli("channel", "check", "shop", "--json", exits=1).stdout)
    (answers,) = [check for check in told["checks"] if check["what"] == "answers"]
    assert answers["verdict"] == "fails"
    assert "not reached" in answers["seen"]
    assert (told["declared"], told["writes"], told["fallbacks"]) == ("compare-and-set", "compare-and-set", {})


def test_a_check_says_what_the_plan_uses_of_what_the_channel_grants(cli: Cli, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into listings (channel, channel_sku) select 'shop', n::text from generate_series(1, 1000) as n"
        )
        connection.execute(
            "insert into listing_changes values ('shop', '7', date_trunc('hour', db_now()), 34, db_now())"
        )
    said = cli("channel", "check", "shop", exits=1).stdout
    assert "a pass over its 1,000 listings takes" in said
    assert "of the calls that the channel grants in a day" in said
    assert "changes a day" not in said, "Shopify takes any number"
    budget = json.loads(cli("channel", "check", "shop", "--json", exits=1).stdout)["budget"]
    assert (budget["listing_count"], budget["changes_per_day"]) == (1000, None)
    assert budget["most_changed"] == [{"budget": "7", "changes": 34}]
    told = "\n".join(in_words({**budget, "changes_per_day": 250}))
    assert "it takes 250 changes a day of one listing; used most in the last day: 34 of 7" in told


def test_nothing_is_written_unasked(cli: Cli, dsn: str) -> None:
    assert "--listing" in cli("channel", "check", "shop", "--write", exits=2).stderr
    said = cli("channel", "check", "shop", "--listing", "4711", "--write", exits=1).stderr
    assert "compared with u + 1000000, 3 times" in said
    assert "nothing was sent" in said
    assert "no listing 4711" in cli("channel", "check", "shop", "--listing", "4711", "--write", "--yes", exits=2).stderr
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select count(*) from probes").fetchone() == (0,)


def test_a_fallback_shows_where_people_look(cli: Cli, dsn: str) -> None:
    assert json.loads(cli("channel", "list", "--json").stdout)[0]["writes"] == "compare-and-set"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            """update channels set fallbacks = '{"compare": {"reason": "ignored", "since": "2026-11-25T10:00:00Z"}}'"""
        )
    (row,) = json.loads(cli("channel", "list", "--json").stdout)
    assert (row["declared"], row["writes"]) == ("compare-and-set", "blind-set")
    assert row["lacks"] == "compare since 2026-11-25T10:00:00Z"
    assert row["fallbacks"]["compare"]["reason"] == "ignored"
    said = cli("doctor", exits=1).output
    assert "lacks compare since 2026-11-25T10:00:00Z: ignored" in said
    assert "written as blind-set" in said


@pytest.mark.long
def test_the_doctor_says_what_a_channel_announces_to_us(cli: Cli, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        said = json.loads(cli("doctor", "--json", exits=1).stdout)
        (line,) = [f"{row['is_good']} {row['detail']}" for row in said if row["what"].endswith(": webhooks")]
        return line

    assert "True nobody keeps them" in told()
    assert "ONESHELF_PUBLIC_URL" in told()
    monkeypatch.setenv("ONESHELF_PUBLIC_URL", "https://shelf.example")
    assert "True not looked at yet at https://shelf.example/webhooks/" in told()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into subscription_checks (channel, address, topics) select channel, "
            "'https://shelf.example/webhooks/' || channel, '{orders/create}' from channels"
        )
        assert "True 1 topics at https://shelf.example/webhooks/" in told()
        assert "lost" not in told()
        connection.execute("update subscription_checks set lost_count = 1, lost_at = '2026-11-25T10:00Z'")
        assert "1 were lost so far, the last 2026-11-25 10:00 UTC" in told()
        connection.execute("update subscription_checks set checked_at = checked_at - interval '3 hours'")
        assert "False looked at" in told()
        connection.execute("""update subscription_checks set refused = '{"orders/edited": "no"}'""")
        assert "False orders/edited cannot be subscribed to: no" in told()
