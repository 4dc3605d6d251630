"""Units that are kept back follow from demand in the blind window, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.demand import (
    PRIOR_VARIANCE_FACTOR,
    Demand,
    Sold,
    buffer_units,
    demand_from,
    joined,
    log_probability,
    quantile,
    threshold_units,
)
from oneshelf.errors import InvariantError

TARGETS = (0.05, 0.01, 0.001)
# mean -> per variance factor 1, 2, 4: the units for 5 %, 1 % and 0.1 %. Computed elsewhere.
BY_MEAN = {
    0.1: ((1, 1, 2), (1, 2, 5), (0, 3, 8)),
    0.5: ((2, 3, 4), (2, 5, 8), (3, 7, 13)),
    1.0: ((3, 4, 5), (4, 6, 9), (5, 9, 16)),
    5.0: ((9, 11, 13), (11, 14, 19), (14, 20, 29)),
    20.0: ((28, 31, 35), (31, 37, 44), (36, 46, 58)),
}
# window in seconds -> for 1, 10, 60, 300 units an hour: the units for 1 % and 0.1 %, variance factor 2.
BY_WINDOW = {
    7: ((0, 1), (1, 3), (2, 5), (5, 8)),
    65: ((1, 3), (3, 6), (6, 10), (15, 20)),
    305: ((2, 5), (6, 9), (15, 19), (44, 52)),
    960: ((3, 6), (10, 14), (31, 38), (112, 123)),
    4500: ((7, 10), (26, 32), (106, 117), (441, 464)),
}


def by_brute_force(mean: float, variance_factor: float, target: float) -> int:
    """From the definition, every probability by itself and from the top down: P(D > b) as a sum, not a difference."""
    top = int(mean + 60 * math.sqrt(mean * variance_factor) + 60 * variance_factor + 50)
    tail = 0.0
    for units in range(top, -1, -1):
        tail += math.exp(log_probability(units, mean=mean, variance_factor=variance_factor))
        if tail > target:
            return units
    return 0


@pytest.mark.parametrize("mean", BY_MEAN)
def test_units_by_mean_are_those_of_the_table(mean: float) -> None:
    found = tuple(
        tuple(quantile(mean=mean, variance_factor=factor, target=target) for target in TARGETS) for factor in (1, 2, 4)
    )
    assert found == BY_MEAN[mean]


@pytest.mark.parametrize("window_s", BY_WINDOW)
def test_units_by_window_are_those_of_the_table(window_s: int) -> None:
    found = tuple(
        tuple(
            buffer_units(rate_per_s=hourly / 3600, window_s=window_s, variance_factor=2, target=target).units
            for target in TARGETS[1:]
        )
        for hourly in (1, 10, 60, 300)
    )
    assert found == BY_WINDOW[window_s]


@given(
    mean=st.floats(0.001, 300), factor=st.floats(1, 20), target=st.sampled_from((0.2, 0.05, 0.01, 0.001, 0.0001, 1e-6))
)
def test_a_quantile_is_what_the_sum_of_all_probabilities_says(mean: float, factor: float, target: float) -> None:
    assert quantile(mean=mean, variance_factor=factor, target=target) == by_brute_force(mean, factor, target)


@given(mean=st.floats(0.01, 50), factor=st.floats(1.01, 10))
def test_the_probabilities_have_the_mean_and_the_variance_they_were_asked_for(mean: float, factor: float) -> None:
    top = int(mean + 60 * math.sqrt(mean * factor) + 60 * factor + 50)
    weights = [math.exp(log_probability(units, mean=mean, variance_factor=factor)) for units in range(top)]
    found = sum(units * weight for units, weight in enumerate(weights))
    variance = sum((units - found) ** 2 * weight for units, weight in enumerate(weights))
    assert sum(weights) == pytest.approx(1, abs=1e-9)
    assert found == pytest.approx(mean, rel=1e-6)
    assert variance == pytest.approx(mean * factor, rel=1e-6)


def test_a_million_units_in_a_window_are_summed_from_near_the_mean() -> None:
    units = quantile(mean=1_000_000, variance_factor=4, target=0.001)
    # A normal is right to a few units out there: mean + 3.0902 standard deviations of 2,000.
    assert units == pytest.approx(1_006_180, abs=30)


@pytest.mark.parametrize(
    ("mean", "factor", "target"), [(-1.0, 1.0, 0.01), (math.nan, 1.0, 0.01), (1.0, math.inf, 0.01), (1.0, 1.0, 0.0)]
)
def test_what_is_no_demand_is_refused(mean: float, factor: float, target: float) -> None:
    with pytest.raises(InvariantError):
        quantile(mean=mean, variance_factor=factor, target=target)


def test_nothing_sells_nothing_is_kept() -> None:
    assert quantile(mean=0, variance_factor=3, target=0.001) == 0


def test_the_reasons_come_with_the_units() -> None:
    kept = threshold_units(rate_per_s=10 / 3600, tau_in_s=60, tau_out_s=5, round_s=2, variance_factor=2)
    assert kept.window_s == 72
    assert kept.rate_per_s * kept.window_s == pytest.approx(0.2)
    assert kept.target == 0.001
    assert kept.units == by_brute_force(0.2, 2, 0.001)


# What sales speak for ----------------------------------------------------------------------------------------------


WEEK_S = 7 * 86_400.0


HOURS = 167


def sold(units: int, **other: float) -> Sold:
    lines, steps, recent = (
        int(other.get(name, default)) for name, default in (("lines", units), ("steps", units), ("recent", 0))
    )
    return Sold(units, lines, units - recent, steps, WEEK_S, recent)


def of_hours(units: Sequence[int]) -> Sold:
    """A week that sold this in each whole hour."""
    steps = sum((one - other) ** 2 for one, other in pairwise(units))
    return Sold(sum(units), sum(units), sum(units), steps, WEEK_S)


def test_of_a_sku_without_sales_the_prior_is_believed_and_fades_with_the_time_it_was_watched() -> None:
    fresh = demand_from(Sold(0, 0, 0, 0, observed_s=0))
    assert fresh == Demand()
    assert demand_from(sold(0)).rate_per_s == pytest.approx(1 / (8 * 86_400))


def test_many_sales_outvote_the_prior() -> None:
    found = demand_from(sold(16_700, steps=2 * (HOURS - 1) * 100))
    assert found.rate_per_s == pytest.approx(16_700 / WEEK_S, rel=0.15)
    assert found.variance_factor == pytest.approx(1, rel=0.01)


def test_a_launch_is_believed_within_the_hour_and_a_lull_is_not() -> None:
    slow = demand_from(sold(7)).rate_per_s
    assert demand_from(sold(67, recent=60)).rate_per_s > 20 * slow
    assert demand_from(sold(7, recent=0)).rate_per_s == slow


def test_sales_in_bursts_vary_more_and_few_sales_say_little_of_it() -> None:
    evenly, in_bursts = demand_from(sold(200, steps=500)), demand_from(sold(200, lines=200, steps=16_000))
    assert evenly.variance_factor < PRIOR_VARIANCE_FACTOR < in_bursts.variance_factor
    once = demand_from(sold(100, lines=1, steps=20_000))
    assert once.variance_factor < 10, "one order of a hundred is no habit"


def test_days_and_nights_are_no_bursts_and_orders_of_a_dozen_are() -> None:
    random = Random(1)
    of_the_clock = [100 + 80 * math.sin(hour * math.pi / 12) for hour in range(HOURS)]
    alone = of_hours([round(random.gauss(mean, math.sqrt(mean))) for mean in of_the_clock])
    by_dozens = of_hours([12 * round(max(0, random.gauss(mean / 12, math.sqrt(mean / 12)))) for mean in of_the_clock])
    assert demand_from(alone).variance_factor < 5
    assert demand_from(by_dozens).variance_factor == pytest.approx(12, rel=0.35)


def test_of_the_first_hours_the_prior_is_believed() -> None:
    first = demand_from(Sold(500, 500, 400, 90_000, observed_s=2.5 * 3_600))
    assert first.variance_factor == PRIOR_VARIANCE_FACTOR


def test_demands_of_channels_add_up_each_in_its_own_window() -> None:
    mean, factor = joined([(Demand(0.01, 1.0), 100), (Demand(0.02, 4.0), 50)])
    assert (mean, factor) == pytest.approx((2.0, 2.5))
    assert joined([]) == (0, 1)
