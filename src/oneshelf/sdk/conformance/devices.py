"""Devices: a channel that shows no figure tells by number what its devices sold, and is never asked for anything."""

from __future__ import annotations

from collections import Counter

from oneshelf.domain.device import DeviceEvent, DeviceEventKind
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import check, expect, figures_shown, must_happen, no_devices
from oneshelf.sdk.message import DeviceNews, Refused

# Within this a device that is on the network has told what it sold.
TOLD_S = 600.0


async def _told(bench: Bench) -> list[DeviceEvent]:
    """All that devices have told by now, as often as they told it."""
    await bench.live(TOLD_S)
    told: list[DeviceEvent] = []
    for request in bench.hooks.got:
        for message in bench.parsed(await bench.verified(request)):
            told += message.events if isinstance(message, DeviceNews) else ()
    return told


def _net(events: list[DeviceEvent]) -> Counter[str]:
    """listing -> units that left, by numbers that count once; without the sales that were voided."""
    by_number = {(event.device, event.sequence): event for event in events}
    voided = {(one.receipt_device, one.receipt) for one in by_number.values() if one.kind is DeviceEventKind.VOID}
    left: Counter[str] = Counter()
    for event in by_number.values():
        if (event.device, event.receipt) not in voided:
            left.update({line.channel_sku: line.units for line in event.lines if line.into is None})
    return left


@check("devices", proves=("shows_figures",), unless=no_devices)
async def every_sale_at_a_device_is_told_once_by_number(bench: Bench) -> None:
    """What is told twice under two numbers is sold twice, and what has no number is never missed."""
    for number in range(12):
        bench.placed((bench.skus[number % 3], 1 + number % 2))
    events = await _told(bench)
    booked: Counter[str] = Counter()
    for order in bench.simulator.orders():
        booked.update({line.channel_sku: line.units for line in order.lines})
    expect(_net(events) == booked, f"the books say {dict(booked)}, the devices {dict(_net(events))}")
    for device in {event.device for event in events}:
        numbers = sorted({event.sequence for event in events if event.device == device})
        expect(numbers == list(range(1, len(numbers) + 1)), f"{device} told the numbers {numbers}")


@check("devices", proves=("shows_figures",), unless=no_devices)
async def a_sale_that_is_taken_back_names_its_receipt(bench: Bench) -> None:
    """A void that cannot be matched leaves its units sold for ever."""
    kept, gone = bench.placed((bench.skus[0], 2)), bench.placed((bench.skus[0], 3))
    expect(bench.simulator.cancel(gone), f"{gone} cannot be taken back")
    left = _net(await _told(bench))
    expect(left == Counter({bench.skus[0]: 2}), f"{kept} stands and {gone} does not; the devices say {dict(left)}")


@check("devices", proves=("shows_figures",), unless=no_devices)
async def what_is_told_again_says_the_same(bench: Bench) -> None:
    """A burst after an evening off line comes twice. The second one must not look like another sale."""
    must_happen("duplicate" in bench.simulator.switches.names, "send a burst twice")
    bench.simulator.switches.set({"duplicate": 1.0})
    for number in range(6):
        bench.placed((bench.skus[number % 3], 1))
    events = await _told(bench)
    prints: dict[tuple[str, int], bytes] = {}
    for event in events:
        known = prints.setdefault((event.device, event.sequence), event.fingerprint)
        expect(known == event.fingerprint, f"number {event.sequence} of {event.device} has two contents")
    expect(len(events) > len(prints), "nothing was sent twice")


@check("devices", proves=("shows_figures",), unless=no_devices)
async def one_event_that_cannot_be_read_spoils_no_other(bench: Bench) -> None:
    """Hundreds of sales come in one delivery. One wrong line must not keep the others from counting."""
    bench.placed((bench.skus[0], 1))
    await bench.live(TOLD_S)
    (request, *_rest) = bench.hooks.got
    delivery = await bench.verified(request)
    whole = bench.parsed(delivery)
    spoiled = delivery.body.replace(b'"events":[', b'"events":[{"type":"nonsense"},', 1)
    expect(spoiled != delivery.body, "no list of events was delivered")
    read = bench.parsed(type(delivery)(delivery.key, delivery.topic, spoiled))
    expect(
        [one.events for one in read if isinstance(one, DeviceNews)]
        == [one.events for one in whole if isinstance(one, DeviceNews)],
        "with one event that cannot be read, the others say something else",
    )
    expect(any(isinstance(one, DeviceNews) and one.unread for one in read), "nobody is told of the unreadable event")


@check("devices", proves=("shows_figures",), unless=figures_shown)
async def a_channel_without_figures_is_asked_for_nothing(bench: Bench) -> None:
    """Whoever shows nothing has nothing to read or to write. A call would wait for an answer that nobody gives."""
    before = bench.shown()
    polled = await bench.poll(None)
    expect(not polled.deliveries and polled.covered_until is not None, "a poll tells of orders, or has no end")
    expect(await bench.fetched() == [], "it has listings, and declares that it shows no figure")
    expect(await bench.read(*bench.skus) == {}, "it reads a figure, and declares that it shows none")
    outcomes = await bench.push(bench.write(bench.skus[0], 3))
    is_refused = len(outcomes) == 1 and isinstance(outcomes[0], Refused) and outcomes[0].words
    expect(is_refused, f"a write is not refused: {outcomes}")
    expect(bench.shown() == before, "a write changed what is there")
    expect(not bench.wire.sent, f"{len(bench.wire.sent)} requests were sent")
