"""A few sell-outs of each mode; `make simulate ARGS="--only sellouts"` plays hundreds."""

from __future__ import annotations

import pytest

from simulation.sellout_terms import Size, Terms
from simulation.sellouts import play


@pytest.mark.long
@pytest.mark.pg
@pytest.mark.timeout(200)
@pytest.mark.parametrize("manner", ["pooled", "guarded"])
def test_goods_are_sold_out_and_the_books_are_exact(dsn: str, manner: str) -> None:
    played = play(dsn, Terms(manner, "4 Shopify", 4.0), 1, Size(at_once=3, units=5, quiet_sales=2))
    assert all(one.refused for one in played.sellouts), "buyers went on until nothing was left"
    assert sum(one.stranded for one in played.sellouts) == 0
    if manner == "guarded":
        assert sum(one.oversold for one in played.sellouts) == 0
