"""What a person says of a document that came with two contents."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import Result

pytestmark = pytest.mark.pg

CONFLICT = "0199e000-0000-7000-8000-000000000001"


def test_the_first_of_two_contents_is_kept_once_and_the_alarm_ends(run: Callable[..., Result], dsn: str) -> None:
    run("stock", "add-location", "BER")
    run("stock", "add-sku", "MUG")
    side = '{"source": "erp", "document": "GR-1", "units": '
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into conflicts (sku, conflict_id, location, figure, kind, state, rule, winner, beaten) values "
            "('MUG', %s, 'BER', '', 'equivocation', 'open', 'one document says one thing', %s, %s)",
            (CONFLICT, side + "10}", side + "100}"),
        )
    said = run("conflict", "show", CONFLICT).stdout
    assert "if erp GR-1 10 is right: oneshelf conflict keep" in said
    assert "if erp GR-1 100 is right: oneshelf conflict overrule" in said
    refused = run("conflict", "overrule", CONFLICT, "--by", "Ada", exits=2).stderr
    assert "has not taken what came first" in refused
    told = json.loads(run("conflict", "keep", CONFLICT, "--by", "Ada", "--reason", "I called", "--json").stdout)
    assert told["detail"] == "erp GR-1 holds with 10 units; its other content is set aside"
    assert "kept already by Ada" in run("conflict", "keep", CONFLICT, "--by", "Ben").stdout
    assert run("conflict", "list", "--open").stdout.strip() == "no open conflict"
    assert "no conflict" in run("conflict", "keep", CONFLICT[:-1] + "2", "--by", "Ada", exits=2).stderr


def test_a_rank_that_names_nobody_is_refused_as_the_architecture_refuses_it(run: Callable[..., Result]) -> None:
    run("source", "add", "erp")
    for command in (("truth", "set", "ranks"), ("truth", "preview", "ranks"), ("architecture", "apply", "middleware")):
        refused = run(*command, "--rank", "erp|", exits=2).stderr
        assert "'erp|' has a gap" in refused, command
    assert "no rule" in run("truth", "list").stdout
    assert "ranks erp, the lowest of equals" in run("truth", "set", "ranks", "--rank", " erp ").stdout


@pytest.mark.parametrize("name", ["erp|wms", "erp/1"])
def test_a_source_is_not_named_so_that_it_cannot_be_ranked_or_told_from_its_documents(
    run: Callable[..., Result], name: str
) -> None:
    assert "leave it out" in run("source", "add", name, exits=2).stderr
