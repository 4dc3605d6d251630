"""Take what devices told by number: each number counts once, whatever comes twice, late or in another order.

Reads: device events, devices. Writes: device events and what contradicts them, devices and their gaps; names listings.
Next: post, by the orders that it gives back.

All of it is in the transaction of `interpret`, under a lock of the channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.device import DeviceEventKind, Numbers, instants, order_of
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.sdk.message import DeviceNews
from oneshelf.storage import device_events, devices, facts, listings
from oneshelf.storage.database import Transaction
from oneshelf.storage.device_events import EventKey, ReceiptKey, Standing, Stored, Told
from oneshelf.telemetry import get_logger

log = get_logger(__name__)

Orders = list[tuple[OrderSnapshot, datetime]]


class Telling(NamedTuple):
    """What the devices of a channel told in one delivery."""

    channel: Channel
    news: DeviceNews
    received_at: datetime


async def number(tx: Transaction, tellings: Sequence[Telling]) -> Orders:
    """The orders that follow from what was told for the first time, to be queued for posting in this transaction."""
    await devices.lock_channels(tx, {one.channel for one in tellings})
    new, contradicting = await _sorted_out(tx, tellings)
    judged = _Judged(
        known=await device_events.with_receipts(tx, {one.receipt for one in new}),
        waiting=await device_events.waiting_voids(tx, {one.receipt for one in new}),
    )
    for one in new:
        judged.judge(one)
    await _note_numbers(tx, tellings, new)
    await device_events.add(tx, [(one, judged.standings[one.key]) for one in new])
    await device_events.change(tx, judged.changed)
    contradicted = await device_events.contradict(tx, contradicting)
    await _name_listings(tx, new)
    if contradicted:
        log.warning("device.contradicts", channel=contradicting[0].channel, count=contradicted)
    return judged.orders


async def _sorted_out(tx: Transaction, tellings: Sequence[Telling]) -> tuple[list[Told], list[Told]]:
    """What was told under a new number, each once; and what contradicts what was told before."""
    told = [
        Told(
            one.channel,
            event,
            instants(event.at, received_at=one.received_at, sent_at=one.news.sent_at, error_s=one.news.clock_error_s),
            one.received_at,
        )
        for one in tellings
        for event in one.news.events
    ]
    known = await device_events.fingerprints(tx, {one.key for one in told})
    new, contradicting = [], []
    for one in told:
        if one.key not in known:
            known[one.key] = one.event.fingerprint
            new.append(one)
        elif known[one.key] != one.event.fingerprint:
            contradicting.append(one)
    return new, contradicting


@dataclass(slots=True)
class _Judged:
    """What becomes of new events. `known`: receipts that were told; `waiting`: voids of receipts that were not."""

    known: dict[ReceiptKey, Stored]
    waiting: dict[ReceiptKey, Stored]
    standings: dict[EventKey, Standing] = field(default_factory=dict)
    changed: dict[EventKey, Standing] = field(default_factory=dict)
    orders: Orders = field(default_factory=list)

    def judge(self, one: Told) -> None:
        """In whatever order a sale and its void come, the sale is taken back once."""
        if one.event.kind is DeviceEventKind.VOID:
            self.standings[one.key] = self._of_void(one)
        else:
            self.standings[one.key] = self._of_receipt(one)

    def _of_void(self, void: Told) -> Standing:
        sale = self.known.get(void.receipt)
        if sale is None and void.receipt not in self.waiting:
            self.waiting[void.receipt] = Stored(void)
            return Standing("waiting")
        if sale is None or sale.voided_at is not None:
            return Standing("refused", f"receipt {void.event.receipt} was voided before, and a sale is taken back once")
        if sale.told.event.kind is not DeviceEventKind.SALE:
            return Standing("refused", _not_a_sale(sale.told))
        self._take_back(sale.told, void)
        return Standing()

    def _of_receipt(self, one: Told) -> Standing:
        before = self.known.get(one.receipt)
        if before is not None:
            return Standing(
                "refused",
                f"receipt {one.event.receipt} of {one.event.device} was told before, under number "
                f"{before.told.event.sequence}. If this is another one, tell it with a new receipt and number",
            )
        void = self.waiting.pop(one.receipt, None)
        self.known[one.receipt] = Stored(one)
        if void is not None and one.event.kind is DeviceEventKind.SALE:
            self._let(void.told.key, Standing())
            self._take_back(one, void.told)
            return Standing(voided_at=void.told.when.came_at)
        if void is not None:
            self._let(void.told.key, Standing("refused", _not_a_sale(one)))
        self.orders.append((order_of(one.channel, one.event, one.when), one.received_at))
        return Standing()

    def _take_back(self, sale: Told, void: Told) -> None:
        voided_at = void.when.came_at
        self.known[sale.receipt] = Stored(sale, voided_at)
        self._let(sale.key, Standing(voided_at=voided_at))
        self.orders.append((order_of(sale.channel, sale.event, sale.when, voided_at=voided_at), void.received_at))

    def _let(self, key: EventKey, standing: Standing) -> None:
        """What becomes of an event that was judged before, just now or in an earlier transaction."""
        (self.standings if key in self.standings else self.changed)[key] = standing


def _not_a_sale(told: Told) -> str:
    return (
        f"receipt {told.event.receipt} is of a {told.event.kind}, and only a sale can be voided: tell the opposite as "
        "a new sale or return"
    )


async def _note_numbers(tx: Transaction, tellings: Sequence[Telling], new: Sequence[Told]) -> None:
    # Reading all that was told for each device would make a batch cost its square.
    told: dict[devices.DeviceKey, list[int]] = {}
    used: dict[devices.DeviceKey, int] = {}
    latest: dict[devices.DeviceKey, Telling] = {}
    for one in new:
        told.setdefault((one.channel, one.event.device), []).append(one.event.sequence)
    for telling in tellings:
        for alive in telling.news.alive:
            key = (telling.channel, alive.device)
            used[key] = max(used.get(key, 0), alive.sequence)
        for device in _devices_in(telling.news):
            key = (telling.channel, device)
            if telling.received_at > latest.setdefault(key, telling).received_at:
                latest[key] = telling
    numbers = await devices.numbers(tx, latest.keys())
    heard: dict[devices.DeviceKey, devices.Heard] = {}
    for key, last in latest.items():
        mine = told.get(key, [])
        before = numbers.get(key, Numbers())
        after = before.heard(mine, used=used.get(key, 0), now=last.received_at)
        ahead_s = None if last.news.sent_at is None else (last.news.sent_at - last.received_at).total_seconds()
        heard[key] = devices.Heard(after, len(mine), last.received_at, ahead_s)
        if not before.gaps and after.gaps:
            first, size = after.gaps[0].first, sum(gap.size for gap in after.gaps)
            log.warning("device.numbers_missing", channel=key[0], device=key[1], first=first, count=size)
    await devices.save(tx, heard)


def _devices_in(news: DeviceNews) -> set[str]:
    return {event.device for event in news.events} | {alive.device for alive in news.alive}


async def _name_listings(tx: Transaction, new: Sequence[Told]) -> None:
    """What is sold by our SKU is linked to it; a barcode is linked by a person, once."""
    named: dict[Channel, set[listings.SeenListing]] = {}
    for one in new:
        for line in one.event.lines:
            merchant_sku = "" if line.is_barcode else line.channel_sku
            seen = listings.SeenListing(ChannelSku(line.channel_sku), "", merchant_sku, "", "")
            named.setdefault(one.channel, set()).add(seen)
    for channel, seen_there in sorted(named.items()):
        linked = await listings.remember(tx, channel, seen_there)
        await facts.requeue_for_listings(tx, channel, [channel_sku for _, channel_sku in linked])
