"""Polls what changed of orders: the orders themselves, and then from where their open units will leave.

Both lists are answered from a search index that follows the shop. Shopify states no figure for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.shopify import parse
from oneshelf.connectors.shopify.access import ROUTE_SCOPES, is_granted
from oneshelf.connectors.shopify.answers import is_cut_off, page_from
from oneshelf.connectors.shopify.documents import (
    ORDERS_PER_PAGE,
    POLL_ORDERS,
    POLL_ROUTES,
    READ_ORDERS,
    SCOPES,
    WHOLE_ORDER,
)
from oneshelf.connectors.shopify.graphql import ORDERS, ShopifyApi
from oneshelf.connectors.shopify.json_reading import a_list, a_text, an_object, number_in_gid, part, sortable_instant
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import an_instant
from oneshelf.sdk.fault import RefusedError, RetryLaterError
from oneshelf.sdk.message import Delivery, OrderPage

ORDERS_LAG_S = 5.0

# A poll asks again for what changed shortly before the newest change that it knows. An order that entered the index
# later than another one with a younger stamp would be lost otherwise, and stamps are whole seconds. Twice the lag.
OVERLAP_S = 2 * ORDERS_LAG_S

# By how much the shop's clock may be behind ours without an order being missed at the start.
CLOCKS_APART_S = 60.0

# How long we go by what the app was allowed to do.
SCOPES_KNOWN_S = 3600.0


class Cursor(msgspec.Struct, forbid_unknown_fields=True):
    """Where a poll goes on. Before `start` nothing is asked: a minute before the first poll, by our clock.

    `since` is the newest change of an order seen, in the channel's time, and `routes_since` that of a fulfilment order
    (None: as `since`): those are read later, and how new they are says nothing of orders. While a poll has more pages,
    `after` is the next one, `asked_at` the instant of our clock at which its first page was asked for, `newest` what
    it has seen so far of this list. `of_routes`: all orders are read, and it is at the fulfilment orders.
    """

    start: str
    since: str
    after: str | None = None
    asked_at: str | None = None
    newest: str | None = None
    of_routes: bool = False
    routes_since: str | None = None


def cursor_from(text: str) -> Cursor:
    """Raises RefusedError."""
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
        for instant in (cursor.start, cursor.since, cursor.routes_since or cursor.since):
            an_instant(instant, "cursor")
    except (msgspec.DecodeError, MalformedError) as problem:
        raise RefusedError(f"{ORDERS}: not a cursor of this connector: {problem}") from None
    return cursor


class OrderPoll:
    """The polls of one shop. It remembers what the app may read, and no order."""

    def __init__(self, api: ShopifyApi, *, clock: Clock, lag_s: float) -> None:
        self._api = api
        self._clock = clock
        self._lag_s = lag_s
        self._is_routed = False
        self._scopes_asked_s: float | None = None

    def start(self, since: datetime | None, *, now: datetime) -> Cursor:
        """Where a poll begins that none went before."""
        at = (since or now).replace(microsecond=0)
        start = sortable_instant(at - timedelta(seconds=CLOCKS_APART_S))
        return Cursor(start=start, since=start)

    async def page(self, place: Cursor, *, asked_at: datetime) -> OrderPage:
        """Raises RetryLaterError, ReauthenticateError, RefusedError."""
        first_asked_at = place.asked_at or sortable_instant(asked_at)
        routes_since = place.routes_since or place.since
        since = routes_since if place.of_routes else place.since
        changed_since = an_instant(since, "since") - timedelta(seconds=OVERLAP_S)
        query = f"updated_at:>='{max(changed_since, an_instant(place.start, 'start')).isoformat(timespec='seconds')}'"
        is_routed = await self._may_read_routes()
        try:
            read = self._orders if not place.of_routes else self._routes if is_routed else self._nothing
            orders, stamps, after = await read(query, place.after, is_routed=is_routed)
            deliveries = tuple(_polled(order) for order in orders)
        except MalformedError as problem:
            raise RetryLaterError(f"{ORDERS}: the answer cannot be read: {problem}") from None
        newest = max([since, *([place.newest] if place.newest else []), *stamps])
        if after is not None:
            going_on = Cursor(place.start, place.since, after, first_asked_at, newest, place.of_routes, routes_since)
            return OrderPage(deliveries, _text(going_on), has_more=True, covered_until=None)
        if is_routed and not place.of_routes:
            # One list after the other.
            going_on = Cursor(place.start, newest, None, first_asked_at, None, True, routes_since)
            return OrderPage(deliveries, _text(going_on), has_more=True, covered_until=None)
        covered_until = an_instant(first_asked_at, "asked_at") - timedelta(seconds=self._lag_s)
        done = Cursor(place.start, place.since, routes_since=newest) if place.of_routes else Cursor(place.start, newest)
        return OrderPage(deliveries, _text(done), False, covered_until)

    async def _may_read_routes(self) -> bool:
        """Whether the app may read fulfilment orders: where it may not, to ask for one fails the whole query."""
        now_s = self._clock.monotonic()
        if self._scopes_asked_s is None or now_s > self._scopes_asked_s + SCOPES_KNOWN_S:
            answer = await self._api.read(SCOPES, {})
            self._is_routed = any(is_granted(scope, _scopes_in(answer)) for scope in ROUTE_SCOPES)
            self._scopes_asked_s = now_s
        return self._is_routed

    async def _orders(
        self, query: str, after: str | None, *, is_routed: bool
    ) -> tuple[Sequence[object], Sequence[str], str | None]:
        """A page of orders, when each of them changed, and where the next one is."""
        variables = {"query": query, "after": after, "routed": is_routed}
        answer = await self._api.read(POLL_ORDERS, variables, operation=ORDERS)
        nodes, following = page_from(answer, "orders")
        # Even an order that was read again counts with its first stamp: what changed since then comes again.
        stamps = [_stamp(node, "order") for node in nodes]
        return [await self._whole(node, is_routed=is_routed) for node in nodes], stamps, following

    async def _routes(
        self, query: str, after: str | None, *, is_routed: bool
    ) -> tuple[Sequence[object], Sequence[str], str | None]:
        """The orders of a page of fulfilment orders, of those that changed after their order did."""
        answer = await self._api.read(POLL_ROUTES, {"query": query, "after": after}, operation=ORDERS)
        nodes, following = page_from(answer, "fulfillmentOrders")
        moved: dict[str, None] = {}
        for node in nodes:
            order = an_object(part(an_object(node, "fulfillment order"), "order", "fulfillment order"), "order")
            if _stamp(node, "fulfillment order") > _stamp(order, "order"):
                moved[a_text(part(order, "id", "order"), "order id")] = None
        ids, orders = list(moved), []
        for at in range(0, len(ids), ORDERS_PER_PAGE):
            variables = {"ids": ids[at : at + ORDERS_PER_PAGE], "routed": is_routed}
            answer = await self._api.read(READ_ORDERS, variables, operation=ORDERS)
            found = a_list(part(answer, "nodes", "answer"), "nodes")
            orders += [await self._whole(node, is_routed=is_routed) for node in found if node is not None]
        return orders, [_stamp(node, "fulfillment order") for node in nodes], following

    async def _nothing(
        self, _query: str, _after: str | None, *, is_routed: bool
    ) -> tuple[Sequence[object], Sequence[str], str | None]:
        """The scope was taken from the app in the middle of a poll."""
        return [], [], None

    async def _whole(self, node: object, *, is_routed: bool) -> object:
        """The order with all its lists; as it was polled where it has been deleted in the meantime."""
        if not is_cut_off(node):
            return node
        variables = {"id": part(an_object(node, "order"), "id", "order"), "routed": is_routed}
        answer = await self._api.read(WHOLE_ORDER, variables, operation=ORDERS)
        return answer.get("order") or node


def _scopes_in(answer: Mapping[str, object]) -> set[str]:
    try:
        installation = an_object(part(answer, "currentAppInstallation", "answer"), "currentAppInstallation")
        scopes = a_list(part(installation, "accessScopes", "installation"), "accessScopes")
        return {a_text(part(an_object(scope, "scope"), "handle", "scope"), "scope") for scope in scopes}
    except MalformedError as problem:
        raise RetryLaterError(f"the scopes of the app cannot be read: {problem}") from None


def _stamp(node: object, what: str) -> str:
    return sortable_instant(an_instant(part(an_object(node, what), "updatedAt", what), f"{what} updatedAt"))


def _text(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _polled(node: object) -> Delivery:
    order = an_object(node, "order")
    number = number_in_gid(part(order, "id", "order"), "Order")
    body = msgspec.json.encode(order, order="deterministic")
    digest = hashlib.sha256(body).hexdigest()[:16]
    key = f"poll:{number}:{part(order, 'updatedAt', 'order')}:{digest}"
    return Delivery(key=key, topic=parse.POLLED_ORDER, body=body)
