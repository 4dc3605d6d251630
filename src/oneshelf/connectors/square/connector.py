"""One Square location as a channel: authentic events, orders, readings, writes and the preflight."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from oneshelf.clock import Clock
from oneshelf.connectors.square import parse
from oneshelf.connectors.square.api import SquareApi
from oneshelf.connectors.square.documents import EventHead, read_as
from oneshelf.connectors.square.polling import OrderPoll, cursor_from, starting
from oneshelf.connectors.square.preflight import findings_of
from oneshelf.connectors.square.push import Pusher
from oneshelf.connectors.square.stock import Shelf
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import (
    Delivery,
    Finding,
    Message,
    OrderPage,
    Request,
    StockPage,
    StockReading,
    StockWrite,
    WriteOutcome,
)
from oneshelf.sdk.signature import is_hmac_sha256_base64

SIGNATURE_HEADER = "x-square-hmacsha256-signature"
_KEY_LENGTH_MAX = 120
_TOPIC_LENGTH_MAX = 60


class SquareConnector:
    """One connected location, see `sdk.contract.Connector`."""

    def __init__(self, api: SquareApi, *, channel: Channel, clock: Clock) -> None:
        account = api.account
        self._api = api
        self._account = account
        self._channel = channel
        self._clock = clock
        self._orders = OrderPoll(api, location=account.location_id, lag=timedelta(seconds=account.orders_lag_s))
        self._shelf = Shelf(api, location=account.location_id)
        self._pusher = Pusher(api, self._shelf, clock=clock, location=account.location_id)

    # What Square tells us -------------------------------------------------------------------------------------

    def verify(self, request: Request) -> Delivery:
        """Raises SignatureError. Signed is the address of the subscription and the body, with no sign in between
        (https://developer.squareup.com/docs/webhooks/step3validate, checked 2026-11-26).

        The key is `event_id`, which Square repeats on each attempt.
        """
        signature = request.headers.get(SIGNATURE_HEADER)
        signed = self._account.notification_url.encode() + request.body
        if not is_hmac_sha256_base64(signed, signature=signature, secrets=self._account.signature_keys):
            reason = "wrong: is notification_url as it stands at Square?" if signature else "missing"
            raise SignatureError(f"the signature of this Square webhook is {reason}")
        try:
            head = read_as(request.body, EventHead, "the event")
        except MalformedError:
            head = EventHead()
        key = head.event_id
        if not (0 < len(key) <= _KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
            key = f"body:{hashlib.sha256(request.body).hexdigest()}"
        topic = head.type if head.type.isascii() and head.type.isprintable() else ""
        return Delivery(key=key, topic=topic[:_TOPIC_LENGTH_MAX] or "unknown", body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """Raises MalformedError."""
        return parse.messages_from(delivery, channel=self._channel, location=self._account.location_id)

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        asked_at = asked_at or self._clock.now()
        place = starting(since or asked_at) if cursor is None else cursor_from(cursor)
        return await self._orders.page(place, asked_at=asked_at)

    async def fetch_order(self, order_id: str) -> Delivery | None:
        """See `sdk.contract.FetchesOrders`."""
        return await self._orders.order(order_id)

    # What Square shows ----------------------------------------------------------------------------------------

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        return await self._shelf.page(cursor)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """`units` are in stock at the location, below zero where Square says so."""
        return await self._shelf.read(channel_skus)

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """See `push.Pusher.push`."""
        return await self._pusher.push(writes)

    async def preflight(self) -> tuple[Finding, ...]:
        """Raises RetryLaterError where Square cannot be asked."""
        return await findings_of(self._api)
