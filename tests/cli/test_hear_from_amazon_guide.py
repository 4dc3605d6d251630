"""The guide to Amazon's news runs as it is written: a sale is known, and no poll has told."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.amazon.queue_access import QUEUE_SECRETS, QUEUE_SETTINGS
from oneshelf.connectors.amazon.simulator_queue import QUEUE_ARN
from oneshelf.connectors.amazon.subscriptions import BY_EVENT_BRIDGE, WANTED

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "hear-from-amazon.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert "market: queue" in said
    assert "listened to" in said
    with psycopg.connect(dsn) as connection:
        [check] = connection.execute("select address, topics, refused from subscription_checks").fetchall()
        assert (check[0], set(check[1]), check[2]) == (QUEUE_ARN, set(WANTED), {})
        told = connection.execute("select topic, is_polled, state from inbox order by inbox_id").fetchall()
        assert ("ORDER_CHANGE", False, "done") in told
        assert ("poll/order", False, "done") in told
        assert connection.execute("select order_id from wanted_orders").fetchall() == []
        # Its payment may have been confirmed by now.
        assert connection.execute("select reserved + committed from balances").fetchall() == [(2,)]


def test_the_guide_names_every_setting_and_every_type() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    assert [one.name for one in (*QUEUE_SETTINGS, *QUEUE_SECRETS) if one.name not in page] == []
    assert [kind for kind in (*WANTED, *BY_EVENT_BRIDGE) if f"`{kind}`" not in page] == []
