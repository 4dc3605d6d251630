"""One Shopify location as a channel: authentic deliveries, orders, readings, and the preflight.

Writing is in `push`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.connectors.shopify import parse, subscriptions
from oneshelf.connectors.shopify.access import Access
from oneshelf.connectors.shopify.answers import (
    CostTooHighError,
    Variant,
    shop_facts_from,
    variants_from_nodes,
    variants_from_page,
)
from oneshelf.connectors.shopify.bulk import BulkReader
from oneshelf.connectors.shopify.documents import (
    ARRAY_LENGTH_MAX,
    LIST_VARIANTS,
    PREFLIGHT,
    READ_VARIANTS,
)
from oneshelf.connectors.shopify.graphql import ShopifyApi
from oneshelf.connectors.shopify.json_reading import gid, number_in
from oneshelf.connectors.shopify.moving import move_units
from oneshelf.connectors.shopify.polling import ORDERS_LAG_S, OrderPoll, cursor_from
from oneshelf.connectors.shopify.preflight import findings_of
from oneshelf.connectors.shopify.push import Pusher
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import invariant
from oneshelf.sdk.fault import MisconfiguredError, ReauthenticateError, RefusedError, SignatureError
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
    UnitMove,
    WriteOutcome,
)
from oneshelf.sdk.signature import is_hmac_sha256_base64

_KEY_LENGTH_MAX = 120


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
        self._orders = OrderPoll(api, clock=clock, lag_s=orders_lag_s)
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
        place = self._orders.start(since, now=self._clock.now()) if cursor is None else cursor_from(cursor)
        return await self._orders.page(place, asked_at=asked_at or self._clock.now())

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

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        """See `moving.move_units`."""
        variants = await self._read_variants([move.channel_sku])
        return await move_units(self._api, move, variants[0] if variants else None, location=self._location)

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
