"""How much may be sold before anybody hears of it: demand in a blind window, and the units to keep back for it.

Demand D in a window is a negative binomial with mean m = rate x window and variance v x m, where v is measured; with
v = 1 it is a Poisson. Units are base units of a SKU, rates units a second, windows seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from oneshelf.errors import InvariantError

# P(demand elsewhere in the blind window > buffer) and P(demand in the time to switch > threshold), at most.
BUFFER_TARGET = 0.01
THRESHOLD_TARGET = 0.001
# What is believed of a SKU of which nothing is known: one unit a day, as if seen for one day. It is outvoted within
# days, and lets a new listing begin with a threshold of a few units instead of none.
PRIOR_RATE_PER_S = 1 / 86_400
PRIOR_S = 86_400.0
# The last hour, weighed against the rate of the week as if that had been seen for one hour more.
RECENT_PRIOR_S = 3_600.0
# Variance / mean where nothing is known, and the order lines that it takes to outvote it by half.
PRIOR_VARIANCE_FACTOR = 2.0
PRIOR_VARIANCE_LINES = 20
VARIANCE_FACTOR_MAX = 50.0
# Of fewer whole hours the variance says nothing.
HOURS_LEAST = 3

# Below this a negative binomial cannot be told from a Poisson in double precision.
_POISSON_MARGIN = 1e-6
# Probability further below the mean than so many standard deviations is less than what rounding takes away.
_DEVIATIONS = 12.0
# Whatever the demand is like, its quantile at `THRESHOLD_TARGET` is at most so many standard deviations above the mean,
# and one unit (Cantelli: the square root of 1 / target - 1, which is 31.6).
THRESHOLD_DEVIATIONS_MAX = 32.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What is believed of the sales of a SKU, everywhere or at one channel."""

    rate_per_s: float = PRIOR_RATE_PER_S
    variance_factor: float = PRIOR_VARIANCE_FACTOR


@dataclass(frozen=True, slots=True)
class Sold:
    """What was sold: units and order lines of the whole window `observed_s`, and units of the last `recent_s`.

    Of the whole hours before the last one, which is still being counted: `hour_units` and `hour_steps`, the units, and
    the sum of the squared differences from each hour to the next; for the variance.
    """

    units: int
    line_count: int
    hour_units: int
    hour_steps: int
    observed_s: float
    recent_units: int = 0
    recent_s: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Units, and all that they follow from."""

    units: int
    rate_per_s: float
    window_s: float
    variance_factor: float
    target: float


def quantile(*, mean: float, variance_factor: float, target: float) -> int:
    """The smallest b with P(D > b) <= target. Summed exactly from probabilities taken in logarithms.

    `mean` in units, at least 0; `variance_factor` at least 1, less is taken for 1; `target` above 0 and below 1.
    """
    if not (math.isfinite(mean) and mean >= 0 and math.isfinite(variance_factor) and 0 < target < 1):
        raise InvariantError(f"no quantile of demand: mean {mean}, variance factor {variance_factor}, target {target}")
    if mean == 0:
        return 0
    factor = max(1.0, variance_factor)
    units = max(0, math.floor(mean - _DEVIATIONS * (math.sqrt(mean * factor) + 1)))
    # Of what is not summed below `units` nothing is left in double precision.
    remaining, probability = 1.0, math.exp(log_probability(units, mean=mean, variance_factor=factor))
    while (remaining := remaining - probability) > target:
        probability *= _growth(units, mean, factor)
        units += 1
        if probability < 1e-300 and units > mean:
            break
    return units


def log_probability(units: int, *, mean: float, variance_factor: float) -> float:
    """The logarithm of P(D = units), for a mean above 0."""
    excess = variance_factor - 1
    if excess < _POISSON_MARGIN:
        return units * math.log(mean) - mean - math.lgamma(units + 1)
    size = mean / excess
    return (
        math.lgamma(units + size)
        - math.lgamma(size)
        - math.lgamma(units + 1)
        - size * math.log(variance_factor)
        + units * math.log(excess / variance_factor)
    )


def _growth(units: int, mean: float, factor: float) -> float:
    """P(D = units + 1) / P(D = units)."""
    excess = factor - 1
    if excess < _POISSON_MARGIN:
        return mean / (units + 1)
    return (units + mean / excess) / (units + 1) * excess / factor


def buffer_units(*, rate_per_s: float, window_s: float, variance_factor: float, target: float = BUFFER_TARGET) -> Kept:
    """The units to keep back from a listing: the smallest b with P(demand elsewhere in the window > b) <= target."""
    units = quantile(mean=rate_per_s * window_s, variance_factor=variance_factor, target=target)
    return Kept(units, rate_per_s, window_s, variance_factor, target)


def threshold_units(  # all that it follows from
    *,
    rate_per_s: float,
    tau_in_s: float,
    tau_out_s: float,
    round_s: float,
    variance_factor: float,
    target: float = THRESHOLD_TARGET,
) -> Kept:
    """The units at which the pool has to be split: what may be sold until the split is in force.

    Until we hear of the sale (tau in), a write that is in flight and the cut after it (twice tau out), one more call.
    """
    window_s = tau_in_s + 2 * tau_out_s + round_s
    return buffer_units(rate_per_s=rate_per_s, window_s=window_s, variance_factor=variance_factor, target=target)


@lru_cache(maxsize=4096)
def threshold_while_silent(demand: Demand, *, window_s: float, silent_s: float) -> int:
    """The same where nothing is heard of a channel for `silent_s`: as if the window were so much longer.

    Asked for with every sale of a silent while, hence remembered.
    """
    return buffer_units(
        rate_per_s=demand.rate_per_s,
        window_s=window_s + silent_s,
        variance_factor=demand.variance_factor,
        target=THRESHOLD_TARGET,
    ).units


def whole_hours(observed_s: float) -> int:
    """How many hours of a window are over, beside the last one."""
    return max(0, int(observed_s // 3600) - 1)


def demand_from(sold: Sold) -> Demand:
    """The rate and the variance factor that sales speak for, shrunk to what is believed without any.

    The rate is the larger one of the window and of the last hour, so that a launch is believed within the hour and a
    lull only as its sales leave the window. The variance is half the mean square of the steps from hour to hour (von
    Neumann): what days and nights, or a week that grows, differ by is no burst within a window of seconds.
    """
    rate = (sold.units + PRIOR_RATE_PER_S * PRIOR_S) / (max(0.0, sold.observed_s) + PRIOR_S)
    recent = (sold.recent_units + rate * RECENT_PRIOR_S) / (sold.recent_s + RECENT_PRIOR_S)
    hours = whole_hours(sold.observed_s)
    measured, weight = 1.0, sold.line_count / (sold.line_count + PRIOR_VARIANCE_LINES)
    if hours < HOURS_LEAST:
        weight = 0.0
    elif sold.hour_units:
        measured = sold.hour_steps / 2 / (hours - 1) / (sold.hour_units / hours)
    factor = weight * measured + (1 - weight) * PRIOR_VARIANCE_FACTOR
    return Demand(max(rate, recent), min(VARIANCE_FACTOR_MAX, max(1.0, factor)))


def joined(streams: Sequence[tuple[Demand, float]]) -> tuple[float, float]:
    """The mean and the variance factor of independent demands together, each in a window of its own: (units, factor).

    Sums of means and of variances. Channels that sell more at the same moments vary more than this says.
    """
    mean = sum(demand.rate_per_s * window_s for demand, window_s in streams)
    variance = sum(demand.rate_per_s * window_s * demand.variance_factor for demand, window_s in streams)
    return mean, variance / mean if mean else 1.0
