"""The guide to tills runs as it is written: signed with openssl and plain Python, told twice, and counted once."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.till.kind import SETTINGS
from oneshelf.connectors.till.simulator import FAULTS
from oneshelf.domain.device import DeviceEventKind

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-a-till.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert '"sku":"MUG-BLUE","title":"Blue mug","available":' in said
    with psycopg.connect(dsn) as connection:
        # 40, less 2; 5 and 5 back; 1 damaged; 1 for 1; and three sales at the simulated tills.
        assert connection.execute("select available, damaged, committed from balances").fetchall() == [(35, 1, 0)]
        assert connection.execute("select count(*) from device_events where state <> 'told'").fetchone() == (0,)
        assert connection.execute("select count(*) from inbox where state = 'parked'").fetchone() == (0,)


def test_the_guide_names_every_setting_type_and_fault() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    names = [*(setting.name for setting in SETTINGS), *DeviceEventKind, *FAULTS]
    assert [name for name in names if f"`{name}`" not in page] == []
