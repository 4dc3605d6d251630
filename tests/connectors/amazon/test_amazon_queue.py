"""An Amazon account that tells its news through a queue, over the real wire of SQS and of the Notifications API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.amazon.ear import ear, listening
from connectors.amazon.harness import ADDRESS, bench
from oneshelf.connectors.amazon.account import account_from
from oneshelf.connectors.amazon.listening import FetchingAmazonConnector
from oneshelf.connectors.amazon.simulator_queue import QUEUE_ARN, VISIBILITY_S, RefusedCallError
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import ConfigurationError, InvariantError, MalformedError
from oneshelf.sdk.contract import FetchesOrders, Hears, Subscribes
from oneshelf.sdk.fault import MisconfiguredError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import ChannelConfig, Heard, OrderHint, StockHint

MUG = ChannelSku("MUG")


# Hearing ---------------------------------------------------------------------------------------------------------


async def test_a_sale_is_heard_of_as_an_order_and_as_a_quantity_and_the_order_can_be_asked_for() -> None:
    async with ear() as it:
        order_id = it.desk.simulator.place([("MUG", 2)])
        assert order_id
        await it.desk.clock.advance(60)
        assert set(await it.messages()) == {OrderHint(order_id), StockHint(MUG)}
        told = await it.connector.fetch_order(order_id)
        assert told is not None
        [snapshot] = it.connector.parse(told)
        assert isinstance(snapshot, OrderSnapshot)
        assert (snapshot.order_id, snapshot.is_pending, snapshot.lines[0].units_ordered) == (order_id, True, 2)


async def test_an_order_that_is_asked_for_is_the_delivery_that_a_poll_brings() -> None:
    async with ear() as it:
        _, _, cursor = await it.desk.poll(None)
        order_id = it.desk.simulator.place([("MUG", 1)])
        await it.desk.clock.advance(600)
        pages, _, _ = await it.desk.poll(cursor)
        polled = {told.key: told for page in pages for told in page.deliveries}
        fetched = await it.connector.fetch_order(order_id or "")
        assert fetched is not None
        assert polled == {fetched.key: fetched}


async def test_an_order_that_is_not_shown_yet_is_none_and_a_wrong_id_too() -> None:
    async with ear() as it:
        it.desk.simulator.switches.set({"order_late": {"next": 1}})
        order_id = it.desk.simulator.place([("MUG", 1)])
        assert await it.connector.fetch_order(order_id or "") is None
        assert await it.connector.fetch_order("../no such / order?") is None
        await it.desk.clock.advance(1300)
        assert await it.connector.fetch_order(order_id or "") is not None


async def test_our_own_write_comes_back_as_a_reason_to_look() -> None:
    async with ear() as it:
        await it.connector.read_stock([MUG])
        await it.connector.push([it.desk.write("MUG", 9)])
        await it.desk.clock.advance(400)
        assert await it.messages() == [StockHint(MUG)]


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not() -> None:
    async with ear() as it:
        it.desk.simulator.place([("MUG", 1)])
        await it.desk.clock.advance(60)
        first = await it.hear()
        assert len(first.deliveries) == 2
        await it.desk.clock.advance(VISIBILITY_S)
        again = await it.hear()
        assert {told.key for told in again.deliveries} == {told.key for told in first.deliveries}
        await it.connector.acknowledge(again.receipts)
        await it.desk.clock.advance(VISIBILITY_S)
        assert (await it.hear()).deliveries == ()
        assert len(it.desk.simulator.queue) == 0


async def test_a_quiet_queue_is_waited_at_for_ten_seconds() -> None:
    async with ear() as it:
        before = it.desk.clock.monotonic()
        assert await it.hear() == Heard((), ())
        assert it.desk.clock.monotonic() - before == pytest.approx(10, abs=1)


async def test_many_messages_come_ten_at_a_time() -> None:
    async with ear() as it:
        for _ in range(3):
            order_id = it.desk.simulator.place([("MUG", 1)]) or ""
            assert it.desk.simulator.cancel(order_id)
        await it.desk.clock.advance(60)
        heard = await it.hear()
        assert len(heard.deliveries) == 10
        await it.connector.acknowledge(heard.receipts)
        assert len((await it.hear()).deliveries) == 2


async def test_a_text_that_is_no_notification_is_delivered_all_the_same_to_be_parked() -> None:
    async with ear() as it:
        it.desk.simulator.queue.send_raw("hello")
        heard = await it.hear()
        assert [told.body for told in heard.deliveries] == [b"hello"]
        with pytest.raises(MalformedError):
            it.connector.parse(heard.deliveries[0])


@pytest.mark.parametrize(
    ("fault", "count"), [("notification_lost", 0), ("notification_duplicate", 4), ("notification_outage", 0)]
)
async def test_a_fault_of_the_notifications_is_on_a_switch(fault: str, count: int) -> None:
    async with ear() as it:
        it.desk.simulator.switches.set({fault: {"next": 2}})
        it.desk.simulator.place([("MUG", 1)])
        await it.desk.clock.advance(90)
        heard = await it.hear()
        assert len(heard.deliveries) == count
        assert len({told.key for told in heard.deliveries}) == count / 2
        assert it.desk.simulator.switches.hits[fault] == 2


async def test_an_outage_silences_one_type_for_hours_and_ends() -> None:
    async with ear() as it:
        it.desk.simulator.switches.set({"notification_outage": {"next": 1}})
        it.desk.simulator.edit_by_hand("MUG", 3)  # The first to be sent is a quantity.
        order_id = it.desk.simulator.place([("MUG", 1)]) or ""
        await it.desk.clock.advance(60)
        assert await it.messages() == [OrderHint(order_id)]
        await it.desk.clock.advance(4 * 86_400)
        await it.messages()
        it.desk.simulator.edit_by_hand("MUG", 2)
        await it.desk.clock.advance(60)
        assert await it.messages() == [StockHint(MUG)]


async def test_a_message_may_be_overtaken() -> None:
    async with ear() as it:
        it.desk.simulator.switches.set({"notification_reorder": {"next": 1}})
        it.desk.simulator.edit_by_hand("MUG", 3)
        order_id = it.desk.simulator.place([("MUG", 1)]) or ""
        await it.desk.clock.advance(60)
        assert OrderHint(order_id) in await it.messages()
        await it.desk.clock.advance(1000)
        assert await it.messages() != []


async def test_a_deactivated_account_is_told_in_camel_case() -> None:
    async with ear() as it:
        it.desk.simulator.notifications.account_changed("DEACTIVATED")
        await it.desk.clock.advance(60)
        [message] = await it.messages()
        assert type(message).__name__ == "AccessLost"


# Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "told"),
    [("queue_access_key_id", "security token"), ("queue_secret_access_key", "signature we calculated")],
)
async def test_a_wrong_key_is_refused_and_is_not_repeated(secret: str, told: str) -> None:
    async with ear() as it:
        wrong = listening(it.desk, clock=None, **{secret: "AKIAWRONGWRONGWRONG0"})
        with pytest.raises(ReauthenticateError, match=told) as refusal:
            await wrong.hear()
        assert "AKIAWRONG" not in str(refusal.value)


async def test_a_signature_of_an_hour_ago_is_refused() -> None:
    async with ear() as it:
        clock = it.desk.clock

        class Late:
            def __getattr__(self, name: str) -> object:
                return getattr(clock, name)

            def now(self) -> object:
                return clock.now() - timedelta(hours=1)

        late = listening(it.desk, clock=Late())  # type: ignore[arg-type]  # all that is called of it
        with pytest.raises(ReauthenticateError, match="expired"):
            await late.hear()


async def test_a_queue_that_is_not_there_is_a_setting_to_be_corrected() -> None:
    async with ear() as it:
        wrong = listening(it.desk, queue_url=f"{ADDRESS}/123456789012/another")
        with pytest.raises(MisconfiguredError, match="queue_url"):
            await wrong.hear()


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (503, "ServiceUnavailable", RetryLaterError),
        (400, "ThrottlingException", RetryLaterError),
        (403, "OverLimit", ReauthenticateError),
        (400, "InvalidParameterValue", RefusedError),
    ],
)
async def test_what_sqs_may_answer_is_a_fault(status: int, kind: str, fault: type[Exception]) -> None:
    async with ear() as it:
        it.desk.simulator.queue.refusal = RefusedCallError(status, kind, "words")
        with pytest.raises(fault, match=kind):
            await it.connector.hear()


# Setting it up ----------------------------------------------------------------------------------------------------


async def test_an_account_without_a_queue_is_polled_and_can_fetch() -> None:
    async with bench({"MUG": 5}) as desk:
        assert isinstance(desk.connector, FetchesOrders)
        assert isinstance(desk.connector, FetchingAmazonConnector)
        assert not isinstance(desk.connector, Hears)
        assert not isinstance(desk.connector, Subscribes)
        desk.simulator.notifications.subscribe_all()
        assert isinstance(listening(desk), Hears)


async def test_what_is_missing_is_subscribed_to_once_and_what_is_anothers_is_left_alone() -> None:
    async with ear(subscribed=False) as it:
        made = await it.connector.keep_subscriptions(QUEUE_ARN)
        kinds = ("ORDER_CHANGE", "ACCOUNT_STATUS_CHANGED")
        assert (made.created, made.present, made.refused) == (kinds, (), {})
        await it.desk.clock.advance(10)
        again = await it.connector.keep_subscriptions(QUEUE_ARN)
        assert (again.created, again.present, again.refused) == ((), kinds, {})
        notifications = it.desk.simulator.notifications
        assert len(notifications.destinations) == 1
        del notifications.subscriptions["ORDER_CHANGE"]
        notifications.subscriptions["ACCOUNT_STATUS_CHANGED"].destination_id = "somebody-elses"
        await it.desk.clock.advance(10)
        later = await it.connector.keep_subscriptions(QUEUE_ARN)
        assert (later.created, later.present) == (("ORDER_CHANGE",), ())
        assert "somebody-elses" in later.refused["ACCOUNT_STATUS_CHANGED"]
        assert notifications.subscriptions["ACCOUNT_STATUS_CHANGED"].destination_id == "somebody-elses"
        with pytest.raises(InvariantError):
            await it.connector.keep_subscriptions("https://shelf.example/webhooks/market")


async def test_a_check_says_what_is_missing_and_who_sees_to_it() -> None:
    async with ear(subscribed=False) as it:
        findings = {one.what: one for one in await it.connector.preflight()}
        assert findings["queue can be read"].is_good
        missing = findings["ORDER_CHANGE is subscribed to"]
        assert not missing.is_good
        assert "running engine" in missing.detail
        by_hand = findings["LISTINGS_ITEM_MFN_QUANTITY_CHANGE is subscribed to"]
        assert by_hand.is_good
        assert "EventBridge" in by_hand.detail
        it.desk.simulator.notifications.subscribe_all()
        await it.desk.clock.advance(10)
        assert all(one.is_good for one in await it.connector.preflight())
        await it.desk.clock.advance(10)
        it.desk.simulator.queue.denied.add("GetQueueAttributes")
        findings = {one.what: one for one in await it.connector.preflight()}
        assert not findings["queue can be read"].is_good
        assert "polled" in findings["queue can be read"].detail


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/q"}, "queue_access_key_id"),
        ({"queue_region": "us-east-1"}, "queue_url"),
        ({"queue_url": "http://sqs.us-east-1.amazonaws.com/123456789012/q", "k": "k"}, "https"),
        ({"queue_url": "https://sqs.us-east-1.amazonaws.com/q", "k": "k"}, "must look like"),
        ({"queue_url": "https://queue.example/123456789012/q", "k": "k"}, "queue_region"),
    ],
)
async def test_half_a_queue_is_refused_with_what_is_missing(settings: dict[str, str], words: str) -> None:
    async with bench({"MUG": 5}) as desk:
        account = desk.simulator.account(address=ADDRESS)
        secrets = dict(account.secrets)
        if settings.pop("k", ""):
            secrets |= {"queue_access_key_id": "AKIA", "queue_secret_access_key": "secret"}
        config = ChannelConfig("market", settings={**account.settings, **settings}, secrets=secrets)
        with pytest.raises(ConfigurationError, match=words):
            account_from(config)


async def test_the_region_is_read_from_the_address_of_the_queue() -> None:
    async with bench({"MUG": 5}) as desk:
        account = desk.simulator.account(address=ADDRESS)
        url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
        secrets = {**account.secrets, "queue_access_key_id": "AKIA", "queue_secret_access_key": "secret"}
        queue = account_from(ChannelConfig("m", settings={**account.settings, "queue_url": url}, secrets=secrets)).queue
        assert queue is not None
        assert (queue.region, queue.arn) == ("eu-west-1", "arn:aws:sqs:eu-west-1:123456789012:orders")
        assert queue.endpoint == "https://sqs.eu-west-1.amazonaws.com/"
        assert "secret" not in repr(queue)
