"""What a connector implements. Register the kind under the entry point group `oneshelf.connectors`.

A connector has no state of the engine, no clock but the injected one, and no retries of its own: it makes one
attempt and maps the result to a message or to a fault. `verify` and `parse` are pure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

import httpx2

from oneshelf.clock import Clock
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.capability import Capability
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutQuestion
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import (
    ChannelConfig,
    Delivery,
    FeedBegun,
    FeedPlan,
    FeedReport,
    Finding,
    Heard,
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
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing a person has to tell us to connect a channel of this kind.

    `is_memo`: it says something of the access, and not to which account: a live channel stays live when it changes.
    """

    name: str
    help: str
    is_secret: bool = False
    default: str | None = None  # None: required; "": may be left out
    is_memo: bool = False


class Connector(Protocol):
    """One connected channel."""

    def verify(self, request: Request) -> Delivery:
        """The delivery in an authentic webhook. Does not parse the body.

        Raises SignatureError when the channel did not sign these bytes.
        """
        ...

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        """What a stored delivery says, in our words. Same bytes, same messages.

        Raises MalformedError with the reason when it cannot be read.
        """
        ...

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        """Orders created or changed since `cursor`, oldest change first. None: since `since`, or from now on.

        The first poll may come long after the channel was connected, and what was sold in between counts. The clocks
        of a channel and of ours differ: orders of the minute before may come along at the start. `asked_at`: now, by
        the clock that all nodes share and that `covered_until` is told in; default: the connector's own.
        """
        ...

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        """One page of all listings of the channel. Absence from it proves nothing."""
        ...

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """What the channel shows for these listings now, in the cheapest batch. At most `batch_reads`.

        A listing that the channel does not know is left out.
        """
        ...

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """Write these figures, at most `batch_writes`; one outcome per write, in the same order.

        Never raises for what the channel says of a single write; raises a ChannelFault only when no write of the
        batch can have been applied. A lost reply is `Unknown` for every write that was in it.
        """
        ...

    async def preflight(self) -> tuple[Finding, ...]:
        """Everything that must be right before going live: credentials, scopes, locations."""
        ...


@runtime_checkable
class RemembersKeys(Protocol):
    """What a connector adds that declares a `key_life_s`: how a probe finds out whether this account keeps to it."""

    async def remembers_key(self, channel_sku: ChannelSku, units: int, *, key: UUID) -> bool | None:
        """Whether the channel does once what comes twice under one key. None: it cannot be told now.

        `units` is what the listing shows: whatever the channel makes of it, no other figure is written. Raises a
        ChannelFault.
        """
        ...


@runtime_checkable
class Subscribes(Protocol):
    """What a connector adds whose channel announces only what was subscribed to, and drops subscriptions by itself."""

    async def keep_subscriptions(self, address: str) -> Subscriptions:
        """See that everything we read is announced to `address`; make anew what is missing. Others' are never touched.

        `address`: of our webhooks, or the `queue_name` of a connector that `Hears`.

        Raises a ChannelFault where nothing was changed.
        """
        ...


@runtime_checkable
class Activates(Protocol):
    """What a connector adds of which the channel may keep a listing from sale at a location until it is activated."""

    async def activate(self, channel_sku: ChannelSku, *, key: UUID) -> WriteOutcome:
        """Put the listing on sale there with nothing available, because a person asked for it.

        Raises a ChannelFault where nothing was done.
        """
        ...


@runtime_checkable
class MovesUnits(Protocol):
    """What a connector adds that declares `movable_states`: its channel keeps units in those, and lets us move them.

    The figure on sale is a state like the others. A move is what a person asks for: the engine publishes by `push`
    alone, and learns of the move as of anything that somebody does at the channel.
    """

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        """Do it once, where both states hold what is expected. Stale: nothing was moved; read again, and ask anew.

        Raises a ChannelFault where nothing was done.
        """
        ...


@runtime_checkable
class WritesStockFile(Protocol):
    """What a connector adds that declares `has_stock_file`: its channel writes its whole stock into one file for us.

    What is absent from the file proves nothing, and while it was written the stock went on changing.
    """

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        """Have a file written. One that is being written already is found again, and no second one is begun.

        `asked_at`: now, by the clock that all nodes share; that of a file which is found is what was told when it was
        begun, cut to the millisecond at most. `since`: one that was asked for later than then is as good, written or
        not; whoever began it has died.
        Raises RefusedError where the channel writes us none, and other ChannelFaults.
        """
        ...

    async def stock_file(self, file: StockFile) -> StockFile:
        """How far it is by now. Raises a ChannelFault."""
        ...

    async def drop_stock_file(self, file: StockFile) -> None:
        """Nobody waits for it any more: the channel may stop writing it. Raises a ChannelFault."""
        ...

    def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        """The readings in a file, some at a time and never all of them in memory, without the first `after`.

        Raises RetryLaterError where it breaks off or cannot be reached now, RefusedError where it is gone, and
        MalformedError where it cannot be read on; what was told until then is good.
        """
        ...


@runtime_checkable
class WritesByFeed(Protocol):
    """What a connector adds that declares `feed_writes`: its channel takes many writes in one file, and works through
    them by itself, in minutes or hours.

    The engine sends nothing urgent this way, has one feed of a channel under way at a time, and writes no listing by
    itself that a feed carries.
    """

    async def plan_feed(self, channel_skus: Sequence[ChannelSku]) -> FeedPlan:
        """Which of these, at most `feed_writes`, may go by a feed. Reads some of those of which it does not know.

        Raises a ChannelFault.
        """
        ...

    async def begin_feed(self, writes: Sequence[StockWrite]) -> FeedBegun:
        """Hand these writes over, at most `feed_writes`. What may not be written is left out.

        Raises OutcomeUnknownError where it may have been taken, and any other ChannelFault where it was not.
        """
        ...

    async def find_feeds(self, *, since: datetime) -> Sequence[str]:
        """The names of the feeds that were begun since then, by whomever. Raises a ChannelFault."""
        ...

    async def look_at_feed(self, name: str) -> FeedReport:
        """How far it is by now. Raises a ChannelFault."""
        ...

    async def drop_feed(self, name: str) -> None:
        """Have it cancelled, if the channel has not begun with it. Raises a ChannelFault."""
        ...


@runtime_checkable
class FetchesOrders(Protocol):
    """What a connector adds whose channel tells the id of an order that changed, and lets us ask for that one."""

    async def fetch_order(self, order_id: str) -> Delivery | None:
        """The order as the channel shows it now, as a polled delivery. None: it knows no such order, or not yet.

        Raises a ChannelFault.
        """
        ...


@runtime_checkable
class Hears(Protocol):
    """What a connector adds whose channel puts its news into a queue that we read, instead of calling us.

    The queue keeps what was not acknowledged and gives it out again later, in any order, now and then twice.
    """

    @property
    def has_queue(self) -> bool:
        """Whether this account has such a queue: it may be polled alone."""
        ...

    @property
    def queue_name(self) -> str:
        """What the channel calls the queue, and sends its news to."""
        ...

    async def hear(self) -> Heard:
        """What lies in the queue now; waits some seconds for it, as the queue allows. Raises a ChannelFault."""
        ...

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        """These are stored, and need not come again. Raises a ChannelFault; then they come again."""
        ...


@runtime_checkable
class AnswersChallenge(Protocol):
    """What a connector adds whose channel first asks whether an address is ours, before it sends anything there."""

    def answer_challenge(self, query: Mapping[str, str], *, address: str) -> bytes | None:
        """The JSON to answer a GET of the webhook `address` with. None: the query is no challenge. Pure."""
        ...


@runtime_checkable
class AnswersCheckout(Protocol):
    """What a connector adds that declares `asks_at_checkout`: its channel can ask us before it lets a buyer pay.

    All of it is pure: what can be sold the engine knows. Nothing is held for who asks.
    """

    def lets_ask(self, authorization: str) -> bool | None:
        """Whether the channel alone can have sent this header `Authorization`. None: it is not switched on."""
        ...

    def checkout_questions(self, document: object) -> tuple[CheckoutQuestion, ...]:
        """What a JSON body asks. Raises MalformedError with the member that is wrong, and what it should be."""
        ...

    def checkout_answer(self, document: object, answers: Sequence[CheckoutAnswer], *, at: datetime) -> object:
        """The JSON to answer this body with: an answer for each of its questions, in their order, known at `at`."""
        ...


@runtime_checkable
class LearnsKeys(Protocol):
    """What a connector adds whose channel signs with keys that have to be fetched from it by their id."""

    async def learn_key(self, request: Request) -> None:
        """Have the key at hand that `verify` needs for this request. An id that does not exist is not asked for twice.

        Raises a ChannelFault where it cannot be had now: the delivery is refused, and the channel sends it again.
        """
        ...


class ConnectorKind(Protocol):
    """A kind of channel: what the entry point names."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def capability(self) -> Capability: ...

    @property
    def settings(self) -> tuple[Setting, ...]: ...

    def open(
        self,
        config: ChannelConfig,
        *,
        channel: Channel,
        http: ChannelHttp,
        clock: Clock,
        store: SecretStore | None = None,
    ) -> Connector:
        """A connector for one channel. Raises ConfigurationError naming a missing or unknown setting.

        `store`: where it keeps what the channel hands out; None: nothing need outlive this connector.
        """
        ...

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> Simulator:
        """The channel's wire API with buyers of its own. All its limits and delays run `speed` times fast.

        It delivers webhooks through `webhook_client`, which stays the caller's to close. Given one, it opens no
        socket, and its whole life follows from the seed, the clock and what is asked of it.
        """
        ...
