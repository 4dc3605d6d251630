"""One eBay account as a channel: authentic notifications, orders, readings, writes and the preflight."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import checkout, parse, subscriptions
from oneshelf.connectors.ebay.api import EbayApi
from oneshelf.connectors.ebay.aside import Aside
from oneshelf.connectors.ebay.events import ChangedLately
from oneshelf.connectors.ebay.json_reading import decoded
from oneshelf.connectors.ebay.listings import Listings
from oneshelf.connectors.ebay.polling import OrderCursor, OrderPoll
from oneshelf.connectors.ebay.preflight import access_ends, findings_of
from oneshelf.connectors.ebay.push import Pusher
from oneshelf.connectors.ebay.reports import ReportReader
from oneshelf.connectors.ebay.signature import HEADER, challenge_response, is_signed, keys_of, signature_from
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.access_end import AccessEnd
from oneshelf.sdk.basic import is_basic
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutQuestion
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import (
    Delivery,
    Finding,
    Ignored,
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
from oneshelf.sdk.secret_store import SecretStore

_KEY_LENGTH_MAX = 120
_TOPIC_LENGTH_MAX = 60
CHALLENGE = "challenge_code"


class EbayConnector:
    """One seller's account, see `sdk.contract.Connector`."""

    def __init__(
        self, api: EbayApi, *, channel: Channel, clock: Clock, orders_lag_s: float, store: SecretStore
    ) -> None:
        self._api = api
        self._account = api.account
        self._channel = channel
        self._clock = clock
        self._listings = Listings(api, clock=clock, aside=Aside(store, clock=clock))
        changed = ChangedLately(api, self._listings)
        self._orders = OrderPoll(api, changed, lag=timedelta(seconds=orders_lag_s))
        self._reports = ReportReader(api, self._listings, store)
        self._pusher = Pusher(api, self._listings, clock=clock)
        self._keys = keys_of(api, clock=clock)

    # What eBay tells us --------------------------------------------------------------------------------------

    def answer_challenge(self, query: Mapping[str, str], *, address: str) -> bytes | None:
        """See `sdk.contract.AnswersChallenge`."""
        code = query.get(CHALLENGE)
        if not code:
            return None
        token = self._account.verification_token
        response = challenge_response(code, verification_token=token, address=address)
        return msgspec.json.encode({"challengeResponse": response})

    async def learn_key(self, request: Request) -> None:
        """See `sdk.contract.LearnsKeys`. Raises SignatureError for a header that names no key."""
        await self._keys.learn(signature_from(request.headers.get(HEADER)).key_id)

    def verify(self, request: Request) -> Delivery:
        """Raises SignatureError. eBay's key signs for all sellers, so the seller that is named has to be ours."""
        signature = signature_from(request.headers.get(HEADER))
        key = self._keys.key(signature.key_id)
        if key is None:
            raise SignatureError("this eBay notification is signed with a key that eBay does not have")
        if not is_signed(request.body, signature, key):
            raise SignatureError("the signature of this eBay notification is wrong")
        try:
            document = decoded(request.body)
        except MalformedError:
            document = None
        user_id = _text_at(document, "notification", "data", "user", "userId")
        if user_id is not None and user_id != self._account.user_id:
            raise SignatureError("this eBay notification is about another seller: check user_id")
        topic = _text_at(document, "metadata", "topic") or ""
        told = _text_at(document, "notification", "notificationId") or ""
        if not (0 < len(told) <= _KEY_LENGTH_MAX and told.isascii() and told.isprintable()):
            told = f"body:{hashlib.sha256(request.body).hexdigest()}"
        return Delivery(key=told, topic=topic[:_TOPIC_LENGTH_MAX] or "unknown", body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """Raises MalformedError."""
        if delivery.topic == parse.POLLED_ORDER:
            return (parse.order_message(delivery, channel=self._channel),)
        if delivery.topic == parse.CHANGED_LISTINGS:
            return parse.stock_hints(delivery)
        if not delivery.topic.isupper():
            return (Ignored(f"{delivery.topic} is no topic of an eBay channel"),)
        return parse.notification_messages(delivery, user_id=self._account.user_id)

    async def keep_subscriptions(self, address: str) -> Subscriptions:
        """See `subscriptions.keep`."""
        return await subscriptions.keep(self._api, address)

    # What eBay asks at the checkout ---------------------------------------------------------------------------

    def lets_ask(self, authorization: str) -> bool | None:
        """See `sdk.contract.AnswersCheckout`."""
        access = self._account.checkout
        return None if access is None else is_basic(authorization, user=access.user, passwords=access.passwords)

    def checkout_questions(self, document: object) -> tuple[CheckoutQuestion, ...]:
        """Raises MalformedError."""
        access = self._account.checkout
        return checkout.questions_from(document, location=access.location if access else "")

    def checkout_answer(self, document: object, answers: Sequence[CheckoutAnswer], *, at: datetime) -> object:
        return checkout.answer_to(document, answers, at=at)

    # Orders --------------------------------------------------------------------------------------------------

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        asked_at = asked_at or self._clock.now()
        if cursor is None:
            start = OrderCursor.starting(since or asked_at)
            return OrderPage(deliveries=(), cursor=start.text(), has_more=False, covered_until=None)
        return await self._orders.page(OrderCursor.from_text(cursor), asked_at=asked_at)

    async def fetch_order(self, order_id: str) -> Delivery | None:
        """See `sdk.contract.FetchesOrders`."""
        return await self._orders.order(order_id)

    # Stock ---------------------------------------------------------------------------------------------------

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        return await self._listings.page(cursor)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        return await self._listings.read(channel_skus)

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return await self._reports.begin(asked_at=asked_at, since=since)

    async def stock_file(self, file: StockFile) -> StockFile:
        return await self._reports.look(file)

    async def drop_stock_file(self, file: StockFile) -> None:
        await self._reports.drop(file)

    def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        return self._reports.read(file, after=after)

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """See `push.Pusher.push`."""
        return await self._pusher.push(writes)

    def access_ends(self) -> Sequence[AccessEnd]:
        return access_ends(self._api.account)

    async def preflight(self) -> tuple[Finding, ...]:
        return await findings_of(self._api, clock=self._clock)


def _text_at(document: object, *path: str) -> str | None:
    """The text at this place of a document; None where there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) else None
