"""`/metrics`, `/healthz`, `/readyz`: what machines ask about the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf.domain.drift import Cause
from oneshelf.storage import (
    alerts,
    audit_positions,
    blind_windows,
    canaries,
    conflicts,
    devices,
    drifts,
    endpoints,
    health,
    low_stocks,
    on_call_views,
    tallies,
    views,
)
from oneshelf.storage.audit_positions import AuditStatus
from oneshelf.storage.migrate import MIGRATIONS, read_migrations
from oneshelf.web import on_call_metrics
from oneshelf.web.engine import engine_of
from oneshelf.web.problems import problem
from oneshelf.web.window_metrics import BlindWindows

_COUNTERS = CollectorRegistry()
WEBHOOKS_REFUSED = Counter(
    "oneshelf_webhooks_refused", "Webhooks without a right signature.", ["channel"], registry=_COUNTERS
)
CHECKOUT_ANSWERS = Counter(
    "oneshelf_checkout_answers",
    "Questions of a channel before a buyer pays, by the answer: available, too_few, not_live, unknown, elsewhere.",
    ["channel", "answer"],
    registry=_COUNTERS,
)
CHECKOUT_REFUSED = Counter(
    "oneshelf_checkout_refused",
    "Calls at the checkout that got no answer: a wrong password, a body that asks nothing, a late database.",
    ["channel", "why"],
    registry=_COUNTERS,
)
CHECKOUT_SECONDS = Histogram(
    "oneshelf_checkout_seconds",
    "How long an answer at the checkout took.",
    ["channel"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
    registry=_COUNTERS,
)
_VERSION = version("oneshelf")
_SCHEMA_VERSION = len(read_migrations(MIGRATIONS))


class _Scrape(Collector):
    """The state of the engine at one scrape, as gauges."""

    def __init__(
        self,
        overview: views.Overview,
        channels: Sequence[views.ChannelHealth],
        audit: AuditStatus,
        own: Sequence[Metric],
    ) -> None:
        self._overview = overview
        self._audit = audit
        self._channels = channels
        self._own = own

    def collect(self) -> Iterable[Metric]:
        overview = self._overview
        figures: dict[str, tuple[str, float]] = {
            "inbox_waiting": ("Deliveries not yet read.", overview.inbox_waiting),
            "facts_waiting": ("Order snapshots not yet posted.", overview.facts_waiting),
            "orders_wanted": ("Orders that a channel told of, still to be asked for.", overview.wanted_orders),
            "parked_deliveries": ("Deliveries that could not be read.", overview.parked_deliveries),
            "parked_orders": ("Orders that could not be posted, or not wholly.", overview.parked_orders),
            "drifts_open": ("Readings that nothing explains, not yet resolved.", overview.drift_count),
            "order_lines_short": ("Order lines and reservations that wait for units.", overview.short_line_count),
            "units_on_hand": ("Units on hand.", overview.units_on_hand),
            "units_available": ("Units free to sell.", overview.units_available),
            "audit_violations": ("Places where the ledger does not balance.", self._audit.violation_count),
            "audit_lag_transactions": ("Transactions begun since the auditor's position.", self._audit.lag),
        }
        if self._audit.age_s is not None:
            figures["audit_age_seconds"] = ("Since the ledger was last audited.", self._audit.age_s)
        for name, (meaning, value) in figures.items():
            yield GaugeMetricFamily(f"oneshelf_{name}", meaning, value=value)
        yield self._by_channel(
            "listings_unverified",
            "Listings whose desired figure no reading has proved.",
            [channel.unverified_count for channel in self._channels],
        )
        yield self._by_channel(
            "oldest_unverified_seconds",
            "How long the longest of them has waited.",
            [channel.oldest_unverified_s or 0.0 for channel in self._channels],
        )
        yield self._by_channel(
            "listings_parked",
            "Listings that their channel refuses.",
            [channel.parked_count for channel in self._channels],
        )
        yield self._by_channel(
            "channel_held_seconds",
            "Since the breaker stopped its writes and asks somebody; 0 where it has not.",
            [channel.held_s or 0.0 for channel in self._channels],
        )
        yield self._by_channel(
            "channel_failing",
            "Failed calls in a row.",
            [channel.fail_streak for channel in self._channels],
        )
        for name, meaning in (
            ("cancellation_rate", "Cancelled, of the orders of the channel's window."),
            ("cancellations_left", "How many more the channel forgives."),
        ):
            ruled = [one for one in self._channels if getattr(one, name) is not None]
            yield self._by_channel(name, meaning, [getattr(one, name) for one in ruled], channels=ruled)
        yield self._by_channel(
            "poll_late",
            "1: the orders of the channel have not been asked for in three turns of the poll, or only just again.",
            [channel.is_stale for channel in self._channels],
        )
        yield from self._own

    def _by_channel(
        self,
        name: str,
        meaning: str,
        values: Sequence[float],
        channels: Sequence[views.ChannelHealth] | None = None,
    ) -> Metric:
        family = GaugeMetricFamily(f"oneshelf_{name}", meaning, labels=["channel"])
        for channel, value in zip(self._channels if channels is None else channels, values, strict=True):
            family.add_metric([channel.channel], value)
        return family


def _of_feeds(channels: Sequence[views.ChannelHealth]) -> list[Metric]:
    """The feed of many figures that each channel works through."""
    age = GaugeMetricFamily("oneshelf_feed_seconds", "How old the feed under way is; 0: none is.", labels=["channel"])
    meaning = "Since it has taken longer than the channel says; 0: it has not."
    stuck = GaugeMetricFamily("oneshelf_feed_stuck_seconds", meaning, labels=["channel"])
    for one in channels:
        age.add_metric([one.channel], one.feed_age_s or 0.0)
        stuck.add_metric([one.channel], one.feed_stuck_s or 0.0)
    return [age, stuck]


def _of_drifts(found: Sequence[drifts.OpenDrifts]) -> list[Metric]:
    """How many are open of each cause, how many of them a person has to decide, and the age of the oldest."""
    counts: dict[str, list[float]] = {cause.value: [0, 0, 0] for cause in Cause}
    counts |= {one.cause: [one.drift_count, one.waiting_count, one.oldest_s] for one in found}
    meanings = (
        ("drifts_open_by_cause", "Open drifts."),
        ("drifts_waiting_for_a_person", "Open drifts about which the engine does nothing more by itself."),
        ("drifts_oldest_seconds", "How long the oldest open drift has been open."),
    )
    families: list[Metric] = []
    for at, (name, meaning) in enumerate(meanings):
        family = GaugeMetricFamily(f"oneshelf_{name}", meaning, labels=["cause"])
        for cause, values in counts.items():
            family.add_metric([cause], values[at])
        families.append(family)
    return families


def _of_conflicts(found: Mapping[str, tuple[int, float]]) -> list[Metric]:
    """By kind; `equivocation` is one document with two contents: an alarm."""
    count = GaugeMetricFamily("oneshelf_conflicts_open", "Conflicts somebody should look at.", labels=["kind"])
    oldest = GaugeMetricFamily("oneshelf_conflicts_oldest_seconds", "Age of the oldest open one.", labels=["kind"])
    for kind in conflicts.KINDS:
        open_count, age_s = found.get(kind, (0, 0.0))
        count.add_metric([kind], open_count)
        oldest.add_metric([kind], age_s)
    return [count, oldest]


def _of_detection(found: Sequence[canaries.Detection]) -> list[Metric]:
    """What canaries measured; a channel where none did has no figure."""
    measured = GaugeMetricFamily(
        "oneshelf_drift_detection_seconds", "How long canaries stayed hidden.", labels=["channel", "act", "quantile"]
    )
    corrected = GaugeMetricFamily(
        "oneshelf_state_change_corrected_seconds",
        "From a move of units to another state until every other listing was proved to show what follows.",
        labels=["channel", "quantile"],
    )
    objective = GaugeMetricFamily(
        "oneshelf_drift_detection_objective_seconds", "What the channel's schedule can promise.", labels=["channel"]
    )
    for one in found:
        for share, value in (("0.5", one.p50_s), ("0.95", one.p95_s)):
            if value is not None:
                measured.add_metric([one.channel, one.act.value, share], value)
        for share, value in (("0.5", one.corrected_p50_s), ("0.95", one.corrected_p95_s)):
            if value is not None:
                corrected.add_metric([one.channel, share], value)
        if one.objective_s is not None and one.act is canaries.Act.EDIT:
            objective.add_metric([one.channel], one.objective_s)
    return [measured, corrected, objective]


def _of_devices(found: Sequence[devices.DeviceRow]) -> list[Metric]:
    """Which devices are silent, and what of their numbers is missing or waits for a person."""
    meanings = {
        "device_silent_seconds": "Since the device told anything.",
        "device_offline": "1: it has told nothing for longer than its heartbeat.",
        "device_missing_numbers": "Numbers that it used and has not told.",
        "device_oldest_gap_seconds": "How long the oldest of them is missing; 0: none is.",
        "device_questions": "Events that move nothing and wait for a person, or for the sale that they void.",
    }
    families = [
        GaugeMetricFamily(f"oneshelf_{name}", said, labels=["channel", "device"]) for name, said in meanings.items()
    ]
    for row in found:
        asked = row.refused_count + row.conflict_count + row.waiting_count
        figures = (row.silent_s, float(row.is_offline), row.missing_count, row.gap_age_s or 0.0, asked)
        for family, value in zip(families, figures, strict=True):
            family.add_metric([row.channel, row.device], value)
    return list(families)


def _of_endpoints(found: Sequence[endpoints.EndpointRow]) -> list[Metric]:
    """What waits for whoever is sent events, for how long, and what failed."""
    meanings = {
        "endpoint_oldest_undelivered_seconds": "How long the oldest event has waited that it has not got; 0: none.",
        "endpoint_waiting_events": "Events that it has not got.",
        "endpoint_given_up_events": "Events that it refused ten times, in three days.",
        "endpoint_failed_attempts": "Attempts that it did not take, since it was added.",
        "endpoint_delivered_events": "Events that it took, since it was added.",
        "endpoint_disabled": "1: it is not called any more, as it is gone or has failed for days. 0 also where paused.",
    }
    families = [GaugeMetricFamily(f"oneshelf_{name}", said, labels=["endpoint"]) for name, said in meanings.items()]
    for row in found:
        figures = (
            row.oldest_s or 0.0,
            row.waiting_count,
            row.given_up_count,
            row.failed_count,
            row.delivered_count,
            float(row.is_disabled),
        )
        for family, value in zip(families, figures, strict=True):
            family.add_metric([row.endpoint], value)
    return list(families)


async def metrics(request: Request) -> Response:
    """All metrics, computed now; what reads a large catalogue is of its last count, see `storage.tallies`."""
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        await views.freeze(tx)
        tally = await tallies.read(tx)
        channels = await views.channel_rows(tx, tally=tally)
        overview = await views.overview(tx, tally=tally)
        audit = await audit_positions.status(tx)
        own = _of_endpoints(await endpoints.listed(tx))
        own += [*_of_drifts(await drifts.open_by_cause(tx)), *_of_detection(await canaries.detections(tx))]
        own += [*_of_conflicts(await conflicts.open_by_kind(tx)), *_of_devices(await devices.listed(tx))]
        own += _of_feeds(channels)
        reckoned, windows = await blind_windows.reckoned(tx), await blind_windows.windows(tx)
        own += on_call_metrics.of_channels(channels, tally, reckoned)
        own += on_call_metrics.of_money(
            overview,
            tally.exposure,
            shared_too_much=await on_call_views.shared_too_much(tx),
            low_count=await low_stocks.count(tx),
        )
        own.append(on_call_metrics.of_alerts(await alerts.open_by_kind(tx)))
        own += on_call_metrics.of_database(await on_call_views.size(tx))
    own += on_call_metrics.of_queues(overview)
    own += on_call_metrics.of_steps(engine.steps.failing, engine.steps.done, engine.steps.ages_s())
    own.append(on_call_metrics.of_engine(_VERSION))
    registry = CollectorRegistry()
    registry.register(_Scrape(overview, channels, audit, own))
    registry.register(BlindWindows(reckoned, windows))
    return Response(generate_latest(registry) + generate_latest(_COUNTERS), media_type=CONTENT_TYPE_LATEST)


async def healthz(_request: Request) -> Response:
    """The loop turns."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request) -> Response:
    """The database answers and has the tables that this code knows."""
    async with engine_of(request).database.transaction() as tx:
        migration = await health.schema_version(tx)
    if migration != _SCHEMA_VERSION:
        detail = (
            f"the database is at migration {migration}, this oneshelf knows {_SCHEMA_VERSION}: run oneshelf migrate"
        )
        return problem(503, detail, kind="unready", headers={"Retry-After": "5"})
    return JSONResponse({"status": "ready", "migration": migration})


ROUTES = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
