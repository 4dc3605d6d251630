"""How long drifts stay hidden, in figures."""

from __future__ import annotations

from oneshelf.domain.detection import objective_s, quantile


def test_a_quantile_is_a_measured_value_that_so_many_do_not_exceed() -> None:
    assert quantile([], 0.95) is None
    assert quantile([7.0], 0.5) == 7.0
    hundred = [float(n) for n in range(100, 0, -1)]
    assert (quantile(hundred, 0.5), quantile(hundred, 0.95)) == (50.0, 95.0)


def test_the_objective_is_a_sweep_and_two_polls() -> None:
    assert objective_s(sweep_stock_s=900, poll_orders_s=60) == 1020
