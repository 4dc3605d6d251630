"""How fast figures are written where a channel takes only so many changes of a listing in a day.

Called by `push`, in the transaction that records what will be written and with the channel's row locked: two engines
cannot spend one change twice, and a crash leaves the count and the intents as they belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from oneshelf.domain.change_budget import Changes, Decision, Spend, decide
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.listing import Listing, empty
from oneshelf.domain.rights import Free
from oneshelf.flow.channel import OpenChannel
from oneshelf.storage import change_budgets
from oneshelf.storage.database import Transaction
from oneshelf.telemetry import get_logger

# A cut that waits is looked at so often: what is to be shown may have become less meanwhile.
CHECK_AGAIN_S = 10.0

log = get_logger(__name__)


class Pace:
    """What the changes of the last day allow for the listings of one batch."""

    def __init__(self, channel: OpenChannel, changes: Mapping[ChannelSku, Changes], at: datetime) -> None:
        self._channel = channel
        self._budget_of = {channel_sku: one.budget for channel_sku, one in changes.items()}
        self._changes = {one.budget: one for one in changes.values()}
        self._at = at
        self._spent: list[str] = []
        self._raise_after: list[tuple[ChannelSku, datetime]] = []

    def _decide(self, listing: Listing) -> Decision:
        per_day = self._channel.capability.changes_per_day
        if per_day <= 0:
            return Decision(Spend.WRITE)
        return decide(listing, self._changes[self._budget_of[listing.channel_sku]], per_day=per_day, now=self._at)

    def waiting(self, listing: Listing) -> Listing | None:
        """The listing as it waits; None where it is written now."""
        decision = self._decide(listing)
        if decision.spend is not Spend.WAIT or decision.until is None:
            return None
        desired, belief = listing.desired_units or 0, listing.belief or 0
        if desired >= belief:
            self._raise_after.append((listing.channel_sku, decision.until))
            return listing
        if desired == 0:
            log.warning("listing.changes_used_up", listing=listing.channel_sku, shown=belief, until=decision.until)
        return replace(listing, next_at=min(decision.until, self._at + timedelta(seconds=CHECK_AGAIN_S)))

    def intend(self, free: Free, listing: Listing, *, op_id: UUID, is_compared: bool) -> Listing | None:
        """The listing with its next write, which is counted; None where what it should show is no longer free."""
        if self._decide(listing).spend is Spend.EMPTY:
            written: Listing | None = empty(listing, op_id=op_id, now=self._at)
        else:
            written = free.intend(listing, op_id=op_id, now=self._at, is_compared=is_compared)
        budget = self._budget_of.get(listing.channel_sku)
        if written is not None and budget is not None:
            self._spent.append(budget)
            self._changes[budget] = self._changes[budget].with_one_more(self._at)
        return written

    async def save(self, tx: Transaction) -> None:
        """Store what was counted, and until when raises wait."""
        await change_budgets.spend(tx, self._channel.name, self._spent, at=self._at)
        await change_budgets.hold_raises(tx, self._channel.name, self._raise_after)


async def pace(tx: Transaction, channel: OpenChannel, listings: list[Listing], *, at: datetime) -> Pace:
    """The pace of these locked listings. Of a channel that takes any number of changes nothing is read."""
    if channel.capability.changes_per_day <= 0:
        return Pace(channel, {}, at)
    names = [listing.channel_sku for listing in listings]
    return Pace(channel, await change_budgets.changes_of(tx, channel.name, names), at)
