"""A connected channel as the steps see it, and what its failures do to it as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from oneshelf.domain.identity import Channel, ChannelSku, printable
from oneshelf.domain.listing import Terms
from oneshelf.domain.reading import DriftFound
from oneshelf.domain.state_change import States, kept_from
from oneshelf.domain.sweep_plan import Budget
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Capability
from oneshelf.sdk.contract import Connector, Hears
from oneshelf.sdk.fault import ChannelFault, NeedsPersonError, RetryLaterError
from oneshelf.sdk.message import Delivery, Message, StockReading
from oneshelf.storage import catalog, facts, schedules
from oneshelf.storage.database import Database, Transaction, now
from oneshelf.telemetry import get_logger

PAUSE_S_MAX = 60.0
# Fewer failed calls in a row are everyday business (a throttled call, say) and not worth a line in the log.
OUTAGE_STREAK = 3
WORDS_LENGTH_MAX = 500
NEEDS_PERSON_PAUSE_S = 300.0
UNDOCUMENTED_CALLS_PER_S = 1.0
SUSPENSE_LAGS = 5
# All in seconds, but for the listings from which on a feed is used.
TIMING_NAMES = (
    *("apply_s", "feed_s_max", "feed_shown_s", "feed_writes_least", "poll_orders_s"),
    *("stale_s", "suspense_s", "sweep_stock_s", "zombie_s"),
)
WRITE_LEASE_S = 60.0
# What is in doubt has the orders polled, no more often than that.
HURRY_ORDERS_S = 1.0
# The task of a channel whose queue is listened to, and how often it is seen that a channel goes on telling us.
LISTENING = "queue"
SUBSCRIPTIONS_EVERY_S = 3600.0
# A call takes at most its deadline: what is sent before this has been answered while the lease still stands.
SEND_BEFORE_S = WRITE_LEASE_S - 25.0

# What a call to a channel may end in: what the channel says, or an answer that nobody can read.
CHANNEL_FAILURES = (ChannelFault, MalformedError)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """One channel with its connector. `capability` is what the engine relies on: with the account's own timing where a
    person gave one, and less what a probe has shown to be lost. `declared`: without that loss; None: nothing is lost.
    `clock_ahead_s`: see `sdk.http.ChannelHttp`.
    """

    name: Channel
    kind: str
    connector: Connector
    capability: Capability
    declared: Capability | None = None
    clock_ahead_s: Callable[[], float | None] = lambda: None
    own_suspense_s: float = 0.0
    connected_at: datetime | None = None

    @property
    def suspense_s(self) -> float:
        """How long a fall that no order explains is held back: late orders are rare, and twice sold ones dear."""
        return self.own_suspense_s or SUSPENSE_LAGS * self.capability.orders_lag_s

    @property
    def terms(self) -> Terms:
        """What the channel promises of its writes."""
        return Terms(
            is_applied_when_answered=self.capability.is_applied_when_answered,
            apply_s=self.capability.apply_s,
            look_again_s=max(0.25, self.capability.apply_s / 30),
            copy_s=SEND_BEFORE_S + self.capability.zombie_s,
            stale_s=self.capability.stale_s,
        )


def webhook_address(public_url: str, channel: Channel) -> str:
    """Where a channel sends its deliveries, at the address under which the engine is reached from outside."""
    return f"{public_url.rstrip('/')}/webhooks/{quote(channel, safe='')}"


def announced_at(channel: OpenChannel, public_url: str) -> str:
    """Where a channel sends its news: its own queue, or our webhooks. Empty: we cannot be reached."""
    connector = channel.connector
    if isinstance(connector, Hears) and connector.has_queue:
        return connector.queue_name
    return webhook_address(public_url, channel.name) if public_url else ""


def read_budget(capability: Capability) -> Budget:
    """What the channel grants for readings of stock: as documented, or a call a second where nothing is."""
    rates = [limit.rate_per_s for limit in capability.limits if limit.operation == capability.read_limit]
    return Budget(
        calls_per_s=rates[0] / capability.read_cost if rates else UNDOCUMENTED_CALLS_PER_S,
        page_listings=capability.page_reads or capability.batch_reads,
        batch_listings=capability.batch_reads,
        has_file=capability.has_stock_file,
    )


def with_timing(capability: Capability, timing: dict[str, float]) -> Capability:
    """The declared capability with an account's own seconds."""
    return replace(
        capability,
        apply_s=timing.get("apply_s", capability.apply_s),
        poll_orders_s=timing.get("poll_orders_s", capability.poll_orders_s),
        sweep_stock_s=timing.get("sweep_stock_s", capability.sweep_stock_s),
        stale_s=timing.get("stale_s", capability.stale_s),
        zombie_s=timing.get("zombie_s", capability.zombie_s),
        feed_s_max=timing.get("feed_s_max", capability.feed_s_max),
        feed_shown_s=timing.get("feed_shown_s", capability.feed_shown_s),
        feed_writes_least=int(timing.get("feed_writes_least", capability.feed_writes_least)),
    )


async def known_until(tx: Transaction, channel: Channel) -> datetime | None:
    """Until when every order of the channel is posted; None: not known, or some wait to be posted."""
    # In this order: what a poll brings meanwhile is not covered yet, or waits.
    covered_until = await schedules.covered_until(tx, channel, "orders")
    is_waiting = await facts.count_waiting(tx, channel, received_before=await now(tx))
    return None if is_waiting else covered_until


def states_in(readings: Iterable[StockReading]) -> dict[ChannelSku, States]:
    """What these readings tell of units that are kept from sale: listing -> state -> units."""
    return {
        reading.channel_sku: kept_from(reading.states)
        for reading in readings
        if reading.states is not None and reading.units is not None
    }


def issues_in(readings: Iterable[StockReading]) -> dict[ChannelSku, str]:
    """What these readings tell that is wrong with listings, fit to be stored: listing -> words, empty for nothing."""
    return {
        reading.channel_sku: printable(reading.issues, length_max=WORDS_LENGTH_MAX)
        for reading in readings
        if reading.issues is not None
    }


def parsed(channel: OpenChannel, delivery: Delivery) -> tuple[Message, ...]:
    """What the connector reads. A connector may be anybody's code: one that fails parks this delivery, no other.

    Raises MalformedError.
    """
    try:
        return channel.connector.parse(delivery)
    except MalformedError:
        raise
    except Exception as failure:
        log.exception("connector.failed", channel=channel.name, topic=delivery.topic)
        raise MalformedError(f"the connector failed on it with {type(failure).__name__}: report this") from failure


def words_of(fault: ChannelFault | MalformedError) -> str:
    """What a channel said, fit to be stored."""
    return printable(str(fault), length_max=WORDS_LENGTH_MAX)


async def report_fault(database: Database, channel: Channel, fault: ChannelFault | MalformedError) -> float:
    """The channel as a whole failed: pause it, longer each time. Logs once when it goes. Returns the pause in s."""
    async with database.transaction() as tx:
        streak = await catalog.record_failure(tx, channel, fault=words_of(fault))
        pause_s = _pause_s(fault, streak)
        await catalog.pause(tx, channel, pause_s=pause_s)
    if streak == OUTAGE_STREAK:
        log.warning("channel.unavailable", channel=channel, fault=type(fault).__name__, words=words_of(fault)[:200])
    return pause_s


async def report_answer(database: Database, channel: Channel) -> None:
    """The channel answered. Logs once when it is back."""
    async with database.transaction() as tx:
        streak = await catalog.record_success(tx, channel)
    if streak >= OUTAGE_STREAK:
        log.info("channel.available", channel=channel)


def tell_drift(drift: DriftFound) -> None:
    """Log that a listing shows what it should not."""
    log.warning(
        "drift.opened",
        listing=drift.listing.channel_sku,
        cause=drift.cause.value,
        expected=drift.expected_units,
        observed=drift.observed_units,
    )


def _pause_s(fault: ChannelFault | MalformedError, streak: int) -> float:
    """One failed call is everyday business and a row of them an outage: 0.16 s at first, a minute from the 14th on."""
    growing_s = min(PAUSE_S_MAX, 0.1 * 1.6 ** min(streak, 20))
    match fault:
        case RetryLaterError(retry_after_s=retry_after_s):
            return max(min(retry_after_s, PAUSE_S_MAX), growing_s)
        case NeedsPersonError():
            return NEEDS_PERSON_PAUSE_S
        case _:
            return growing_s
