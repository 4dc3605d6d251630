"""What is in `deploy/` asks for metrics that there are, and wakes nobody without saying where to look."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flow.follower import listening, outgoing
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.flow import audit, follow, tell
from oneshelf.flow.measure import measure
from oneshelf.flow.outgoing import Outgoing
from oneshelf.storage import catalog
from oneshelf.web import checkout
from oneshelf.web.engine import StepFigures
from oneshelf.workers.runner import Step, run_for_ever
from oneshelf.workers.supervisor import Supervisor
from web.paper import BERLIN, Shop, open_shop
from web.test_checkout import EBAY, Stall, question

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOK = ROOT / "docs" / "how-to" / "two-in-the-morning.md"
# Of Prometheus itself: whether it got an answer.
NOT_OURS = {"up": {"job": {"oneshelf"}}}
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "oneshelf.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# Label -> what it is on each sample of a metric.
Labels = dict[str, set[str]]


def exprs() -> Iterator[tuple[str, str]]:
    """Where it stands, and the expression, with what Grafana puts in for its variables."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$channel", ".*")


def selectors(expr: Any) -> Iterator[promql_parser.VectorSelector]:
    """All metrics that an expression asks for, with what they have to be labelled."""
    if isinstance(expr, promql_parser.VectorSelector):
        yield expr
    elif isinstance(expr, promql_parser.MatrixSelector):
        yield expr.vector_selector
    elif isinstance(expr, promql_parser.BinaryExpr):
        yield from (*selectors(expr.lhs), *selectors(expr.rhs))
    elif isinstance(expr, promql_parser.Call):
        for one in expr.args:
            yield from selectors(one)
    elif isinstance(expr, promql_parser.AggregateExpr | promql_parser.ParenExpr | promql_parser.UnaryExpr):
        yield from selectors(expr.expr)
    else:
        assert isinstance(expr, promql_parser.NumberLiteral), expr


def grouped_by(expr: Any) -> Iterator[tuple[str, set[str]]]:
    """Labels by which something is added up or matched, each with the metrics of which it is asked."""
    if isinstance(expr, promql_parser.AggregateExpr) and expr.modifier is not None:
        for label in expr.modifier.labels:
            yield label, {str(one.name) for one in selectors(expr.expr)}
    if isinstance(expr, promql_parser.BinaryExpr) and expr.modifier is not None and expr.modifier.matching is not None:
        for label in expr.modifier.matching.labels:
            yield label, {str(one.name) for one in selectors(expr)}
    for part in ("lhs", "rhs", "expr"):
        if (inner := getattr(expr, part, None)) is not None:
            yield from grouped_by(inner)
    if isinstance(expr, promql_parser.Call):
        for one in expr.args:
            yield from grouped_by(one)


async def fails() -> int:
    raise ValueError("a step that fails")


@asynccontextmanager
async def steps_at_work(shop: Shop, out: Outgoing) -> AsyncIterator[None]:
    """The steps of an engine, and one that fails."""

    async def refresh() -> None:
        await asyncio.sleep(0)

    supervisor = Supervisor(shop.database, shop.clock, shop.channels, refresh)
    supervisor.outgoing, pulse = out, supervisor.pulse
    steps = StepFigures(pulse.failing, pulse.done, pulse.ages_s)
    shop.app.state.engine = replace(shop.app.state.engine, steps=steps)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(supervisor.run()), group.create_task(run_for_ever(Step("fails", fails), pulse))]
        async with asyncio.timeout(60):
            while not (pulse.failing and pulse.done.get("plan", 0)):
                await shop.clock.sleep(0.02)
        yield
        for task in tasks:
            task.cancel()


@pytest.fixture
async def scraped(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Labels]:
    """The metrics of an engine at work, of which everything that may have a figure has one."""
    async with open_shop(dsn) as shop, listening() as receiver, outgoing() as out:
        await shop.name_skus("MUG")
        for name in ("left", "right"):
            (await shop.connect(name)).books[ChannelSku("MUG")] = 0
        await shop.command("receipt", type="receive", sku="MUG", units=50)
        await shop.settle()
        await shop.sweep()
        await shop.settle()
        await shop.order("left", "o-1", MUG=1)
        await shop.settle()
        await measure(shop.database, shop.channels, every_s=0)
        await audit.audit_if_due(shop.database)
        await follow.define(shop.database, follow.wish_from("erp", receiver.url, event_types=(), allows_http=True))
        await tell.tell(shop.database, shop.clock.new_id)
        await with_a_till(shop)
        await shop.client.post("/webhooks/left", content=b"{}")
        await with_questions_at_the_checkout(shop, dsn, monkeypatch)
        async with steps_at_work(shop, out):
            await shop.command("more", type="receive", sku="MUG", units=1)
            text = (await shop.client.get("/metrics")).text
    found: dict[str, Labels] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found | NOT_OURS


async def with_a_till(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        new = catalog.NewChannel(
            Channel("till"), "till", BERLIN, {}, {"webhook_secret": "hush"}, {}, shows_figures=False
        )
        await catalog.add_channel(tx, new)
        await tx.execute("insert into devices (channel, device) values ('till', 'till-1')")


async def with_questions_at_the_checkout(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """eBay asks, and is answered, answered too late, not understood, and not believed."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        stall = Stall(shop, connection)
        stall.open()
        monkeypatch.setattr(checkout, "ANSWER_S_MAX", 60.0)
        statuses = [(await stall.post(body)).status_code for body in (question(1), b"{")]
        statuses.append((await stall.post(question(1), authorization="Basic x")).status_code)
        monkeypatch.setattr(checkout, "ANSWER_S_MAX", 0.0)
        statuses.append((await stall.post(question(1))).status_code)
    assert statuses == [200, 400, 401, 503]
    # No step asks the real one.
    del shop.channels[EBAY]


@pytest.mark.long
@pytest.mark.pg
async def test_rules_and_dashboard_ask_for_what_the_engine_tells(scraped: Mapping[str, Labels]) -> None:
    wrong = []
    for place, text in exprs():
        expr = promql_parser.parse(text)
        for selector in selectors(expr):
            labels = scraped.get(str(selector.name))
            if labels is None:
                wrong.append(f"{place}: no metric {selector.name}")
                continue
            for matcher in selector.matchers.matchers:
                values = labels.get(matcher.name, set())
                is_there = (
                    any(re.fullmatch(matcher.value, value) for value in values)
                    if matcher.op == promql_parser.MatchOp.Re
                    else matcher.value in values
                )
                if not is_there:
                    wrong.append(f"{place}: {selector.name} has {labels}, not {matcher.name}={matcher.value}")
        for label, metrics in grouped_by(expr):
            wrong += [f"{place}: {name} has no label {label}" for name in metrics if label not in scraped.get(name, {})]
    assert wrong == []


@pytest.mark.long
@pytest.mark.pg
async def test_what_a_rule_or_a_panel_says_names_labels_that_there_are(scraped: Mapping[str, Labels]) -> None:
    def labels_of(text: str) -> set[str]:
        names = {str(one.name) for one in selectors(promql_parser.parse(text))}
        return {label for name in names for label in scraped[name]}

    for rule in RULES:
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= labels_of(rule["expr"]), rule["alert"]
    for panel in PANELS:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m").replace("$channel", ".*")
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels_of(text), panel["title"]


def anchors() -> set[str]:
    """The headings of the runbook, as they are linked to."""
    headings = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_where_to_look(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said["summary"]
    assert said["description"]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page, _, anchor = said["runbook_url"].partition("#")
    assert (ROOT / page).samefile(RUNBOOK)
    assert anchor in anchors()
    assert f"| {rule['alert']} |" in RUNBOOK.read_text(encoding="utf-8"), "the runbook's table names it"


def test_the_runbook_names_no_alert_that_is_gone_and_leads_nowhere_wrong() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (Oneshelf\w+) \|", text, re.M)) == {rule["alert"] for rule in RULES}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors()


def test_what_may_cost_money_has_a_rule() -> None:
    asked = " ".join(rule["expr"] for rule in RULES)
    for metric in (
        *("units_short", "exposure_guarded_units", "zeros_failing", "audit_violations", "channel_held_seconds"),
        *("poll_late", "channel_blind", "inbox_oldest_seconds", "facts_oldest_seconds", "step_failures"),
        *("drifts_oldest_seconds", "parked_deliveries", "parked_orders", "blind_window_seconds", "database_bytes"),
        "checkout_refused_total",
    ):
        assert f"oneshelf_{metric}" in asked


def test_the_dashboard_takes_any_prometheus_and_lays_no_panel_over_another() -> None:
    assert [row["title"] for row in DASHBOARD["panels"] if row["type"] == "row"] == [
        *("Money now", "Channels", "Queues", "Drift", "Engine")
    ]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert taken.isdisjoint(cells)
        taken |= cells
    used = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert used == {"${datasource}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "channel"}


def test_prometheus_asks_with_a_token_and_loads_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("oneshelf", "/metrics")
    assert job["authorization"] == {"credentials_file": "oneshelf.token"}
    assert [(DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"]] == [True]


def test_promtool_takes_the_rules() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool on PATH; the expressions are read by a parser of PromQL")
    checked = subprocess.run(
        [tool, "check", "rules", DEPLOY / "prometheus" / "alerts.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "oneshelf.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/oneshelf/.venv/bin/oneshelf serve\n" in text
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze on PATH")
    # What it starts has to be there.
    unit = tmp_path / "oneshelf.service"
    unit.write_text(
        text.replace("/opt/oneshelf/.venv/bin/oneshelf serve", f"{Path(sys.executable).with_name('oneshelf')} serve")
    )
    checked = subprocess.run([tool, "verify", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
