"""Ask a channel for the orders of which it told that they changed, and not how.

Reads: wanted orders. Writes: inbox, wanted orders.
Next: interpret.

An order that the channel does not show yet is asked for again, later each time, and given up after 25 minutes: a poll
brings whatever there is. What the budget of such calls does not allow waits in its row.
"""

from __future__ import annotations

from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.errors import MalformedError
from oneshelf.flow.channel import OpenChannel, report_answer, report_fault, words_of
from oneshelf.sdk.contract import FetchesOrders
from oneshelf.sdk.fault import BudgetSpentError, ChannelFault, RefusedError
from oneshelf.sdk.message import Delivery
from oneshelf.storage import inbox, wanted_orders
from oneshelf.storage.database import Database
from oneshelf.storage.wanted_orders import WantedOrder
from oneshelf.telemetry import get_logger

# A call takes at most its deadline of some twenty seconds; what is left when the lease ends is asked for by another.
LEASE_S = 60.0
BATCH = 2
# Two seconds, then twice as long each time up to five minutes: 23.5 minutes in all, and the calls.
AGAIN_S, AGAIN_S_MAX, TRIES_MAX = 2.0, 300.0, 12

log = get_logger(__name__)


async def fetch(database: Database, channel: OpenChannel, clock: Clock) -> int:
    """Ask for one batch of orders. Returns how many were dealt with."""
    connector = channel.connector
    if not isinstance(connector, FetchesOrders):
        return 0
    lease = clock.new_id()
    async with database.transaction() as tx:
        claimed = await wanted_orders.claim(tx, channel.name, limit=BATCH, lease=lease, lease_s=LEASE_S)
    for dealt_with, wanted in enumerate(claimed):
        words = "the channel does not show it yet"
        try:
            told = await connector.fetch_order(wanted.order_id)
        except (RefusedError, MalformedError) as fault:
            # Of this one order; the others may be had.
            told, words = None, words_of(fault)
        except ChannelFault as fault:
            await _stop(database, channel, lease, fault)
            return dealt_with
        await _record(database, wanted, told, words)
        await report_answer(database, channel.name)
    return len(claimed)


async def _stop(database: Database, channel: OpenChannel, lease: UUID, fault: ChannelFault) -> None:
    """Nothing more can be asked for just now."""
    if isinstance(fault, BudgetSpentError):
        # Everyday business, and no reason to leave the whole channel alone.
        after_s = fault.retry_after_s
    else:
        after_s = await report_fault(database, channel.name, fault)
    async with database.transaction() as tx:
        await wanted_orders.release(tx, channel.name, lease=lease, after_s=after_s)


async def _record(database: Database, wanted: WantedOrder, told: Delivery | None, words: str) -> None:
    """The order goes into the inbox in the transaction that takes it off the list."""
    is_given_up = told is None and wanted.tries + 1 >= TRIES_MAX
    async with database.transaction() as tx:
        if told is None and not is_given_up:
            after_s = min(AGAIN_S_MAX, AGAIN_S * 2.0**wanted.tries)
            await wanted_orders.put_off(tx, wanted, after_s=after_s, fault=words)
            return
        is_ours = await wanted_orders.settle(tx, wanted)
        if is_ours and told is not None:
            await inbox.store(tx, wanted.channel, [inbox.NewDelivery(told.key, told.topic, told.body)])
    if is_ours and is_given_up:
        log.warning("order.given_up", channel=wanted.channel, order=wanted.order_id, tries=TRIES_MAX, words=words)
