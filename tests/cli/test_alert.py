"""Alerts on the command line: who is told, what is wrong, and nothing secret in what is said."""

from __future__ import annotations

import json

import psycopg
import pytest
from typer.testing import CliRunner, Result

from cli.test_how_to import commands
from oneshelf.cli import app

pytestmark = pytest.mark.pg

URL = "https://hooks.example/services/T000/B000/hush-hush"
MAIL = (
    "alert",
    "mail",
    "oncall",
    "--to",
    "ops@shop.example",
    "--from",
    "shelf@shop.example",
    "--server",
    "smtp.example",
)


@pytest.fixture
def cli(dsn: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    monkeypatch.setenv("CHAT_URL", URL)
    monkeypatch.setenv("SMTP_PASSWORD", "hush-hush")
    return CliRunner()


def run(cli: CliRunner, *arguments: str, exit_code: int = 0) -> Result:
    result = cli.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def test_a_chat_and_a_mailbox_are_told_and_their_secrets_are_not_shown(cli: CliRunner, dsn: str) -> None:
    said = run(cli, "alert", "chat", "team", "--url-env", "CHAT_URL").output
    said += run(cli, *MAIL, "--user", "shelf", "--password-env", "SMTP_PASSWORD", "--type", "alert.oversold").output
    listed = run(cli, "endpoint", "list", "--json").output
    assert "hush" not in said + listed
    chat, mailbox = sorted(json.loads(listed), key=lambda row: str(row["kind"]))
    assert (chat["kind"], chat["url"]) == ("chat", "https://hooks.example/…")
    assert (mailbox["kind"], mailbox["url"], mailbox["event_types"]) == (
        *("mail", "mailto:ops@shop.example"),
        ["alert.oversold"],
    )
    with psycopg.connect(dsn) as connection:
        stored = str(connection.execute("select e, a from endpoints e, audit_log a").fetchall())
    assert "hush" not in stored
    assert "smtp.example" in stored
    again = json.loads(run(cli, *MAIL, "--json").output)
    assert again == {"endpoint": "oncall", "kind": "mail", "to": "mailto:ops@shop.example", "is_new": False}
    assert "told nothing" in run(cli, "endpoint", "remove", "team").output.replace("sent nothing", "told nothing")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alert", "chat", "team"), "--url-env VARIABLE"),
        (("alert", "chat", "team", "--url-env", "NOTHING_HERE"), "no NOTHING_HERE"),
        (("alert", "chat", "team", "--url", URL, "--url-env", "CHAT_URL"), "not both"),
        (("alert", "chat", "team", "--url", "http://hooks.example/hush"), "--allow-http"),
        (("alert", "chat", "a/b", "--url-env", "CHAT_URL"), "letters, digits"),
        (("alert", "chat", "team", "--url-env", "CHAT_URL", "--type", "order.posted"), "alert.low_stock"),
        ((*MAIL, "--security", "ssl"), "starttls, tls, none"),
        ((*MAIL, "--to", "Ops <ops@shop.example>"), "one address"),
        ((*MAIL, "--user", "shelf"), "--password-env"),
        (("alert", "test", "nobody"), "no endpoint 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(cli: CliRunner, arguments: tuple[str, ...], words: str) -> None:
    said = run(cli, *arguments, exit_code=2).output
    assert words in said
    assert "hush" not in said
    assert "Traceback" not in said


def test_an_endpoint_stays_what_it_is(cli: CliRunner) -> None:
    run(cli, "endpoint", "add", "erp", "https://erp.example/stock")
    said = run(cli, "alert", "chat", "erp", "--url-env", "CHAT_URL", exit_code=2).output
    assert "oneshelf endpoint remove erp" in said
    run(cli, "alert", "chat", "team", "--url-env", "CHAT_URL")
    assert "nothing is signed" in run(cli, "endpoint", "rotate", "team", exit_code=2).output


def test_what_is_wrong_is_listed_in_words(cli: CliRunner, dsn: str) -> None:
    assert run(cli, "alert", "list").output == "no alert is open\n"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into alerts (kind, name, figures, opened_at, closed_at) values "
            "('alert.oversold', 'MUG', '{\"sku\": \"MUG\", \"units_short\": 2}', now(), null), "
            "('alert.low_stock', 'CAP', '{\"sku\": \"CAP\"}', now(), now())"
        )
    [row] = json.loads(run(cli, "alert", "list", "--json").output)
    assert (row["state"], row["what"]) == ("open", "MUG is oversold: 2 units are sold and not there")
    assert len(json.loads(run(cli, "alert", "list", "--all", "--json").output)) == 2
    assert "MUG is oversold" in run(cli, "alert", "list").output
    assert "oversold: 1; see oneshelf alert list" in run(cli, "doctor", exit_code=1).output


def test_the_commands_of_the_guide_run_and_say_what_it_says(cli: CliRunner) -> None:
    steps = list(commands("watch-the-engine.md"))
    assert {tuple(command[:2]) for command, _ in steps} >= {("alert", "mail"), ("alert", "chat"), ("alert", "list")}
    for command, said in steps:
        assert run(cli, *command).output.splitlines()[: len(said)] == said
