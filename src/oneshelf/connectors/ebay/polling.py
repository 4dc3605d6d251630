"""Orders that changed, window by window, each window in one answer.

getOrders pages by offset over a set that moves: an order that changes between two pages goes to another place, and what
was behind it comes nearer. So a window that does not fit in one page is cut in time, and read from the oldest part on:
an order only ever moves into a part that is still to be read. Rules: https://developer.ebay.com/api-docs/sell/
fulfillment/resources/order/methods/getOrders (checked 2026-11-26); eBay states no order of the list, and no lag.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

import msgspec

from oneshelf.connectors.ebay import parse
from oneshelf.connectors.ebay.account import ORDERS_LAG_S
from oneshelf.connectors.ebay.api import FULFILLMENT, EbayApi, document_of
from oneshelf.connectors.ebay.events import ChangedLately
from oneshelf.connectors.ebay.json_reading import error_words, instant_text
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RefusedError, RetryLaterError
from oneshelf.sdk.message import Delivery, OrderPage

PATH = "/sell/fulfillment/v1/order"
# eBay allows 200. Half of it makes the documents of a page half as long, and costs a busy shop some calls more.
LIMIT = 100
# What eBay's clock may be behind or ahead of ours.
CLOCKS_APART = timedelta(seconds=60)
# No window is cut shorter than this, nor closer to now: eBay refuses an end that lies in its future.
WINDOW_LEAST = timedelta(seconds=1)
RECENT = timedelta(seconds=90)
RESTARTS_MAX = 8
# EBay promises no time by which an order is in the list: once a day a window goes back further than any lag seen.
DEEP_EVERY, DEEP = timedelta(days=1), timedelta(days=3)
# Lines that wait for their payment, of which we know the order's id by heart.
UNPAID_MAX = 2000


class OrderCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the poll stands. All instants are ours.

    `since`: nothing that changed before is asked for. `after`: the beginning of the next window, `before` its end;
    None: all until now. `offset`, `total`: within a window that cannot be cut; `restarts`: how often it has moved.
    `asked_at`: when this poll began. `covered_at`: when the last poll that missed nothing began. `deep_at`: of the last
    one after which the window went back by days. `unpaid`: the lines of orders that nobody has paid yet, with the order
    as which each is known.
    """

    since: datetime
    after: datetime
    before: datetime | None = None
    offset: int = 0
    total: int | None = None
    restarts: int = 0
    asked_at: datetime | None = None
    is_certain: bool = True
    covered_at: datetime | None = None
    deep_at: datetime | None = None
    unpaid: dict[str, parse.Commitment] = {}
    # Until when it was asked for which listings changed.
    listings_at: datetime | None = None

    @classmethod
    def starting(cls, since: datetime) -> Self:
        """What changed before, but for the last minute, is left out."""
        return cls(since=since - CLOCKS_APART, after=since - CLOCKS_APART)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The cursor we gave out. Raises MalformedError for a text that is none."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as problem:
            raise MalformedError(f"not a cursor of an eBay channel: {problem}") from None

    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    def filter(self) -> str:
        """What getOrders is asked for."""
        until = instant_text(self.before) if self.before is not None else ""
        return f"lastmodifieddate:[{instant_text(self.after)}..{until}]"

    def began(self, asked_at: datetime) -> Self:
        """The cursor of a poll that is under way."""
        return self if self.asked_at is not None else msgspec.structs.replace(self, asked_at=asked_at)

    def cut(self) -> Self | None:
        """The older half of the window; None where it cannot be cut."""
        asked_at = self.asked_at or self.after
        end = self.before or asked_at
        middle = self.after + (end - self.after) / 2
        if self.before is None:
            middle = min(middle, asked_at - RECENT)
        if middle - self.after < WINDOW_LEAST:
            return None
        return msgspec.structs.replace(self, before=middle, offset=0, total=None)

    def turned(self, *, count: int, total: int, overlap: timedelta) -> tuple[Self, bool]:
        """The cursor after a page of `count` orders of a window that has `total`, and whether more follow at once."""
        if self.total is not None and total != self.total:
            if self.restarts >= RESTARTS_MAX:
                raise RetryLaterError("eBay's list of orders moves faster than it can be read", retry_after_s=15.0)
            return msgspec.structs.replace(self, offset=0, total=None, restarts=self.restarts + 1), True
        read = self.offset + count
        # Of a window whose end is open an order may have moved to a page that was read already.
        is_certain = self.is_certain and (self.before is not None or (self.offset == 0 and read >= total))
        if read < total:
            if not count:
                raise RetryLaterError(f"eBay tells of {total} orders and shows {read}")
            return msgspec.structs.replace(self, offset=read, total=total, is_certain=is_certain), True
        done = msgspec.structs.replace(self, offset=0, total=None, restarts=0, is_certain=is_certain)
        if self.before is not None:
            return msgspec.structs.replace(done, after=self.before, before=None), True
        asked_at = self.asked_at or self.after
        is_deep = asked_at - (self.deep_at or self.since) >= DEEP_EVERY
        finished = msgspec.structs.replace(
            done,
            after=max(self.since, asked_at - (DEEP if is_deep else overlap)),
            deep_at=asked_at if is_deep else self.deep_at,
            asked_at=None,
            is_certain=True,
            covered_at=asked_at if is_certain else self.covered_at,
        )
        return finished, False


class OrderPoll:
    """The poll of one account. `lag`: how long a new order may be invisible to it."""

    def __init__(self, api: EbayApi, changed: ChangedLately, *, lag: timedelta) -> None:
        self._api = api
        self._changed = changed
        self._lag = lag
        self._overlap = max(lag, timedelta(seconds=ORDERS_LAG_S)) + CLOCKS_APART

    async def page(self, cursor: OrderCursor, *, asked_at: datetime) -> OrderPage:
        """The next window, or a part of it. Raises RetryLaterError, ReauthenticateError, RefusedError."""
        at = cursor.began(asked_at)
        answer = await self._ask(at)
        if answer.total > LIMIT and at.offset == 0 and at.total is None and (half := at.cut()) is not None:
            return OrderPage(deliveries=(), cursor=half.text(), has_more=True, covered_until=None)
        deliveries: list[Delivery] = []
        unpaid = dict(at.unpaid)
        for order in answer.orders:
            deliveries.extend(_former(order, unpaid))
            deliveries.append(await self._delivery(order))
        at = msgspec.structs.replace(at, unpaid=dict(list(unpaid.items())[-UNPAID_MAX:]))
        following, has_more = at.turned(count=len(answer.orders), total=answer.total, overlap=self._overlap)
        if not has_more:
            skus, until = await self._changed.since(following.listings_at, now=asked_at)
            following = msgspec.structs.replace(following, listings_at=until)
            if skus:
                deliveries.append(parse.changed_listings(skus, until))
        covered_at = None if has_more else following.covered_at
        return OrderPage(
            deliveries=tuple(deliveries),
            cursor=following.text(),
            has_more=has_more,
            covered_until=None if covered_at is None else covered_at - self._lag,
        )

    async def _ask(self, at: OrderCursor) -> parse.OrdersAnswer:
        params = {"filter": at.filter(), "limit": str(LIMIT), "offset": str(at.offset)}
        reply = await self._api.read("getOrders", "GET", PATH, budget=FULFILLMENT, params=params)
        return parse.orders_answer(document_of("getOrders", reply))

    async def order(self, order_id: str) -> Delivery | None:
        """One order as it is now. None: eBay knows none of this id, or not yet."""
        try:
            path = f"{PATH}/{_segment(order_id)}"
        except RefusedError:
            return None  # Whatever it is, eBay has no order of this name.
        reply = await self._api.read("getOrder", "GET", path, budget=FULFILLMENT)
        if reply.status == 404 or (reply.status == 400 and "32100:" in error_words(reply.body)):
            return None
        return await self._delivery(document_of("getOrder", reply))

    async def _delivery(self, order: object) -> Delivery:
        if not parse.is_partly_shipped(order):
            return parse.delivery_of(order)
        order_id = order.get("orderId") if isinstance(order, dict) else None
        if not isinstance(order_id, str):
            return parse.delivery_of(order)  # It cannot be read, and will be parked.
        path = f"{PATH}/{_segment(order_id)}/shipping_fulfillment"
        reply = await self._api.read("getShippingFulfillments", "GET", path, budget=FULFILLMENT)
        try:
            shipped = parse.shipped_from(document_of("getShippingFulfillments", reply))
        except (RefusedError, MalformedError):
            # What has left is held for a while longer; nothing is sold twice for it.
            shipped = {}
        return parse.delivery_of(order, shipped=shipped)


def _former(order: object, unpaid: dict[str, parse.Commitment]) -> list[Delivery]:
    """The orders as which lines of this one were known before they were paid. `unpaid` is brought up to date."""
    now = parse.commitments_in(order)
    line_ids = parse.line_ids_of(order)
    order_id = order.get("orderId") if isinstance(order, dict) else None
    gone: dict[parse.Commitment, set[str]] = {}
    for line_id in line_ids:
        known = unpaid.pop(line_id, None)
        if known is not None and known.order_id != order_id:
            gone.setdefault(known, set()).add(line_id)
    unpaid.update(now)
    return [parse.superseded(order, known, frozenset(lines)) for known, lines in gone.items()]


def _segment(order_id: str) -> str:
    """An order's id as a part of a path. Raises RefusedError for what is none."""
    if not order_id or not all(character.isalnum() or character in "-!_" for character in order_id):
        raise RefusedError(f"{order_id[:40]!r} is no id of an eBay order")
    return order_id
