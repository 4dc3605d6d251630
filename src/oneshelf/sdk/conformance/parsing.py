"""Parsing: what a channel told is read the same way each time, and what cannot be read is said to be unreadable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from oneshelf.domain.identity import UNITS_MAX
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import CHANNEL, SOON_S, Bench
from oneshelf.sdk.conformance.check import check, expect, fail, must_happen
from oneshelf.sdk.message import (
    AccessLost,
    Delivery,
    DeviceNews,
    Ignored,
    Message,
    OrderHint,
    StockHint,
)
from oneshelf.sdk.purchase import PurchaseOrders

# What no channel says, in the place of each value of a document.
WRONG_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 10**15, 10**40, -(10**40)),
    *("", "x", "-1", "1e999", "2026-99-99T99:99:99Z", "2026-03-02T08:00:00", "\u0000", "gid://", "9" * 5000),
    *([], {}, [[]], [None], {"a": 1}),
)
NESTED = 100_000
HUGE = 2_000_000
CUTS = 60


async def deliveries_of(bench: Bench) -> list[Delivery]:
    """One delivery of each topic that the channel has: of orders in several states, by webhook and by poll."""
    start = await bench.poll(None)
    sku, other = bench.skus[:2]
    kept, gone = bench.placed((sku, 2), (other, 1)), bench.placed((sku, 1))
    await bench.live(SOON_S)
    bench.simulator.cancel(gone)
    bench.simulator.edit_by_hand(other, 4)
    await bench.live(3600.0)
    bench.simulator.ship(kept)
    polled = await bench.settled_orders(start.cursor)
    told = [await bench.verified(request) for request in bench.hooks.got]
    by_topic: dict[str, Delivery] = {}
    for delivery in [*polled.deliveries, *told]:
        known = by_topic.get(delivery.topic)
        if known is None or len(known.body) < len(delivery.body):
            by_topic[delivery.topic] = delivery
    expect(by_topic, "two orders were placed, and nothing at all was delivered")
    return list(by_topic.values())


def read_safely(bench: Bench, delivery: Delivery, what: str) -> tuple[Message, ...] | None:
    """The messages; None where it is malformed. Raises Violation for any other exception."""
    try:
        messages = bench.connector.parse(delivery)
    except MalformedError:
        return None
    except Exception as failure:
        fail(f"{delivery.topic}, {what}: {type(failure).__name__} instead of MalformedError: {failure!s:.200}")
    for message in messages:
        _is_sound(message, f"{delivery.topic}, {what}")
    return messages


def _is_sound(message: Message, what: str) -> None:
    expect(
        isinstance(message, OrderSnapshot | OrderHint | StockHint | AccessLost | DeviceNews | PurchaseOrders | Ignored),
        f"{what}: a {type(message).__name__}",
    )
    if isinstance(message, DeviceNews):
        _are_sound(message, what)
    if isinstance(message, PurchaseOrders):
        for order in message.orders:
            names = (order.po_number, *(name for line in order.lines for name in (line.line_id, *line.numbers)))
            expect(all(name and _is_text(name) for name in names), f"{what}: a name that is no text")
            expect(all(0 < line.units <= UNITS_MAX for line in order.lines), f"{what}: units of {order.lines}")
            expect(all(line.numbers for line in order.lines), f"{what}: a line without an article")
    if not isinstance(message, OrderSnapshot):
        return
    expect(message.channel == CHANNEL, f"{what}: an order of the channel {message.channel!r}")
    offset = message.placed_at.utcoffset()
    expect(offset == timedelta(0), f"{what}: placed_at {message.placed_at} is not in UTC")
    for line in message.lines:
        counts = (
            line.units_ordered,
            line.units_cancelled,
            line.units_relisted,
            line.units_shipped,
            line.units_returned,
        )
        is_counted = all(type(units) is int and 0 <= units <= UNITS_MAX for units in counts)
        expect(is_counted, f"{what}: units of {counts}")
        expect(type(line.channel_sku) is str and line.channel_sku, f"{what}: a line without a listing")
        expect(_is_text(line.channel_sku) and _is_text(message.order_id), f"{what}: a name that is no text")


def _are_sound(news: DeviceNews, what: str) -> None:
    for event in news.events:
        expect(event.at.utcoffset() == timedelta(0), f"{what}: at {event.at} is not in UTC")
        expect(type(event.sequence) is int and event.sequence > 0, f"{what}: the number {event.sequence}")
        names = (event.device, event.receipt, event.receipt_device, *(line.channel_sku for line in event.lines))
        expect(all(name and _is_text(name) for name in names), f"{what}: a name that is no text")
        expect(all(0 < line.units <= UNITS_MAX for line in event.lines), f"{what}: units of {event.lines}")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@check("parsing")
async def the_same_bytes_give_the_same_messages(bench: Bench) -> None:
    """A delivery is stored, and read again after a crash. A second reading that differs would move units twice."""
    for delivery in await deliveries_of(bench):
        first = read_safely(bench, delivery, "as delivered")
        expect(first, f"{delivery.topic}: what the channel itself delivered is unreadable, or says nothing at all")
        expect(first == bench.connector.parse(delivery), f"{delivery.topic}: read twice, it says two things")
        other = bench.another_connector().parse(delivery)
        expect(
            first == other, f"{delivery.topic}: another connector, which has read nothing else, reads it differently"
        )


@check("parsing")
async def cut_bytes_are_malformed_and_nothing_else(bench: Bench) -> None:
    """A proxy cuts a body. Any other exception stops the step that reads all channels' deliveries."""
    for delivery in await deliveries_of(bench):
        body = delivery.body
        step = max(1, len(body) // CUTS)
        for length in [*range(0, len(body), step), len(body) - 1]:
            read = read_safely(bench, _with(delivery, body[:length]), f"cut after {length} bytes")
            is_safe = read is None or all(isinstance(one, Ignored) for one in read) or not body[length:].strip()
            expect(is_safe or not _says_orders(read), f"{delivery.topic}: half a body gave a whole order")


def _says_orders(messages: tuple[Message, ...] | None) -> bool:
    return any(isinstance(one, OrderSnapshot | DeviceNews | PurchaseOrders) for one in messages or ())


@check("parsing")
async def junk_is_malformed_and_nothing_else(bench: Bench) -> None:
    """Huge, empty, deeply nested, not text, not a document: the inbox parks it and goes on with the next."""
    junk = {
        "empty": b"",
        "zeros": b"\x00" * 64,
        "not UTF-8": b'{"id": "\xff\xfe"}',
        "nested lists": b"[" * NESTED + b"]" * NESTED,
        "nested objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
        "a huge number": b"9" * HUGE,
        "a huge text": b'"' + b"x" * HUGE + b'"',
        "a lone surrogate": b'{"id": "\\ud800", "a\\udfff": 1}',
        "infinity": b'{"id": 1e999}',
        "a page for humans": b"<html><body>502 Bad Gateway</body></html>",
        **{f"the document {word}": word.encode() for word in ("null", "true", "[]", "{}", "1", '"x"', "[1]")},
    }
    for delivery in await deliveries_of(bench):
        for name, body in junk.items():
            messages = read_safely(bench, _with(delivery, body), name)
            expect(not _says_orders(messages), f"{delivery.topic}, {name}: junk gave an order")


@check("parsing")
async def wrong_types_are_malformed_and_nothing_else(bench: Bench) -> None:
    """A channel changes a field one day. What is not understood is parked with its reason, never guessed at."""
    tried = 0
    for delivery in await deliveries_of(bench):
        try:
            document = msgspec.json.decode(delivery.body)
        except msgspec.DecodeError:
            continue  # Not JSON: its bytes are tried by the other checks.
        for path in _paths(document):
            for wrong in WRONG_VALUES:
                body = msgspec.json.encode(_replaced(document, path, wrong))
                read_safely(bench, _with(delivery, body), f"{wrong!r:.40} at {'.'.join(map(str, path))}")
                tried += 1
            body = msgspec.json.encode(_replaced(document, path, "SURROGATE")).replace(b'"SURROGATE"', b'"\\ud800"')
            read_safely(bench, _with(delivery, body), f"a lone surrogate at {'.'.join(map(str, path))}")
            body = msgspec.json.encode(_without(document, path))
            read_safely(bench, _with(delivery, body), f"without {'.'.join(map(str, path))}")
    must_happen(tried, "deliver a document whose members have types")


Path = tuple[str | int, ...]


def _paths(document: Any) -> Iterator[Path]:
    """Every place in a document. Of a list the first entry stands for all."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        entries = list(document.items())
    elif isinstance(document, list):
        entries = list(enumerate(document[:1]))
    for key, value in entries:
        yield (key,)
        for path in _paths(value):
            yield (key, *path)


def _replaced(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = document.copy()
    changed[path[0]] = _replaced(document[path[0]], path[1:], value)
    return changed


def _without(document: Any, path: Path) -> Any:
    changed = document.copy()
    if len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = _without(document[path[0]], path[1:])
    return changed


def _with(delivery: Delivery, body: bytes) -> Delivery:
    return Delivery(key=delivery.key, topic=delivery.topic, body=body)
