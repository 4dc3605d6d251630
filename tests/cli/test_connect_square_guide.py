"""The guide to a Square till runs as it is written: in by a consent, told of a sale by its count, and written."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.square.account import SETTINGS
from oneshelf.connectors.square.parse import EVENTS
from oneshelf.connectors.square.preflight import PAYMENTS, SCOPES

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-square.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    run_guide(GUIDE, dsn, tmp_path)
    with psycopg.connect(dsn) as connection:
        [listing] = connection.execute("select channel_sku, phase, parked_reason from listings").fetchall()
        assert listing[0] == "1001"
        assert listing[2] == ""
        topics = {topic for (topic,) in connection.execute("select distinct topic from inbox")}
        assert topics == {"inventory.count.updated", "poll/order"}, "the sale came by its count, and then by a poll"


def test_the_guide_names_every_setting_event_and_permission() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    assert [setting.name for setting in SETTINGS if f"`{setting.name}" not in page] == []
    assert [event for event in EVENTS if f"`{event}`" not in page] == []
    assert [scope for scope in (*SCOPES, PAYMENTS) if f"`{scope}`" not in page] == []
