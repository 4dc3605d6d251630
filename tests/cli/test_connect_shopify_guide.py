"""The guide to a Shopify shop runs as it is written: in by the app's credentials, told of sales, with a new secret."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.test_drift_guide import TIME_S_MAX, run_guide
from oneshelf.connectors.shopify.access import SCOPES, SECRETS
from oneshelf.connectors.shopify.subscriptions import TOPICS

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-shopify.md"


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(TIME_S_MAX + 60)
def test_the_guide_runs_as_it_is_written(dsn: str, tmp_path: Path) -> None:
    said = run_guide(GUIDE, dsn, tmp_path)
    assert "topics at http://127.0.0.1:" in said
    with psycopg.connect(dsn) as connection:
        [check] = connection.execute("select address, topics, refused from subscription_checks").fetchall()
        assert check[0].endswith("/webhooks/my-shop")
        assert set(check[1]) == set(TOPICS)
        assert check[2] == {}
        [kept] = connection.execute("select kept ->> 'access_token' from kept_secrets").fetchall()
        assert kept[0].startswith("sealed:1:")


def test_the_guide_names_every_secret_scope_and_sort_of_topic() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    assert [setting.name for setting in SECRETS if f"`{setting.name}" not in page] == []
    assert [scope for scope in SCOPES if f"`{scope}`" not in page] == []
    assert [topic for topic in TOPICS if topic.split("/")[0] not in page] == []
