"""The Amazon connector: absolute quantities of seller-fulfilled listings, orders by polling.

Sources, all checked 2026-11-23: Listings Items API v2021-08-01 and Orders API v2026-01-01 as modelled at
https://github.com/amzn/selling-partner-api-models, usage plans at
https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import notification, parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import ORDERS_PATH, SellingPartnerApi, is_success, refuse
from oneshelf.connectors.amazon.cursor import OrderCursor, StockCursor
from oneshelf.connectors.amazon.parse import ListingRow
from oneshelf.connectors.amazon.tokens import tokens_of
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import invariant
from oneshelf.sdk.fault import (
    ChannelFault,
    OutcomeUnknownError,
    ReauthenticateError,
    RetryLaterError,
    SignatureError,
)
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import (
    Delivery,
    Finding,
    Ignored,
    Message,
    OrderPage,
    Refused,
    Request,
    StockPage,
    StockReading,
    StockWrite,
    Throttled,
    Unknown,
    WriteOutcome,
)

BATCH_MAX = 20
RESULTS_MAX = 1000  # "The maximum number of items (SKUs) that can be returned and paged through is 1000."
# One lost reply is bad luck. After two in a batch the way to Amazon is broken, and each more costs a deadline.
LOST_REPLIES_MAX = 2
PAUSE_S = 1.0


class AmazonConnector:
    """One seller account, see `sdk.contract.Connector`."""

    def __init__(self, account: Account, *, channel: Channel, http: ChannelHttp, clock: Clock) -> None:
        self._account = account
        self._channel = channel
        self._clock = clock
        self._tokens = tokens_of(account, http=http, clock=clock)
        self._api = SellingPartnerApi(account, http=http, tokens=self._tokens)
        # listing -> whether the last reading in this process showed that the seller fulfils it.
        self._is_merchant: dict[ChannelSku, bool] = {}

    def verify(self, request: Request) -> Delivery:
        raise SignatureError("Amazon sends no webhooks")

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        if delivery.topic == parse.POLLED_ORDER:
            return (parse.order_message(delivery, channel=self._channel),)
        account = self._account
        if not notification.is_topic(delivery.topic):
            return (Ignored(f"{delivery.topic} is no topic of an Amazon channel"),)
        return (notification.message_from(delivery, seller_id=account.seller_id, stores=(account.marketplace_id,)),)

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
            "marketplaceIds": self._account.marketplace_id,
            "fulfilledBy": "MERCHANT",
            "maxResultsPerPage": "100",
            "includedData": "FULFILLMENT,CANCELLATION",
        }
        return query if at.token is None else {**query, "paginationToken": at.token}

    # Stock ---------------------------------------------------------------------------------------------------

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        at = StockCursor() if cursor is None else StockCursor.from_text(cursor)
        query = {**self._listings_query(), "sortBy": "createdDate", "sortOrder": "ASC"}
        if at.created_after is not None:
            query["createdAfter"] = parse.instant_text(at.created_after)
        if at.token is not None:
            query["pageToken"] = at.token
        reply = await self._api.read("searchListingsItems", self._api.items_path(), query)
        if reply.status == 400 and at.token is not None:
            return StockPage(readings=(), cursor=StockCursor(created_after=at.created_after).text())
        refuse("searchListingsItems", reply)
        answer = parse.listings_answer(reply.document())
        readings = self._remember(answer.rows)
        if answer.next_token is not None:
            following = StockCursor(created_after=at.created_after, token=answer.next_token)
            return StockPage(readings=readings, cursor=following.text())
        newest_at = max((row.created_at for row in answer.rows if row.created_at is not None), default=None)
        if answer.results_count < RESULTS_MAX or newest_at is None:
            return StockPage(readings=readings, cursor=None)
        return StockPage(readings=readings, cursor=at.sliced(newest_at).text())

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        invariant(len(channel_skus) <= BATCH_MAX, f"{len(channel_skus)} listings in one reading of Amazon")
        wanted = frozenset(channel_skus)
        # The batch is a list with commas: a SKU that holds one can only be asked for alone.
        single = sorted(sku for sku in wanted if "," in sku)
        batch = sorted(wanted.difference(single))
        rows: list[ListingRow] = []
        if batch:
            rows.extend(await self._read_batch(batch))
        for sku in single:
            row = await self._read_one(sku)
            if row is not None:
                rows.append(row)
        for sku in wanted:
            self._is_merchant.pop(sku, None)
        return self._remember([row for row in rows if row.reading.channel_sku in wanted])

    async def _read_batch(self, channel_skus: Sequence[ChannelSku]) -> list[ListingRow]:
        """All pages: a listing that is missing from them is unknown to Amazon, and would be refused for it."""
        query = {**self._listings_query(), "identifiersType": "SKU", "identifiers": ",".join(channel_skus)}
        rows: list[ListingRow] = []
        for _page in channel_skus:
            reply = await self._api.read("searchListingsItems", self._api.items_path(), query)
            refuse("searchListingsItems", reply)
            answer = parse.listings_answer(reply.document())
            rows.extend(answer.rows)
            if answer.next_token is None:
                return rows
            query["pageToken"] = answer.next_token
        raise RetryLaterError("searchListingsItems: more pages than listings were asked for")

    async def _read_one(self, channel_sku: ChannelSku) -> ListingRow | None:
        query = {
            "marketplaceIds": self._account.marketplace_id,
            "includedData": "summaries,fulfillmentAvailability",
        }
        reply = await self._api.read("getListingsItem", self._api.item_path(channel_sku), query)
        if reply.status == 404:
            return None
        refuse("getListingsItem", reply)
        return parse.listing_row(reply.document())

    def _listings_query(self) -> dict[str, str]:
        return {
            "marketplaceIds": self._account.marketplace_id,
            "includedData": "summaries,fulfillmentAvailability",
            "pageSize": str(BATCH_MAX),
        }

    def _remember(self, rows: Sequence[ListingRow]) -> tuple[StockReading, ...]:
        for row in rows:
            self._is_merchant[row.reading.channel_sku] = row.is_merchant
        return tuple(row.reading for row in rows)

    # Writing -------------------------------------------------------------------------------------------------

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        invariant(len(writes) <= BATCH_MAX, f"{len(writes)} listings in one push to Amazon")
        unread_s = await self._read_unread(writes)
        outcomes: list[WriteOutcome] = []
        stopped_s: float | None = None
        lost_count = 0
        for write in writes:
            outcome = self._guard(write.channel_sku, unread_s=unread_s)
            if outcome is None and stopped_s is not None:
                outcome = Throttled(stopped_s)
            elif outcome is None:
                outcome = await self._write(write, is_first=not _were_sent(outcomes))
                if isinstance(outcome, Throttled):
                    stopped_s = outcome.retry_after_s
                lost_count += isinstance(outcome, Unknown)
                if lost_count == LOST_REPLIES_MAX:
                    stopped_s = PAUSE_S
            outcomes.append(outcome)
        return tuple(outcomes)

    async def _read_unread(self, writes: Sequence[StockWrite]) -> float | None:
        """Read who fulfils the listings of which we do not know. The seconds to wait where Amazon is too busy."""
        unread = [write.channel_sku for write in writes if write.channel_sku not in self._is_merchant]
        if not unread:
            return None
        try:
            await self.read_stock(unread)
        except RetryLaterError as busy:
            return busy.retry_after_s
        return None

    def _guard(self, channel_sku: ChannelSku, *, unread_s: float | None) -> WriteOutcome | None:
        """None where the listing may be written.

        "Writing a quantity to an FBA SKU flips it to seller-fulfilled and strands the stock": only a listing that
        Amazon has shown as the seller's own is written. https://developer-docs.amazon.com/sp-api/changelog/
        clarification-on-how-to-use-the-inventory-feed-type-quantity-attribute (checked 2026-11-23).
        """
        is_merchant = self._is_merchant.get(channel_sku)
        if is_merchant is None and unread_s is not None:
            return Throttled(unread_s)
        if is_merchant is None:
            return Refused(f"Amazon shows no listing with the SKU {channel_sku}")
        if not is_merchant:
            return Refused(f"{channel_sku} is not seller-fulfilled at Amazon: a quantity would strand its FBA stock")
        return None

    async def _write(self, write: StockWrite, *, is_first: bool) -> WriteOutcome:
        try:
            reply = await self._api.write(
                "patchListingsItem",
                self._api.item_path(write.channel_sku),
                {"marketplaceIds": self._account.marketplace_id, "includedData": "issues"},
                _patch(write.units),
            )
            if is_success(reply):
                return parse.write_outcome(reply.document())
        except RetryLaterError as busy:
            return Throttled(busy.retry_after_s)
        except OutcomeUnknownError as lost:
            return Unknown(str(lost))
        except ReauthenticateError:
            if is_first:
                raise
            # Something of this batch has been sent; the next batch begins with this refusal and raises it.
            return Throttled(PAUSE_S)
        words = parse.error_words(reply.body)
        if reply.status < 400 or reply.status == 408:
            return Unknown(f"Amazon answered {reply.status}: {words}")
        return Refused(f"{reply.status} {words}")

    # Going live ----------------------------------------------------------------------------------------------

    async def preflight(self) -> tuple[Finding, ...]:
        try:
            await self._tokens.access_token()
        except ChannelFault as fault:
            return (Finding("credentials", is_good=False, detail=str(fault)),)
        return (
            Finding("credentials", is_good=True),
            await self._check_orders(),
            *await self._check_listings(),
        )

    async def _check_orders(self) -> Finding:
        an_hour_ago = OrderCursor.starting(self._clock.now() - timedelta(hours=1))
        query = {**self._orders_query(an_hour_ago), "maxResultsPerPage": "1"}
        try:
            refuse("searchOrders", await self._api.read("searchOrders", ORDERS_PATH, query))
        except ReauthenticateError as fault:
            detail = f"add the role Inventory and Order Tracking and authorize the application again: {fault}"
            return Finding("orders can be read", is_good=False, detail=detail)
        except ChannelFault as fault:
            return Finding("orders can be read", is_good=False, detail=str(fault))
        return Finding("orders can be read", is_good=True)

    async def _check_listings(self) -> tuple[Finding, ...]:
        advice = "add the role Product Listing and authorize the application again"
        try:
            page = await self.fetch_stock(None)
        except ReauthenticateError as fault:
            return (Finding("listings can be read", is_good=False, detail=f"{advice}: {fault}"),)
        except ChannelFault as fault:
            return (Finding("listings can be read", is_good=False, detail=str(fault)),)
        readable = Finding("listings can be read", is_good=True)
        own = next((row for row in page.readings if self._is_merchant[row.channel_sku]), None)
        if own is None:
            detail = "the first listings hold none that the seller fulfils, so writing could not be tried"
            return (readable, Finding("listings can be written", is_good=False, detail=detail))
        try:
            refusal = await self._preview(own)
        except ReauthenticateError as fault:
            # Roles are fixed when the seller authorises: reading may work where writing is forbidden.
            refusal = f"{advice}: {fault}"
        except ChannelFault as fault:
            refusal = str(fault)
        return (readable, Finding("listings can be written", is_good=refusal is None, detail=refusal or ""))

    async def _preview(self, listing: StockReading) -> str | None:
        """Amazon's words where it would refuse the figure that it shows now. Changes nothing."""
        reply = await self._api.preview(
            "patchListingsItem",
            self._api.item_path(listing.channel_sku),
            {"marketplaceIds": self._account.marketplace_id, "mode": "VALIDATION_PREVIEW"},
            _patch(listing.units or 0),
        )
        refuse("patchListingsItem", reply)
        return parse.preview_refusal(reply.document())


def _were_sent(outcomes: Sequence[WriteOutcome]) -> bool:
    return any(not isinstance(outcome, Refused | Throttled) for outcome in outcomes)


def _patch(units: int) -> dict[str, object]:
    # "merge" leaves the handling time and the restock date alone; "replace" would reset both:
    # https://github.com/amzn/selling-partner-api-models/issues/4406 (checked 2026-11-23).
    value = [{"fulfillment_channel_code": parse.MERCHANT_CHANNEL, "quantity": units}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    return {"productType": "PRODUCT", "patches": [patch]}
