"""A channel puts its news into a queue: what was heard is stored, and only then acknowledged."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from flow.telling import KilledError, MortalDatabase, telling
from oneshelf.flow import interpret
from oneshelf.flow.channel import NEEDS_PERSON_PAUSE_S
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.storage import leases
from storage.pinned import SHOP

pytestmark = pytest.mark.pg


async def test_news_is_stored_acknowledged_and_leads_to_the_order(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.orders = {"A": 1}
        it.connector.queue = {"n1": "A", "n2": "A"}
        assert await it.listen() == 2
        assert (it.connector.queue, sorted(it.connector.acknowledged)) == ({}, ["n1", "n2"])
        await interpret.interpret(it.database, {SHOP: it.channel})
        await it.fetch()
        assert await it.told() == ["n1", "n2", "poll:A:1"]
        assert await it.wanted() == {}


async def test_what_is_heard_twice_is_stored_once_and_acknowledged_both_times(dsn: str) -> None:
    async with telling(dsn) as it:
        for is_new in (1, 0):
            it.connector.queue = {"n1": "A"}
            await it.pin.turn(1)
            assert await it.listen() == is_new
            assert it.connector.queue == {}
        assert await it.told() == ["n1"]


async def test_no_kill_loses_news_and_nothing_is_acknowledged_before_it_is_stored(dsn: str) -> None:
    async with telling(dsn) as it:
        kills = 0
        while True:
            it.connector.queue = {f"n{kills:02}": "A"}
            await it.pin.turn(1)
            try:
                await it.listen(MortalDatabase(it.database, dies_at=kills + 1))
            except KilledError:
                kills += 1
            else:
                break
            is_stored = f"n{kills - 1:02}" in await it.told()
            assert is_stored or it.connector.queue, "acknowledged, and not stored"
            await leases.clear(it.database)
            await it.pin.turn(1)
            await it.listen()
            assert (len(await it.told()), it.connector.queue) == (kills, {})
        # Three points of each transaction: to claim, to store, and to be done.
        assert kills == 9


async def test_a_queue_that_fails_is_tried_again_later_each_time_and_its_channel_goes_on(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.queue = {"n1": "A"}
        it.connector.queue_fault = RetryLaterError("no answer")
        waits = []
        with capture_logs() as logs:
            for _ in range(5):
                assert await it.listen() == 0
                assert await it.listen() == 0
                [row] = await it.rows(
                    "select extract(epoch from next_at - db_now())::float8 as wait_s, last_fault from schedules "
                    "where task = 'queue'"
                )
                waits.append(row["wait_s"])
                await it.pin.turn(row["wait_s"])
            it.connector.queue_fault = None
            assert await it.listen() == 1
        assert waits == sorted(waits)
        assert waits[-1] > waits[0]
        assert row["last_fault"] == "no answer"
        [channel] = await it.rows("select fail_streak, paused_until from channels")
        assert channel == {"fail_streak": 0, "paused_until": None}
        assert [line["event"] for line in logs] == ["queue.unavailable", "queue.available"]


async def test_keys_that_the_queue_refuses_are_tried_again_after_minutes(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.queue = {"n1": "A"}
        it.connector.queue_fault = ReauthenticateError("the security token is invalid")
        await it.listen()
        it.connector.queue_fault = None
        await it.pin.turn(NEEDS_PERSON_PAUSE_S - 1)
        assert await it.listen() == 0
        await it.pin.turn(1)
        assert await it.listen() == 1


async def test_one_node_at_a_time_listens(dsn: str) -> None:
    async with telling(dsn) as it:
        it.connector.queue = {"n1": "A"}
        hear = it.connector.hear

        async def slowly() -> object:
            assert await it.listen(it.pin.nodes[1]) == 0
            return await hear()

        it.connector.hear = slowly  # type: ignore[method-assign, assignment]  # replaced on purpose
        assert await it.listen() == 1
