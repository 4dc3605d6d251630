"""What a write is to a channel, and what its outcome is to a listing. Whoever writes uses it, and it is no step."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from oneshelf.domain.identity import printable
from oneshelf.domain.listing import REASON_LENGTH_MAX, Listing, answered, back_off_s, declined, lost, refused
from oneshelf.errors import InvariantError
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.message import Accepted, Applied, Refused, Stale, StockWrite, Throttled, Unknown, UsedUp, WriteOutcome

PUT_OFF_S = 0.25
# How soon zero is tried where a channel takes no more changes.
ZERO_AGAIN_S = 60.0


def write_of(listing: Listing) -> StockWrite:
    """The write that was decided for the listing, as it is sent."""
    operation = listing.operation
    if operation is None:
        raise InvariantError(f"{listing.channel_sku}: a write that was not intended")
    return StockWrite(
        key=operation.op_id,
        channel_sku=listing.channel_sku,
        units=operation.units,
        expected_units=operation.expected,
    )


def after_outcome(listing: Listing, outcome: WriteOutcome, at: datetime, channel: OpenChannel) -> Listing:
    """The listing once its write has come to this."""
    match outcome:
        case Applied():
            return answered(listing, now=at, look_after_s=0)
        case Accepted():
            return answered(listing, now=at, look_after_s=channel.terms.look_again_s)
        case Stale():
            return declined(listing, now=at, retry_after_s=PUT_OFF_S)
        case Refused(words):
            return refused(listing, printable(words, length_max=REASON_LENGTH_MAX))
        case UsedUp(retry_after_s):
            # Another figure waits until then, see `change_budgets.shut`; a zero that was refused too.
            is_zero = listing.operation is not None and listing.operation.units == 0
            return declined(listing, now=at, retry_after_s=retry_after_s if is_zero else ZERO_AGAIN_S)
        case Throttled(retry_after_s):
            return declined(listing, now=at, retry_after_s=max(retry_after_s, back_off_s(listing.op_tries)))
        case Unknown():
            return lost(listing, now=at, look_after_s=channel.terms.look_again_s)
        case _:
            assert_never(outcome)
