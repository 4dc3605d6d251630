"""One Shopify location as a channel: authentic deliveries, orders, readings, and the preflight.

Writing is in `push.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.shopify import parse, subscriptions
from oneshelf.connectors.shopify.access import Access
from oneshelf.connectors.shopify.answers import (
    CostTooHighError,
    Variant,
    is_cut_off,
    page_from,
    shop_facts_from,
    variants_from_nodes,
    variants_from_page,
)
from oneshelf.connectors.shopify.bulk import BulkReader
from oneshelf.connectors.shopify.documents import (
    ARRAY_LENGTH_MAX,
    LIST_VARIANTS,
    POLL_ORDERS,
    PREFLIGHT,
    READ_VARIANTS,
    WHOLE_ORDER,
)
from oneshelf.connectors.shopify.graphql import ORDERS, ShopifyApi
from oneshelf.connectors.shopify.json_reading import (
    an_instant,
    an_object,
    gid,
    number_in,
    number_in_gid,
    part,
    sortable_instant,
)
from oneshelf.connectors.shopify.preflight import findings_of
from oneshelf.connectors.shopify.push import Pusher
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.fault import MisconfiguredError, ReauthenticateError, RefusedError, RetryLaterError, SignatureError
from oneshelf.sdk.message import (
    Delivery,
    Finding,
    Message,
    OrderPage,
    Request,
    StockFile,
    StockPage,
    StockReading,
    StockWrite,
    Subscriptions,
    WriteOutcome,
)
from oneshelf.sdk.signature import is_hmac_sha256_base64

# `orders(query:)` is answered from a search index that follows the shop. Shopify states no figure for it.
ORDERS_LAG_S = 5.0

# A poll asks again for what changed shortly before the newest change that it knows. An order that entered the index
# later than another one with a younger stamp would be lost otherwise, and stamps are whole seconds. Twice the lag.
OVERLAP_S = 2 * ORDERS_LAG_S

# By how much the shop's clock may be behind ours without an order being missed at the start.
CLOCKS_APART_S = 60.0

_KEY_LENGTH_MAX = 120


class _Cursor(msgspec.Struct, forbid_unknown_fields=True):
    """Where a poll goes on. `since` is the newest change seen, in the channel's time; before `start` nothing is asked:
    a minute before the first poll, by our clock. While a poll has more pages, `after` is the next one, `asked_at` the
    instant of our clock at which its first page was asked for, and `newest` what it has seen so far."""

    start: str
    since: str
    after: str | None = None
    asked_at: str | None = None
    newest: str | None = None


class ShopifyConnector:
    """One connected location. It remembers which inventory item belongs to which variant, and no quantity."""

    def __init__(
        self,
        api: ShopifyApi,
        *,
        channel: Channel,
        clock: Clock,
        location: str,
        access: Access,
        orders_lag_s: float = ORDERS_LAG_S,
    ) -> None:
        self._api = api
        self._channel = channel
        self._clock = clock
        self._location = location
        self._access = access
        self._orders_lag_s = orders_lag_s
        self._pusher = Pusher(api, location=location, read=self._read_variants)
        self._bulk = BulkReader(api, location=location, remember=self._pusher.remember)

    # What Shopify tells us -----------------------------------------------------------------------------------

    def verify(self, request: Request) -> Delivery:
        """Raises SignatureError. Signed is the body alone, so no header is believed to say who sent it.

        The key is the webhook id, which Shopify repeats on a retry; the event id is shared by all deliveries that
        one action of the merchant causes, and would drop messages.
        """
        signature = _header(request, "hmac-sha256")
        if not is_hmac_sha256_base64(request.body, signature=signature, secrets=self._access.webhook_secrets):
            reason = "wrong" if signature else "missing"
            raise SignatureError(f"the signature of this Shopify webhook is {reason}")
        topic = _header(request, "topic") or ""
        key = _header(request, "webhook-id") or ""
        if not (0 < len(key) <= _KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
            said = topic.encode() + b"\n" + request.body
            key = f"body:{hashlib.sha256(said).hexdigest()}"
        return Delivery(key=key, topic=topic[:_KEY_LENGTH_MAX], body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """Raises MalformedError."""
        return parse.messages_from(delivery, channel=self._channel, location=self._location)

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        """One page of changed orders. Orders that the overlap repeats unchanged come with the same key.

        Raises RetryLaterError, ReauthenticateError, RefusedError.
        """
        place = self._start(since) if cursor is None else _cursor_from(cursor)
        first_asked_at = place.asked_at or sortable_instant(asked_at or self._clock.now())
        changed_since = an_instant(place.since, "since") - timedelta(seconds=OVERLAP_S)
        query = f"updated_at:>='{max(changed_since, an_instant(place.start, 'start')).isoformat(timespec='seconds')}'"
        variables = {"query": query, "after": place.after}
        answer = await self._api.read(POLL_ORDERS, variables, operation=ORDERS)
        try:
            nodes, after = page_from(answer, "orders")
            whole = [await self._whole(node) if is_cut_off(node) else node for node in nodes]
            deliveries = tuple(_polled(node) for node in whole)
            # Even an order that was read again counts with its first stamp: what changed since then comes again.
            stamps = [sortable_instant(_updated_at(node)) for node in nodes]
        except MalformedError as problem:
            raise RetryLaterError(f"{ORDERS}: the answer cannot be read: {problem}") from None
        newest = max([place.since, *([place.newest] if place.newest else []), *stamps])
        if after is not None:
            going_on = _Cursor(place.start, place.since, after, first_asked_at, newest)
            return OrderPage(deliveries, _text(going_on), has_more=True, covered_until=None)
        covered_until = an_instant(first_asked_at, "asked_at") - timedelta(seconds=self._orders_lag_s)
        return OrderPage(deliveries, _text(_Cursor(place.start, newest)), False, covered_until)

    def _start(self, since: datetime | None) -> _Cursor:
        at = (since or self._clock.now()).replace(microsecond=0)
        start = sortable_instant(at - timedelta(seconds=CLOCKS_APART_S))
        return _Cursor(start=start, since=start)

    async def _whole(self, node: object) -> object:
        """The order with all its lists; as it was polled where it has been deleted in the meantime."""
        order_id = part(an_object(node, "order"), "id", "order")
        answer = await self._api.read(WHOLE_ORDER, {"id": order_id}, operation=ORDERS)
        return answer.get("order") or node

    # What Shopify shows --------------------------------------------------------------------------------------

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        """Raises RetryLaterError, ReauthenticateError, RefusedError."""
        variables = {"location": gid("Location", self._location), "after": cursor}
        answer = await self._api.read(LIST_VARIANTS, variables)
        variants, after = variants_from_page(answer, location=self._location)
        self._pusher.remember(variants)
        return StockPage(tuple(variant.reading for variant in variants), after)

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        """A bulk operation writes it. See `sdk.contract.WritesStockFile`."""
        return await self._bulk.begin(asked_at=asked_at, since=since)

    async def stock_file(self, file: StockFile) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        return await self._bulk.look(file)

    async def drop_stock_file(self, file: StockFile) -> None:
        """See `sdk.contract.WritesStockFile`."""
        await self._bulk.drop(file)

    def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        """See `sdk.contract.WritesStockFile`."""
        return self._bulk.read(file, after=after)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """`units` is what Shopify calls available, below zero where Shopify says so.

        Raises RetryLaterError, ReauthenticateError, RefusedError.
        """
        return tuple(variant.reading for variant in await self._read_variants(channel_skus))

    async def _read_variants(self, channel_skus: Sequence[ChannelSku]) -> tuple[Variant, ...]:
        invariant(len(channel_skus) <= ARRAY_LENGTH_MAX, f"{len(channel_skus)} listings in one reading")
        # What is not the number of a variant cannot be at Shopify; one such id would fail the whole query.
        known = [sku for sku in dict.fromkeys(channel_skus) if number_in(sku) is not None]
        if not known:
            return ()
        ids = [gid("ProductVariant", sku) for sku in known]
        variables = {"ids": ids, "location": gid("Location", self._location)}
        try:
            answer = await self._api.read(READ_VARIANTS, variables)
        except CostTooHighError:
            # What a query of many ids costs is not documented; where it is too much, two halves cost half each.
            if len(known) == 1:
                raise
            half = len(known) // 2
            return await self._read_variants(known[:half]) + await self._read_variants(known[half:])
        variants = variants_from_nodes(answer, location=self._location)
        self._pusher.remember(variants)
        return variants

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """See `push.Pusher.push`."""
        return await self._pusher.push(writes)

    async def remembers_key(self, channel_sku: ChannelSku, units: int, *, key: UUID) -> bool | None:
        """See `push.Pusher.remembers_key`."""
        return await self._pusher.remembers_key(channel_sku, units, key=key)

    async def keep_subscriptions(self, address: str) -> Subscriptions:
        """See `subscriptions.keep`."""
        return await subscriptions.keep(self._api, address)

    async def activate(self, channel_sku: ChannelSku, *, key: UUID) -> WriteOutcome:
        """See `push.Pusher.activate`."""
        return await self._pusher.activate(channel_sku, key=key)

    async def preflight(self) -> tuple[Finding, ...]:
        """Raises RetryLaterError where Shopify cannot be asked."""
        try:
            answer = await self._api.read(PREFLIGHT, {"location": gid("Location", self._location)})
        except ReauthenticateError as refusal:
            detail = f"{refusal}; {self._access.way_out}"
            return (Finding("access token", is_good=False, detail=detail),)
        except (MisconfiguredError, RefusedError) as refusal:
            return (Finding("shop", is_good=False, detail=f"{refusal}; check base_url and api_version"),)
        return findings_of(shop_facts_from(answer), location=self._location, api=self._api)


def _header(request: Request, name: str) -> str | None:
    """A header of a delivery. Webhooks spell it with `x-`, the newer events without."""
    return request.headers.get(f"x-shopify-{name}") or request.headers.get(f"shopify-{name}")


def _cursor_from(text: str) -> _Cursor:
    try:
        cursor = msgspec.json.decode(text, type=_Cursor)
        for instant in (cursor.start, cursor.since):
            an_instant(instant, "cursor")
    except (msgspec.DecodeError, MalformedError) as problem:
        raise RefusedError(f"{ORDERS}: not a cursor of this connector: {problem}") from None
    return cursor


def _text(cursor: _Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _updated_at(node: object) -> datetime:
    return an_instant(part(an_object(node, "order"), "updatedAt", "order"), "updatedAt")


def _polled(node: object) -> Delivery:
    order = an_object(node, "order")
    number = number_in_gid(part(order, "id", "order"), "Order")
    body = msgspec.json.encode(order, order="deterministic")
    digest = hashlib.sha256(body).hexdigest()[:16]
    key = f"poll:{number}:{part(order, 'updatedAt', 'order')}:{digest}"
    return Delivery(key=key, topic=parse.POLLED_ORDER, body=body)
