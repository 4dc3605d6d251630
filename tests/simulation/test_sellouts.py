"""A few sell-outs of each mode; `make simulate ARGS="--only sellouts"` plays hundreds."""

from __future__ import annotations

import pytest

from simulation.sellouts import Terms, play


@pytest.mark.pg
@pytest.mark.timeout(200)
@pytest.mark.parametrize("manner", ["pooled", "guarded", "auto, unknown"])
def test_goods_are_sold_out_and_the_books_are_exact(dsn: str, manner: str) -> None:
    played = play(dsn, Terms(manner, "4 Shopify", 4.0), 1, waves=1, at_once=2, quiet_sales=6)
    assert all(one.sold + one.stranded - one.oversold == one.units for one in played.sellouts)
    assert all(one.refused for one in played.sellouts), "buyers went on until nothing was left"
    assert sum(one.stranded for one in played.sellouts) == 0
    if manner == "guarded":
        assert sum(one.oversold for one in played.sellouts) == 0
