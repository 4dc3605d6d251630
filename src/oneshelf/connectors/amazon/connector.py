"""The Amazon connector: absolute quantities of seller-fulfilled listings, orders by polling.

Sources, all checked 2026-11-23: Listings Items API v2021-08-01 and Orders API v2026-01-01 as modelled at
https://github.com/amzn/selling-partner-api-models, usage plans at
https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import notification, parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import ORDERS_PATH, SellingPartnerApi, refuse
from oneshelf.connectors.amazon.cursor import OrderCursor
from oneshelf.connectors.amazon.feeds import FeedWriter
from oneshelf.connectors.amazon.listings import Listings
from oneshelf.connectors.amazon.preflight import Preflight, access_ends
from oneshelf.connectors.amazon.reports import ReportReader
from oneshelf.connectors.amazon.tokens import tokens_of
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.access_end import AccessEnd
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import (
    Delivery,
    FeedBegun,
    FeedPlan,
    FeedReport,
    Finding,
    Ignored,
    Message,
    OrderPage,
    Request,
    StockFile,
    StockPage,
    StockReading,
    StockWrite,
    WriteOutcome,
)


class AmazonConnector:
    """One seller account, see `sdk.contract.Connector`."""

    def __init__(self, account: Account, *, channel: Channel, http: ChannelHttp, clock: Clock) -> None:
        self._account = account
        self._channel = channel
        self._clock = clock
        self._tokens = tokens_of(account, http=http, clock=clock)
        self._api = SellingPartnerApi(account, http=http, tokens=self._tokens)
        self._listings = Listings(account, self._api, clock=clock)
        self._feeds = FeedWriter(self._api, account, self._listings)
        self._reports = ReportReader(self._api, account, clock=clock, forget=self._listings.forget)

    def verify(self, request: Request) -> Delivery:
        raise SignatureError("Amazon sends no webhooks")

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        if delivery.topic == parse.POLLED_ORDER:
            return (parse.order_message(delivery, channel=self._channel),)
        account = self._account
        if not notification.is_topic(delivery.topic):
            return (Ignored(f"{delivery.topic} is no topic of an Amazon channel"),)
        return (notification.message_from(delivery, seller_id=account.seller_id, stores=account.marketplace_ids),)

    # Orders --------------------------------------------------------------------------------------------------

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        asked_at = asked_at or self._clock.now()
        if cursor is None:
            start = OrderCursor.starting(since or asked_at)
            return OrderPage(deliveries=(), cursor=start.text(), has_more=False, covered_until=None)
        at = OrderCursor.from_text(cursor)
        reply = await self._api.read("searchOrders", ORDERS_PATH, self._orders_query(at))
        if reply.status == 400 and at.token is not None:
            # A page's token dies after 24 h; the window it belonged to is still there.
            return OrderPage(deliveries=(), cursor=at.restarted().text(), has_more=True, covered_until=None)
        refuse("searchOrders", reply)
        answer = parse.orders_answer(reply.document())
        following = at.turned(token=answer.next_token, before=answer.before, asked_at=asked_at)
        has_more = answer.next_token is not None
        return OrderPage(
            deliveries=answer.deliveries,
            cursor=following.text(),
            has_more=has_more,
            covered_until=None if has_more else following.covered_until(self._account.orders_lag),
        )

    def _orders_query(self, at: OrderCursor) -> dict[str, str]:
        # A page's token is only good for the very same question; but for the page size and the included data
        # nothing may change, so the whole question is asked again.
        query = {
            "createdAfter" if at.turn == "created" else "lastUpdatedAfter": parse.instant_text(at.after),
            "marketplaceIds": ",".join(self._account.marketplace_ids),
            "fulfilledBy": "MERCHANT",
            "maxResultsPerPage": "100",
            "includedData": "FULFILLMENT,CANCELLATION",
        }
        return query if at.token is None else {**query, "paginationToken": at.token}

    # Stock ---------------------------------------------------------------------------------------------------

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        return await self._listings.fetch(cursor)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        return await self._listings.read(channel_skus)

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        return await self._listings.push(writes)

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return await self._reports.begin(asked_at=asked_at, since=since)

    async def stock_file(self, file: StockFile) -> StockFile:
        return await self._reports.look(file)

    async def drop_stock_file(self, file: StockFile) -> None:
        await self._reports.drop(file)

    def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        return self._reports.read(file, after=after)

    # Feeds ---------------------------------------------------------------------------------------------------

    async def plan_feed(self, channel_skus: Sequence[ChannelSku]) -> FeedPlan:
        return await self._feeds.plan(channel_skus)

    async def begin_feed(self, writes: Sequence[StockWrite]) -> FeedBegun:
        return await self._feeds.begin(writes)

    async def find_feeds(self, *, since: datetime) -> Sequence[str]:
        return await self._feeds.find(since)

    async def look_at_feed(self, name: str) -> FeedReport:
        return await self._feeds.look(name)

    async def drop_feed(self, name: str) -> None:
        await self._feeds.drop(name)

    def access_ends(self) -> Sequence[AccessEnd]:
        return access_ends(self._account)

    # Going live ----------------------------------------------------------------------------------------------

    async def preflight(self) -> tuple[Finding, ...]:
        checks = Preflight(self._account, self._api, self._tokens, clock=self._clock)
        return await checks.findings(lambda: self.fetch_stock(None))
