"""Keep the purchase orders that buyers sent.

Reads: new inbox rows of channels that take purchase orders, listings. Writes: wholesale orders; names listings; a
delivery that cannot be kept is parked.
Next: allocate.

A delivery is a transaction of its own: of its orders all are kept, or it waits for a person with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from oneshelf.domain.fulfilment import Link
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku, printable, units_from
from oneshelf.domain.wholesale import Refusal, RefusalKind, WantedLine, WholesaleOrder, WholesaleWish, order_id_of
from oneshelf.errors import DatabaseRefusedError, MalformedError
from oneshelf.flow import ordering
from oneshelf.flow.channel import OpenChannel, parsed
from oneshelf.sdk.message import Delivery
from oneshelf.sdk.purchase import PurchaseLine, PurchaseOrder, PurchaseOrders
from oneshelf.storage import catalog, inbox, listings, wholesale
from oneshelf.storage.database import Database, Transaction
from oneshelf.telemetry import get_logger

# How the reason begins of a cancellation that waits for its order: it is read again when an order has come.
WAITS = "waits for the order that it cancels: "

log = get_logger(__name__)


class _ParkedError(Exception):
    """A delivery is parked. `unlinked`: what it calls articles that nobody has linked to a SKU."""

    def __init__(self, reason: str, unlinked: Collection[ChannelSku] = ()) -> None:
        super().__init__(reason)
        self.unlinked = unlinked


@dataclass(frozen=True, slots=True)
class _Buyer:
    """Who orders what: a channel, the location that its orders ship from, the articles as we know them."""

    channel: Channel
    customer: str
    location: Location
    links: Mapping[ChannelSku, Link]


async def order(database: Database, new_id: ordering.NewId, channels: Mapping[Channel, OpenChannel]) -> int:
    """Keep the orders of one delivery, the oldest of all. Returns how many deliveries were looked at."""
    buyers = [name for name, one in channels.items() if one.capability.takes_purchase_orders]
    if not buyers:
        return 0
    inbox_id, channel = 0, Channel("")
    try:
        async with database.transaction() as tx:
            rows = await inbox.claim_new(tx, buyers, limit=1)
            if not rows:
                return 0
            inbox_id, channel = rows[0].inbox_id, rows[0].channel
            delivery = Delivery(key="", topic=rows[0].topic, body=bytes(rows[0].body))
            said = _read(channels[channel], delivery)
            if said is not None and await _take(tx, new_id, channel, said):
                await inbox.read_again(tx, channel, reason_begins=WAITS)
            await inbox.mark_done(tx, [inbox_id])
    except (_ParkedError, MalformedError, DatabaseRefusedError) as problem:
        reason = printable(str(problem), length_max=inbox.REASON_LENGTH_MAX)
        async with database.transaction() as tx:
            if isinstance(problem, _ParkedError) and problem.unlinked:
                await listings.remember(tx, channel, map(_seen, problem.unlinked))
            await inbox.park(tx, {inbox_id: reason})
        log.warning("inbox.parked", inbox_id=inbox_id, reason=reason[:200])
    return 1


def _read(channel: OpenChannel, delivery: Delivery) -> PurchaseOrders | None:
    """What a delivery orders; None: nothing."""
    return next((one for one in parsed(channel, delivery) if isinstance(one, PurchaseOrders)), None)


async def _take(tx: Transaction, new_id: ordering.NewId, channel: Channel, said: PurchaseOrders) -> bool:
    """Keep all of it. Whether an order is new. Raises _ParkedError."""
    order_ids = {one.po_number: order_id_of(said.customer, one.po_number) for one in said.orders}
    # Orders before channels and listings, as everywhere.
    found = await wholesale.lock(tx, order_ids.values())
    links = await _links(tx, channel, [line for one in said.orders if not one.is_cancelled for line in one.lines])
    location = next(row.location for row in await catalog.channels(tx) if row.channel == channel)
    buyer = _Buyer(channel, said.customer, location, links)
    wishes = [_wish(buyer, one) for one in said.orders if not one.is_cancelled]
    answers = await ordering.keep(tx, new_id, wishes, came_by=channel)
    for answer in answers.values():
        # What comes after a newer statement of the same order is out of date, and nobody has to look.
        if isinstance(answer, Refusal) and answer.kind is not RefusalKind.OUTDATED:
            raise _ParkedError(answer.words)
    for one in said.orders:
        if one.is_cancelled:
            await _cancel(tx, new_id, found.get(order_ids[one.po_number]), one)
    return any(answer is True for answer in answers.values())


async def _cancel(tx: Transaction, new_id: ordering.NewId, known: WholesaleOrder | None, said: PurchaseOrder) -> None:
    if known is None:
        raise _ParkedError(f"{WAITS}nobody has sent {said.po_number} yet. Way out: nothing, if it comes; else dismiss")
    if said.version <= known.version:
        return
    opened = await ordering.open_lines(tx, new_id, [known], [(known, line) for line in known.lines])
    ordering.cancel(opened, known, known.lines)
    # What was stated before, and comes late, is out of date from now on.
    known.version = said.version
    opened.shelf.fill_shortages()
    await ordering.write(tx, opened, [known])


async def _links(tx: Transaction, channel: Channel, lines: Collection[PurchaseLine]) -> dict[ChannelSku, Link]:
    """What the buyer's numbers are of ours. One that is a SKU of ours is linked to it; for others a person says it."""
    numbers = {number for line in lines for number in line.numbers}
    known = await catalog.known_skus(tx, {Sku(number) for number in numbers})
    await listings.remember(tx, channel, [_seen(ChannelSku(sku), merchant_sku=sku) for sku in sorted(known)])
    found = await listings.lock_links(tx, {(channel, number) for number in numbers})
    return {number: link for (_, number), link in found.items()}


def _seen(number: ChannelSku, *, merchant_sku: str = "") -> listings.SeenListing:
    return listings.SeenListing(number, "", merchant_sku, "", "")


def _wish(buyer: _Buyer, said: PurchaseOrder) -> WholesaleWish:
    lines = []
    for line in said.lines:
        number = next((one for one in line.numbers if one in buyer.links), None)
        if number is None:
            name = line.numbers[0]
            raise _ParkedError(
                f"line {line.line_id} of {said.po_number}: nobody has said which SKU {name!r} is. Way out: oneshelf "
                f"listing link {buyer.channel} {name} SKU, then: oneshelf errors retry",
                [name],
            )
        link = buyer.links[number]
        units = units_from(line.units * link.pack_units, what=f"line {line.line_id} of {said.po_number}: units")
        lines.append(WantedLine(line_id=line.line_id, sku=link.sku, units=units))
    return WholesaleWish(
        customer=buyer.customer,
        po_number=said.po_number,
        location=buyer.location,
        lines=tuple(lines),
        version=said.version,
        ship_by=said.ship_by,
        cancel_after=said.cancel_after,
    )
