"""What is exported and imported again changes nothing; in an empty house it makes the same."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.shop import BERLIN, CAP, HAMBURG, MUG, key
from files.desk import Desk, open_desk
from flow.test_counts import a_day_passes, ago, sold
from oneshelf.domain.account import StockState
from oneshelf.domain.command import Move, Receive
from oneshelf.domain.identity import NAME_LENGTH_MAX, Location, Sku
from oneshelf.domain.policy import Rule, Scope, Terms
from oneshelf.errors import MalformedError
from oneshelf.files.exporting import EXPORTS, Format, write_out
from oneshelf.files.importing import Atomic
from oneshelf.files.report import State
from oneshelf.files.table import FORMULA_SIGNS, guarded, unguarded
from oneshelf.flow import rule
from oneshelf.storage import catalog

pytestmark = pytest.mark.pg

FORMATS = list(Format)
# What a spreadsheet would calculate, and what a file is cut by.
NAMES = ["=1+1", "+49", "-5", "@home", "'=x", "a,b", 'a"b', "a;b", "CAFÉ", "0012", "1e3", "true", "'"]
# Written after every import: nothing of the trade.
OF_IMPORTS = {"imports", "commands", "touched", "ruling_counts"}


async def lived_in(desk: Desk) -> None:
    """A house with odd names, units in several states, links, rules and receipts."""
    skus = [Sku(name) for name in NAMES]
    async with desk.ledger.database.transaction() as tx:
        await catalog.add_skus(tx, {sku: f"={sku}" for sku in skus})
        await catalog.add_location(tx, Location("-1, left"), title="@the back")
    received = [Receive(key=key(), sku=sku, location=BERLIN, units=at + 1) for at, sku in enumerate(skus)]
    late = Receive(key=key(), sku=MUG, location=HAMBURG, units=3, happened_at=ago(90))
    broken = Move(
        key=key(), sku=skus[4], location=BERLIN, units=2, origin=StockState.AVAILABLE, target=StockState.DAMAGED
    )
    await desk.ledger.ask(*received, late, Receive(key=key(), sku=MUG, location=BERLIN, units=9), broken)
    await desk.ledger.rows(
        "insert into listings (channel, channel_sku, sku, pack_units) "
        "values ('shop', '=1', 'MUG', 2), ('shop', '2', 'CAP', 1), ('shop', '3', null, 1) returning 1"
    )
    for scope, terms in (
        (Scope(), Terms(percent=80, computed_buffer=True)),
        (Scope(sku=skus[0]), Terms(floor_units=1, may_oversell=True)),
    ):
        await rule.put_rule(desk.ledger.database, Rule(scope=scope, terms=terms, low=Terms()), actor="test")
    await a_day_passes(desk.ledger)


async def exported(desk: Desk, kind: str, form: Format, directory: Path) -> bytes:
    path = directory / f"{kind}.{form}"
    await write_out(desk.ledger.database, kind, path, form)
    return path.read_bytes()


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", EXPORTS)
async def test_an_export_that_is_imported_changes_nothing(dsn: str, kind: str, form: Format, tmp_path: Path) -> None:
    async with open_desk(dsn) as desk:
        await lived_in(desk)
        before = desk.everything()
        file = await exported(desk, kind, form, tmp_path)
        report = await desk.bring(file, kind)
        assert report.state is State.APPLIED, report
        assert report.row_count > 0
        after = desk.everything()
        assert {name: rows for name, rows in after.items() if name not in OF_IMPORTS} == {
            name: rows for name, rows in before.items() if name not in OF_IMPORTS
        }
        await desk.ledger.assert_sound()


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
async def test_a_house_moves_by_its_files(dsn: str, empty_dsn: str, form: Format, tmp_path: Path) -> None:
    from oneshelf.storage.migrate import migrate

    migrate(empty_dsn)
    async with open_desk(dsn) as old:
        await lived_in(old)
        files = {
            kind: await exported(old, kind, form, tmp_path) for kind in ("skus", "locations", "receipts", "policies")
        }
        async with open_desk(empty_dsn) as new:
            for kind, file in files.items():
                assert (await new.bring(file, kind)).state is State.APPLIED
            for kind, file in files.items():
                if kind != "receipts":  # Their movements have other ids, which are their order.
                    assert await exported(new, kind, form, tmp_path) == file or form is Format.XLSX
            sums = "select sku, location, available + damaged as units from balances where version > 0 order by 1, 2"
            assert await new.ledger.rows(sums) == await old.ledger.rows(sums)


async def test_a_count_sheet_that_waits_does_not_erase_what_was_sold_meanwhile(dsn: str, tmp_path: Path) -> None:
    async with open_desk(dsn) as desk:
        await lived_in(desk)
        file = (await exported(desk, "counts", Format.CSV, tmp_path)).decode()
        await desk.ledger.rows("update movements set posted_at = posted_at - interval '1 hour' returning 1")
        await desk.ledger.ask(sold(2))
        early = file.replace(file.splitlines()[1].rsplit(",", 1)[1], ago(30).isoformat())
        assert (await desk.bring(early)).is_done
        assert await desk.ledger.figures() == {"available": 7}


async def test_no_cell_of_an_export_is_a_formula(dsn: str, tmp_path: Path) -> None:
    import csv
    import io

    async with open_desk(dsn) as desk:
        await lived_in(desk)
        cells = []
        for kind in EXPORTS:
            text = (await exported(desk, kind, Format.CSV, tmp_path)).decode()
            cells += [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert "'=1+1" in cells
    assert [cell for cell in cells if cell.startswith(FORMULA_SIGNS)] == []


async def test_nobody_is_given_what_there_is_not(dsn: str, tmp_path: Path) -> None:
    async with open_desk(dsn) as desk:
        with pytest.raises(MalformedError, match="no kind of file 'sales'; there are: skus"):
            await write_out(desk.ledger.database, "sales", tmp_path / "x.csv", Format.CSV)


@pytest.mark.long
@given(st.text(max_size=NAME_LENGTH_MAX))
def test_a_guard_is_taken_off_as_it_was_put_on(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(FORMULA_SIGNS)


ROWS = st.lists(
    st.tuples(st.sampled_from([MUG, CAP, "SET", "NONE", "=1"]), st.sampled_from([BERLIN, HAMBURG]), st.integers(-4, 9)),
    min_size=1,
    max_size=12,
)


@pytest.mark.long
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=ROWS, chunk=st.integers(1, 13))
def test_a_file_in_parts_of_any_size_ends_the_same(dsn: str, rows: list[tuple[str, str, int]], chunk: int) -> None:
    import asyncio

    text = "sku,location,delta\n" + "".join(f"{guarded(sku)},{place},{units}\n" for sku, place, units in rows)

    async def brought(size: int) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for table in ("imports", "commands", "movements", "touched", "balances"):
                connection.execute(f"delete from {table}")
        async with open_desk(dsn) as desk:
            report = await desk.bring(text, taken_at=None, atomic=Atomic.ROW, chunk=size)
            figures = await desk.ledger.rows("select sku, location, available from balances order by 1, 2")
            return figures, [(one.line, one.reason) for one in report.problems]

    assert asyncio.run(brought(chunk)) == asyncio.run(brought(500))
