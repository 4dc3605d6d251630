"""The demo's report: what was promised, what was counted, and whether it is the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from oneshelf.demo.scene import Balance, Scene
from oneshelf.flow.audit import audit
from oneshelf.storage import reports, views
from oneshelf.storage.database import Database

NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run proved. `problems`: one plain sentence each; none means that all is well."""

    seed: int
    seconds: float
    speed: float
    sku_count: int
    mode: str
    orders_placed: int
    orders_posted: int
    placed_by_channel: dict[str, int]
    orders_missing: tuple[str, ...]
    orders_doubled: tuple[str, ...]
    buyers_turned_away: int
    units_short_at_end: int
    units_short_peak: int
    drifts: tuple[dict[str, Any], ...]
    faults_hit: dict[str, dict[str, int]]
    listings: int
    listings_verified: int
    unverified: tuple[str, ...]
    parked: tuple[str, ...]
    feeds: tuple[dict[str, Any], ...]
    latency: tuple[dict[str, Any], ...]
    orders_per_s: float
    movements: int
    ledger_violations: tuple[str, ...]
    engine_restarts: int
    dashboard_s: float | None
    first_figure_s: float | None
    verified_once_s: float | None
    settle_s: float
    problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.problems else 0

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {"is_good": not self.problems, **asdict(self)}


async def written(database: Database, scene: Scene, balance: Balance, *, shopped_s: float, settle_s: float) -> Report:
    """The report of a run that has ended."""
    audited = await audit(database)
    async with database.transaction() as tx:
        overview = await views.overview(tx)
        latencies = await reports.latencies(tx)
        drifts = await reports.drift_counts(tx)
        handed_over = await reports.feeds(tx)
    orders, options = balance.orders, scene.plan.options
    violations = tuple(f"{found.rule}: {found.where}: {found.figures}" for found in audited.violations)
    return Report(
        seed=options.seed,
        seconds=round(shopped_s, 1),
        speed=options.speed,
        sku_count=options.sku_count,
        mode=options.mode.value,
        orders_placed=orders.placed_count,
        orders_posted=orders.posted_count,
        placed_by_channel={kind: len(shop.orders) for kind, shop in scene.books.items()},
        orders_missing=orders.missing,
        orders_doubled=orders.doubled,
        buyers_turned_away=sum(shop.turned_away for shop in scene.books.values()),
        units_short_at_end=overview.short_units,
        units_short_peak=max(scene.short_peak, overview.short_units),
        drifts=tuple(row._asdict() for row in drifts),
        faults_hit={kind: dict(sorted(shop.faults_hit.items())) for kind, shop in scene.books.items()},
        listings=balance.listing_count,
        listings_verified=balance.listing_count - len(balance.unverified) - len(balance.parked),
        unverified=balance.unverified,
        parked=balance.parked,
        feeds=tuple(_rounded(row) for row in handed_over),
        latency=tuple(_rounded(row) for row in latencies),
        orders_per_s=round(orders.posted_count / shopped_s, 2) if shopped_s else 0.0,
        movements=audited.movement_count,
        ledger_violations=violations,
        engine_restarts=scene.restart_count,
        dashboard_s=_short(scene.dashboard_s),
        first_figure_s=_short(scene.first_figure_s),
        verified_once_s=_short(scene.verified_once_s),
        settle_s=round(settle_s, 1),
        problems=_problems(scene, balance, violations),
    )


def _problems(scene: Scene, balance: Balance, violations: tuple[str, ...]) -> tuple[str, ...]:
    orders = balance.orders
    said = []
    if scene.verified_once_s is None:
        said.append("The listings were not all verified once, so nobody went shopping.")
    if orders.missing:
        said.append(f"{len(orders.missing)} orders are missing in the ledger: {_named(orders.missing)}.")
    if orders.doubled:
        said.append(f"{len(orders.doubled)} orders are counted more than once: {_named(orders.doubled)}.")
    if violations:
        said.append(f"The ledger does not balance: {_named(violations)}.")
    if balance.unverified:
        said.append(
            f"{len(balance.unverified)} listings are not verified although the shoppers have stopped: "
            f"{_named(balance.unverified)}."
        )
    if any(balance.waiting) and not said:
        said.append(f"Work is left over: {balance.waiting}.")
    return tuple(said)


def _named(names: tuple[str, ...]) -> str:
    rest = len(names) - NAMED_MAX
    return "; ".join(names[:NAMED_MAX]) + (f"; and {rest} more" if rest > 0 else "")


def _rounded(row: reports.Latency | reports.FeedCount) -> dict[str, Any]:
    return {name: _short(value) if name.endswith("_s") else value for name, value in row._asdict().items()}


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
