"""What a person sees while the demo runs: a live table on a terminal, else plain lines."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from oneshelf.clock import Clock
from oneshelf.demo.report import Report
from oneshelf.demo.scene import Scene

LINE_EVERY_S = 5.0


class Screen:
    """Draws a scene. With JSON wanted, all of it goes to standard error: standard output is for the document."""

    def __init__(self, scene: Scene, clock: Clock) -> None:
        options = scene.plan.options
        self.console = Console(stderr=options.as_json, highlight=False)
        self._scene = scene
        self._clock = clock
        self._last_line_at = float("-inf")
        is_live = self.console.is_terminal and not (options.is_quiet or options.as_json)
        self._live = Live(console=self.console, auto_refresh=False, screen=False) if is_live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self) -> None:
        """Show the scene as it is now."""
        if self._live is not None:
            self._scene.news.clear()
            self._live.update(self._frame(), refresh=True)
            return
        for at, words in self._scene.news:
            self.console.print(f"{at:7.1f} s  {words}", soft_wrap=True, markup=False)
        self._scene.news.clear()
        if self._clock.monotonic() - self._last_line_at >= LINE_EVERY_S and self._scene.channels:
            self._last_line_at = self._clock.monotonic()
            self.console.print(f"{self._elapsed_s():7.1f} s  {self._line()}", soft_wrap=True, markup=False)

    def end(self, report: Report) -> None:
        """The report, after everything."""
        self.draw()
        self.console.print(report_panel(report))

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._scene.began_at

    def _line(self) -> str:
        scene = self._scene
        short = scene.overview.short_units if scene.overview else 0
        return (
            f"{scene.title}: {scene.placed_count} orders placed, {scene.posted_count} posted, "
            f"{scene.verified_count} of {scene.listing_count} listings verified, {short} units short"
        )

    def _frame(self) -> Group:
        scene, options = self._scene, self._scene.plan.options
        head = (
            f"[bold]{scene.address}[/]  {scene.title}  {self._elapsed_s():.0f} s  seed {options.seed}\n"
            f"The channels' limits and delays run {options.speed:g} times as fast as the real ones.\n{self._line()}"
        )
        events = "\n".join(f"{at:6.1f} s  {escape(words)}" for at, words in scene.events) or "nothing yet"
        return Group(
            Panel(head, title="oneshelf demo"), self._channels(), self._hot(), Panel(events, title="last events")
        )

    def _channels(self) -> Table:
        table = _table("channel", "verified", "oldest unproven", "orders read", "faults hit")
        for row in self._scene.channels:
            books = self._scene.books.get(row.kind)
            faults = ", ".join(f"{name} {count}" for name, count in sorted(books.faults_hit.items())) if books else ""
            table.add_row(
                row.channel,
                f"{row.verified_count}/{row.listing_count}",
                _age(row.oldest_unverified_s),
                _age(row.poll_age_s),
                faults,
            )
        return table

    def _hot(self) -> Table:
        names = [row.channel for row in self._scene.channels]
        table = _table("SKU", "", "on hand", "available", *(f"{name}: should / proved" for name in names))
        for sku, listings in self._scene.hot:
            shown = {row.channel: row for row in listings}
            cells = []
            for name in names:
                row = shown.get(name)
                cells.append(f"{row.desired_units} / {row.verified_units}  {_age(row.unverified_s)}" if row else "-")
            table.add_row(sku.sku, escape(sku.title), str(sku.on_hand), str(sku.available), *cells)
        return table


def report_panel(report: Report) -> Panel:
    """The report for a person."""
    table = Table.grid(padding=(0, 2))
    for name, words in _rows(report):
        table.add_row(f"[bold]{name}[/]", escape(words))
    parked = " or parked in the channel's own words" if report.parked else ""
    verdict = f"[green]every sale counted once, every listing verified{parked}[/]"
    if report.problems:
        verdict = "[red]" + "\n".join(escape(problem) for problem in report.problems) + "[/]"
    return Panel(Group(table, "", verdict), title=f"oneshelf demo, seed {report.seed}, {report.seconds:g} s")


def _rows(report: Report) -> list[tuple[str, str]]:
    drifts = [
        f"{row['resolved_count']} of {row['opened_count']} {row['cause']} ({row['resolution'] or 'open'})"
        for row in report.drifts
    ]
    faults = [
        f"{kind}: " + (", ".join(f"{name} {count}" for name, count in hits.items()) or "none")
        for kind, hits in report.faults_hit.items()
    ]
    proof = [
        f"{row['channel'] or 'all'}: p50 {row['p50_s']} s, p95 {row['p95_s']} s, p99 {row['p99_s']} s "
        f"({row['sale_count']} sales, {row['unproven_count']} unproven)"
        for row in report.latency
    ]
    feeds = [
        f"{row['channel']}: {row['write_count']} figures, "
        + ("worked through" if row["has_ended"] else f"{row['words']}; {row['left_count']} of them wait for it")
        + (f"; stuck after {row['stuck_after_s']} s, then written one by one" if row["stuck_after_s"] else "")
        for row in report.feeds
    ]
    placed = ", ".join(f"{kind} {count}" for kind, count in report.placed_by_channel.items())
    return [
        ("orders", f"{report.orders_placed} placed, {report.orders_posted} posted, {report.orders_per_s} a second"),
        ("of these", placed),
        ("missing, double", f"{len(report.orders_missing)}, {len(report.orders_doubled)}"),
        (
            "oversold",
            f"{report.units_short_at_end} units at the end, {report.units_short_peak} at the worst moment; "
            f"SKUs are {report.mode}",
        ),
        ("turned away", f"{report.buyers_turned_away} buyers found too few"),
        (
            "listings",
            f"{report.listings_verified} of {report.listings} verified, {report.settle_s} s after the last sale",
        ),
        ("parked", "\n".join(report.parked) or "none"),
        ("feeds", "\n".join(feeds) or "none"),
        ("drifts resolved", "; ".join(drifts) or "none opened"),
        ("faults hit", "; ".join(faults)),
        ("sale to proof", "\n".join(proof) or "no sale"),
        ("ledger", f"{report.movements} movements, {len(report.ledger_violations)} violations"),
        ("engine restarts", str(report.engine_restarts)),
        (
            "ready",
            f"dashboard {report.dashboard_s} s, first figure {report.first_figure_s} s, "
            f"all listings verified {report.verified_once_s} s after the start",
        ),
    ]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for column in columns:
        table.add_column(column)
    return table


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
