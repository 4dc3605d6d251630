"""How long a drift stays hidden: quantiles of what was measured, against what the schedule can promise."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil


def quantile(measured: Sequence[float], share: float) -> float | None:
    """The smallest measured value that `share` of all do not exceed; None of nothing."""
    ordered = sorted(measured)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def objective_s(*, sweep_stock_s: float, poll_orders_s: float) -> float:
    """What finding a drift takes at worst where the channel says nothing and answers at once.

    It happens just behind the sweep, and is believed once the next polls of orders explain nothing: one that is on its
    way, and one begun after the reading.
    """
    return sweep_stock_s + 2 * poll_orders_s
