"""Signatures: only what the channel signed is believed."""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.domain.order import OrderSnapshot, located
from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import SECRET, SOON_S, Bench
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen, no_checkout, no_webhooks, webhooks
from oneshelf.sdk.contract import AnswersCheckout, Connector, LearnsKeys
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request, StockHint

OTHER_SELLER = "webhook_wrong_seller"
NEW_SECRET = "hush-from-tomorrow-on"  # noqa: S105  # opens a simulator only


async def _webhooks(bench: Bench) -> list[Request]:
    """What the channel sends of two sales and of an edit."""
    bench.placed((bench.skus[0], 1))
    bench.placed((bench.skus[2], 1))
    bench.simulator.edit_by_hand(bench.skus[1], 3)
    await bench.live(SOON_S)
    must_happen(bench.hooks.got, "send a webhook for a sale or an edit")
    return list(bench.hooks.got)


async def _refuses(bench: Bench, request: Request, what: str, *, connector: Connector | None = None) -> None:
    try:
        await bench.verified(request, connector=connector)
    except SignatureError:
        return
    except Exception as failure:
        fail(f"{what}: {type(failure).__name__} instead of SignatureError: {failure!s:.200}")
    fail(f"{what}: it was taken for authentic")


async def _is_taken(bench: Bench, request: Request) -> bool:
    try:
        await bench.verified(request)
    except SignatureError:
        return False
    return True


async def signed_by(bench: Bench, request: Request) -> Mapping[str, str]:
    """The headers without which a request is refused: the signature among them."""
    needed = {}
    for name, value in request.headers.items():
        rest = {other: text for other, text in request.headers.items() if other != name}
        if not await _is_taken(bench, Request(rest, request.body)):
            needed[name] = value
    return needed


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def a_signed_webhook_is_taken_with_its_own_bytes(bench: Bench) -> None:
    """Refusing true webhooks costs minutes of overselling on each sale, until a poll finds it."""
    requests = await _webhooks(bench)
    for request in requests:
        delivery = await bench.verified(request)
        expect(delivery.body == request.body, "the delivery does not hold the bytes that came in")
        expect(delivery.key and len(delivery.key) <= 200, f"a key of {len(delivery.key)} characters")
        expect(delivery == bench.connector.verify(request), "verified twice, it is two deliveries")
    keys = [(await bench.verified(request)).key for request in requests]
    bodies = {(request.headers.get("x-topic"), request.body) for request in requests}
    expect(len(set(keys)) >= min(len(bodies), 2), "different webhooks share a key: the second would be dropped")


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def an_altered_body_is_refused(bench: Bench) -> None:
    """Whoever knows the address could sell our stock to nobody. Each byte is under the signature."""
    request = (await _webhooks(bench))[0]
    body = request.body
    altered = [
        *(body + b" ", b" " + body, body[:-1], b"", body.replace(b"1", b"2", 1) + b"\n"),
        *(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(0, len(body), max(1, len(body) // 16))),
    ]
    for other in altered:
        if other != body:
            await _refuses(bench, Request(request.headers, other), f"an altered body ({len(other)} bytes)")


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def a_wrong_or_missing_signature_is_refused(bench: Bench) -> None:
    """Missing, empty, cut, with junk behind it, in other letters: each is refused, and none breaks the door."""
    request = (await _webhooks(bench))[0]
    needed = await signed_by(bench, request)
    expect(needed, "without any one of its headers the request is still taken: which one is the signature?")
    for name, value in needed.items():
        for wrong in ("", " ", "A", value[:-2], value + "=", value + "\n", value.swapcase(), "é" + value, "x" * 10_000):
            if wrong != value:  # Of a number the other letters are the same ones.
                await _refuses(bench, Request({**request.headers, name: wrong}, request.body), f"{name}: {wrong!r:.30}")
    await _refuses(bench, Request({}, request.body), "no header at all")


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def another_secret_is_refused(bench: Bench) -> None:
    """Another shop's secret signs another shop's orders. Where the channel signs for all, the shop is in the body."""
    if isinstance(bench.connector, LearnsKeys):
        must_happen(OTHER_SELLER in bench.simulator.switches.names, "send a webhook of another seller's")
        bench.simulator.switches.set({OTHER_SELLER: 1.0})
        taken = [await _is_taken(bench, request) for request in await _webhooks(bench)]
        expect(any(taken), "all are refused, those about our own orders too")
        expect(not all(taken), "signed by the channel, and about another seller: it was taken for authentic")
        return
    request = (await _webhooks(bench))[0]
    other = bench.another_connector(webhook_secrets=[NEW_SECRET])
    await _refuses(bench, request, "signed with another secret", connector=other)


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def both_secrets_are_good_during_a_rotation(bench: Bench) -> None:
    """A secret is changed at the channel and here at two instants. In between both sign."""
    first = (await _webhooks(bench))[0]
    bench.simulator.connect(address="http://127.0.0.1:8700/webhooks/conformance", secret=NEW_SECRET)
    bench.hooks.got.clear()
    second = (await _webhooks(bench))[0]
    for secrets in ((SECRET, NEW_SECRET), (NEW_SECRET, SECRET)):
        connector = bench.another_connector(webhook_secrets=secrets)
        for request in (first, second):
            delivery = await bench.verified(request, connector=connector)
            expect(delivery.body == request.body, "the body changed on its way")


@check("signatures", proves=("has_webhooks",), unless=no_webhooks)
async def only_the_header_names_matter_that_the_door_hands_on(bench: Bench) -> None:
    """The web server lowers the case of header names, whatever the channel wrote. Other headers change nothing."""
    request = (await _webhooks(bench))[0]
    expected = await bench.verified(request)
    more = {**request.headers, "x-forwarded-for": "10.0.0.1", "cookie": "a=b"}
    expect(await bench.verified(Request(more, request.body)) == expected, "a foreign header changes the delivery")


@check("signatures", proves=("has_webhooks",), unless=webhooks)
async def a_channel_without_webhooks_takes_none(bench: Bench) -> None:
    """Whatever arrives at its address was not sent by the channel."""
    for request in (Request({}, b""), Request({"x-signature": "A"}, b"{}")):
        await _refuses(bench, request, "a webhook of a channel that sends none")
    bench.placed((bench.skus[0], 1))
    bench.simulator.edit_by_hand(bench.skus[1], 3)
    await bench.live(SOON_S)
    expect(not bench.hooks.got, "the simulator sends webhooks, and has_webhooks is false")


@check("signatures", proves=("has_webhooks",), unless=no_webhooks, asks=True)
async def a_sale_is_told_by_webhook_as_by_poll(bench: Bench) -> None:
    """The same order comes both ways. Where they differ, the ledger moves units back and forth."""
    start = await bench.poll(None)
    order_ids = [bench.placed((bench.skus[0], 2), (bench.skus[1], 1)) for _ in range(3)]
    await bench.live(SOON_S)
    bench.simulator.cancel(order_ids[1])
    bench.simulator.ship(order_ids[2])
    await bench.live(SOON_S)
    polled = await bench.settled_orders(start.cursor)
    told = await bench.poll(start.cursor)
    told.orders.clear()
    for request in bench.hooks.got:
        for message in await bench.told(request):
            if isinstance(message, OrderSnapshot):
                told.learn(message)
    expect(told.orders, "no webhook told of an order")
    for order_id, order in told.orders.items():
        same = polled.orders.get(order_id)
        # From where units will leave a webhook need not tell.
        expect(located(order, same) == same, f"webhook: {order}; poll: {same}")


@check("signatures", proves=("has_webhooks", "silent_states"), unless=no_webhooks, asks=True)
async def a_change_of_the_figure_is_announced_unless_it_is_declared_silent(bench: Bench) -> None:
    """What is announced is looked at within seconds; what is silent has to be found by sweeps, and says so."""
    (sku, *_rest) = bench.skus
    aliases = {reading.alias: reading.channel_sku for reading in await bench.fetched() if reading.alias}
    await bench.live(SOON_S)
    bench.hooks.got.clear()
    bench.simulator.edit_by_hand(sku, 3)
    await bench.live(SOON_S)
    messages = [one for request in bench.hooks.got for one in bench.parsed(await bench.verified(request))]
    hints = [one for one in messages if isinstance(one, StockHint)]
    is_silent = "available" in bench.kind.capability.silent_states
    if is_silent:
        expect(not hints, "available is declared silent, and a change of it is announced")
        return
    named = {hint.channel_sku or aliases.get(hint.alias) for hint in hints}
    expect(sku in named, f"a change by hand of {sku} was not announced by a name that readings know: {hints}")


@check("signatures", proves=("asks_at_checkout",), unless=no_checkout)
async def who_shows_nothing_is_told_nothing_at_the_checkout(bench: Bench) -> None:
    """Whoever may ask can read off what sells how fast. And a body that asks nothing is no question about nothing."""
    connector = bench.connector
    if not isinstance(connector, AnswersCheckout):
        fail("asks_at_checkout is declared, and the connector is no AnswersCheckout")
    for shown in ("", " ", "Basic", "Basic ", "Basic Og==", "Basic \xe9\xff", "Bearer x", "x" * 10_000):
        expect(not connector.lets_ask(shown), f"who shows {shown!r:.30} may ask")
    no_questions: tuple[object, ...] = (None, 7, "", [], {}, [{}], [[]])
    for document in no_questions:
        try:
            questions = connector.checkout_questions(document)
        except MalformedError:
            continue
        fail(f"{document!r} is taken for the questions {questions!r:.200}")
