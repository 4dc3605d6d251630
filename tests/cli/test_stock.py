"""Every command of the ledger from the command line: what it does, what it answers, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from oneshelf.cli import app

pytestmark = pytest.mark.pg

Cli = Callable[..., Result]
NOBODY = "00000000-0000-7000-8000-000000000007"


@pytest.fixture
def stock(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `oneshelf stock …` on a database with mugs, caps and sets in Berlin and Hamburg."""
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into skus (sku) values ('MUG'), ('CAP'), ('SET')")
        connection.execute("insert into locations (location) values ('BER'), ('HAM')")

    def run(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, ("stock", *arguments), catch_exceptions=False)
        assert result.exit_code == exits, result.output
        return result

    return run


def answer(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    assert set(document) == {"outcome", "detail", "figures", "replayed", "key"}
    return document


def told(stock: Cli, *arguments: str, exits: int = 0) -> tuple[str, dict[str, Any]]:
    one = answer(stock(*arguments, "--json", exits=exits))
    return one["outcome"], one["figures"]


def shelf(stock: Cli, sku: str, location: str = "BER") -> dict[str, int]:
    """state -> units, where there are any."""
    [row] = json.loads(stock("list", "--sku", sku, "--location", location, "--json").stdout)
    return {name: n for name, n in row.items() if n and name not in {"sku", "location", "version", "on_hand"}}


def test_every_command_of_the_ledger_explains_itself(stock: Cli) -> None:
    names = (
        *("add-sku", "add-location", "list", "receive", "adjust", "move", "expect", "dispatch", "arrive"),
        *("assemble", "disassemble", "count-begin", "count", "ship", "cancel", "return"),
        *("reserve", "extend", "claim", "release"),
    )
    listed = stock("--help").output
    for name in names:
        assert f"  {name} " in listed
        assert "--help" in stock(name, "--help").output


def test_units_come_in_change_their_state_and_become_kits(stock: Cli) -> None:
    assert told(stock, "receive", "MUG", "BER", "9") == ("posted", {"units_moved": 9, "available": 9})
    assert told(stock, "receive", "CAP", "BER", "3")[0] == "posted"
    assert told(stock, "adjust", "MUG", "BER", "-1", "--reason", "broken")[1]["available"] == 8
    assert told(stock, "move", "MUG", "BER", "2", "available", "damaged")[1]["available"] == 6
    assert told(stock, "expect", "MUG", "BER", "5")[0] == "posted"
    assert told(stock, "expect", "MUG", "BER", "-2")[0] == "posted"
    assert told(stock, "move", "MUG", "BER", "3", "incoming", "available")[1]["available"] == 9
    assert told(stock, "assemble", "SET", "BER", "2", "MUG", "2", "CAP", "1")[1] == {"units_moved": 2, "available": 2}
    assert told(stock, "disassemble", "SET", "BER", "1", "MUG", "2", "CAP", "1")[1]["available"] == 1
    assert shelf(stock, "MUG") == {"available": 7, "damaged": 2}
    assert (shelf(stock, "CAP"), shelf(stock, "SET")) == ({"available": 2}, {"available": 1})


def test_a_kit_is_made_by_the_recipe_that_is_kept(stock: Cli) -> None:
    for sku in ("MUG", "CAP"):
        stock("receive", sku, "BER", "9")
    assert "no recipe of SET is kept" in stock("assemble", "SET", "BER", "1", exits=1).output
    assert "SET is made of CAP=1 MUG=2" in stock("kit", "SET", "MUG=2", "CAP=1").output
    assert json.loads(stock("kits", "--json").output) == [
        {"sku": "SET", "components": [{"sku": "CAP", "units": 1}, {"sku": "MUG", "units": 2}]}
    ]
    assert told(stock, "assemble", "SET", "BER", "2")[1] == {"units_moved": 2, "available": 2}
    assert (shelf(stock, "MUG"), shelf(stock, "CAP")) == ({"available": 5}, {"available": 7})
    other = stock("disassemble", "SET", "BER", "1", "MUG", "1", "CAP", "1", exits=1)
    assert "by its recipe SET is made of CAP=1 MUG=2, not of CAP=1 MUG=1" in other.output
    assert told(stock, "disassemble", "SET", "BER", "1", "MUG", "1", "CAP", "1", "--other-recipe")[1]["available"] == 1
    assert told(stock, "disassemble", "SET", "BER", "1", "CAP", "1", "MUG", "2")[1]["available"] == 0
    assert "no recipe is kept any more; it was CAP=1 MUG=2" in stock("kit", "SET", "--end").output
    assert "none was" in stock("kit", "SET", "--end").output
    assert "no SKU NONE" in stock("kit", "SET", "NONE=1", exits=1).output


def test_a_transfer_leaves_and_arrives(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "5")
    assert told(stock, "dispatch", "t1", "MUG", "BER", "HAM", "4") == ("posted", {"units_moved": 4, "available": 1})
    assert told(stock, "arrive", "t1", "MUG", "1", "--more-to-come")[1]["units_lost"] == 0
    assert told(stock, "arrive", "t1", "MUG", "2")[1] == {
        "units": 2,
        "units_over": 0,
        "units_lost": 1,
        "available": 3,
    }
    assert told(stock, "arrive", "t1", "MUG", "1", exits=1)[0] == "transfer_ended"


def test_units_are_set_aside_claimed_shipped_and_come_back(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "5")
    stock("receive", "CAP", "HAM", "5")
    kind, figures = told(stock, "reserve", "MUG", "BER", "4", "CAP", "HAM", "1", "--ttl-s", "60", "--holder", "cart")
    assert (kind, figures["units"]) == ("reserved", 5)
    one = figures["reservation_id"]
    assert told(stock, "extend", one, "600")[1]["expires_at"] > figures["expires_at"]
    assert told(stock, "claim", one, "counter/10/7")[1] == {"reservation_id": one, "units": 5, "units_short": 0}
    assert told(stock, "release", one, exits=1)[0] == "reservation_ended"
    assert told(stock, "ship", "counter/10/7", "MUG", "BER", "3")[0] == "posted"
    assert told(stock, "cancel", "counter/10/7", "MUG", "BER", "1")[1]["available"] == 2
    assert told(stock, "return", "counter/10/7", "MUG", "HAM", "1", "--into", "damaged")[0] == "posted"
    assert told(stock, "return", "counter/10/7", "MUG", "HAM", "1")[0] == "posted"
    assert shelf(stock, "MUG", "HAM") == {"damaged": 1, "quality_control": 1}
    kind, figures = told(stock, "reserve", "MUG", "BER", "1", "--kind", "allocation")
    assert figures["expires_at"] is None
    assert told(stock, "release", figures["reservation_id"])[1]["units"] == 1


def test_a_count_quotes_the_token_of_its_beginning(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "9")
    begun = json.loads(stock("count-begin", "BER", "MUG", "--json").stdout)
    assert begun["sku_count"] == 1
    stock("adjust", "MUG", "BER", "-2")
    kind, figures = told(stock, "count", "MUG", "BER", "8", "--token", begun["token"])
    assert (kind, figures["units_since"], figures["available"]) == ("counted", -2, 6)
    assert "3 SKUs at BER may be counted now" in stock("count-begin", "BER").output
    stock("move", "MUG", "BER", "1", "available", "damaged")
    assert told(stock, "count", "MUG", "BER", "4", "--figure", "unshipped")[1] == {"units_moved": 1, "available": 4}
    assert told(stock, "count", "MUG", "BER", "7", "--figure", "available")[1] == {"units_moved": 3, "available": 7}


def test_a_count_says_when_it_was_taken(stock: Cli, dsn: str) -> None:
    stock("receive", "MUG", "BER", "9")
    with psycopg.connect(dsn) as connection:
        connection.execute("update movements set posted_at = '2026-01-01T12:00Z'")
    stock("adjust", "MUG", "BER", "-2", "--happened-at", "2026-01-03T12:00:00+01:00")
    as_of = ("--as-of", "2026-01-02T00:00:00Z", "--error-s", "30")
    assert told(stock, "count", "MUG", "BER", "8", *as_of)[1]["available"] == 6
    late = stock("receive", "MUG", "BER", "4", "--happened-at", "2026-01-01T18:00:00Z").output
    assert "a count had seen 4 of them, and stands" in late
    assert told(stock, "count", "MUG", "BER", "8", "--as-of", "2026-01-01T00:00:00Z", exits=1)[0] == "before_history"


def test_an_answer_in_json_has_the_key_and_says_whether_it_was_given_before(stock: Cli) -> None:
    first = answer(stock("receive", "MUG", "BER", "5", "--key", "slip-1", "--json"))
    assert (first["key"], first["replayed"]) == ("slip-1", False)
    assert answer(stock("receive", "MUG", "BER", "5", "--key", "slip-1", "--json")) == {**first, "replayed": True}
    reused = answer(stock("receive", "MUG", "BER", "6", "--key", "slip-1", "--json", exits=1))
    assert reused["outcome"] == "key_reused"


def test_the_list_shows_where_units_are(stock: Cli) -> None:
    assert "no unit has ever been at a location" in stock("list").output
    stock("receive", "MUG", "BER", "5")
    stock("receive", "CAP", "HAM", "2")
    rows = json.loads(stock("list", "--json").stdout)
    assert [(row["sku"], row["location"], row["on_hand"]) for row in rows] == [("CAP", "HAM", 2), ("MUG", "BER", 5)]
    assert "quality control" in stock("list", "--location", "BER").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("move", "MUG", "BER", "1", "available", "lost"), "must be one of available, committed"),
        (("move", "MUG", "BER", "1", "available", "committed"), "do not move"),
        (("move", "MUG", "BER", "-1", "available", "damaged"), "between 1 and"),
        (("expect", "MUG", "BER", "0"), "changes nothing"),
        (("dispatch", "t1", "MUG", "BER", "BER", "1"), "goes nowhere"),
        (("arrive", "t1", "MUG", "one"), "whole number"),
        (("assemble", "SET", "BER", "1", "MUG"), "1 words for components"),
        (("assemble", "SET", "BER", "1", "SET", "1"), "or itself"),
        (("assemble", "SET", "BER", "1", "--other-recipe"), "0 components"),
        (("kit", "SET"), "or --end"),
        (("kit", "SET", "MUG=2", "--end"), "one of these"),
        (("kit", "SET", "MUG"), "has no equals sign"),
        (("ship", "1001", "MUG", "BER", "1"), "CHANNEL/NUMBER"),
        (("ship", "/1001", "MUG", "BER", "1"), "channel is empty"),
        (("return", "a/1", "MUG", "BER", "1", "--into", "bin"), "must be one of available"),
        (("reserve", "MUG", "BER"), "2 words for what to reserve"),
        (("reserve", "MUG", "BER", "1", "--kind", "wish"), "must be one of hold"),
        (("reserve", "MUG", "BER", "1", "--kind", "lock", "--ttl-s", "5"), "nothing else has one"),
        (("reserve", "MUG", "BER", "1", "--ttl-s", "1.5"), "whole number of seconds"),
        (("extend", "7", "60"), "must be a UUID"),
        (("claim", NOBODY, "a/1", "--into", "mine"), "must be one of committed"),
        (("count", "MUG", "BER", "1", "--figure", "delta"), "must be one of on_hand, unshipped, available"),
        (("count", "MUG", "BER", "1", "--token", "x"), "count-begin"),
        (("count", "MUG", "BER", "1", "--as-of", "2026-01-01T10:00"), "no zone"),
        (("count", "MUG", "BER", "1", "--as-of", "noon"), "ISO 8601"),
        (("count", "MUG", "BER", "1", "--error-s", "5"), "no as_of"),
        (("count", "MUG", "BER", "1", "--as-of", "2026-01-01T10:00Z", "--error-s", "9" * 5000), "whole number"),
        (("count", "MUG", "BER", "1", "--as-of", "2026-01-01T10:00Z", "--token", NOBODY), "not both"),
        (("receive", "MUG", "BER", "1", "--key", "two words"), "visible ASCII"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_understood_is_refused_in_one_line(
    stock: Cli, dsn: str, arguments: tuple[str, ...], words: str
) -> None:
    refused = stock(*arguments, exits=2)
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select 1 from commands").fetchall() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("move", "MUG", "BER", "1", "available", "damaged"), "asked 1, available 0"),
        (("dispatch", "t1", "MUG", "BER", "HAM", "1"), "asked 1, available 0"),
        (("arrive", "t1", "MUG", "1"), "no MUG was dispatched"),
        (("assemble", "SET", "BER", "1", "MUG", "1"), "asked 1, available 0"),
        (("ship", "a/1", "MUG", "BER", "1"), "no line of MUG"),
        (("cancel", "a/1", "MUG", "BER", "1"), "no line of MUG"),
        (("return", "a/1", "MUG", "BER", "1"), "no line of MUG"),
        (("reserve", "MUG", "BER", "1"), "asked 1, available 0"),
        (("extend", NOBODY, "60"), "no reservation"),
        (("claim", NOBODY, "a/1"), "no reservation"),
        (("release", NOBODY), "no reservation"),
        (("count", "MUG", "BER", "1", "--token", NOBODY), "oneshelf stock count-begin BER MUG"),
        (("count", "MUG", "BER", "1", "--as-of", "2026-01-01T10:00Z"), "no unit of MUG has moved yet"),
        (("count", "MUG", "BER", "1", "--as-of", "2999-01-01T10:00Z"), "still to come"),
        (("receive", "MUG", "BER", "1", "--happened-at", "2999-01-01T10:00Z"), "still to come"),
        (("count-begin", "ROM"), "no location ROM"),
        (("count-begin", "BER", "NOBODY"), "no SKU NOBODY"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_a_refusal_says_why_and_ends_with_1(stock: Cli, arguments: tuple[str, ...], words: str) -> None:
    assert words in stock(*arguments, exits=1).stderr
