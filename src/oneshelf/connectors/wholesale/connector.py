"""One wholesale buyer. They order, and are answered in documents: there is no figure to read there or to write."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from oneshelf.clock import Clock
from oneshelf.connectors.wholesale.parse import Buyer, is_x12, orders_from
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import (
    Delivery,
    Finding,
    Message,
    OrderPage,
    Refused,
    Request,
    StockPage,
    StockReading,
    StockWrite,
    WriteOutcome,
)
from oneshelf.sdk.signature import is_standard_webhook

X12, JSON = "wholesale/x12", "wholesale/json"


class WholesaleConnector:
    """A buyer whose purchase orders come signed with one of `secrets`."""

    def __init__(self, *, clock: Clock, secrets: Sequence[str], buyer: Buyer) -> None:
        self._clock = clock
        self._secrets = tuple(secrets)
        self._buyer = buyer

    def verify(self, request: Request) -> Delivery:
        """Raises SignatureError. Two deliveries with the same bytes say the same: orders have versions."""
        if not is_standard_webhook(request.headers, request.body, secrets=self._secrets):
            raise SignatureError("the signature of these purchase orders is missing or wrong")
        topic = X12 if is_x12(request.body) else JSON
        return Delivery(key=f"body:{hashlib.sha256(request.body).hexdigest()}", topic=topic, body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """Raises MalformedError: of a delivery all can be read, or nothing."""
        return (orders_from(delivery.body, self._buyer),)

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        """No orders: buyers send them."""
        del since
        return OrderPage((), cursor or "", has_more=False, covered_until=asked_at or self._clock.now())

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        """No listings: a buyer sells nothing for us."""
        del cursor
        return StockPage((), None)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """None of them."""
        del channel_skus
        return ()

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """Each is refused."""
        return tuple(Refused("a buyer shows no figure; what they may take is told as inventory advice") for _ in writes)

    async def preflight(self) -> tuple[Finding, ...]:
        """By which names orders will be taken."""
        x12 = f"X12 from {self._buyer.theirs} to {self._buyer.ours}" if self._buyer.theirs else "no X12"
        return (Finding("orders", is_good=True, detail=f"of {self._buyer.customer}: JSON, {x12}"),)
