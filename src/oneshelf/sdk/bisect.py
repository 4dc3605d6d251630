"""One bad listing never blocks the others: a batch that fails is halved until the culprit stands alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Refused, StockReading, StockWrite, Throttled, Unknown, WriteOutcome

# Two culprits in a batch of 250 are found in 31 calls at most. What is left then is sent with the next batches.
CALLS_MAX = 32
LATER_S = 1.0

Push = Callable[[Sequence[StockWrite]], Awaitable[Sequence[WriteOutcome]]]
Read = Callable[[Sequence[ChannelSku]], Awaitable[Sequence[StockReading]]]


async def push_each(
    push: Push, writes: Sequence[StockWrite], *, calls_max: int = CALLS_MAX
) -> tuple[WriteOutcome, ...]:
    """One outcome per write, as `push` gives them, in the order of the writes.

    A part that the channel refuses (RefusedError: nothing of it is written) goes again in two halves; a single write
    is Refused in the channel's own words. Where the channel takes no part of several writes, nobody knows whether one
    listing is to blame: then the first refusal is raised, and so is every other fault of the first call.
    """
    outcomes: dict[StockWrite, WriteOutcome] = {}
    parts = deque([tuple(writes)])
    first_refusal: RefusedError | None = None
    has_taken = has_failed = False
    for _ in range(calls_max):
        if not parts:
            break
        part = parts.popleft()
        try:
            outcomes.update(zip(part, await push(part), strict=True))
            has_taken = True
        except RefusedError as refusal:
            first_refusal = first_refusal or refusal
            if len(part) == 1:
                outcomes[part[0]] = Refused(str(refusal))
            else:
                half = (len(part) + 1) // 2
                parts.extendleft((part[half:], part[:half]))
        except (ChannelFault, MalformedError) as fault:
            if first_refusal is None:
                raise
            outcomes.update(dict.fromkeys(part, _outcome_of(fault)))
            has_failed = True
            break
    if first_refusal is not None and not has_taken and len(writes) > 1:
        if not has_failed:
            raise first_refusal
        outcomes = {write: outcome for write, outcome in outcomes.items() if not isinstance(outcome, Refused)}
    return tuple(outcomes.get(write, Throttled(LATER_S)) for write in writes)


def _outcome_of(fault: ChannelFault | MalformedError) -> WriteOutcome:
    """What a fault of a later call means for the writes of that call."""
    match fault:
        case OutcomeUnknownError() | MalformedError():  # an answer that nobody can read is none
            return Unknown(str(fault))
        case RetryLaterError(retry_after_s=retry_after_s):
            return Throttled(retry_after_s)
        case _:
            return Throttled(LATER_S)


async def read_each(
    read: Read, channel_skus: Sequence[ChannelSku], *, calls_max: int = CALLS_MAX
) -> list[StockReading]:
    """What the channel shows of each listing, as `read` gives it. One that cannot be read has no units, and a note.

    Where nobody can read the answer, or the channel refuses the question (MalformedError, RefusedError), the listings
    are read again in halves. Where no part can be read it is no single listing: the first failure is raised. Listings
    that are left when the calls are spent are left out, as if the channel had not told of them.
    """
    readings: list[StockReading] = []
    parts = deque([tuple(channel_skus)])
    first: MalformedError | RefusedError | None = None
    has_read = False
    for _ in range(calls_max):
        if not parts:
            break
        part = parts.popleft()
        try:
            readings += await read(part)
            has_read = True
        except (MalformedError, RefusedError) as failure:
            first = first or failure
            if len(part) == 1:
                readings.append(StockReading(channel_sku=part[0], units=None, note=f"cannot be read: {failure}"))
            else:
                half = (len(part) + 1) // 2
                parts.extendleft((part[half:], part[:half]))
    if first is not None and not has_read:
        raise first
    return readings
