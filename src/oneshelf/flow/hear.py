"""Listen to the queue into which a channel puts its news.

Reads: the channel's queue. Writes: inbox, when to listen again; what is stored is acknowledged after the commit.
Next: interpret.

The queue gives out again what was not acknowledged, so whoever dies between the two hears it once more, and the key of
the delivery tells. A queue that fails says nothing of its channel: orders are polled and figures written as ever.
"""

from __future__ import annotations

from oneshelf.clock import Clock
from oneshelf.errors import MalformedError
from oneshelf.flow.channel import CHANNEL_FAILURES, LISTENING, NEEDS_PERSON_PAUSE_S, OpenChannel, words_of
from oneshelf.sdk.contract import Hears
from oneshelf.sdk.fault import ChannelFault, NeedsPersonError
from oneshelf.storage import inbox, schedules
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger

# It waits for news by itself: as soon as one round ends, the next begins.
EVERY_S = 0.001
# One wait for news, and one acknowledgement, each within the deadline of a call.
LEASE_S = 60.0
AGAIN_S, AGAIN_S_MAX = 0.5, 60.0

log = get_logger(__name__)


class Listener:
    """Listens for one channel, as one node at a time does."""

    def __init__(self, database: Database, channel: OpenChannel, clock: Clock) -> None:
        self._database = database
        self._channel = channel
        self._clock = clock
        self._has_begun = False
        self._failures = 0

    async def listen(self) -> int:
        """Hear what lies in the queue. Returns how many deliveries were new."""
        connector, name = self._channel.connector, self._channel.name
        if not isinstance(connector, Hears) or not connector.has_queue:
            return 0
        async with self._database.transaction() as tx:
            if not self._has_begun:
                await schedules.ensure(tx, name, {LISTENING: EVERY_S})
            due = await schedules.claim(tx, name, LISTENING, lease=self._clock.new_id(), lease_s=LEASE_S)
        self._has_begun = True
        if due is None:
            return 0
        stored = 0
        try:
            heard = await connector.hear()
            if heard.deliveries:
                deliveries = [inbox.NewDelivery(told.key, told.topic, told.body) for told in heard.deliveries]
                async with self._database.transaction() as tx:
                    stored = await inbox.store(tx, name, deliveries)
            if heard.receipts:
                await connector.acknowledge(heard.receipts)
        except CHANNEL_FAILURES as fault:
            await self._put_off(due, fault)
            return stored
        async with self._database.transaction() as tx:
            await schedules.advance(tx, due, cursor=None, covered_until=None, is_finished=True)
        if self._failures:
            log.info("queue.available", channel=name)
        self._failures = 0
        return stored

    async def _put_off(self, due: schedules.Due, fault: ChannelFault | MalformedError) -> None:
        """Listen again after a while, longer each time. Logs once when the queue goes."""
        if not self._failures:
            log.warning("queue.unavailable", channel=due.channel, fault=type(fault).__name__, words=words_of(fault))
        after_s = min(AGAIN_S_MAX, AGAIN_S * 2.0 ** min(self._failures, 10))
        if isinstance(fault, NeedsPersonError):
            after_s = NEEDS_PERSON_PAUSE_S
        self._failures += 1
        async with self._database.transaction() as tx:
            await schedules.postpone(tx, due, after_s=after_s, fault=words_of(fault))
