"""Wholesale as a person types it; the guide is run as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli.test_drift_guide import TIME_S_MAX, run_guide
from cli.test_how_to import HOW_TO, commands

pytestmark = pytest.mark.pg

Run = Callable[..., Result]
GUIDE = "sell-wholesale.md"


@pytest.fixture
def shelf(run: Run) -> Run:
    """A hundred mugs and ten caps."""
    run("stock", "add-location", "BER")
    for sku, units in (("MUG-BLUE", "100"), ("CAP", "10")):
        run("stock", "add-sku", sku)
        run("stock", "receive", sku, "BER", units)
    return run


@pytest.mark.long
def test_the_guide_does_what_it_says(shelf: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (HOW_TO / GUIDE).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"```(?:csv|x12) (\S+)\n(.*?)```", text, re.S):
        (tmp_path / name).write_text(content)
    steps = list(commands(GUIDE))
    assert len(steps) > 12
    for arguments, said in steps:
        output = [re.sub(r"\s+", " ", line).strip() for line in shelf(*arguments).output.splitlines()]
        for line in said:
            assert line in output or line == "…", f"{arguments} did not say {line!r} but {output}"
    for name, code in (("answer.x12", "ST*997*"), ("855.x12", "ACK*IA*1*EA*068*20311201~"), ("846.x12", "QTY*33*")):
        assert code in (tmp_path / name).read_text()


@pytest.mark.long
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_rehearsal_with_a_simulated_buyer_runs_as_it_is_written(shelf: Run, dsn: str, tmp_path: Path) -> None:
    [rehearsal] = re.findall(r"```sh\n(.*?)```", (HOW_TO / GUIDE).read_text(encoding="utf-8"), re.S)
    engine = """$ oneshelf serve --port 8080 &
$ until curl -s http://127.0.0.1:8080/readyz | grep -q ready; do sleep 1; done
"""
    page = tmp_path / "rehearsal.md"
    page.write_text(f"```console\n{engine}{rehearsal}```\n")
    run_guide(page, dsn, tmp_path)
    [order] = json.loads(shelf("wholesale", "list", "--customer", "ACME", "--json").stdout)
    assert (order["units_ordered"], order["units_allocated"]) == (2, 2)


def test_what_is_refused_exits_with_one_and_what_is_typed_wrong_with_two(shelf: Run, tmp_path: Path) -> None:
    order = ("wholesale", "order", "ACME", "PO-1", "BER")
    assert "no SKU NOWT" in shelf(*order, "NOWT=5", exits=1).output
    told = json.loads(shelf(*order, "NOWT=5", "--json", exits=1).stdout)
    assert told["refused"] == "unknown-sku"
    for words, said in (
        ((*order, "MUG-BLUE"), "SKU=UNITS takes name=value"),
        ((*order, "MUG-BLUE=many"), "units must be a whole number"),
        ((*order, "MUG-BLUE=5", "--ship-by", "soon"), "--ship-by must be a day in ISO 8601"),
        ((*order, "MUG-BLUE=5", "--version", "0"), "--version is 0"),
        (("wholesale", "show", "ACME"), "an order is CUSTOMER/PO"),
        (("wholesale", "acknowledge", "ACME/PO-9"), "no wholesale order ACME/PO-9"),
        (("wholesale", "advice", "ACME"), "is no partner who speaks X12"),
        (("wholesale", "read-x12", str(tmp_path / "none.x12")), "No such file"),
        (("wholesale", "partner", "A", "--theirs", "x", "--ours", "ZZ:B", "--location", "BER"), "QUALIFIER:ID"),
    ):
        assert said in shelf(*words, exits=2).output
    assert "no wholesale order ACME/PO-9" in shelf("wholesale", "ship", "ACME/PO-9", "DN-1", exits=1).output


def test_every_answer_can_be_read_by_a_program(shelf: Run) -> None:
    order = ("wholesale", "order", "ACME", "PO-1", "BER", "MUG-BLUE=5", "--json")
    placed = json.loads(shelf(*order).stdout)
    assert (placed["order_id"], placed["units_allocated"], placed["is_replayed"]) == ("ACME/PO-1", 5, False)
    assert json.loads(shelf(*order).stdout)["is_replayed"]
    assert [one["order_id"] for one in json.loads(shelf("wholesale", "list", "--json").stdout)] == ["ACME/PO-1"]
    shipped = json.loads(shelf("wholesale", "ship", "ACME/PO-1", "DN-1", "--json").stdout)
    assert (shipped["state"], shipped["units_shipped"]) == ("closed", 5)
    assert json.loads(shelf("wholesale", "list", "--json").stdout) == []
    assert len(json.loads(shelf("wholesale", "list", "--closed", "--json").stdout)) == 1
    assert json.loads(shelf("wholesale", "partners", "--json").stdout) == []


@pytest.mark.long
def test_rows_of_a_file_are_orders_and_only_whole_ones(shelf: Run, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    header = "customer,po_number,line_id,sku,units,location,version,ship_by\n"
    as_orders = ("--as", "wholesale-orders")

    def problems(text: str) -> list[tuple[int, str]]:
        file.write_text(header + text)
        told = json.loads(shelf("stock", "import", str(file), *as_orders, "--json", exits=1).stdout)
        return [(one["line"], one["column"]) for one in told["problems"]]

    assert problems("A,1,1,MUG-BLUE,5,BER,,\nA,1,2,NOWT,5,BER,,\n") == [(3, "sku")]
    assert problems("A,1,1,MUG-BLUE,0,BER,,\nA,1,2,CAP,x,BER,,\n") == [(2, "units"), (3, "units")]
    assert problems("A,1,1,MUG-BLUE,5,BER,,2031-13-01\n") == [(2, "ship_by")]
    assert problems("A,1,1,MUG-BLUE,5,BER,,2031-12-01\nA,1,2,CAP,5,BER,,2031-12-02\n") == [(3, "ship_by")]
    assert problems("A,1,1,MUG-BLUE,5,BER,,\nA,1,1,CAP,5,BER,,\n") == [(3, "")]
    assert problems("A/B,1,1,MUG-BLUE,5,BER,,\n") == [(2, "")]
    assert problems("A,1,1,MUG-BLUE,5,BER,zero,\n") == [(2, "version")]
    assert json.loads(shelf("wholesale", "list", "--json").stdout) == []
    file.write_text(header + "A,1,,MUG-BLUE,5,BER,,\nB,2,,CAP,1,BER,,\nA,1,,CAP,2,BER,,\n")
    whole = shelf("stock", "import", str(file), *as_orders, "--atomic", "row", exits=1).output
    assert "rows of wholesale-orders belong together" in whole
    shelf("stock", "import", str(file), *as_orders)
    told = json.loads(shelf("wholesale", "show", "A/1", "--json").stdout)
    assert [(one["line_id"], one["sku"], one["units_allocated"]) for one in told["lines"]] == [
        ("1", "MUG-BLUE", 5),
        ("2", "CAP", 2),
    ]
    assert "was applied before" in shelf("stock", "import", str(file), *as_orders).output
    # The same orders in another file are the same orders; another content under the number is refused.
    file.write_text(header + "B,2,1,CAP,1,BER,1,\n")
    shelf("stock", "import", str(file), *as_orders)
    file.write_text(header + "B,2,1,CAP,2,BER,1,\n")
    assert "was placed before" in shelf("stock", "import", str(file), *as_orders, exits=1).output
