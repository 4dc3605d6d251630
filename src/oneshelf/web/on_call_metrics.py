"""What whoever is on call looks at, for `/metrics`: money, age and queues, by channel and by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from oneshelf.storage.blind_windows import ChannelWindow
from oneshelf.storage.home_views import Exposure
from oneshelf.storage.on_call_views import Size
from oneshelf.storage.tallies import Tally
from oneshelf.storage.views import ChannelHealth, Overview

_PREFIX = "oneshelf_"


def of_money(overview: Overview, exposure: Exposure, *, shared_too_much: int, low_count: int) -> list[Metric]:
    """What is oversold, what could be, and what runs out."""
    return _gauges(
        {
            "units_short": ("Units that were sold and are not there.", overview.short_units),
            "short_oldest_seconds": ("How long the longest of them has waited; 0: none.", overview.short_oldest_s),
            "exposure_units": ("Units that could be sold twice now, at worst.", exposure.units),
            "exposure_places": ("SKUs at a location of which some could.", exposure.place_count),
            "exposure_unknown_places": ("Those with a listing that was never read.", exposure.unknown_count),
            "exposure_guarded_units": ("Units beyond what is there, of SKUs that share theirs.", shared_too_much),
            "skus_low": ("SKUs at or below their reorder point.", low_count),
        }
    )


def of_queues(overview: Overview) -> list[Metric]:
    """How long the oldest of each queue has waited."""
    return _gauges(
        {
            "inbox_oldest_seconds": ("Age of the oldest delivery not yet read; 0: none.", overview.inbox_oldest_s),
            "facts_oldest_seconds": ("Age of the oldest snapshot not yet posted; 0: none.", overview.facts_oldest_s),
            "orders_wanted_oldest_seconds": (
                "Age of the oldest order still to be asked for; 0: none.",
                overview.wanted_oldest_s,
            ),
        }
    )


def of_database(size: Size) -> list[Metric]:
    """How large it is, and how near its bounds."""
    return _gauges(
        {
            "database_bytes": ("Size of the database.", size.byte_count),
            "database_connections": ("Connections to it, of all programs.", size.connections),
            "database_connections_max": ("What its server allows to all databases.", size.connections_max),
        }
    )


def of_channels(channels: Sequence[ChannelHealth], tally: Tally, windows: Sequence[ChannelWindow]) -> list[Metric]:
    """Whether it is live, how old what we know of it is, and what its listings may sell. What never was has no age."""
    families: list[Metric] = []
    figures: Mapping[str, tuple[str, Mapping[str, float | None]]] = {
        "channel_live": ("1: its listings are written.", {one.channel: one.mode == "live" for one in channels}),
        "poll_age_seconds": (
            "Since its orders were last asked for.",
            {one.channel: one.poll_age_s for one in channels},
        ),
        "sweep_age_seconds": ("Since its listings were last read.", {one.channel: one.sweep_age_s for one in channels}),
        "covered_age_seconds": (
            "Since the instant up to which all its orders are known.",
            {one.channel: one.covered_age_s for one in channels},
        ),
        "drifts_open_by_channel": ("Open drifts.", {one.channel: one.drift_count for one in channels}),
        "listings": ("Listings.", {one.channel: one.listing_count for one in channels}),
        "listings_verified": (
            "Listings proved to show their figure.",
            {one.channel: one.verified_count for one in channels},
        ),
        "listings_held": (
            "Listings that are not written: not live, not signed off, or held.",
            {one.channel: one.held_count for one in channels},
        ),
        "listings_unlinked": (
            "Listings of which nobody said which SKU they sell.",
            {one.channel: one.unlinked_count for one in channels},
        ),
        "rights_units": (
            "Units of SKUs that its listings may still sell; of a bundle, bundles.",
            {one.channel: tally.figure(one.channel, "rights_units") for one in channels},
        ),
        "zeros_failing": (
            "Listings that are to show 0 and may still sell.",
            {one.channel: tally.figure(one.channel, "zeros_failing") for one in channels},
        ),
        "channel_blind": (
            "1: it is live, and poll_late.",
            {one.channel: one.mode == "live" and one.is_stale for one in channels},
        ),
        "objective_seconds": (
            "In which a sale is to be proved on all other listings.",
            {one.channel: one.seen_s for one in windows},
        ),
    }
    for name, (meaning, by_channel) in figures.items():
        family = GaugeMetricFamily(_PREFIX + name, meaning, labels=["channel"])
        for channel, value in by_channel.items():
            if value is not None:
                family.add_metric([channel], float(value))
        families.append(family)
    return families


def of_steps(failing: Mapping[str, int], done: Mapping[str, int], ended_s: Mapping[str, float]) -> list[Metric]:
    """The steps of this process: what they did, since when they are not done, and those that fail; none is the rule."""
    failures = GaugeMetricFamily(
        "oneshelf_step_failures", "Failures in a row, not of its surroundings.", labels=["step"]
    )
    work = CounterMetricFamily("oneshelf_step_work", "What it did: rows, listings, events.", labels=["step"])
    age = GaugeMetricFamily(
        "oneshelf_step_age_seconds", "Since it last came to its end without a failure.", labels=["step"]
    )
    for family, figures in ((failures, failing), (work, done), (age, ended_s)):
        for step, value in sorted(figures.items()):
            family.add_metric([step], value)
    return [failures, work, age]


def of_alerts(open_by_kind: Mapping[str, int]) -> Metric:
    """What the engine itself tells people of."""
    family = GaugeMetricFamily("oneshelf_alerts_open", "Alerts that are open.", labels=["kind"])
    for kind, count in open_by_kind.items():
        family.add_metric([kind], count)
    return family


def of_engine(version: str) -> Metric:
    """Which engine this is."""
    return InfoMetricFamily("oneshelf_engine", "This engine.", value={"version": version})


def _gauges(figures: Mapping[str, tuple[str, float | None]]) -> list[Metric]:
    return [
        GaugeMetricFamily(_PREFIX + name, meaning, value=value or 0.0) for name, (meaning, value) in figures.items()
    ]
