"""Read deliveries: what do they say in our words?

Reads: new inbox rows. Writes: facts, wishes to look at listings, to ask for an order or to poll them all, a pause of a
channel that lets us in no longer, the numbers of devices; a delivery that cannot be read is parked.
Next: post, confirm, fetch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from oneshelf.domain.identity import Channel, printable
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import DatabaseRefusedError, MalformedError
from oneshelf.flow import numbering
from oneshelf.flow.channel import NEEDS_PERSON_PAUSE_S, WORDS_LENGTH_MAX, OpenChannel, parsed
from oneshelf.sdk.contract import FetchesOrders
from oneshelf.sdk.message import AccessLost, Delivery, DeviceNews, Ignored, Message, OrderHint, StockHint
from oneshelf.sdk.purchase import PurchaseOrders
from oneshelf.storage import catalog, facts, inbox, listings, schedules, wanted_orders
from oneshelf.storage.database import Database, Transaction
from oneshelf.telemetry import get_logger

BATCH = 500
# However many hints come, orders are not polled for them more often than that.
HINTED_POLL_S_MIN = 15.0

log = get_logger(__name__)


@dataclass(slots=True)
class _Said:
    """What the deliveries of a batch say. `parked`: inbox id -> why that one waits for a person."""

    snapshots: list[tuple[OrderSnapshot, datetime]] = field(default_factory=list)
    hints: dict[Channel, list[StockHint]] = field(default_factory=dict)
    with_order_hints: set[Channel] = field(default_factory=set)
    wanted: dict[Channel, set[str]] = field(default_factory=dict)
    lost: dict[Channel, str] = field(default_factory=dict)
    numbered: list[numbering.Telling] = field(default_factory=list)
    parked: dict[int, str] = field(default_factory=dict)

    def add(self, message: Message, row: inbox.InboxRow, channel: OpenChannel) -> None:
        match message:
            case OrderSnapshot():
                self.snapshots.append((message, row.received_at))
            case OrderHint(order_id=order_id) if order_id and isinstance(channel.connector, FetchesOrders):
                self.wanted.setdefault(row.channel, set()).add(order_id)
            case OrderHint():
                self.with_order_hints.add(row.channel)
            case StockHint():
                self.hints.setdefault(row.channel, []).append(message)
            case DeviceNews():
                self.numbered.append(numbering.Telling(row.channel, message, row.received_at))
            case AccessLost(reason=reason):
                self.lost[row.channel] = printable(reason, length_max=WORDS_LENGTH_MAX)
            case Ignored() | PurchaseOrders():
                pass
            case _:
                assert_never(message)


async def interpret(database: Database, channels: Mapping[Channel, OpenChannel]) -> int:
    """Read one batch of deliveries of the open channels, oldest first. Returns how many.

    Where the database refuses what a batch says, its deliveries are read one by one and the culprit is parked.
    """
    # What buyers order is kept delivery by delivery, see `order`.
    selling = [name for name, one in channels.items() if not one.capability.takes_purchase_orders]
    try:
        async with database.transaction() as tx:
            rows = await inbox.claim_new(tx, selling, limit=BATCH)
            read = await _read(tx, channels, rows)
    except DatabaseRefusedError:
        done = 0
        while done < BATCH and await _read_or_park_one(database, channels, selling):
            done += 1
        return done
    _tell(read)
    return len(rows)


async def _read_or_park_one(
    database: Database, channels: Mapping[Channel, OpenChannel], selling: Collection[Channel]
) -> int:
    rows: list[inbox.InboxRow] = []
    try:
        async with database.transaction() as tx:
            rows = await inbox.claim_new(tx, selling, limit=1)
            read = await _read(tx, channels, rows)
    except DatabaseRefusedError as refusal:
        reason = printable(str(refusal), length_max=inbox.REASON_LENGTH_MAX)
        read = _Said(parked={row.inbox_id: reason for row in rows})
        async with database.transaction() as tx:
            await inbox.park(tx, read.parked)
    _tell(read)
    return len(rows)


async def _read(tx: Transaction, channels: Mapping[Channel, OpenChannel], rows: Sequence[inbox.InboxRow]) -> _Said:
    """Store what these deliveries say, and that they are read. Returns it."""
    said = _Said()
    for row in rows:
        try:
            messages = _parse(channels[row.channel], Delivery(key="", topic=row.topic, body=bytes(row.body)))
        except MalformedError as problem:
            said.parked[row.inbox_id] = printable(str(problem), length_max=inbox.REASON_LENGTH_MAX)
            continue
        for message in messages:
            said.add(message, row, channels[row.channel])
            if isinstance(message, DeviceNews) and message.unread:
                said.parked[row.inbox_id] = _unread(message)
    snapshots = said.snapshots
    if said.numbered:
        snapshots += await numbering.number(tx, said.numbered)
    await facts.add(tx, snapshots)
    await _pause(tx, said.lost)
    for channel, order_ids in sorted(said.wanted.items()):
        await wanted_orders.want(tx, channel, order_ids)
    await _request_looks(tx, said.hints)
    for channel in sorted(said.with_order_hints):
        await schedules.hurry(tx, channel, "orders", at_most_every_s=HINTED_POLL_S_MIN)
    await inbox.park(tx, said.parked)
    await inbox.mark_done(tx, [row.inbox_id for row in rows if row.inbox_id not in said.parked])
    return said


def _tell(said: _Said) -> None:
    for inbox_id, reason in said.parked.items():
        log.warning("inbox.parked", inbox_id=inbox_id, reason=reason[:200])
    for channel, reason in said.lost.items():
        log.warning("channel.access_lost", channel=channel, reason=reason[:200])


def _unread(news: DeviceNews) -> str:
    """Why a delivery waits of which the rest counts. Sent again with what was wrong put right, nothing counts twice."""
    words = f"{len(news.unread)} of its events cannot be read, the other {len(news.events)} count: "
    return printable(words + "; ".join(news.unread), length_max=inbox.REASON_LENGTH_MAX)


async def _pause(tx: Transaction, lost: Mapping[Channel, str]) -> None:
    """Leave the channels alone for a while, and show why. The message may be old: what is tried then tells."""
    for channel, reason in sorted(lost.items()):
        await catalog.record_failure(tx, channel, fault=reason)
        await catalog.pause(tx, channel, pause_s=NEEDS_PERSON_PAUSE_S)


def _parse(channel: OpenChannel, delivery: Delivery) -> tuple[Message, ...]:
    """What the connector reads; orders from buyers are not for this step. Raises MalformedError."""
    messages = parsed(channel, delivery)
    if any(isinstance(message, PurchaseOrders) for message in messages):
        raise MalformedError("it orders, and this kind of channel declares that it takes no orders: report this")
    return messages


async def _request_looks(tx: Transaction, hints: Mapping[Channel, list[StockHint]]) -> None:
    for channel, wanted in sorted(hints.items()):
        await listings.request_look(
            tx,
            channel,
            channel_skus=[hint.channel_sku for hint in wanted if hint.channel_sku],
            aliases=[hint.alias for hint in wanted if hint.alias],
        )
