"""People are told of what is wrong once when it opens and once when it is over, by mail and chat, whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.shop import BERLIN, CAP, MUG, demand, hold, key
from flow.follower import deliver_all, follow, listening, outgoing, row_of, tell_all
from flow.mail_server import PASSWORD, USER, MailServer, certificate_of, chatting, serving
from flow.shelf_world import CLOCK, Ledger, open_ledger
from flow.test_events import later
from oneshelf.domain.command import Adjust
from oneshelf.domain.event import EventType
from oneshelf.domain.identity import Sku
from oneshelf.domain.mailbox import Security, mailbox_from
from oneshelf.domain.reorder import ReorderRule, ReorderScope
from oneshelf.errors import MalformedError
from oneshelf.flow import alert, people, watch
from oneshelf.flow import follow as following
from oneshelf.storage import alerts, secret_keys
from oneshelf.storage.database import Database
from oneshelf.storage.keyring import Keyring, is_sealed, new_key

pytestmark = pytest.mark.pg

TO = "ops@shop.example"


@pytest.fixture
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    """Ten mugs and five caps, which are low at eight and at four."""
    async with open_ledger(dsn, {"MUG": 10, "CAP": 5}) as opened:
        for sku, units in ((MUG, 8), (CAP, 4)):
            await watch.set_rule(opened.database, ReorderScope(sku=sku), ReorderRule(units=units), by="Ada")
        await tell_all(opened)
        yield opened


async def mailed_to(
    database: Database,
    server: MailServer,
    *types: EventType,
    security: Security = Security.NONE,
    recipients: tuple[str, ...] = (TO,),
    password: str = "",
) -> None:
    """Have the mailbox told of alerts from now on."""
    mailbox = mailbox_from(
        f"127.0.0.1:{server.port}",
        security=security,
        sender="oneshelf@shop.example",
        recipients=recipients,
        user=USER if password else "",
        has_password=bool(password),
    )
    await people.define(database, people.mail_wish("erp", mailbox, password=password, event_types=types))


async def adjusted(ledger: Ledger, delta: int, sku: Sku = MUG) -> None:
    await ledger.ask(Adjust(key=key(), sku=sku, location=BERLIN, delta_units=delta))
    await watch.watch(ledger.database)


async def looked(ledger: Ledger, out: Any) -> int:
    """The engine looks, tells and sends what is due."""
    count = await alert.alert(ledger.database)
    await tell_all(ledger)
    await deliver_all(ledger, out)
    return count


async def over(ledger: Ledger) -> None:
    """A minute passes for what is not seen any more."""
    await ledger.rows("update alerts set gone_at = gone_at - interval '61 seconds' returning 1")


async def test_low_stock_is_mailed_once_when_it_falls_and_once_when_it_is_there_again(ledger: Ledger) -> None:
    async with serving() as server, outgoing() as out:
        await mailed_to(ledger.database, server)
        await adjusted(ledger, -3)
        assert [await looked(ledger, out) for _ in range(3)] == [1, 0, 0]
        await adjusted(ledger, -1)
        await looked(ledger, out)
        assert server.subjects == ["oneshelf: MUG is low: 7 available, its reorder point is 8"]
        await adjusted(ledger, 10)
        assert await looked(ledger, out) == 0
        await over(ledger)
        assert await looked(ledger, out) == 1
    first, second = server.mails
    assert second["subject"].startswith("oneshelf: over: MUG is low")
    assert (first["to"], first["from"], first["auto-submitted"]) == (TO, "oneshelf@shop.example", "auto-generated")
    assert first["message-id"] != second["message-id"]
    assert "OPEN since" in first.get_content()
    assert "OVER since" in second.get_content()


async def test_what_happens_together_is_one_mail(ledger: Ledger) -> None:
    async with serving() as server, outgoing() as out:
        await mailed_to(ledger.database, server)
        await adjusted(ledger, -5)
        await adjusted(ledger, -3, CAP)
        await looked(ledger, out)
    assert server.subjects == ["oneshelf: 2 open"]
    text = server.mails[0].get_content()
    assert "CAP is low: 2 available" in text
    assert "MUG is low: 5 available" in text


async def test_what_the_server_refuses_is_sent_again_until_it_is_taken_and_is_the_same_mail(ledger: Ledger) -> None:
    async with serving() as server:
        server.answer = "451 come back later"
        async with outgoing() as out:
            await mailed_to(ledger.database, server)
            await adjusted(ledger, -3)
            await looked(ledger, out)
            row = await row_of(ledger.database)
            assert (row.waiting_count, row.last_words) == (1, "451 come back later")
            await later(ledger)
            server.answer = "250 taken"
            await looked(ledger, out)
            assert (await row_of(ledger.database)).waiting_count == 0
    assert len({mail["message-id"] for mail in server.mails}) == 1
    assert len(server.mails) == 2


async def test_a_server_that_is_away_costs_time_and_no_alert(ledger: Ledger) -> None:
    async with serving() as gone:
        pass
    async with outgoing() as out:
        await mailed_to(ledger.database, gone)
        await adjusted(ledger, -3)
        await looked(ledger, out)
        assert "not reached" in (await row_of(ledger.database)).last_words
        async with serving() as server:
            await mailed_to(ledger.database, server)
            await later(ledger)
            await looked(ledger, out)
    assert len(server.mails) == 1


async def test_an_alert_that_was_written_and_not_sent_is_sent_by_the_next_engine(ledger: Ledger) -> None:
    """Killed after each step: what one wrote, another finds."""
    async with serving() as server:
        await mailed_to(ledger.database, server)
        await adjusted(ledger, -3)
        await alert.alert(ledger.database)
        assert await alert.alert(ledger.database) == 0
        await tell_all(ledger)
        async with outgoing() as out:
            await deliver_all(ledger, out)
    assert len(server.mails) == 1


async def test_two_nodes_do_not_tell_twice(ledger: Ledger) -> None:
    await adjusted(ledger, -3)
    async with ledger.database.transaction() as tx:
        assert await alerts.try_lock(tx)
        assert await alert.alert(ledger.database) == 0
    assert await alert.alert(ledger.database) == 1


async def test_the_password_travels_encrypted_and_is_sealed_in_the_database(dsn: str, tmp_path: Path) -> None:
    certificate, tls = certificate_of(tmp_path)
    async with Database.open(dsn, keyring=Keyring([new_key()])) as database:
        async with serving(certificate=certificate, needs_login=True) as server:
            async with outgoing(tls=tls) as out:
                await mailed_to(database, server, security=Security.STARTTLS, password=PASSWORD)
                reply = await following.attempt(database, out, "erp", new_id=CLOCK.new_id())
                assert (reply.is_delivered, server.was_encrypted, server.users) == (True, [True], [USER])
                await mailed_to(database, server, security=Security.STARTTLS, password="wrong")
                refused = await following.attempt(database, out, "erp", new_id=CLOCK.new_id())
                assert (refused.status, "wrong" in refused.words) == (535, False)
            async with outgoing() as strict:
                unknown = await following.attempt(database, strict, "erp", new_id=CLOCK.new_id())
                assert (unknown.is_delivered, len(server.mails)) == (False, 1), "nobody vouches for its certificate"
        async with database.transaction() as tx:
            [(sealed,)] = await (await tx.execute("select sealed from endpoints")).fetchall()
            assert list(sealed) == ["password"]
            assert is_sealed(sealed["password"])
            assert [row.table for row in await secret_keys.listed(tx)] == [secret_keys.ENDPOINTS]
    async with Database.open(dsn, keyring=Keyring([new_key()])) as stranger, outgoing() as out:
        lost = await following.attempt(stranger, out, "erp", new_id=CLOCK.new_id())
        assert (lost.is_delivered, "sealed by" in lost.words) == (False, True)


async def test_a_server_without_starttls_gets_nothing_where_it_was_asked_for(ledger: Ledger) -> None:
    async with serving() as server, outgoing() as out:
        await mailed_to(ledger.database, server, security=Security.STARTTLS)
        reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
    assert (reply.is_delivered, server.mails, "STARTTLS" in reply.words) == (False, [], True)


async def test_encryption_from_the_first_byte_on_is_spoken_too(ledger: Ledger, tmp_path: Path) -> None:
    certificate, tls = certificate_of(tmp_path)
    async with serving(certificate=certificate, is_tls=True) as server, outgoing(tls=tls) as out:
        await mailed_to(ledger.database, server, security=Security.TLS)
        reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
        assert (reply.is_delivered, server.was_encrypted) == (True, [True])
    async with serving(certificate=certificate, is_tls=True) as server, outgoing() as strict:
        await mailed_to(ledger.database, server, security=Security.TLS)
        reply = await following.attempt(ledger.database, strict, "erp", new_id=CLOCK.new_id())
        assert (reply.is_delivered, server.mails) == (False, [])


async def test_a_server_that_never_comes_to_the_point_is_hung_up_on(ledger: Ledger) -> None:
    has_ended = asyncio.Event()

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"220-wait a little\r\n")
                await writer.drain()
                await CLOCK.sleep(0.02)
        except ConnectionError:
            has_ended.set()
        finally:
            writer.close()

    tarpit = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with outgoing(deadline_s=0.5) as out:
        server = MailServer(port=tarpit.sockets[0].getsockname()[1])
        await mailed_to(ledger.database, server)
        reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
        assert reply.words == "no answer within 0.5 s"
        async with asyncio.timeout(30):
            await has_ended.wait()
    tarpit.close()


async def test_one_recipient_that_is_refused_keeps_the_mail_from_nobody_else(ledger: Ledger) -> None:
    async with serving() as server:
        server.refuses = {"gone@shop.example"}
        async with outgoing() as out:
            await mailed_to(ledger.database, server, recipients=("gone@shop.example", TO))
            reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
            assert (reply.is_delivered, reply.words) == (True, "taken, but not for gone@shop.example")
            server.refuses.add(TO)
            reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
            assert (reply.status, reply.words) == (550, "no recipient was taken: 550 nobody of this name")


async def test_a_mail_server_inside_the_house_is_called_only_where_the_operator_said_so(ledger: Ledger) -> None:
    async with serving() as server, outgoing(allowed=()) as out:
        await mailed_to(ledger.database, server)
        reply = await following.attempt(ledger.database, out, "erp", new_id=CLOCK.new_id())
    assert (reply.is_delivered, "ONESHELF_EVENTS_TO" in reply.words, server.mails) == (False, True, [])


async def test_a_chat_gets_plain_words_and_its_url_is_nowhere_to_be_seen(dsn: str) -> None:
    async with (
        open_ledger(dsn, {"MUG": 9}) as ledger,
        chatting() as chat,
        outgoing() as out,
        Database.open(dsn, keyring=Keyring([new_key()])) as database,
    ):
        ledger.database = database
        await watch.set_rule(database, ReorderScope(sku=MUG), ReorderRule(units=8), by="<!channel> & Ada")
        await people.define(database, people.chat_wish("erp", chat.url, allows_http=True, event_types=()))
        await adjusted(ledger, -4)
        await looked(ledger, out)
        row = await row_of(database)
        assert (row.kind, row.url.endswith("/…"), row.waiting_count) == ("chat", True, 0)
        assert "hook" not in row.url
        [text] = chat.texts
        assert text.startswith("oneshelf: MUG is low: 5 available, its reorder point is 8\nOPEN since ")
        with pytest.raises(MalformedError, match="nothing is signed"):
            await following.rotate(database, "erp")
        with pytest.raises(MalformedError, match="in another way already"):
            await following.define(
                database, following.wish_from("erp", "https://erp.example/", event_types=(), allows_http=False)
            )


async def test_a_name_that_looks_like_a_mention_calls_nobody(ledger: Ledger) -> None:
    async with chatting() as chat, outgoing() as out:
        await ledger.rows("insert into skus (sku) values ('<!here>') returning 1")
        rule = ReorderRule(units=3)
        await watch.set_rule(ledger.database, ReorderScope(sku=Sku("<!here>")), rule, by="Ada")
        await people.define(ledger.database, people.chat_wish("erp", chat.url, allows_http=True, event_types=()))
        await looked(ledger, out)
        assert "&lt;!here&gt; is low" in chat.texts[0]
        assert "<!here>" not in chat.texts[0]


async def test_people_are_told_of_alerts_alone_and_of_those_that_they_want(ledger: Ledger) -> None:
    async with serving() as server, chatting() as chat, listening() as receiver, outgoing() as out:
        await mailed_to(ledger.database, server, EventType.ALERT_OVERSOLD)
        await people.define(ledger.database, people.chat_wish("team", chat.url, allows_http=True, event_types=()))
        await follow(ledger.database, receiver, name="all")
        await adjusted(ledger, -3)
        await looked(ledger, out)
    assert server.mails == []
    assert len(chat.texts) == 1
    [low] = receiver.of(EventType.ALERT_LOW_STOCK)
    assert (low["data"]["state"], low["data"]["sku"], low["data"]["available"]) == ("open", "MUG", 7)
    assert {event["type"] for event in receiver.taken} > {EventType.ALERT_LOW_STOCK.value}
    with pytest.raises(MalformedError, match="no event type"):
        people.chat_wish("team", chat.url, allows_http=True, event_types=["stock.changed"])


async def test_units_that_are_sold_and_not_there_are_an_alert(ledger: Ledger) -> None:
    await ledger.allow(5)
    await ledger.ask(hold(demand(MUG, 12)))
    assert await alert.alert(ledger.database) >= 1
    async with ledger.database.transaction() as tx:
        found = {row.kind: row for row in await alerts.rows(tx, is_open=True, limit=10)}
    assert found["alert.oversold"].figures == {"sku": "MUG", "units_short": 2}


async def test_alerts_that_have_been_over_for_a_month_are_forgotten(ledger: Ledger) -> None:
    await ledger.rows(
        "insert into alerts (kind, name, opened_at, closed_at) select 'alert.low_stock', 'OLD', db_now(), "
        "db_now() - make_interval(days => each) from unnest('{31,29}'::int[]) as each returning 1"
    )
    await alert.alert(ledger.database)
    [row] = await ledger.rows("select count(*) as count from alerts where name = 'OLD'")
    assert row["count"] == 1
