"""What runs low is told of once, and once more when it is well above its reorder point again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.shop import BERLIN, CAP, DUO, HAMBURG, MUG, key
from flow.follower import tell_all
from flow.shelf_world import Ledger, open_ledger
from flow.test_events import told
from oneshelf.domain.command import Adjust, Expect, Receive
from oneshelf.domain.event import EventType
from oneshelf.domain.identity import Sku
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.reorder import ReorderRule, ReorderScope
from oneshelf.errors import MalformedError
from oneshelf.flow import watch
from oneshelf.storage import low_stocks

pytestmark = pytest.mark.pg


@pytest.fixture
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    async with open_ledger(dsn, {"MUG": 10, "CAP": 5}) as opened:
        yield opened


async def ruled(ledger: Ledger, units: int | None = None, *, days: int | None = None, **scope: Any) -> object:
    rule = ReorderRule(units=units, cover_days=days)
    return await watch.set_rule(ledger.database, ReorderScope(**scope), rule, by="Ada")


async def low(ledger: Ledger) -> dict[str, int]:
    """SKU -> its reorder point, of those that are low."""
    async with ledger.database.transaction() as tx:
        return {row.sku: row.reorder_at for row in await low_stocks.rows(tx, limit=100)}


async def adjusted(ledger: Ledger, delta: int, sku: Sku = MUG) -> int:
    await ledger.ask(Adjust(key=key(), sku=sku, location=BERLIN, delta_units=delta))
    return await watch.watch(ledger.database)


async def alerts(ledger: Ledger) -> list[tuple[str, bool]]:
    await tell_all(ledger)
    return [(one["sku"], one["is_low"]) for one in await told(ledger, EventType.STOCK_LOW)]


async def test_a_sku_is_low_at_its_point_and_until_a_quarter_more_is_there(ledger: Ledger) -> None:
    assert await ruled(ledger, 8, sku=MUG) is None
    assert await low(ledger) == {}
    assert await adjusted(ledger, -2) == 1
    assert await low(ledger) == {"MUG": 8}
    assert await alerts(ledger) == [("MUG", True)]
    for delta in (-1, 2, -1, 1):
        assert await adjusted(ledger, delta) == 0, "around the point nothing is news"
    assert await low(ledger) == {"MUG": 8}
    assert await adjusted(ledger, 1) == 1
    assert await low(ledger) == {}
    assert await alerts(ledger) == [("MUG", False)], "of a level the newest"


async def test_the_narrowest_rule_holds(ledger: Ledger) -> None:
    await ledger.rows("update skus set sku_group = 'warm' where sku = 'CAP' returning 1")
    await ruled(ledger, 20)
    assert await low(ledger) == {"CAP": 20, "MUG": 20}, "of all, and what never lay anywhere is not meant"
    await ruled(ledger, 5, sku_group="warm")
    assert await low(ledger) == {"CAP": 5, "MUG": 20}
    await ruled(ledger, 0, sku=CAP)
    assert await low(ledger) == {"MUG": 20}, "0: never"
    for _ in range(2):
        assert await watch.end_rule(ledger.database, ReorderScope()) is None
    assert await low(ledger) == {}
    await ruled(ledger, 1, sku=Sku("SET"))
    assert await low(ledger) == {"SET": 1}, "a rule of its own"


async def test_units_are_added_over_all_locations_and_what_is_coming_is_shown(ledger: Ledger) -> None:
    await ruled(ledger, 12, sku=MUG)
    assert await low(ledger) == {"MUG": 12}
    await ledger.ask(Expect(key=key(), sku=MUG, location=BERLIN, delta_units=30))
    assert await watch.watch(ledger.database) == 0
    async with ledger.database.transaction() as tx:
        [row] = await low_stocks.rows(tx, limit=10)
    assert (row.available, row.incoming, row.days_left) == (10, 30, None)
    await ledger.ask(Receive(key=key(), sku=MUG, location=HAMBURG, units=5))
    assert await watch.watch(ledger.database) == 1


async def test_days_of_cover_follow_what_is_sold(ledger: Ledger) -> None:
    await ledger.rows("update skus set created_at = created_at - interval '30 days' returning 1")
    await ledger.rows(
        "insert into sku_sales (sku, channel, slot_at, units, line_count) values"
        " ('MUG', 'shop', now(), 10, 9), ('MUG', 'shop', now() - interval '2 days', 4, 1) returning 1"
    )
    await ruled(ledger, days=3)
    assert await low(ledger) == {}
    await ruled(ledger, days=5)
    assert await low(ledger) == {"MUG": 10}, "14 in a week are 2 a day; what sells nothing is never low"
    async with ledger.database.transaction() as tx:
        [row] = await low_stocks.rows(tx, limit=10)
    assert (row.sold_per_day, row.days_left) == (2.0, 5.0)


async def test_a_bundle_has_no_units_and_is_never_low(ledger: Ledger) -> None:
    await ledger.define_duo()
    await ruled(ledger, 5, sku=DUO)
    assert await low(ledger) == {}


async def test_two_nodes_that_look_tell_once(ledger: Ledger) -> None:
    await ruled(ledger, 8, sku=MUG)
    await ledger.ask(Adjust(key=key(), sku=MUG, location=BERLIN, delta_units=-5))
    assert [await watch.watch(ledger.database) for _ in range(2)] == [1, 0]
    assert len(await ledger.rows("select 1 from untold where event_type = 'stock.low'")) == 1


async def test_a_rule_for_a_sku_that_nobody_named_is_refused(ledger: Ledger) -> None:
    assert await ruled(ledger, 1, sku=Sku("NOBODY")) == UnknownSku(Sku("NOBODY"))
    assert await watch.end_rule(ledger.database, ReorderScope(sku=Sku("NOBODY"))) == UnknownSku(Sku("NOBODY"))
    with pytest.raises(MalformedError, match="one of them"):
        ReorderRule()
    with pytest.raises(MalformedError, match="one of them"):
        ReorderRule(units=1, cover_days=1)
    with pytest.raises(MalformedError, match="two rules"):
        ReorderScope(sku=MUG, sku_group="warm")
