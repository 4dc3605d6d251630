"""What happened is told, once at least, in order, whatever dies and whoever commits late."""

from __future__ import annotations

from typing import Any

import pytest

from domain.shop import BERLIN, CAP, MUG, demand, hold, key
from flow.follower import deliver_all, follow, listening, outgoing, row_of, tell_all
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.command import Receive
from oneshelf.domain.event import EventType, Wanted
from oneshelf.flow import tell
from oneshelf.storage import events

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
        await deliver_all(ledger, out)
        assert [(one["data"]["sku"], one["data"]["available"]) for one in receiver.taken] == [("MUG", 10), ("CAP", 2)]


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
    await tx.execute(f"update balances set available = available + 1, version = version + 1 where sku = '{sku}'")  # noqa: S608
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
