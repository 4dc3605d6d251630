"""News in a queue: heard of at once, stored before it is gone, and never the only way in which an order is known."""

from __future__ import annotations

from oneshelf.domain.order import OrderSnapshot, is_older
from oneshelf.sdk.conformance.bench import ADDRESS, SOON_S, Bench, Polled
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen, no_queue
from oneshelf.sdk.conformance.wire import REPLY_LOST
from oneshelf.sdk.contract import Hears, Subscribes
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Delivery, Heard, OrderHint

# The engine holds a listener's lease for a minute: one wait for news has to fit into it.
WAIT_S_MAX = 30.0
# What waits for news less than this asks without end.
WAIT_S_LEAST = 0.5
# A queue gives out again what was not acknowledged; the usual time is half a minute.
AGAIN_S = 300.0
MISLED_SHARE = 0.4
ORDERS, APART_S, ROUNDS_MAX = 24, 60.0, 40


async def _ear(bench: Bench) -> Hears:
    """The bench's connector from now on is one of an account with a queue, into which the channel puts its news."""
    account = bench.simulator.listening_account(address=ADDRESS)
    must_happen(account is not None, "have an account with a queue")
    if account is None:
        fail("unreachable")
    connector = bench.open_account(account)
    if not isinstance(connector, Hears) or not connector.has_queue:
        fail("has_queue is declared, and the connector of an account with a queue is no Hears")
    if isinstance(connector, Subscribes):
        kept = await bench.patiently(lambda: connector.keep_subscriptions(connector.queue_name))
        expect(kept.created or kept.present, f"nothing is announced to the queue: {dict(kept.refused)}")
    bench.connector = connector
    return connector


async def _all(bench: Bench, ear: Hears, *, is_acknowledged: bool) -> list[Delivery]:
    """What lies in the queue, until nothing comes any more."""
    found: list[Delivery] = []
    for _ in range(ROUNDS_MAX):
        heard: Heard = await bench.patiently(ear.hear)
        found.extend(heard.deliveries)
        if is_acknowledged and heard.receipts:
            await bench.patiently(lambda receipts=heard.receipts: ear.acknowledge(receipts))  # type: ignore[misc]  # bound early
        if not heard.deliveries:
            return found
    fail(f"after {ROUNDS_MAX} rounds the queue still gives out news")


def _named(bench: Bench, deliveries: list[Delivery]) -> set[str]:
    """The orders that these tell of."""
    messages = [message for each in deliveries for message in bench.parsed(each)]
    return {one.order_id for one in messages if isinstance(one, OrderHint | OrderSnapshot) and one.order_id}


@check("news", proves=("has_queue",), unless=no_queue)
async def a_sale_is_heard_of_and_is_what_a_poll_tells(bench: Bench) -> None:
    """News that names no order, or another one than the polls, makes nothing known sooner."""
    async with bench.another() as other:
        ear = await _ear(other)
        start = await other.poll(None)
        order_id = other.placed((other.skus[0], 2), (other.skus[1], 1))
        await other.live(SOON_S)
        heard = await _all(other, ear, is_acknowledged=True)
        expect(order_id in _named(other, heard), f"a minute after it was placed the order {order_id} is not heard of")
        told = Polled(start.cursor, None)
        for each in heard:
            for message in await other.said(each):
                if isinstance(message, OrderSnapshot):
                    told.learn(message)
        polled = await other.settled_orders(start.cursor)
        expect(order_id in told.orders, f"what is heard of the order {order_id} does not lead to it")
        _agree(told, polled)


@check("news", proves=("has_queue",), unless=no_queue)
async def news_is_heard_again_until_it_is_acknowledged(bench: Bench) -> None:
    """Whoever dies before what it heard is stored has to hear it once more; and what is stored comes no more."""
    async with bench.another() as other:
        ear = await _ear(other)
        order_id = other.placed((other.skus[0], 1))
        await other.live(SOON_S)
        first = await _all(other, ear, is_acknowledged=False)
        expect(order_id in _named(other, first), f"a minute after it was placed the order {order_id} is not heard of")
        await other.live(AGAIN_S)
        again = await _all(other, ear, is_acknowledged=True)
        keys = {one.key for one in first}
        expect(keys <= {one.key for one in again}, "what was heard and not acknowledged is gone, or has another key")
        await other.live(AGAIN_S)
        left = [one.key for one in await _all(other, ear, is_acknowledged=True) if one.key in keys]
        expect(not left, f"{len(left)} messages were acknowledged, and come again")


@check("news", proves=("has_queue",), unless=no_queue)
async def news_whose_answer_was_lost_comes_again(bench: Bench) -> None:
    """The queue has given it out, and nobody has got it. It is a fault that says so, and no quiet queue."""
    async with bench.another() as other:
        ear = await _ear(other)
        order_id = other.placed((other.skus[0], 1))
        await other.live(SOON_S)
        other.wire.strike(REPLY_LOST)
        try:
            heard = await ear.hear()
        except ChannelFault:
            heard = Heard((), ())
        except Exception as failure:
            fail(f"the answer was lost on its way, which is told as {failure!r:.120}")
        expect(not heard.deliveries, "the answer was lost on its way, and something was heard in it")
        other.wire.mend()
        await other.live(AGAIN_S)
        named = _named(other, await _all(other, ear, is_acknowledged=True))
        expect(order_id in named, f"news of {order_id} was lost with an answer of the queue")


@check("news", proves=("has_queue",), unless=no_queue)
async def a_quiet_queue_is_waited_at(bench: Bench) -> None:
    """The engine begins anew as soon as a wait ends: one that ends at once asks without end, a long one outlives it."""
    async with bench.another() as other:
        ear = await _ear(other)
        await _all(other, ear, is_acknowledged=True)
        began_s = other.clock.monotonic()
        heard = await other.patiently(ear.hear)
        waited_s = other.clock.monotonic() - began_s
        expect(not heard.deliveries and not heard.receipts, f"nothing lies in the queue, and it is heard: {heard}")
        expect(waited_s >= WAIT_S_LEAST, f"of a quiet queue it comes back after {waited_s:.2f} s")
        expect(waited_s <= WAIT_S_MAX, f"it waits for {waited_s:.0f} s; whoever listens is taken for dead by then")


@check("news", proves=("has_queue",), unless=no_queue)
async def no_order_is_lost_with_news_that_is_lost_doubled_or_late(bench: Bench) -> None:
    """A queue promises nothing: polls tell every order whatever was heard, and a copy of news is no news."""
    async with bench.another(items=3, units=10_000) as busy:
        names = busy.simulator.news_faults
        must_happen(names, "lose, double and delay its news")
        ear = await _ear(busy)
        start = await busy.poll(None)
        busy.simulator.switches.set(dict.fromkeys(names, MISLED_SHARE))
        order_ids: list[str] = []
        heard: list[Delivery] = []
        told = Polled(start.cursor, None)
        for number in range(ORDERS):
            order_ids.append(busy.placed((busy.skus[number % 3], 1 + number % 2)))
            await busy.live(APART_S)
            if number % 4 == 3:
                busy.simulator.cancel(order_ids[number - 1])
            for each in await _all(busy, ear, is_acknowledged=True):
                heard.append(each)
                for message in await busy.said(each):
                    if isinstance(message, OrderSnapshot):
                        told.learn(message)
        hits = busy.simulator.switches.hits
        must_happen(all(hits.get(name) for name in names), f"do each of {names} to {ORDERS} orders")
        busy.simulator.switches.set(dict.fromkeys(names, 0.0))
        _are_copies(heard)
        polled = await busy.settled_orders(start.cursor)
        missed = [order_id for order_id in order_ids if order_id not in polled.orders]
        expect(not missed, f"{len(missed)} of {ORDERS} orders are told by no poll, {missed[:3]} among them")
        _agree(told, polled)


def _agree(told: Polled, polled: Polled) -> None:
    """What was heard is what is polled, or was before it."""
    for order_id, order in told.orders.items():
        same = polled.orders.get(order_id)
        is_known = same is not None and not is_older(same, order) and (same.rank != order.rank or same == order)
        expect(is_known, f"heard: {order}; polled later: {same}")


def _are_copies(heard: list[Delivery]) -> None:
    """The same message has the same key, however often it comes; another one has another."""
    by_key: dict[str, bytes] = {}
    by_body: dict[bytes, str] = {}
    for one in heard:
        expect(by_key.setdefault(one.key, one.body) == one.body, f"two messages share the key {one.key!r}")
        expect(by_body.setdefault(one.body, one.key) == one.key, "a message that came twice has two keys")
