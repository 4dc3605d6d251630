"""The blind window of a channel: from a sale at one channel until another one verifiably shows what it leaves.

tau in is the time from an order placed to its units posted, tau out from a figure decided to its proof; each is the p99
of the last week. Seconds throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.demand import (
    BUFFER_TARGET,
    THRESHOLD_TARGET,
    Demand,
    Kept,
    buffer_units,
    joined,
    threshold_units,
)
from oneshelf.domain.identity import Channel

# A p99 of fewer samples is the largest of them, and says little.
SAMPLES_MIN = 100
# What one call to a channel takes where none has been measured.
ROUND_S = 2.0
# The objective where nobody has set one.
SHARE = 0.99
# A channel whose orders have not been asked for in so many turns of the poll is silent; from then on, silence is
# reckoned in steps, each of them longer by half.
SILENT_TURNS = 3
SILENCE_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """The p99 of a part and how many samples it is of."""

    p99_s: float = 0.0
    sample_count: int = 0


@dataclass(frozen=True, slots=True)
class Declared:
    """What the connector says of its kind. `is_blind`: a write may bury a sale of the channel itself."""

    orders_lag_s: float
    poll_orders_s: float
    apply_s: float
    sweep_stock_s: float
    is_blind: bool

    @property
    def tau_in_s(self) -> float:
        """As if every webhook were lost: a poll finds the order."""
        return self.orders_lag_s + self.poll_orders_s

    @property
    def tau_out_s(self) -> float:
        """As if every write took all the time it has."""
        return self.apply_s


@dataclass(frozen=True, slots=True)
class BlindWindow:
    """How long a channel's sales stay unseen by us, and our figures unseen there."""

    tau_in_s: float
    tau_out_s: float
    round_s: float = ROUND_S
    is_in_measured: bool = False
    is_out_measured: bool = False
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Objective:
    """So large a share of a channel's sales is to be proved at all other listings within `seen_s`, and so large a
    share of its listings to be proved anew every `detect_s`, so that a drift is found by then."""

    share: float
    seen_s: float
    detect_s: float


def reckoned(ingested: Measured, proved: Measured, answered: Measured, declared: Declared) -> BlindWindow:
    """What the engine reckons with. Few samples only ever lengthen what the connector declares."""
    tau_in_s, is_in_measured = _tau(ingested, declared.tau_in_s)
    tau_out_s, is_out_measured = _tau(proved, declared.tau_out_s)
    round_s, _ = _tau(answered, ROUND_S)
    return BlindWindow(tau_in_s, tau_out_s, round_s, is_in_measured, is_out_measured, declared.is_blind)


def _tau(measured: Measured, declared_s: float) -> tuple[float, bool]:
    if measured.sample_count >= SAMPLES_MIN:
        return measured.p99_s, True
    return max(measured.p99_s, declared_s), False


def default_objective(declared: Declared, *, slowest_out_s: float) -> Objective:
    """What the documented limits allow: the sale found by a poll, the slowest other channel's write proved.

    A drift is found by the second sweep at the latest. `slowest_out_s`: the largest declared tau out of all channels.
    """
    return Objective(SHARE, declared.tau_in_s + slowest_out_s, 2 * declared.sweep_stock_s)


def budget_left(objective_share: float, *, count: int, met_count: int) -> float | None:
    """The share of the misses that the objective allows which is still left: 1 is all, below 0 it is missed.

    None where there is nothing to judge.
    """
    if count <= 0:
        return None
    return 1 - (count - met_count) / ((1 - objective_share) * count)


def silence_s(*, unheard_s: float, every_s: float) -> float:
    """The silence of a channel to reckon with: `unheard_s` rounded up to the end of its step, 0 while it is not silent.

    In steps, so that only at their ends it is asked anew which SKUs could run out. `every_s`: of the poll, above 0.
    """
    step_s = SILENT_TURNS * every_s
    if unheard_s < step_s:
        return 0.0
    while step_s <= unheard_s:
        step_s *= SILENCE_GROWTH
    return step_s


def buffer_for(
    channel: Channel,
    windows: Mapping[Channel, BlindWindow],
    demands: Mapping[Channel, Demand],
    *,
    target: float = BUFFER_TARGET,
) -> Kept:
    """The units to keep back from a listing at `channel`, for what is sold elsewhere before it shows that.

    A sale at another channel is blind for that one's tau in and this one's tau out. Where writes are blind, a sale at
    this channel may be buried by one, and counts too. `demands`: of the channels that list the SKU.
    """
    here = windows[channel]
    streams = [
        (demand, windows[other].tau_in_s + here.tau_out_s)
        for other, demand in demands.items()
        if other != channel or here.is_blind
    ]
    mean, factor = joined(streams)
    rate = sum(demand.rate_per_s for demand, _ in streams)
    return buffer_units(rate_per_s=rate, window_s=mean / rate if rate else 0.0, variance_factor=factor, target=target)


def threshold_for(windows: Mapping[Channel, BlindWindow], total: Demand, *, target: float = THRESHOLD_TARGET) -> Kept:
    """The units at which the pool has to be split among these channels: what may be sold until the split is in force.

    The slowest of each: until a sale is known, the write in flight and the cut after it, and one more call.
    """
    return threshold_units(
        rate_per_s=total.rate_per_s,
        tau_in_s=max((one.tau_in_s for one in windows.values()), default=0.0),
        tau_out_s=max((one.tau_out_s for one in windows.values()), default=0.0),
        round_s=max((one.round_s for one in windows.values()), default=0.0),
        variance_factor=total.variance_factor,
        target=target,
    )
