"""One channel of tills. It is told and never asks: there is nothing to read at a till, and nothing to write."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from oneshelf.clock import Clock
from oneshelf.connectors.till.parse import news_from
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

TOPIC = "till/events"
SECRET_LENGTH_ADVISED = 24


class TillConnector:
    """Tills that post their events under one of `secrets`."""

    def __init__(self, *, clock: Clock, secrets: Sequence[str], clock_error_s: int) -> None:
        self._clock = clock
        self._secrets = tuple(secrets)
        self._clock_error_s = clock_error_s

    def verify(self, request: Request) -> Delivery:
        """Raises SignatureError. Two deliveries with the same bytes say the same: events are numbered.

        How old the signed timestamp is does not matter: a till may lie off the network with a wrong clock, and what is
        sent again counts once.
        """
        if not is_standard_webhook(request.headers, request.body, secrets=self._secrets):
            raise SignatureError("the signature of these till events is missing or wrong")
        return Delivery(key=f"body:{hashlib.sha256(request.body).hexdigest()}", topic=TOPIC, body=request.body)

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """Raises MalformedError where nothing of the delivery can be read."""
        return (news_from(delivery.body, clock_error_s=self._clock_error_s),)

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        """No orders: tills tell by themselves."""
        del since
        return OrderPage((), cursor or "", has_more=False, covered_until=asked_at or self._clock.now())

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        """No listings: a till sells from the shelf."""
        del cursor
        return StockPage((), None)

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """None of them: a till shows no figure."""
        del channel_skus
        return ()

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """Each is refused."""
        return tuple(Refused("a till shows no figure that could be written") for _ in writes)

    async def preflight(self) -> tuple[Finding, ...]:
        """Whether the secrets are worth their name; what the devices told is for the engine to say."""
        short = min(len(secret) for secret in self._secrets)
        words = (
            ""
            if short >= SECRET_LENGTH_ADVISED
            else (f"one has {short} characters only; whoever guesses it sells your stock to nobody: take a longer one")
        )
        return (
            Finding(
                "secrets", is_good=True, detail=f"{len(self._secrets)} sign its events{'; ' if words else ''}{words}"
            ),
        )
