"""Work of the warehouse from the command line: deliveries, counts with a review, transfers, what waits, what is low."""

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


@pytest.fixture
def stock(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `oneshelf stock …` on a database with mugs and caps in Berlin and Hamburg."""
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into skus (sku) values ('MUG'), ('CAP')")
        connection.execute("insert into locations (location) values ('BER'), ('HAM')")

    def run(*arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(app, ("stock", *arguments), catch_exceptions=False)
        assert result.exit_code == exits, result.output
        return result

    return run


def rows(stock: Cli, *arguments: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(stock(*arguments, "--json").stdout)
    return told


def test_a_delivery_is_announced_comes_short_and_over_and_is_closed(stock: Cli) -> None:
    announce = ("announce", "PO-7", "BER", "2026-01-02", "MUG", "12", "CAP", "5", "--key", "po7")
    first = json.loads(stock(*announce, "--json").stdout)
    assert [one["outcome"] for one in first] == ["posted", "posted"]
    assert [one["key"] for one in first] == ["po7/1", "po7/2"]
    assert all(one["replayed"] for one in json.loads(stock(*announce, "--json").stdout))
    assert "12 units" in stock("unload", "PO-7", "MUG", "12", "CAP", "2").output
    [held] = json.loads(stock("unload", "PO-7", "MUG", "3", "--json").stdout)
    assert (held["outcome"], held["figures"]["units_held"]) == ("unloaded", 3)
    todo = {row["sku"]: row for row in rows(stock, "shipments")}
    assert (todo["CAP"]["units_open"], todo["MUG"]["units_held"]) == (3, 3)
    assert todo["CAP"]["days_late"] > 0
    assert todo["MUG"]["days_late"] == 0, "nothing more is to come"
    stock("settle-over", "PO-7", "MUG", "2", "--into", "sent_back")
    stock("settle-over", "PO-7", "MUG", "1", "--into", "available")
    stock("close-shipment", "PO-7", "CAP", "--reason", "sold out")
    assert rows(stock, "shipments") == []
    assert "nothing is to come" in stock("shipments").output
    assert {row["sku"] for row in rows(stock, "shipments", "PO-7")} == {"CAP", "MUG"}
    [caps] = rows(stock, "shipments", "--all", "--sku", "CAP", "--location", "BER")
    assert (caps["units_cancelled"], caps["close_reason"]) == (3, "sold out")
    assert "closed" in stock("unload", "PO-7", "CAP", "1", exits=1).stderr


def test_of_a_delivery_all_lines_are_announced_or_none(stock: Cli) -> None:
    refused = stock("announce", "PO-8", "BER", "2026-12-24", "MUG", "1", "NOBODY", "2", exits=1)
    assert "no SKU NOBODY" in refused.stderr
    assert "nothing of it was done" in refused.stderr
    assert rows(stock, "shipments", "--all") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("announce", "PO", "BER", "tomorrow", "MUG", "1"), "such as 2026-12-01"),
        (("announce", "PO", "BER", "2026-12-24", "MUG"), "a SKU and how many"),
        (("announce", "PO", "BER", "2026-12-24", "MUG", "1", "MUG", "2"), "named twice"),
        (("announce", "PO", "BER", "2026-12-24", "MUG", "1", "--tolerance-percent", "101"), "0 to 100"),
        (("settle-over", "PO", "MUG", "1", "--into", "bin"), "sent_back"),
        (("write-off", "MUG", "BER", "1", "committed"), "belong to somebody"),
        (("count-open", "a/b", "BER"), "slash"),
        (("count-open", "C", "BER", "--sales-class", "D"), "A, B, C"),
        (("count-rule", "C", "MUG", "forget", "--reason", "so"), "accept, recount, drop"),
        (("reorder", "5"), "say for what"),
        (("reorder", "5", "--sku", "MUG", "--cover-days", "3"), "one of them"),
        (("reorder", "5", "--sku", "MUG", "--end"), "--end ends the rule"),
        (("reorder", "--cover-days", "0", "--all"), "1 to 365"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_understood_is_refused_in_one_line(stock: Cli, arguments: tuple[str, ...], words: str) -> None:
    refused = stock(*arguments, exits=2)
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_count_is_opened_entered_looked_at_and_posted(stock: Cli) -> None:
    for sku in ("MUG", "CAP"):
        stock("receive", sku, "BER", "10")
    opened = json.loads(stock("count-open", "C1", "BER", "--threshold-units", "1", "--by", "Ben", "--json").stdout)
    assert opened == {"task": "C1", "location": "BER", "sku_count": 2}
    assert {row["units_expected"] for row in rows(stock, "count-lines", "C1")} == {None}
    assert json.loads(stock("count-enter", "C1", "MUG", "9", "--json").stdout)["state"] == "posted"
    entered = stock("count-enter", "C1", "CAP", "4", "--by", "Ada").output
    assert "counted 4, the ledger had 10 (-6)" in entered
    assert "count-rule C1 CAP" in entered
    [task] = rows(stock, "count-tasks")
    assert (task["open_count"], task["review_count"], task["posted_count"]) == (0, 1, 1)
    [caps] = rows(stock, "count-lines", "C1", "--review")
    assert (caps["sku"], caps["counted_by"]) == ("CAP", "Ada")
    assert "to count again" in stock("count-enter", "C1", "CAP", "5", exits=1).stderr
    stock("count-rule", "C1", "CAP", "recount", "--reason", "look behind the shelf")
    stock("count-enter", "C1", "CAP", "7", "--round", "2")
    ruled = json.loads(stock("count-rule", "C1", "CAP", "accept", "--reason", "stolen", "--json").stdout)
    assert (ruled["state"], ruled["variance_units"], ruled["reason"]) == ("posted", -3, "stolen")
    assert rows(stock, "count-tasks") == []
    assert {row["sku"]: row["available"] for row in rows(stock, "list")} == {"MUG": 9, "CAP": 7}
    assert "no count X" in stock("count-enter", "X", "CAP", "5", exits=1).stderr
    assert "no location ROM" in stock("count-open", "C2", "ROM", exits=1).stderr


def test_transfers_under_way_are_listed_and_what_is_lost_is_written_off(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "10")
    stock("dispatch", "t1", "MUG", "BER", "HAM", "4")
    stock("arrive", "t1", "MUG", "3", "--more-to-come")
    [under_way] = rows(stock, "transfers", "--location", "HAM")
    assert (under_way["units_under_way"], under_way["is_overdue"]) == (1, False)
    assert rows(stock, "transfers", "--overdue-days", "0")[0]["is_overdue"]
    stock("arrive", "t1", "MUG", "0")
    assert rows(stock, "transfers") == []
    assert [row["units_lost"] for row in rows(stock, "transfers", "--all", "--sku", "MUG")] == [1]


def test_units_to_be_looked_at_are_listed_released_and_written_off(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "10")
    stock("move", "MUG", "BER", "3", "available", "quality_control")
    [waiting] = rows(stock, "inspections")
    assert (waiting["quality_control"], waiting["damaged"]) == (3, 0)
    assert waiting["since"]
    stock("move", "MUG", "BER", "2", "quality_control", "available")
    stock("write-off", "MUG", "BER", "1", "quality_control", "--reason", "chipped")
    assert rows(stock, "inspections", "--sku", "MUG", "--location", "BER") == []
    assert "nothing waits" in stock("inspections").output


def test_what_is_low_is_listed_by_the_rules(stock: Cli) -> None:
    stock("receive", "MUG", "BER", "10")
    assert "no rule" in stock("reorder").output
    assert "MUG: low at 12 units" in stock("reorder", "12", "--sku", "MUG").output
    assert "every SKU: low at what is sold in 14 days" in stock("reorder", "--cover-days", "14", "--all").output
    [low] = rows(stock, "low")
    assert (low["sku"], low["available"], low["reorder_at"]) == ("MUG", 10, 12)
    assert [rule["sku"] for rule in rows(stock, "reorder")] == ["", "MUG"]
    assert "MUG: no rule" in stock("reorder", "--sku", "MUG", "--end").output
    assert "nothing is low" in stock("low").output
    assert "no SKU NOBODY" in stock("reorder", "1", "--sku", "NOBODY", exits=1).stderr
