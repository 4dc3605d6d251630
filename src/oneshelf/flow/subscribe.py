"""See that a channel goes on telling us: what it has dropped is subscribed to anew.

Reads: the channel's subscriptions. Writes: subscriptions at the channel, subscription_checks, when to poll and sweep.
Next: receive, which polls what nobody told.
"""

from __future__ import annotations

from oneshelf.clock import Clock
from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError
from oneshelf.flow.channel import (
    CHANNEL_FAILURES,
    SUBSCRIPTIONS_EVERY_S,
    WORDS_LENGTH_MAX,
    OpenChannel,
    report_fault,
    words_of,
)
from oneshelf.sdk.contract import Subscribes
from oneshelf.sdk.fault import RefusedError
from oneshelf.sdk.message import Subscriptions
from oneshelf.storage import schedules, subscriptions
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger

TASK = "subscriptions"
# Some calls for each topic, of which there are two dozen.
LEASE_S = 300.0
# After a look that was not whole, or not possible.
AGAIN_S = 300.0
# Of several nodes that start together one looks.
AT_MOST_EVERY_S = 60.0

log = get_logger(__name__)


class Watchdog:
    """Keeps the subscriptions of one channel: as soon as the engine runs, and every hour from then on.

    `address`: see `announced_at`.
    """

    def __init__(self, database: Database, channel: OpenChannel, clock: Clock, *, address: str) -> None:
        self._database = database
        self._channel = channel
        self._clock = clock
        self._address = address
        self._has_begun = False

    async def keep(self) -> int:
        """Look if that is due. Returns how many topics were subscribed to."""
        connector, name = self._channel.connector, self._channel.name
        if not isinstance(connector, Subscribes):
            return 0
        async with self._database.transaction() as tx:
            if not self._has_begun:
                await schedules.ensure(tx, name, {TASK: SUBSCRIPTIONS_EVERY_S})
                await schedules.hurry(tx, name, TASK, at_most_every_s=AT_MOST_EVERY_S)
            due = await schedules.claim(tx, name, TASK, lease=self._clock.new_id(), lease_s=LEASE_S)
        self._has_begun = True
        if due is None:
            return 0
        try:
            found = await connector.keep_subscriptions(self._address)
        except CHANNEL_FAILURES as fault:
            # That it cannot be subscribed to says nothing of the rest of the channel.
            is_of_channel = not isinstance(fault, RefusedError | MalformedError)
            pause_s = await report_fault(self._database, name, fault) if is_of_channel else 0.0
            async with self._database.transaction() as tx:
                await schedules.postpone(tx, due, after_s=max(pause_s, AGAIN_S), fault=words_of(fault))
            return 0
        await self._record(due, found)
        return len(found.created)

    async def _record(self, due: schedules.Due, found: Subscriptions) -> None:
        name = self._channel.name
        refused = {topic: printable(words, length_max=WORDS_LENGTH_MAX) for topic, words in found.refused.items()}
        async with self._database.transaction() as tx:
            before = (await subscriptions.checks(tx)).get(name)
            was_there = before.topics if before and before.address == self._address else []
            lost = [topic for topic in was_there if topic not in found.present]
            topics = [*found.present, *found.created]
            await subscriptions.record(tx, name, self._address, topics=topics, refused=refused, lost=lost)
            if lost:
                # From the last good time on: polls and sweeps begin where their last one ended.
                await schedules.hurry(tx, name, "orders", at_most_every_s=0)
                await schedules.hurry(tx, name, "stock", at_most_every_s=0)
            if refused:
                words = "; ".join(f"{topic}: {words}" for topic, words in refused.items())
                await schedules.postpone(tx, due, after_s=AGAIN_S, fault=words)
            else:
                await schedules.advance(tx, due, cursor=None, covered_until=None, is_finished=True)
        if lost:
            log.warning("subscriptions.lost", channel=name, count=len(lost), topics=lost)
        if found.created and not lost:
            log.info("subscriptions.made", channel=name, count=len(found.created))
        if refused and refused != (before.refused if before else {}):
            log.warning("subscriptions.refused", channel=name, refused=refused)
