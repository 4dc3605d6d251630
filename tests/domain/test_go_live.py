"""What a listing would show from us, and why."""

from __future__ import annotations

from typing import Any

import pytest

from oneshelf.domain.go_live import Cause, Facts, fright_of, line_of, range_of, totals


def facts(**said: Any) -> Facts:
    usual: dict[str, Any] = {
        "channel": "shop",
        "channel_sku": "1",
        "merchant_sku": "MUG",
        "title": "",
        "sku": "MUG",
        "pack_units": 1,
        "note": "",
        "parked_reason": None,
        "has_twin": False,
        "shown_units": 12,
        "is_anchored": True,
        "desired_units": 7,
        "desired_version": 3,
        "is_signed_off": False,
        "signed_off_by": "",
        "foreign_edits": 0,
        "balance": {"on_hand": 9, "committed": 2, "available": 7},
        "derivation": {},
    }
    return Facts(**{**usual, **said})


@pytest.mark.parametrize(
    ("said", "cause", "change"),
    [
        ({"desired_units": 0}, Cause.ZERO, -12),
        ({}, Cause.CUT, -5),
        ({"desired_units": 30}, Cause.RAISE, 18),
        ({"desired_units": 12}, Cause.SAME, None),
        ({"shown_units": -2, "desired_units": 0}, Cause.RAISE, 2),
        ({"parked_reason": "no such item"}, Cause.PARKED, None),
        ({"sku": None}, Cause.UNLINKED, None),
        ({"sku": None, "has_twin": True}, Cause.TWINS, None),
        ({"shown_units": None}, Cause.UNREAD, None),
        ({"is_anchored": False}, Cause.UNREAD, None),
        ({"desired_version": 0, "desired_units": 0}, Cause.UNCOUNTED, None),
    ],
)
def test_each_listing_has_one_cause(said: dict[str, Any], cause: Cause, change: int | None) -> None:
    line = line_of(facts(**said))
    assert (line.cause, line.change) == (cause, change)


def test_the_figure_is_told_step_by_step() -> None:
    assert line_of(facts()).because == "9 on hand - 2 committed = 7 available"
    packs = facts(pack_units=2, desired_units=2, derivation={"in_suspense": 3})
    assert line_of(packs).because == (
        "9 on hand - 2 committed = 7 available, - 3 that some channel no longer shows, in packs of 2"
    )
    bundle = facts(derivation={"components": [{"sku": "MUG", "bundles": 4}, {"sku": "CAP", "bundles": 1}]})
    assert line_of(bundle).because == "a bundle: MUG for 4, CAP for 1"


def test_what_a_rule_or_a_pool_takes_is_told_as_explain_tells_it() -> None:
    pool = ["pool of shop: 8 shared, 6 sold, 2 left", 7, 2, "allocation for SKU MUG"]
    rule = ["80 percent", 2, 1, "rule for channel shop"]
    shared = facts(desired_units=1, pack_units=2, derivation={"steps": [pool, rule, ["whole packs of 1", 1, 1, ""]]})
    assert line_of(shared).because == (
        "9 on hand - 2 committed = 7 available; "
        "7 -> 2 pool of shop: 8 shared, 6 sold, 2 left [allocation for SKU MUG]; "
        "2 -> 1 80 percent [rule for channel shop]"
    )
    guarded = ["guarded: its part of what all listings may sell", 4, 3, ""]
    bundle = facts(derivation={"components": [{"sku": "MUG", "bundles": 4}], "steps": [guarded]})
    assert line_of(bundle).because == "a bundle: MUG for 4; 4 -> 3 guarded: its part of what all listings may sell"


def test_what_frightens_most_comes_first() -> None:
    plan = sorted(
        map(
            line_of,
            [
                facts(channel_sku="same", desired_units=12),
                facts(channel_sku="cut"),
                facts(channel_sku="raised a lot", desired_units=500),
                facts(channel_sku="small zero", shown_units=1, desired_units=0),
                facts(channel_sku="large zero", shown_units=90, desired_units=0),
            ],
        ),
        key=fright_of,
    )
    for line in plan:
        least, most = range_of(line.cause)
        assert least < fright_of(line) <= most
    assert [line.channel_sku for line in plan] == ["large zero", "small zero", "cut", "raised a lot", "same"]
    whole = totals(plan)
    assert (whole.written, whole.units_now, whole.units_then) == (4, 12 + 12 + 12 + 1 + 90, 12 + 7 + 500)


def test_it_warns_of_others_who_write_and_of_sales_below_zero() -> None:
    warning = line_of(facts(shown_units=-1, foreign_edits=14, has_twin=True)).warning
    assert "below zero" in warning
    assert "14 times in 7 days" in warning
    assert "another listing carries the same merchant SKU" in warning
