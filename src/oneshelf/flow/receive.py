"""Take in what channels tell us, exactly as told.

Reads: a webhook request, or a page of polled orders. Writes: inbox.
Next: interpret.
"""

from __future__ import annotations

from oneshelf.clock import Clock
from oneshelf.flow.channel import CHANNEL_FAILURES, OpenChannel, report_answer, report_fault, words_of
from oneshelf.sdk.message import Request
from oneshelf.storage import inbox, schedules
from oneshelf.storage.database import Database, now
from oneshelf.telemetry import get_logger

POLL_LEASE_S = 60.0
PAGES_MAX = 200

log = get_logger(__name__)


async def receive_webhook(database: Database, channel: OpenChannel, request: Request) -> bool:
    """Store an authentic delivery; False when it was stored before. Acknowledge only after this returns.

    Raises SignatureError, and then nothing is stored.
    """
    delivery = channel.connector.verify(request)
    async with database.transaction() as tx:
        stored = await inbox.store(tx, channel.name, [inbox.NewDelivery(delivery.key, delivery.topic, delivery.body)])
    return stored == 1


async def poll_orders(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Ask the channel for orders if that is due. The cursor moves in the transaction that stores the page.

    Returns how many deliveries were new.
    """
    async with database.transaction() as tx:
        due = await schedules.claim(tx, channel.name, "orders", lease=clock.new_id(), lease_s=POLL_LEASE_S)
        asked_at = await now(tx) if due else None
    if due is None:
        return 0
    cursor, stored = due.cursor, 0
    try:
        for _ in range(PAGES_MAX):
            page = await channel.connector.poll_orders(cursor, since=channel.connected_at, asked_at=asked_at)
            cursor = page.cursor
            async with database.transaction() as tx:
                deliveries = [inbox.NewDelivery(told.key, told.topic, told.body) for told in page.deliveries]
                stored += await inbox.store(tx, channel.name, deliveries, is_polled=True)
                is_ours = await schedules.advance(
                    tx, due, cursor=cursor, covered_until=page.covered_until, is_finished=not page.has_more
                )
                asked_at = await now(tx)
            if not is_ours or not page.has_more:
                break
        else:
            # Others of this channel get their turn; whoever is next goes on from the cursor.
            log.info("orders.interrupted", channel=channel.name, pages=PAGES_MAX)
            async with database.transaction() as tx:
                await schedules.postpone(tx, due, after_s=0.0, fault="")
    except CHANNEL_FAILURES as fault:
        pause_s = await report_fault(database, channel.name, fault)
        async with database.transaction() as tx:
            await schedules.postpone(tx, due, after_s=max(pause_s, 0.5), fault=words_of(fault))
        return stored
    await report_answer(database, channel.name)
    return stored
