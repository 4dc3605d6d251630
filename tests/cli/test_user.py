"""People by command: a link, a role, and the end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

Run = Callable[..., Result]


def test_a_person_gets_a_link_and_a_role(run: Run) -> None:
    made = json.loads(run("user", "add", "Anna", "--role", "warehouse", "--json").output)
    assert made["name"] == "anna"
    assert made["link"].startswith("http://127.0.0.1:8080/set-up?link=")
    [listed] = json.loads(run("user", "list", "--json").output)
    assert (listed["name"], listed["role"], listed["state"]) == ("anna", "warehouse", "invited")
    assert made["link"].partition("link=")[2] not in run("user", "list").output
    assert "operator" in run("user", "set-role", "ANNA", "operator").output
    assert json.loads(run("user", "reset", "anna", "--json").output)["link"] != made["link"]
    run("user", "disable", "anna")
    assert json.loads(run("user", "list", "--json").output)[0]["state"] == "disabled"
    assert "oneshelf user list" in run("user", "reset", "anna", exits=1).output
    run("user", "enable", "anna")


def test_what_cannot_be_done_is_said_with_the_way_out(run: Run) -> None:
    run("user", "add", "anna")
    assert "a name is used once" in run("user", "add", "ANNA", exits=1).output
    unknown = (("set-role", "ben", "admin"), ("disable", "ben"), ("reset", "ben"), ("sign-out", "ben"))
    for command in (*unknown, ("reset-second-factor", "ben")):
        assert "oneshelf user list" in run("user", *command, exits=1).output
    assert "viewer, warehouse, operator, admin" in run("user", "add", "ben", "--role", "boss", exits=2).output


def test_a_lost_second_factor_is_forgotten(run: Run) -> None:
    run("user", "add", "anna")
    assert "logged out everywhere" in run("user", "sign-out", "ANNA").output
    assert "as before" in run("user", "reset-second-factor", "anna").output
    told = json.loads(run("user", "reset-second-factor", "anna", "--json").output)
    assert told == {"name": "anna", "had_second_factor": False}


def test_an_account_elsewhere_is_linked_by_its_subject(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("user", "add", "anna")
    run("user", "add", "ben")
    assert "ONESHELF_OIDC_ISSUER" in run("user", "link", "anna", "8f2a", exits=2).output
    monkeypatch.setenv("ONESHELF_OIDC_ISSUER", "https://id.example")
    assert "logs in as anna" in run("user", "link", "ANNA", "8f2a").output
    # Told twice it is so once.
    told = json.loads(run("user", "link", "anna", "8f2a", "--json").output)
    assert told == {"name": "anna", "issuer": "https://id.example", "subject": "8f2a"}
    for name, subject in (("anna", "another"), ("ben", "8f2a"), ("carl", "new")):
        assert "oneshelf user list" in run("user", "link", name, subject, exits=1).output
    assert "ASCII" in run("user", "link", "ben", "b\u00e4r", exits=2).output
    listed = {row["name"]: (row["state"], row["is_linked"]) for row in json.loads(run("user", "list", "--json").output)}
    assert listed == {"anna": ("good", True), "ben": ("invited", False)}
    assert json.loads(run("user", "unlink", "anna", "--json").output) == {"name": "anna", "was_linked": True}
    assert "as before" in run("user", "unlink", "anna").output
    assert "oneshelf user list" in run("user", "unlink", "carl", exits=1).output
    assert "logs in as ben" in run("user", "link", "ben", "8f2a").output
    run("user", "add", "dora@shop.example")
    assert "oneshelf user disable dora@shop.example" in run("user", "unlink", "dora@shop.example").output
