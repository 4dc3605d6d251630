"""Polls what changed of orders, and looks up which of them were paid while a till was offline.

SearchOrders (POST /v2/orders/search, version 2026-09-16, checked 2026-11-26): sorted and filtered by `updated_at`, both
ends of a range inclusive; up to 1,000 in a page; a cursor goes with the query that it came from. How soon an order
shows there is not documented, so `orders_lag_s` is a setting. A till that is offline tells its sales later, by up to
72 hours: of those no poll can promise anything, and none does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from oneshelf.connectors.square import parse
from oneshelf.connectors.square.api import NoSuchThingError, SquareApi
from oneshelf.connectors.square.documents import (
    OneOrder,
    Order,
    Orders,
    Payments,
    PolledOrder,
    instant,
    is_id,
    sortable,
)
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Delivery, OrderPage

PATH = "/v2/orders/search"
PAGE = 100
# Stamps are Square's and may come a little out of order: twice the lag is asked for again.
OVERLAPS = 2.0
# By how much Square's clock may be behind ours without an order being missed at the start.
CLOCKS_APART_S = 60.0
# A payment is made a moment before or after its order.
PAID_WITHIN = timedelta(minutes=10)
PAYMENT_PAGES_MAX = 20


class Cursor(msgspec.Struct, forbid_unknown_fields=True):
    """Where a poll goes on. Nothing before `start` is asked for: a minute before the first poll, by our clock.

    `since` is the newest change of an order seen, in Square's time. While a poll has more pages, `after` is the next
    one, `asked_at` the instant of our clock at which its first page was asked for, `newest` what it has seen so far.
    """

    start: str
    since: str
    after: str | None = None
    asked_at: str | None = None
    newest: str | None = None


def cursor_from(text: str) -> Cursor:
    """Raises RefusedError."""
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
        for at in (cursor.start, cursor.since, cursor.newest or cursor.since, cursor.asked_at or cursor.since):
            instant(at, "cursor")
    except (msgspec.DecodeError, MalformedError, UnicodeError, RecursionError) as problem:
        raise RefusedError(f"not a cursor of this connector: {problem}") from None
    return cursor


def starting(at: datetime) -> Cursor:
    """Where a poll begins that none went before."""
    start = sortable(at.replace(microsecond=0) - timedelta(seconds=CLOCKS_APART_S))
    return Cursor(start=start, since=start)


class OrderPoll:
    """The polls of one location. It remembers no order."""

    def __init__(self, api: SquareApi, *, location: str, lag: timedelta) -> None:
        self._api = api
        self._location = location
        self._lag = lag

    async def page(self, place: Cursor, *, asked_at: datetime) -> OrderPage:
        """Raises RetryLaterError, ReauthenticateError, RefusedError."""
        first_asked_at = place.asked_at or sortable(asked_at)
        since = max(instant(place.since, "since") - OVERLAPS * self._lag, instant(place.start, "start"))
        try:
            found = await self._api.read(Orders, "POST", PATH, self._query(since, place.after), leaves="orders")
        except RefusedError as refusal:
            if place.after is None or "CURSOR" not in str(refusal):
                raise
            # A cursor has an end that Square does not state: begin this poll again.
            again = Cursor(place.start, place.since, asked_at=first_asked_at)
            return OrderPage((), _text(again), has_more=True, covered_until=None)
        orders = found.orders or []
        try:
            newest = max([place.newest or place.since, *(sortable(instant(one.updated_at, "")) for one in orders)])
            deliveries = await self._deliveries(orders)
        except MalformedError as problem:
            raise RetryLaterError(f"{PATH}: {problem}") from None
        if found.cursor:
            going_on = Cursor(place.start, place.since, found.cursor, first_asked_at, newest)
            return OrderPage(deliveries, _text(going_on), has_more=True, covered_until=None)
        covered_until = instant(first_asked_at, "asked_at") - self._lag
        return OrderPage(deliveries, _text(Cursor(place.start, newest)), has_more=False, covered_until=covered_until)

    async def order(self, order_id: str) -> Delivery | None:
        """See `sdk.contract.FetchesOrders`."""
        if not is_id(order_id):
            return None
        try:
            found = await self._api.read(OneOrder, "GET", f"/v2/orders/{order_id}", leaves="orders")
        except NoSuchThingError:
            return None
        [delivery] = await self._deliveries([found.order])
        return delivery

    def _query(self, since: datetime, after: str | None) -> dict[str, object]:
        return {
            "location_ids": [self._location],
            "query": {
                "filter": {"date_time_filter": {"updated_at": {"start_at": sortable(since)}}},
                "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
            },
            "limit": PAGE,
            **({"cursor": after} if after else {}),
        }

    async def _deliveries(self, orders: Sequence[Order]) -> tuple[Delivery, ...]:
        offline = await self._paid_offline([order for order in orders if order.tenders])
        return tuple(_polled(PolledOrder(order, offline.get(order.id))) for order in orders)

    async def _paid_offline(self, orders: Sequence[Order]) -> Mapping[str, str]:
        """Order -> when it was paid at a till without a connection, by the clock of the till.

        ListPayments (version 2026-09-16, checked 2026-11-26) "might take several seconds" to show one: then the order
        counts as sold when it was transmitted, until it is told again. So it does where we may not read payments.
        """
        if not orders:
            return {}
        created = [instant(order.created_at, "created_at") for order in orders]
        params = {
            "location_id": self._location,
            "is_offline_payment": "true",
            "begin_time": sortable(min(created) - PAID_WITHIN),
            "end_time": sortable(max(created) + PAID_WITHIN),
        }
        found: dict[str, str] = {}
        wanted = {order.id for order in orders}
        for _ in range(PAYMENT_PAGES_MAX):
            try:
                page = await self._api.read(Payments, "GET", "/v2/payments", params=params, leaves="orders")
            except ReauthenticateError as refusal:
                if refusal.status != 403:
                    raise
                return {}
            for payment in page.payments or ():
                told = payment.offline_payment_details and payment.offline_payment_details.client_created_at
                if told and payment.order_id in wanted:
                    found[payment.order_id] = min(told, found.get(payment.order_id, told))
            if not page.cursor:
                break
            params["cursor"] = page.cursor
        return found


def _text(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _polled(told: PolledOrder) -> Delivery:
    body = msgspec.json.encode(told)
    digest = hashlib.sha256(body).hexdigest()[:16]
    key = f"order:{told.order.id[:80]}:{told.order.updated_at[:32]}:{digest}"
    return Delivery(key=key, topic=parse.POLLED_ORDER, body=body)
