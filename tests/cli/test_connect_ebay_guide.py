"""The guide to an eBay account runs as it is written: in by a consent, told of sales, written where eBay sells."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.ebay.account import SETTINGS
from oneshelf.connectors.ebay.shelf import AUCTION, NO_SKU, SPREAD, TWICE, WITHDRAWN
from oneshelf.connectors.ebay.subscriptions import TOPICS

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-ebay.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    run_guide(GUIDE, dsn, tmp_path)
    with psycopg.connect(dsn) as connection:
        [check] = connection.execute("select address, topics, refused from subscription_checks").fetchall()
        assert check[0].endswith("/webhooks/my-ebay")
        assert set(check[1]) <= set(TOPICS)
        assert check[1]
        assert check[2] == {}
        [listing] = connection.execute("select channel_sku, phase from listings").fetchall()
        assert listing[0] == "MUG-BLUE"
        assert listing[1] != "parked"


def test_the_guide_names_every_setting_topic_and_sort_of_listing_that_is_not_written() -> None:
    page = " ".join(GUIDE.read_text(encoding="utf-8").split())
    assert [setting.name for setting in SETTINGS if f"`{setting.name}" not in page] == []
    assert [topic for topic in TOPICS if f"`{topic}`" not in page] == []
    for note, words in {
        TWICE: "two listings are on sale",
        NO_SKU: "a variation without a SKU",
        AUCTION: "an auction",
        WITHDRAWN: "its offer is not published",
        SPREAD: "among several inventory locations",
    }.items():
        assert words.lower() in note.lower(), f"the code says {note!r} now"
        assert words.lower() in page.lower()
