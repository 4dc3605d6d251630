"""Told in another order, twice, in one batch: the ledger ends the same. `--only arrivals` tells thousands of these."""

from __future__ import annotations

import pytest

from simulation.arrivals import disagreements, history, teller_on

pytestmark = pytest.mark.pg
HISTORIES = range(1, 101)


def test_histories_have_all_that_can_happen() -> None:
    words = " ".join(event.words for seed in HISTORIES for event in history(seed))
    for kind in (
        "receive",
        "adjust +",
        "adjust -",
        "damage",
        "on_hand",
        "unshipped",
        "pending",
        "cancelled",
        "shipped",
        "wms states +",
        "erp states -",
        "erp states 9",
    ):
        assert kind in words


@pytest.mark.long
async def test_any_order_duplication_and_batching_of_a_history_ends_in_the_same_ledger(dsn: str) -> None:
    async with teller_on(dsn) as teller:
        found = await disagreements(teller, HISTORIES)
    assert not found, "\n".join(str(one) for one in found)


@pytest.mark.long
async def test_where_nobody_says_when_things_happened_the_order_of_arrival_decides_and_that_is_caught(dsn: str) -> None:
    """The shortest history is a count and one thing beside it."""
    async with teller_on(dsn, says_when=False) as teller:
        found = await disagreements(teller, range(1, 11))
    assert found
    assert any(len(one.happened) <= 3 and "count" in " ".join(one.happened) for one in found)
