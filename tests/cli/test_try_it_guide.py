"""Whoever has no account follows the guide to simulated channels as it is written: connect, go live, sell, explain."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "try-it-with-simulated-channels.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    # The database of the tests is not durable.
    assert re.findall(r"^WRONG (.*?):", said, re.M) == ["durability"]
    assert "12 on hand = 10 available + 2 " in said
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select available, committed + reserved from balances").fetchall() == [(10, 2)]
        checked = connection.execute("select channel from subscription_checks order by 1").fetchall()
        assert checked == [("my-ebay",), ("my-shop",)]
        [drift] = connection.execute("select channel, channel_sku, observed_units, resolution from drifts").fetchall()
        assert drift == ("my-ebay", "MUG-BLUE", 2, "republished")
