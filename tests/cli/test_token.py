"""Tokens by command: shown once, listed without what opens them, and ended."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

Run = Callable[..., Result]


def test_a_token_is_shown_once(run: Run, dsn: str) -> None:
    made = json.loads(run("token", "add", "till", "--scope", "stock:write", "--days", "30", "--json").output)
    assert made["token"].startswith("oneshelf_")
    secret = made["token"].split("_", 2)[2]
    assert len(secret) >= 43
    [listed] = json.loads(run("token", "list", "--json").output)
    assert (listed["name"], listed["scopes"], listed["state"], listed["last_used_at"]) == (
        *("till", ["stock:write"], "good"),
        None,
    )
    assert listed["expires_at"] is not None
    assert secret not in run("token", "list").output
    with psycopg.connect(dsn) as connection:
        assert secret not in str(connection.execute("select * from api_tokens").fetchall())


def test_a_name_is_used_once(run: Run) -> None:
    run("token", "add", "till")
    assert "oneshelf token list" in run("token", "add", "till", exits=1).output
    run("token", "revoke", "till")
    assert "a name is used once" in run("token", "add", "till", exits=1).output


def test_revoking_ends_it_once(run: Run) -> None:
    run("token", "add", "till", "--days", "0")
    [listed] = json.loads(run("token", "list", "--json").output)
    assert listed["expires_at"] is None
    assert "revoked" in run("token", "revoke", listed["token_id"]).output
    assert "no good token" in run("token", "revoke", "till", exits=1).output
    [listed] = json.loads(run("token", "list", "--json").output)
    assert listed["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scope", "write"), "read, stock:write, publish:write, admin"),
        (("--rate", "0"), "--rate must be"),
        (("--rate", "nan"), "--rate must be"),
        (("--days", "-1"), "--days"),
    ],
)
def test_a_wrong_wish_is_told_with_what_there_is(run: Run, arguments: tuple[str, ...], words: str) -> None:
    assert words in run("token", "add", "till", *arguments, exits=2).output
