"""An event reaches its endpoint, once at least, signed, and nobody is knocked at for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.shop import CAP, MUG, demand, hold
from flow.follower import (
    LOOPBACK,
    SECRET,
    deliver_all,
    follow,
    listening,
    outgoing,
    row_of,
    tell_all,
)
from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.test_events import later
from oneshelf.domain.delivery import ATTEMPTS_MAX
from oneshelf.domain.destination import reachable
from oneshelf.domain.event import EventType, key_of, secret_of
from oneshelf.errors import InvariantError
from oneshelf.flow import deliver
from oneshelf.flow import follow as following
from oneshelf.flow.outgoing import resolve
from oneshelf.storage import deliveries, endpoints, events
from oneshelf.storage.told_figures import News
from storage.locks import until_somebody_waits

pytestmark = pytest.mark.pg

OTHER = secret_of(b"another key of thirty-two bytes!")


async def sell(ledger: Ledger, *skus: Any) -> None:
    for sku in skus:
        await ledger.ask(hold(demand(sku, 1)))
    await tell_all(ledger)


async def test_only_what_is_wanted_is_sent(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver, EventType.DRIFT_OPENED)
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        assert receiver.requests == []


async def test_a_redirect_is_not_followed_and_gone_is_gone(dsn: str) -> None:
    async with (
        open_ledger(dsn, {"MUG": 5}) as ledger,
        listening() as elsewhere,
        listening(answers=[307, 410]) as receiver,
        outgoing() as out,
    ):
        receiver.headers["location"] = elsewhere.url
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        assert (await row_of(ledger.database)).last_words == "307"
        await later(ledger)
        with capture_logs() as logs:
            await deliver_all(ledger, out)
        assert elsewhere.requests == []
        assert (await row_of(ledger.database)).state == "gone"
        assert [(line["event"], line["log_level"]) for line in logs] == [("endpoint.disabled", "error")]
        await later(ledger)
        await deliver_all(ledger, out)
        assert len(receiver.requests) == 2, "one that is gone is not called any more"
        await following.resume(ledger.database, "erp")
        await deliver_all(ledger, out)
        assert [event["data"]["available"] for event in receiver.taken] == [4]


async def test_an_endpoint_that_hangs_keeps_nobody_else_waiting_for_long(dsn: str) -> None:
    async with (
        open_ledger(dsn, {"MUG": 5}) as ledger,
        listening(answers=[0]) as hanging,
        listening() as other,
        outgoing(deadline_s=2.0) as out,
    ):
        await tell_all(ledger)
        await follow(ledger.database, hanging, name="hanging")
        await follow(ledger.database, other, name="other")
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        assert len(other.taken) == 1
        row = await row_of(ledger.database, "hanging")
        assert (row.waiting_count, row.last_words) == (1, "no answer within 2 s")


async def test_two_nodes_share_the_endpoints_and_never_the_same_one(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening(answers=[0]) as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        first = asyncio.ensure_future(deliver.deliver(ledger.database, CLOCK, out))
        await receiver.has_request.wait()
        assert await deliver.deliver(ledger.database, CLOCK, out) == 0
        first.cancel()  # kill -9: nothing of what it did is written down.
        await asyncio.gather(first, return_exceptions=True)
        assert await deliver.deliver(ledger.database, CLOCK, out) == 0
        await ledger.rows("update endpoints set lease_until = db_now() - interval '1 second' returning 1")
        await deliver_all(ledger, out)
        ids = [request["webhook-id"] for request in receiver.requests]
        assert (len(ids), len(set(ids)), len(receiver.taken)) == (2, 1, 1), "once at least, with one id"


async def test_whoever_lost_its_lease_writes_nothing_down(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)

        class Slow:
            async def send(self, keyring: Any, held: Any, event: Any) -> Any:
                await ledger.rows(f"update endpoints set lease = '{CLOCK.new_id()}' returning 1")
                return await out.send(keyring, held, event)

        await deliver.deliver(ledger.database, CLOCK, Slow())  # type: ignore[arg-type]  # one that stood still
        assert (await row_of(ledger.database)).waiting_count == 1


async def test_a_newer_figure_that_comes_while_the_older_one_is_sent_is_sent_too(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)

        class Meanwhile:
            async def send(self, keyring: Any, held: Any, event: Any) -> Any:
                reply = await out.send(keyring, held, event)
                if len(receiver.taken) == 1:
                    await sell(ledger, MUG)
                return reply

        while await deliver.deliver(ledger.database, CLOCK, Meanwhile()):  # type: ignore[arg-type]  # all that is called of it
            pass
        assert [event["data"]["available"] for event in receiver.taken] == [4, 3]


async def test_taken_out_as_sent_in_the_moment_in_which_a_newer_figure_comes_it_stays(dsn: str) -> None:
    """Both transactions are open at once: the one that waits looks again at what it waited for."""
    async with open_ledger(dsn, {"MUG": 5}) as ledger, listening() as receiver:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        async with ledger.database.transaction() as tx:
            [due] = await deliveries.due(tx, "erp", limit=9)
            held = await endpoints.claim(tx, lease=CLOCK.new_id(), lease_s=60)
            assert held is not None
        async with ledger.database.transaction() as telling:
            await telling.execute("update events set position = position + 1")
            await deliveries.queue(telling, after=due.event.position)

            async def record() -> None:
                async with ledger.database.transaction() as tx:
                    await deliveries.done(tx, held, [due])

            recording = asyncio.ensure_future(record())
            await until_somebody_waits(ledger.database)
        await recording
        assert (await row_of(ledger.database)).waiting_count == 1


async def test_of_one_order_the_first_event_has_to_be_taken_before_the_next(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger, listening(answers=[500]) as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        async with ledger.database.transaction() as tx:
            news = [
                News(0, "order.changed", f"order {number}", "", {"version": version}, CLOCK.now())
                for number, version in (("A", 1), ("A", 2), ("A", 3))
            ]
            last = (await events.bounds(tx)).last
            await events.add(tx, news, after=last, run="test")
            await deliveries.queue(tx, after=last)
        for _ in range(3):
            await deliver_all(ledger, out)
            await later(ledger)
        assert [event["data"]["version"] for event in receiver.taken] == [1, 2, 3]


async def test_an_event_that_is_refused_to_the_end_of_the_schedule_is_given_up_and_seen(dsn: str) -> None:
    async with (
        open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger,
        listening(answers=[400] * 99) as receiver,
        outgoing() as out,
    ):
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        for _ in range(ATTEMPTS_MAX + 2):
            await later(ledger)
            await deliver_all(ledger, out)
        assert len(receiver.requests) == ATTEMPTS_MAX
        row = await row_of(ledger.database)
        assert (row.given_up_count, row.waiting_count, row.state) == (1, 0, "active")
        receiver.answers.clear()
        await following.replay(ledger.database, "erp", since=0)
        await later(ledger)
        await deliver_all(ledger, out)
        assert {event["data"]["sku"] for event in receiver.taken} == {MUG, CAP}


async def test_one_that_fails_for_days_is_not_called_any_more(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger, listening(answers=[500] * 9) as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        await later(ledger)
        await ledger.rows("update endpoints set failing_since = failing_since - interval '6 days' returning 1")
        await deliver_all(ledger, out)
        row = await row_of(ledger.database)
        assert (row.state, row.is_disabled, row.waiting_count) == ("failing", True, 1)


async def test_replay_from_an_instant_or_an_event_sends_the_newest_levels_again(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9, "CAP": 9}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        await sell(ledger, CAP)
        await deliver_all(ledger, out)
        first, second = sorted(receiver.taken, key=lambda event: int(event["position"]))
        since = following.place_from(first["id"], instant=None)
        assert await following.replay(ledger.database, "erp", since=since) == 1
        await deliver_all(ledger, out)
        assert receiver.taken[2:] == [second], "the same id, so that it can be told from a new one"
        [row] = await ledger.rows("select min(told_at) as at from events")
        assert await following.replay(ledger.database, "erp", since=row["at"]) == 2
        assert await following.replay(ledger.database, "erp", since=CLOCK.now() + timedelta(days=1)) == 0


async def test_while_secrets_are_changed_either_verifies(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger, listening() as receiver, outgoing() as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        new = await following.rotate(ledger.database, "erp", overlap_s=60)
        assert (len(key_of(new)), new != SECRET) == (32, True)
        for secrets, verified in (([SECRET], 1), ([new], 2), ([OTHER], 2)):
            receiver.secrets = secrets
            await sell(ledger, MUG)
            await deliver.deliver(ledger.database, CLOCK, out)
            assert len(receiver.taken) == verified
        assert len(receiver.requests[0]["webhook-signature"].split(" ")) == 2
        await ledger.rows("update endpoint_secrets set expires_at = db_now() where expires_at is not null returning 1")
        await later(ledger)
        receiver.secrets = [SECRET]
        await deliver.deliver(ledger.database, CLOCK, out)
        assert len(receiver.taken) == 2, "the old one has ended"


async def test_nobody_inside_the_house_is_called_unless_the_operator_says_so(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger, listening() as receiver, outgoing(allowed=()) as out:
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        assert receiver.requests == []
        assert "not public" in (await row_of(ledger.database)).last_words


async def test_the_address_that_was_checked_is_the_one_that_is_called(dsn: str) -> None:
    """A name that leads elsewhere at every question is asked once."""
    asked: list[str] = []

    async def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["169.254.169.254", "127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with (
        open_ledger(dsn, {"MUG": 9}) as ledger,
        listening() as receiver,
        outgoing(resolve=changing, allowed=LOOPBACK) as out,
    ):
        receiver.url = receiver.url.replace("127.0.0.1", "erp.test")
        await tell_all(ledger)
        await follow(ledger.database, receiver)
        await sell(ledger, MUG)
        await deliver_all(ledger, out)
        assert asked == ["erp.test"]
        assert receiver.requests[0]["host"].startswith("erp.test:")
        assert len(receiver.taken) == 1


@pytest.mark.parametrize(
    "host", ["localhost", "2130706433", "0x7f000001", "127.1", "017700000001", "0", "::1", "[::1]"]
)
async def test_however_a_host_of_this_machine_is_written_it_is_not_called(host: str) -> None:
    """The system's resolver reads decimal, octal and short forms; what it makes of them is looked at."""
    try:
        found = await resolve(host, 80)
    except OSError:
        found = []  # No such host is not called either.
    assert reachable(found) == []


async def test_no_endpoint_is_called_inside_a_transaction(dsn: str) -> None:
    async with open_ledger(dsn, {"MUG": 9}) as ledger, listening() as receiver, outgoing() as out:
        await follow(ledger.database, receiver)
        with pytest.raises(InvariantError):
            async with ledger.database.transaction():
                await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
        reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
        assert reply.is_delivered
        assert [event["type"] for event in receiver.taken] == [EventType.TEST]
