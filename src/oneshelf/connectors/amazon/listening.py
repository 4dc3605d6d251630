"""An Amazon account that tells us its news: single orders by their id, and a queue where a person has set one up.

getOrder v2026-01-01: https://github.com/amzn/selling-partner-api-models (checked 2026-11-23). It shows what a search
shows, so that an order has one delivery, whichever brings it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import quote

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import notification, parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import ORDERS_PATH, SellingPartnerApi, refuse
from oneshelf.connectors.amazon.connector import AmazonConnector
from oneshelf.connectors.amazon.fba import FbaStock
from oneshelf.connectors.amazon.queue_access import QueueAccess
from oneshelf.connectors.amazon.sqs import Sqs
from oneshelf.connectors.amazon.subscriptions import BY_EVENT_BRIDGE, WANTED, NotificationSubscriptions
from oneshelf.connectors.amazon.tokens import grantless_tokens_of
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError, broken, invariant
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import Delivery, Finding, Heard, StockFile, StockPage, StockReading, Subscriptions

GET_ORDER_LIMIT = Limit("getOrder", 0.5, 30)


class FetchingAmazonConnector(AmazonConnector):
    """An account whose orders can be asked for one by one, see `sdk.contract.FetchesOrders`.

    What Amazon has of the listings that it fulfils itself is told in their notes.
    """

    def __init__(self, account: Account, *, channel: Channel, http: ChannelHttp, clock: Clock) -> None:
        super().__init__(account, channel=channel, http=http, clock=clock)
        self._fba = FbaStock(self._api, marketplace_ids=account.marketplace_ids)

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        page = await super().fetch_stock(cursor)
        return replace(page, readings=await self._fba.shown(page.readings))

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        return await self._fba.shown(await super().read_stock(channel_skus))

    async def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        async with aclosing(super().read_stock_file(file, after=after)) as parts:
            async for part in parts:
                yield await self._fba.shown(part)

    async def fetch_order(self, order_id: str) -> Delivery | None:
        path = f"{ORDERS_PATH}/{quote(order_id, safe='')}"
        reply = await self._api.read("getOrder", path, {"includedData": "FULFILLMENT,CANCELLATION"})
        if reply.status == 404:
            return None
        refuse("getOrder", reply)
        answer = reply.document()
        return parse.order_delivery(answer.get("order") if isinstance(answer, Mapping) else None)


class ListeningAmazonConnector(FetchingAmazonConnector):
    """An account with a queue, see `sdk.contract.Hears` and `sdk.contract.Subscribes`."""

    def __init__(self, account: Account, *, channel: Channel, http: ChannelHttp, clock: Clock) -> None:
        super().__init__(account, channel=channel, http=http, clock=clock)
        self._queue = _queue_of(account)
        self._sqs = Sqs(self._queue, http=http, clock=clock)
        tokens = grantless_tokens_of(account, http=http, clock=clock)
        by_application = SellingPartnerApi(account, http=http, tokens=tokens)
        self._subscriptions = NotificationSubscriptions(self._api, by_application, queue_arn=self._queue.arn)

    @property
    def has_queue(self) -> bool:
        return True

    @property
    def queue_name(self) -> str:
        return self._queue.arn

    async def hear(self) -> Heard:
        found = await self._sqs.receive()
        deliveries = tuple(notification.delivery_from(one.body) for one in found)
        return Heard(deliveries, tuple(one.receipt for one in found))

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        await self._sqs.delete(receipts)

    async def keep_subscriptions(self, address: str) -> Subscriptions:
        invariant(address == self._queue.arn, f"{address} is not the queue that Amazon's news goes to")
        return await self._subscriptions.keep()

    async def preflight(self) -> tuple[Finding, ...]:
        findings = await super().preflight()
        if not findings[0].is_good:
            return findings
        return (*findings, await self._check_queue(), *await self._check_subscriptions())

    async def _check_queue(self) -> Finding:
        what = "queue can be read"
        try:
            waiting = await self._sqs.message_count()
        except (ChannelFault, MalformedError) as fault:
            return Finding(what, is_good=False, detail=f"{fault}; until it can be, orders are polled")
        return Finding(what, is_good=True, detail=f"about {waiting} messages wait")

    async def _check_subscriptions(self) -> tuple[Finding, ...]:
        """What is missing is made by a running engine, but for what a person has to set up."""
        findings = []
        for kind, version in {**WANTED, **BY_EVENT_BRIDGE}.items():
            what = f"{kind} is subscribed to"
            way_out = "a running engine makes it within the hour"
            if kind in BY_EVENT_BRIDGE:
                way_out = "it is sent to EventBridge alone; without it a sale is heard of by its order"
            try:
                found = await self._subscriptions.found(kind, version)
            except (ChannelFault, MalformedError) as fault:
                findings.append(Finding(what, is_good=False, detail=str(fault)))
                continue
            is_needed = kind in WANTED
            findings.append(Finding(what, is_good=bool(found) or not is_needed, detail="" if found else way_out))
        return tuple(findings)


def _queue_of(account: Account) -> QueueAccess:
    if account.queue is None:
        broken("an account without a queue does not listen")
    return account.queue
