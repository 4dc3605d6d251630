"""The guide to an Amazon account runs as it is written, and names each setting, secret and sort of trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.amazon.account import SETTINGS
from oneshelf.connectors.amazon.feeds import MESSAGES_LEAST, MESSAGES_MAX
from oneshelf.connectors.amazon.kind import CONNECTOR
from oneshelf.domain.sweep_plan import give_up_s
from oneshelf.flow.channel import read_budget
from oneshelf.flow.feed import UNITS_LEAST

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-amazon.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert "listings can be written" in said
    assert "client secret" in said


def test_the_guide_names_every_setting_and_the_figures_that_are_in_force() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    told = [setting.name for setting in SETTINGS if setting.name not in page]
    assert told == []
    budget = read_budget(CONNECTOR.capability)
    assert f"up to {budget.pages_most:,} listings" in page
    assert f"{MESSAGES_LEAST:,} listings or more" in page
    assert f"up to {MESSAGES_MAX:,} listings" in page
    assert f"fewer than {UNITS_LEAST} units" in page
    assert give_up_s(budget.pages_most, budget) == CONNECTOR.capability.feed_s_max == 3600, "an hour, twice"
    assert CONNECTOR.capability.stock_file_age_s == 6 * 3600, "six hours"
