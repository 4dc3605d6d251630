"""One corner shop: its REST API and its webhooks, in the words of the engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from oneshelf.clock import Clock
from oneshelf.domain.identity import Channel, ChannelSku, instant_from, name_from
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, SignatureError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.message import (
    Applied,
    Delivery,
    Finding,
    Ignored,
    Message,
    OrderPage,
    Refused,
    Request,
    Stale,
    StockHint,
    StockPage,
    StockReading,
    StockWrite,
    Unknown,
    WriteOutcome,
)
from oneshelf.sdk.signature import is_hmac_sha256_base64
from oneshelf_corner.documents import Access, Item, Items, News, Order, Orders, Results

CALL = "corner.call"
BATCH = 50
# By how much the shop's clock may be behind ours without an order being missed at the start.
CLOCKS_APART_S = 60.0

Document = TypeVar("Document")


class CornerConnector:
    """See `oneshelf.sdk.contract.Connector`. It remembers nothing."""

    def __init__(
        self, http: ChannelHttp, *, channel: Channel, clock: Clock, base_url: str, token: str,
        webhook_secrets: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._http = http
        self._channel = channel
        self._clock = clock
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._webhook_secrets = webhook_secrets

    def verify(self, request: Request) -> Delivery:
        signature = request.headers.get("x-corner-signature")
        if not is_hmac_sha256_base64(request.body, signature=signature, secrets=self._webhook_secrets):
            raise SignatureError("the signature of this webhook is wrong or missing")
        return Delivery(key=f"hook:{signature}", topic="webhook", body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        news = document_from(delivery.body, News, what="the news of a corner shop")
        if news.order is not None:
            return (self._snapshot(news.order),)
        if news.item is not None:
            return (StockHint(ChannelSku(name_from(news.item, what="item"))),)
        return (Ignored("neither an order nor an item"),)

    def _snapshot(self, order: Order) -> OrderSnapshot:
        return OrderSnapshot(
            channel=self._channel,
            order_id=name_from(order.id, what="order id"),
            version=instant_from(order.changed_at, what="changed_at").isoformat(timespec="microseconds"),
            placed_at=instant_from(order.placed_at, what="placed_at"),
            is_pending=False,  # a corner shop takes paid orders only
            lines=tuple(
                OrderLine(
                    line_id=name_from(line.id, what="line id"),
                    channel_sku=ChannelSku(name_from(line.item, what="item")),
                    units_ordered=line.quantity,
                    units_cancelled=line.cancelled,
                    units_relisted=line.restocked,
                    units_shipped=line.shipped,
                    units_returned=line.returned,
                )
                for line in order.lines
            ),
        )

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        asked_at = asked_at or self._clock.now()
        if cursor is None:
            start = (since or asked_at) - timedelta(seconds=CLOCKS_APART_S)
            params = {"since": start.isoformat()}
        elif cursor.isdecimal():
            params = {"after": cursor}
        else:
            raise MalformedError(f"{cursor[:40]!r} is no cursor of a corner shop")
        page = await self._read("/api/orders", Orders, **params)
        deliveries = tuple(map(_polled, page.orders))
        # All changes up to the position were told in their order: when no more follow, nothing before now is missing.
        return OrderPage(deliveries, str(page.position), page.more, None if page.more else asked_at)

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        page = await self._read("/api/items", Items, **({} if cursor is None else {"after": cursor}))
        return StockPage(tuple(map(_reading, page.items)), page.next)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        invariant(len(channel_skus) <= BATCH, f"{len(channel_skus)} items in one reading")
        if not channel_skus:
            return ()
        page = await self._read("/api/items", Items, ids=",".join(channel_skus))
        return tuple(map(_reading, page.items))

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        invariant(len(writes) <= BATCH, f"{len(writes)} items in one push")
        if not writes:
            return ()
        changes = [{"id": one.channel_sku, "from": one.expected_units, "to": one.units} for one in writes]
        body = msgspec.json.encode({"changes": changes})
        try:
            reply = await self._call(self._http.write, "POST", "/api/items/quantities", content=body)
            results = document_from(reply.body, Results, what="the answer to a write").results
        except (OutcomeUnknownError, MalformedError) as lost:
            return (Unknown(str(lost)),) * len(writes)
        if len(results) != len(writes):
            return (Unknown(f"{len(writes)} changes had {len(results)} results"),) * len(writes)
        return tuple(_outcome(result) for result in results)

    async def preflight(self) -> tuple[Finding, ...]:
        try:
            access = await self._read("/api/me", Access)
        except ReauthenticateError as refusal:
            return (Finding("token", is_good=False, detail=f"{refusal}; make a new one under Settings, API"),)
        rights = [(f"may {right}", right in access.may) for right in ("orders", "quantities")]
        return (
            Finding("token", is_good=True, detail=access.shop),
            *(Finding(what, is_good, "" if is_good else "grant it under Settings, API") for what, is_good in rights),
        )

    async def _read(self, path: str, kind: type[Document], **params: str) -> Document:
        reply = await self._call(self._http.read, "GET", path, params=params)
        return document_from(reply.body, kind, what=path)

    async def _call(
        self, call: Callable[..., Coroutine[Any, Any, Reply]], method: str, path: str, **request: Any
    ) -> Reply:
        reply = await call(CALL, method, self._base_url + path, headers=self._headers, **request)
        if reply.status != 200:  # http has raised for those that mean the same everywhere
            raise RefusedError(f"{path}: {reply.status} {reply.words()}")
        return reply


def _polled(raw: msgspec.Raw) -> Delivery:
    order = document_from(bytes(raw), Order, what="an order")
    return Delivery(f"poll:{order.id}:{order.change}", "poll/order", b'{"order":' + bytes(raw) + b"}")


def _reading(item: Item) -> StockReading:
    units, note = (item.quantity, "") if item.tracked else (None, "the shop does not track its quantity; switch it on")
    return StockReading(ChannelSku(item.id), units, merchant_sku=item.sku, title=item.title, note=note)


def _outcome(result: str) -> WriteOutcome:
    if result == "ok":
        return Applied()
    return Stale() if result == "stale" else Refused(f"the shop says: {result}")
