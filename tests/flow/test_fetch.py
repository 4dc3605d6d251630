"""A channel tells that an order changed, and not what: the order is asked for, once, until it is there."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from flow.telling import KilledError, MortalDatabase, telling
from oneshelf.flow import fetch, interpret
from oneshelf.sdk.fault import BudgetSpentError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.storage import leases
from storage.pinned import SHOP
from web.paper import CAPABILITY, PaperConnector

pytestmark = pytest.mark.pg


async def test_an_order_that_is_told_of_three_times_is_asked_for_once_and_delivered_as_a_poll_would(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1, "B": 2}
        await it.hint("A", "B", "A", "A")
        assert await it.wanted() == {"A": 0, "B": 0}
        assert await it.fetch() == 2
        assert await it.fetch() == 0
        assert sorted(it.connector.asked) == ["A", "B"]
        assert await it.told() == ["poll:A:1", "poll:B:2"]
        assert await it.wanted() == {}
        # Nothing new: the order is asked for all the same, since only the channel knows, and what it says is known.
        await it.hint("A")
        assert await it.fetch() == 1
        assert await it.told() == ["poll:A:1", "poll:B:2"]


async def test_a_hint_that_comes_while_the_order_is_asked_for_is_not_lost(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1}

        async def sold_more() -> None:
            it.connector.orders["A"] = 2
            await it.hint("A")

        it.connector.meanwhile = sold_more
        await it.hint("A")
        assert await it.fetch() == 1
        assert (await it.told(), await it.wanted()) == (["poll:A:1"], {"A": 0})
        assert await it.fetch() == 1
        assert (await it.told(), await it.wanted()) == (["poll:A:1", "poll:A:2"], {})


async def test_a_hint_that_comes_while_the_order_is_not_there_yet_asks_again_at_once(dsn: str) -> None:
    async with telling(dsn) as it:

        async def appears() -> None:
            it.connector.orders["A"] = 2
            await it.hint("A")

        it.connector.meanwhile = appears
        await it.hint("A")
        assert await it.fetch() == 1
        assert await it.wanted() == {"A": 0}
        assert await it.fetch() == 1
        assert (await it.told(), await it.wanted()) == (["poll:A:2"], {})


@pytest.mark.long
async def test_an_order_that_is_not_there_yet_is_asked_for_later_each_time_and_given_up_after_half_an_hour(
    dsn: str,
) -> None:
    async with telling(dsn) as it:
        await it.hint("GHOST")
        waited_s = 0.0
        with capture_logs() as logs:
            while await it.wanted():
                if not await it.fetch():
                    await it.pin.turn(1)
                    waited_s += 1
        assert len(it.connector.asked) == fetch.TRIES_MAX
        assert 1200 < waited_s < 2400
        assert [line["event"] for line in logs] == ["order.given_up"]
        assert await it.told() == []
        # A later hint begins anew.
        it.connector.orders = {"GHOST": 1}
        await it.hint("GHOST")
        await it.fetch()
        assert await it.told() == ["poll:GHOST:1"]


async def test_one_order_that_the_channel_refuses_keeps_no_other_waiting(dsn: str) -> None:
    async with telling(dsn) as it:
        await it.hint("BAD")
        it.connector.fault = RefusedError("no such id")
        assert await it.fetch() == 1
        it.connector.fault = None
        it.connector.orders = {"GOOD": 1}
        await it.hint("GOOD")
        await it.fetch()
        assert (await it.told(), await it.wanted()) == (["poll:GOOD:1"], {"BAD": 1})
        [row] = await it.rows("select last_fault from wanted_orders")
        [channel] = await it.rows("select fail_streak, paused_until from channels")
        assert row["last_fault"] == "no such id"
        assert (channel["fail_streak"], channel["paused_until"]) == (0, None)


@pytest.mark.parametrize("fault", [RetryLaterError("busy", retry_after_s=20), ReauthenticateError("who are you?")])
async def test_a_channel_that_fails_is_left_alone_and_asked_again_when_its_pause_is_over(
    dsn: str, fault: RetryLaterError | ReauthenticateError
) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1}
        it.connector.fault = fault
        await it.hint("A")
        await it.fetch()
        [channel] = await it.rows("select paused_until > db_now() as is_paused, last_fault from channels")
        assert (channel["is_paused"], channel["last_fault"]) == (True, str(fault))
        it.connector.fault = None
        assert await it.fetch() == 0
        assert (len(it.connector.asked), await it.wanted()) == (1, {"A": 0})
        await it.pin.turn(300)
        await it.fetch()
        assert await it.told() == ["poll:A:1"]


async def test_a_budget_that_is_spent_makes_the_orders_wait_and_not_the_channel(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1, "B": 1}
        it.connector.fault = BudgetSpentError("spent", retry_after_s=7)
        await it.hint("A", "B")
        await it.fetch()
        [channel] = await it.rows("select fail_streak, paused_until, last_fault from channels")
        assert channel == {"fail_streak": 0, "paused_until": None, "last_fault": ""}
        it.connector.fault = None
        assert await it.fetch() == 0
        await it.pin.turn(7)
        assert await it.fetch() == 2
        assert await it.told() == ["poll:A:1", "poll:B:1"]


async def test_of_many_nodes_one_asks_for_an_order(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {str(number): 1 for number in range(8)}
        await it.hint(*it.connector.orders)
        done = 1
        while done:
            done = sum(await asyncio.gather(*(it.fetch(node) for node in it.pin.nodes * 4)))
        assert sorted(it.connector.asked) == sorted(it.connector.orders)
        assert len(await it.told()) == 8


async def test_whoever_asked_for_so_long_that_another_had_to_says_nothing_any_more(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1}

        async def stands_still() -> None:
            await it.pin.turn(fetch.LEASE_S + 1)
            it.connector.orders["A"] = 2
            assert await it.fetch(it.pin.nodes[1]) == 1

        it.connector.meanwhile = stands_still
        await it.hint("A")
        await it.fetch()
        assert (await it.told(), await it.wanted()) == (["poll:A:2"], {})


async def test_no_kill_loses_an_order(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1}
        kills = 0
        while True:
            await it.hint("A")
            try:
                await it.fetch(MortalDatabase(it.database, dies_at=kills + 1))
            except KilledError:
                kills += 1
            else:
                break
            # It is told or still wanted, never neither.
            assert (await it.told() == [f"poll:A:{it.connector.orders['A']}"]) != bool(await it.wanted())
            # An engine that starts and finds itself alone need not wait for the leases of the dead.
            await leases.clear(it.database)
            await it.fetch()
            assert (await it.told(), await it.wanted()) == ([f"poll:A:{it.connector.orders['A']}"], {})
            await it.rows("delete from inbox where delivery_key not like 'hint-%' returning 1")
            it.connector.orders["A"] += 1
        # Three points of each transaction: to claim, to record, and the answer of the channel.
        assert kills == 9


async def test_a_hint_without_an_id_or_to_a_connector_that_cannot_fetch_has_the_orders_polled(dsn: str) -> None:
    async with telling(dsn) as it:
        due = "select next_at <= db_now() as is_due from schedules where task = 'orders'"
        for put_off, order_id in (("", ""), ("no fetch", "A")):
            await it.rows("update schedules set next_at = db_now() + interval '1 hour' returning 1")
            if put_off:

                class Plain(PaperConnector):
                    parse = type(it.connector).parse

                plain = type(it.channel)(name=SHOP, kind="paper", connector=Plain(SHOP), capability=CAPABILITY)
                await it.rows(
                    "insert into inbox (channel, delivery_key, topic, body) "
                    "values ('shop', 'hint-plain', 'hint', 'A') returning 1"
                )
                await interpret.interpret(it.database, {SHOP: plain})
            else:
                await it.hint(order_id)
            assert [row["is_due"] for row in await it.rows(due)] == [True]
            assert await it.wanted() == {}
