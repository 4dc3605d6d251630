"""What the pages of the channels say is what the connectors declare, and a tier is claimed only where it is earned."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.capability import Capability
from oneshelf.sdk.conformance.run import checks_of
from oneshelf.sdk.kinds import load_kinds
from oneshelf.sdk.matrix import COMMAND, pages_of
from oneshelf.sdk.quality import RULES, TIERS, Quality, Standing, quality_from, quality_of

DOCS = Path(__file__).parents[2] / "docs" / "connectors"
OURS = ("amazon", "ebay", "shopify", "square", "till", "wholesale")
ALL_DONE = {rule: Standing("done") for rule in RULES}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["channel", "matrix", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_pages_are_what_the_code_declares(tmp_path: Path) -> None:
    run("--write", str(tmp_path))
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(written) == {"README.md", *(f"{name}.md" for name in OURS)}
    for name, text in written.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"write them anew: {COMMAND}"


def test_the_table_has_a_column_for_each_kind() -> None:
    said = run()
    assert "Shopify" in said
    assert "Amazon" in said
    assert "compare-and-set" in said


def test_the_json_has_every_member_of_a_declaration() -> None:
    rows = {row["kind"]: row for row in json.loads(run("--json"))}
    assert set(rows) == set(OURS)
    assert {field.name for field in fields(Capability)} <= set(rows["shopify"])
    assert rows["shopify"]["key_life_s"] == 12 * 3600
    assert rows["amazon"]["rules"]["compare-and-set"]["status"] == "todo"


def test_a_changed_declaration_changes_its_page() -> None:
    """So that the comparison above can fail."""
    kinds = {name: load_kinds()[name] for name in OURS}
    assert pages_of({"amazon": kinds["shopify"]})["amazon.md"] != pages_of(kinds)["amazon.md"]


@pytest.mark.parametrize("name", OURS)
def test_a_tier_is_claimed_where_all_its_rules_are_met(name: str) -> None:
    quality = quality_of(load_kinds()[name])
    assert set(quality.rules) == set(RULES), "a rule of which nothing is said"
    assert quality.tier == quality.earned_tier
    assert set(quality.cannot_happen) <= {check.name for check in checks_of()}, "a reason for a check that is not there"


def test_a_tier_is_earned_rule_by_rule() -> None:
    assert Quality().earned_tier == "none"
    assert Quality(rules=ALL_DONE).earned_tier == "gold"
    for tier, below in (("bronze", "none"), ("silver", "bronze"), ("gold", "silver")):
        for rule in TIERS[tier]:
            assert Quality(rules={**ALL_DONE, rule: Standing("todo", "soon")}).earned_tier == below
            assert Quality(rules={**ALL_DONE, rule: Standing("exempt", "because")}).earned_tier == "gold"


@pytest.mark.parametrize(
    "document",
    [
        {"tier": "platinum"},
        {"wood": {}},
        {"bronze": {"polished": {"status": "done"}}},
        {"bronze": {"conformance": "done"}},
        {"bronze": {"conformance": {"status": "nearly"}}},
        {"bronze": {"conformance": {"status": "exempt"}}},
        {"bronze": {"conformance": {"status": "todo", "reason": " "}}},
        {"cannot_happen": {"zero_is_zero": ""}},
    ],
)
def test_what_cannot_be_meant_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"quality\.toml"):
        quality_from(document, what="quality.toml")
