"""What happened is told, once at least, in order, whatever dies and whoever commits late."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.shop import BERLIN, CAP, MUG, SHOP, demand, hold, key
from flow.follower import deliver_all, follow, listening, outgoing, row_of, tell_all
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.event import EventType, Wanted
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.flow import tell
from oneshelf.storage import deliveries, events, untold

pytestmark = pytest.mark.pg

STOCK = EventType.STOCK_CHANGED


async def told(ledger: Ledger, *kinds: EventType, after: int = 0) -> list[dict[str, Any]]:
    """The figures of what was told, in order."""
    async with ledger.database.transaction() as tx:
        page = await events.page(tx, Wanted(event_types=frozenset(kinds)), after=after, limit=1000)
    return [dict(event.figures) for event in page]


async def head(ledger: Ledger) -> int:
    async with ledger.database.transaction() as tx:
        return (await events.bounds(tx)).last


async def later(ledger: Ledger) -> None:
    """A long time passes for all that waits for another attempt."""
    await ledger.rows("update deliveries set next_at = next_at - interval '2 days' returning 1")
    await ledger.rows("update endpoints set next_at = next_at - interval '2 days' returning 1")


async def test_the_level_of_a_sku_reaches_whoever_follows_signed_and_again_until_it_is_taken(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening(answers=[503, 500]) as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await ledger.ask(hold(demand(MUG, 2)))
        await tell_all(ledger)
        for attempt in range(3):
            await deliver_all(ledger, out)
            assert len(receiver.requests) == attempt + 1, "a failed one is not sent again before its time"
            await later(ledger)
        [event] = receiver.taken
        assert event["type"] == STOCK
        assert event["data"]["available"] == event["data"]["ats"] == 3
        assert event["data"]["on_hand"] == 5
        assert event["data"]["locations"][0] | {"version": 0} == {
            **dict.fromkeys(("damaged", "incoming", "quality_control", "safety_stock", "version"), 0),
            **{"location": BERLIN, "on_hand": 5, "available": 3, "ats": 3, "committed": 0, "reserved": 2},
        }
        assert len({one["webhook-id"] for one in receiver.requests}) == 1, "each attempt carries the same id"
        assert receiver.requests[0]["webhook-id"] == event["id"]
        assert receiver.requests[0]["host"] == receiver.url.split("/")[2]
        row = await row_of(ledger.database)
        assert (row.waiting_count, row.delivered_count, row.failed_count, row.fail_streak) == (0, 1, 2, 0)


async def test_ten_changes_while_a_follower_is_away_are_one_event_with_the_newest_figure(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 20, "CAP": 3}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        for _ in range(10):
            await ledger.ask(hold(demand(MUG, 1)))
            await tell_all(ledger)
        await ledger.ask(hold(demand(CAP, 1)))
        await tell_all(ledger)
        async with ledger.database.transaction() as tx:
            waiting = await deliveries.due(tx, "erp", limit=9)
        assert [one.event.figures["sku"] for one in waiting] == ["MUG", "CAP"], "it keeps the place of its first change"
        await deliver_all(ledger, out)
        assert {one["data"]["sku"]: one["data"]["available"] for one in receiver.taken} == {"MUG": 10, "CAP": 2}
        assert len(receiver.taken) == 2


async def test_a_transaction_that_commits_late_is_told_of(dsn: str) -> None:
    """Its numbers, of the transaction and of its rows, are lower than those that were told before: a position that
    is the greatest number told so far loses it for ever."""
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger:
        await tell_all(ledger)
        before = await head(ledger)
        async with ledger.database.transaction() as slow:
            await _move_by_hand(slow, "CAP")
            await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
            await tell_all(ledger)
            assert [one["sku"] for one in await told(ledger, STOCK, after=before)] == ["MUG"]
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        await tell_all(ledger)
        figures = {one["sku"]: one["available"] for one in await told(ledger, STOCK, after=before)}
        assert figures == {"CAP": 6, "MUG": 7}


async def _move_by_hand(tx: Any, sku: str) -> None:
    """A unit comes in, in a transaction that the test holds open."""
    await tx.execute(f"update balances set available = available + 1, version = version + 1 where sku = '{sku}'")
    await tx.execute(
        "insert into movements (sku, movement_id, units, from_account, to_location, to_account, reason, source,"
        " version) values (%s, %s, 1, 'supplier', 'BER', 'available', 'received', 'test', 2)",
        (sku, CLOCK.new_id()),
    )


async def test_nothing_is_told_twice_and_nothing_where_no_level_moved(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await tell_all(ledger)
        before = await head(ledger)
        assert await tell.tell(ledger.database, CLOCK.new_id) == 0
        assert await head(ledger) == before


async def test_a_greatest_number_as_position_loses_the_late_commit(dsn: str) -> None:
    """The bug that the position is there against, planted: what a plain serial would have told."""
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger:
        await tell_all(ledger)
        async with ledger.database.transaction() as slow:
            await _move_by_hand(slow, "CAP")
            await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
            [serial] = await ledger.rows("select max(xid) as told from movements")
            [seen] = await ledger.rows("select pg_current_snapshot()::text as snapshot")
        by_serial = await ledger.rows(f"select sku from movements where xid > {serial['told']}")
        async with ledger.database.transaction() as tx:
            found = await untold.moved(tx, untold.Position(seen["snapshot"], 0, None))
        assert by_serial == []
        assert found.skus == ["CAP"]


async def test_killed_in_the_middle_of_telling_all_of_it_is_told_again(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await tell_all(ledger)
        await ledger.ask(hold(demand(MUG, 1)))
        await ledger.tell(order("1001", "CAP-1"))
        before = await head(ledger)
        left = await ledger.rows("select untold_id from untold")
        with pytest.raises(ZeroDivisionError):
            await tell.tell(ledger.database, _dies)
        async with ledger.database.transaction() as tx:
            await untold.try_lock(tx)
            assert await tell.tell(ledger.database, CLOCK.new_id) == 0, "one tells at a time"
        assert (await head(ledger), await ledger.rows("select untold_id from untold")) == (before, left)
        await tell_all(ledger)
        assert [one["available"] for one in await told(ledger, STOCK, after=before)] == [4]


def _dies() -> UUID:
    raise ZeroDivisionError


def order(number: str, *lines: str, version: int = 1) -> OrderSnapshot:
    """An order of the shop. A line: listing, a blank, units."""
    sold = tuple(
        OrderLine(str(at), ChannelSku(line.rpartition("-")[0]), int(line.rpartition("-")[2]))
        for at, line in enumerate(lines)
    )
    return OrderSnapshot(SHOP, number, str(version), CLOCK.now(), False, sold)


async def _link(ledger: Ledger, listing: str, sku: str) -> None:
    await ledger.rows(
        "insert into listings (channel, channel_sku, sku, base_units, desired_units, desired_version) "
        f"values ('{SHOP}', '{listing}', '{sku}', 5, 5, 1) returning 1"
    )


async def test_an_order_is_told_and_that_it_is_short_and_that_it_is_not_any_more(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 2}) as ledger:
        await _link(ledger, "mug", "MUG")
        await tell_all(ledger)
        before = await head(ledger)
        await ledger.tell(order("1001", "mug-3"))
        await tell_all(ledger)
        [posted] = await told(ledger, EventType.ORDER_POSTED, after=before)
        assert (posted["order_id"], posted["units_short"]) == ("1001", 1)
        assert [(line["sku"], line["units_committed"]) for line in posted["lines"]] == [("MUG", 2)]
        assert [one["units_short"] for one in await told(ledger, EventType.ORDER_SHORT)] == [1]
        assert await told(ledger, EventType.STOCK_OVERSOLD) == [{"sku": "MUG", "units_short": 1, "line_count": 1}]
        await ledger.ask(Receive(key=key(), sku=MUG, location=BERLIN, units=1))
        await tell_all(ledger)
        assert [one["units_short"] for one in await told(ledger, EventType.ORDER_SHORT)] == [1, 0]
        assert await told(ledger, EventType.STOCK_OVERSOLD) == [{"sku": "MUG", "units_short": 0, "line_count": 0}]
        await ledger.tell(order("1001", "mug-2", version=2))
        await tell_all(ledger)
        [changed] = await told(ledger, EventType.ORDER_CHANGED)
        assert [line["units_committed"] for line in changed["lines"]] == [2]


async def test_listings_drifts_and_breakers_are_told(dsn: str) -> None:
    async with open_ledger(dsn) as ledger:
        await _link(ledger, "mug", "MUG")
        drift_id = str(CLOCK.new_id())
        for happens in (
            "update listings set phase = 'parked', parked_reason = 'no price'",
            "update listings set phase = 'idle', verified_units = 5, verified_version = 1, verified_at = db_now()",
            "insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units) "
            f"values ('{drift_id}', '{SHOP}', 'mug', 'MUG', 'foreign edit', 5, 9)",
            "update drifts set resolved_at = db_now(), resolution = 'published'",
            "update channels set held_at = db_now(), held_reason = 'zeroed', held_figures = '{\"zeroed\": 9}'",
            "update channels set held_at = null, held_reason = ''",
        ):
            await ledger.rows(f"{happens} returning 1")
        await tell_all(ledger)
        async with ledger.database.transaction() as tx:
            all_of_it = await events.page(tx, Wanted(channels=frozenset({SHOP})), after=0, limit=100)
        assert [event.event_type for event in all_of_it] == [
            EventType.LISTING_PARKED,
            EventType.LISTING_VERIFIED,
            EventType.DRIFT_OPENED,
            EventType.DRIFT_RESOLVED,
            EventType.BREAKER_OPENED,
            EventType.BREAKER_CLOSED,
        ]
        assert [event.figures.get("reason") for event in all_of_it][4:] == ["zeroed", "zeroed"]
        assert all_of_it[1].figures["verified_units"] == 5


async def test_another_cluster_compares_every_level_anew(dsn: str) -> None:
    """The numbers of transactions in a restored database mean nothing; what was told before is not told again."""
    async with open_ledger(dsn, {"MUG": 5, "CAP": 5}) as ledger:
        await tell_all(ledger)
        before = await head(ledger)
        await ledger.rows("update event_position set cluster = 1, snapshot = '9999999:9999999:' returning 1")
        await ledger.ask(hold(demand(CAP, 1)))
        await tell_all(ledger)
        assert [one["sku"] for one in await told(ledger, STOCK, after=before)] == ["CAP"]


async def test_old_facts_are_forgotten_and_levels_are_not(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger:
        await _link(ledger, "mug", "MUG")
        await ledger.tell(order("1001", "mug-1"))
        await tell_all(ledger)
        await ledger.rows("update events set told_at = told_at - interval '8 days' returning 1")
        assert await tell.forget(ledger.database) == 1
        assert [len(await told(ledger, kind)) for kind in (STOCK, EventType.ORDER_POSTED)] == [1, 0]
