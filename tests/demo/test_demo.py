"""The demo, once for real and short: the engine is killed while the shops go on selling, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneshelf.connectors.ebay.simulator_books import VARIATIONS_MOST
from oneshelf.demo.children import any_free_port
from oneshelf.demo.compare import compare_orders
from oneshelf.demo.plan import KINDS, MORE_KINDS, WITHOUT_FIGURES, Options, Plan
from oneshelf.demo.shops import Books
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.simulator import BookLine, BookOrder
from oneshelf.storage.reports import HeldLine

SEED = 7
# The last of the single faults is armed by half of it; each of the sales after it is a write that meets them.
SHOPPING_S = 20
KILLED_AT_S = 5
REASONS = ("is IN_PROGRESS", "limit of revisions", "it has no such SKU", "Quantity is not valid")


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(600)
def test_no_sale_is_lost_or_counted_twice_although_the_engine_is_killed_while_the_shops_go_on_selling(
    open_directory: Path,
) -> None:
    report = report_of_a_run(open_directory)
    assert report["engine_restarts"] == 1
    assert report["orders_placed"] > 0
    assert report["orders_posted"] == report["orders_placed"]
    assert report["orders_missing"] == report["orders_doubled"] == report["ledger_violations"] == []
    # Every listing was proved soon after the shoppers had gone, or waits with the channel's own reason: those of one
    # item may have used up its changes of the day, some may wait for the feed that is stuck, as their SKUs have become
    # scarce meanwhile, and while eBay's out-of-stock control is away a zero is refused, or deletes what sold nothing.
    assert report["listings_verified"] + len(report["parked"]) == report["listings"] == 120
    reasons = Counter(next((one for one in REASONS if one in line), line) for line in report["parked"])
    assert set(reasons) <= set(REASONS)
    assert reasons["limit of revisions"] <= VARIATIONS_MOST
    for one in report["feeds"]:
        assert one["has_ended"] or (one["stuck_after_s"] or 0.0) > 5, one
    assert report["problems"] == []
    assert report["is_good"]
    # The run met the faults that it claims to survive.
    hits = report["faults_hit"]
    assert hits["amazon"]["write_never_applied"] == hits["shopify"]["reply_lost"] == 1, hits
    assert hits["shopify"]["webhook_duplicate"] > 0
    assert sum(row["opened_count"] for row in report["drifts"]) >= 1
    assert all(row["opened_count"] == row["resolved_count"] for row in report["drifts"])
    # It says how long proof took. In mode auto some sales are left unproven although every listing is verified: why is
    # not established (a share that did not change would have no newer figure to prove), so no share is promised.
    whole = report["latency"][0]
    assert whole["channel"] is None
    assert 0 <= whole["unproven_count"] < whole["sale_count"]
    assert 0 < whole["p50_s"] <= whole["p95_s"] <= whole["p99_s"]
    assert 0 < report["dashboard_s"] < report["verified_once_s"]


def report_of_a_run(directory: Path, **more: object) -> dict[str, Any]:
    """The JSON of a real demo, which has ended with 0."""
    options: dict[str, object] = {
        "--seconds": SHOPPING_S,
        "--kill-engine-at": KILLED_AT_S,
        "--seed": SEED,
        "--skus": 40,
        "--speed": 120,
        "--port": any_free_port(),
        "--data-dir": directory,
        **more,
    }
    arguments = [str(part) for option in options.items() for part in option]
    said = subprocess.run(
        [sys.executable, "-m", "oneshelf.cli", "demo", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("ONESHELF_DATABASE")},
    )
    print(f"seed {SEED}\n{said.stderr}")  # shown when a test fails
    assert said.returncode == 0, said.stdout + said.stderr
    document: dict[str, Any] = json.loads(said.stdout)
    return document


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(600)
def test_a_square_shop_the_tills_of_a_shop_and_a_wholesale_buyer_are_counted_as_the_others_are(
    open_directory: Path,
) -> None:
    report = report_of_a_run(open_directory, **{"--channels": "shopify,square,till,wholesale", "--skus": 20})
    assert report["orders_posted"] == report["orders_placed"] == sum(report["placed_by_channel"].values())
    assert min(report["placed_by_channel"][kind] for kind in ("square", "till", "wholesale")) > 0
    assert report["orders_missing"] == report["orders_doubled"] == report["ledger_violations"] == []
    assert report["listings_verified"] == report["listings"] == 40
    assert report["is_good"]


def books(units: int, *, cancelled: int = 0) -> dict[str, Books]:
    line = BookLine(line_id="1", channel_sku="MUG", units=units, units_cancelled=cancelled)
    order = BookOrder("A", datetime(2026, 11, 23, tzinfo=UTC), "open", (line,))
    return {"shop": Books(kind="shopify", listings=[], orders=[order], turned_away=0, faults_hit={})}


def held(units: int, order_id: str = "A") -> HeldLine:
    return HeldLine("shop", order_id, "1", units_held=units, pack_units=1)


def test_an_order_that_the_ledger_does_not_hold_is_missing() -> None:
    assert compare_orders(books(2), []).missing == ("shop/A",)
    assert compare_orders(books(2), [held(1)]).missing == ("shop/A",)


def test_an_order_that_the_ledger_holds_twice_or_that_nobody_placed_is_doubled() -> None:
    assert compare_orders(books(2), [held(4)]).doubled == ("shop/A",)
    assert compare_orders(books(2), [held(2), held(1, "B")]).doubled == ("shop/B",)


def test_what_was_cancelled_must_not_be_held() -> None:
    assert compare_orders(books(2, cancelled=2), [held(0)]).is_equal
    assert compare_orders(books(2, cancelled=2), [held(2)]).doubled == ("shop/A",)


@pytest.mark.long
def test_what_the_container_brings_is_worth_a_feed_and_no_run_without_faults_has_one() -> None:
    def plan(sku_count: int, *, is_calm: bool) -> Plan:
        return Plan(an_options(sku_count=sku_count, is_calm=is_calm))

    for sku_count in (40, 200, 20_000):
        brought = plan(sku_count, is_calm=False).delivery()
        assert brought is not None
        # A push takes twenty of them before the feed is begun.
        assert len(brought.units) - 20 >= plan(sku_count, is_calm=False).timing("amazon")["feed_writes_least"]
    assert plan(200, is_calm=True).delivery() is None


def an_options(**more: Any) -> Options:
    usual = Options(
        seconds=60.0,
        seed=1,
        sku_count=20,
        orders_per_s=5.0,
        speed=60.0,
        port=8080,
        directory=Path("demo"),
        keeps_data=False,
        kill_engine_at_s=None,
        is_calm=False,
        as_json=False,
        is_quiet=True,
    )
    return replace(usual, **more)


def test_things_go_wrong_only_at_channels_that_are_there() -> None:
    for kinds in (("shopify",), ("ebay", "till"), (*KINDS, *MORE_KINDS)):
        plan = Plan(an_options(kinds=kinds))
        events = plan.events({good.sku: good.sku for good in plan.goods})
        assert {event.kind for event in events} == set(kinds) - {"wholesale"}
        assert {kind for good in plan.goods for kind in good.shown} == set(kinds) - WITHOUT_FIGURES


def test_a_demo_of_unknown_channels_or_of_none_that_shows_a_figure_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no kind of channel 'pigeon'; there are: shopify, amazon"):
        an_options(kinds=("shopify", "pigeon"))
    for kinds in ((), ("till", "wholesale")):
        with pytest.raises(ConfigurationError, match="one channel at least that shows figures"):
            an_options(kinds=kinds)


def test_one_seed_gives_one_world() -> None:
    def world(seed: int) -> list[Any]:
        plan = Plan(an_options(seed=seed, sku_count=50))
        return [*plan.goods, *plan.events({good.sku: good.sku for good in plan.goods})]

    assert world(1) == world(1)
    assert world(1) != world(2)
    assert len({good.sku for good in world(3)[:50]}) == 50
