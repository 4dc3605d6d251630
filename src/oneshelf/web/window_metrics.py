"""Blind windows and objectives for `/metrics`, as they were last measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from oneshelf.domain.blind_window import budget_left
from oneshelf.storage.blind_windows import WEEK_S, ChannelWindow, Window


class BlindWindows(Collector):
    """What is measured of each channel, as gauges: the last week, as the engine reckons with it."""

    def __init__(self, reckoned: Sequence[ChannelWindow], windows: Sequence[Window]) -> None:
        self._reckoned = reckoned
        self._windows = [one for one in windows if one.window_s == WEEK_S]

    def collect(self) -> Iterable[Metric]:
        way = GaugeMetricFamily(
            "oneshelf_blind_window_seconds",
            "Time that a part of the way from a sale to its proof takes, last 7 days.",
            labels=["channel", "part", "quantile"],
        )
        samples = GaugeMetricFamily(
            "oneshelf_blind_window_samples", "Samples of that part, last 7 days.", labels=["channel", "part"]
        )
        for one in self._windows:
            samples.add_metric([one.channel, one.part], one.sample_count)
            for quantile, seconds in (("0.5", one.p50_s), ("0.95", one.p95_s), ("0.99", one.p99_s)):
                way.add_metric([one.channel, one.part, quantile], seconds)
        yield way
        yield samples
        tau = GaugeMetricFamily(
            "oneshelf_tau_seconds", "The blind window that the engine reckons with.", labels=["channel", "way"]
        )
        left = GaugeMetricFamily(
            "oneshelf_objective_budget_left",
            "Share of the misses that the objective allows which is left; below 0 it is missed.",
            labels=["channel"],
        )
        stale = GaugeMetricFamily(
            "oneshelf_listings_not_proved_in_time",
            "Live listings whose last proof is older than the time in which a drift is to be found.",
            labels=["channel"],
        )
        for channel in self._reckoned:
            tau.add_metric([channel.channel, "in"], channel.tau_in_s)
            tau.add_metric([channel.channel, "out"], channel.tau_out_s)
            stale.add_metric([channel.channel], channel.listing_count - channel.fresh_count)
            share = budget_left(channel.share, count=channel.sale_count, met_count=channel.seen_count)
            if share is not None:
                left.add_metric([channel.channel], share)
        yield from (tau, left, stale)
