"""One listing: what the engine believes it shows, and how far its last write has got.

Belief comes from facts: the figure at the last anchor (a confirmed write or an adopted reading), less the units that
orders have taken off the listing since. A reading only tests the belief, see `domain.reading`.

Units in suspense are those that the channel no longer shows and that no order explains yet. They count as sold until
one does: the order then takes them out of suspense instead of lowering the belief a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.errors import InvariantError

RETRY_S_MAX = 60.0
REASON_LENGTH_MAX = 500


class Phase(StrEnum):
    """Where a listing stands with its channel."""

    IDLE = "idle"  # nothing in flight
    SENDING = "sending"  # a write was decided and may be on the wire
    UNKNOWN = "unknown"  # a write was sent and no answer came
    ACCEPTED = "accepted"  # a write was answered, or none was needed; a read-back has to prove it
    PARKED = "parked"  # the channel refuses; a person is needed


class Event(StrEnum):
    """What can happen to a listing."""

    INTENDED = "intended"  # a write was recorded, before it is sent
    ANSWERED = "answered"  # the channel applied or accepted it, or it shows the wanted figure already
    DECLINED = "declined"  # certainly not written: stale, throttled, not reached
    REFUSED = "refused"  # certainly not written, and never will be as it is
    LOST = "lost"  # sent, and the reply did not come
    VERIFIED = "verified"  # a reading shows what we believe
    MISSED = "missed"  # a reading proves that the write does not show and will not
    RETRIED = "retried"  # a person says: try again


TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    Phase.IDLE: {
        Event.INTENDED: Phase.SENDING,
        Event.ANSWERED: Phase.ACCEPTED,
        Event.VERIFIED: Phase.IDLE,
        Event.MISSED: Phase.IDLE,
    },
    Phase.SENDING: {
        Event.ANSWERED: Phase.ACCEPTED,
        Event.DECLINED: Phase.IDLE,
        Event.REFUSED: Phase.PARKED,
        Event.LOST: Phase.UNKNOWN,
    },
    Phase.UNKNOWN: {
        Event.VERIFIED: Phase.IDLE,
        Event.MISSED: Phase.IDLE,
    },
    Phase.ACCEPTED: {
        Event.INTENDED: Phase.SENDING,
        Event.ANSWERED: Phase.ACCEPTED,
        Event.VERIFIED: Phase.IDLE,
        Event.MISSED: Phase.IDLE,
    },
    Phase.PARKED: {Event.RETRIED: Phase.IDLE, Event.VERIFIED: Phase.PARKED, Event.MISSED: Phase.PARKED},
}


class IllegalTransitionError(InvariantError):
    """This event cannot happen in this phase: a bug. The listing is unchanged."""


def after(phase: Phase, event: Event) -> Phase:
    """The phase that follows. Raises IllegalTransitionError where the table has no entry."""
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        raise IllegalTransitionError(f"a listing that is {phase} cannot be {event}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write as it was decided. `net` is the listing's `net_units` at that moment: the anchor of what it sets.

    `rights`: the most that can be sold off the listing once it is applied. `is_strict`: only a reading of which every
    order is known settles it.
    """

    op_id: UUID
    units: int
    expected: int
    net: int
    rights: int
    is_strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A reading that the belief of its moment did not explain. Orders still on their way may explain it yet.

    `net` and `turnover`: the listing's `net_units` and `turnover_units` just before the channel was asked.
    """

    units: int
    belief: int
    net: int
    turnover: int = 0
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A reading is the anchor of the belief, and orders that nobody had heard of then may have been in it.

    `net` and `turnover`: the listing's `net_units` and `turnover_units` just before the channel was asked.
    """

    net: int
    turnover: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a channel promises of its writes. A write that does not show `apply_s` after it was accepted is lost.

    `copy_s`: how long after a write was decided it may still arrive at the channel, and be accepted then. `stale_s`:
    how old a reading is at most.
    """

    is_applied_when_answered: bool
    apply_s: float
    look_again_s: float
    copy_s: float
    stale_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A linked listing as push, confirm and reconcile see it. Units are the listing's own (packs)."""

    channel: Channel
    channel_sku: ChannelSku
    sku: Sku
    phase: Phase = Phase.IDLE
    parked_reason: str = ""
    desired_units: int | None = None
    desired_version: int = 0
    sent_units: int | None = None
    sent_version: int = 0
    sent_at: datetime | None = None
    accepted_version: int = 0
    accepted_at: datetime | None = None
    verified_units: int | None = None
    verified_version: int = 0
    verified_at: datetime | None = None
    net_units: int = 0
    turnover_units: int = 0
    turnover_at: datetime | None = None
    base_units: int | None = None
    base_net: int = 0
    suspense_units: int = 0
    # What readings have put on it beyond all facts, and since when no newer reading has shown that, see `straying`.
    risen_units: int = 0
    strayed_at: datetime | None = None
    operation: Operation | None = None
    op_tries: int = 0
    suspicion: Suspicion | None = None
    may_anchor: bool = False
    # None: a reading of which every order is known has shown the belief.
    doubt: Doubt | None = None
    look_at: datetime | None = None
    next_at: datetime
    # The feed that carries the write which is being sent; None: it goes by itself.
    feed_id: UUID | None = None

    @property
    def key(self) -> tuple[Channel, ChannelSku]:
        return (self.channel, self.channel_sku)

    @property
    def belief(self) -> int | None:
        """What the listing shows as far as facts tell; None before the first reading. May be below zero."""
        if self.base_units is None:
            return None
        return self.base_units - (self.net_units - self.base_net)

    @property
    def stray_units(self) -> int:
        """By how many units readings have moved the belief, and no fact: what was typed, less what was sold unheard."""
        return self.risen_units - self.suspense_units

    @property
    def rights(self) -> int | None:
        """The most units that can still be sold off it, as far as anyone can know; None before the first reading.

        What facts say it shows, or what the write in flight may have made of it, or a reading that is higher; and what
        was sold off it and is not known as an order yet. The column `rights_units` repeats this.
        """
        belief, operation, suspicion = self.belief, self.operation, self.suspicion
        if belief is None:
            return None
        written = operation.rights - (self.net_units - operation.net) if operation else 0
        return max(0, belief, written, suspicion.units if suspicion else 0) + self.suspense_units

    @property
    def shows_what_is_desired(self) -> bool:
        """Whether no write is needed: facts say the channel shows the desired figure by itself."""
        return self.suspicion is None and self.belief == self.desired_units


def without_a_write(listing: Listing, *, now: datetime) -> Listing:
    """The channel shows the desired figure by its own sales; only a read-back is needed.

    The second look at units in suspense is not brought forward: it has to be newer than the first.
    """
    return replace(
        listing,
        phase=after(listing.phase, Event.ANSWERED),
        operation=None,
        sent_units=listing.desired_units,
        sent_version=listing.desired_version,
        sent_at=now,
        accepted_version=listing.desired_version,
        accepted_at=now,
        look_at=listing.look_at if listing.suspense_units and listing.look_at else now,
    )


def intend(
    listing: Listing, *, op_id: UUID, now: datetime, is_compared: bool = True, is_strict: bool = False
) -> Listing:
    """Decide to write the desired figure, before anything is sent.

    A write that the channel does not compare (`is_compared`) may bury what is sold until it is applied: at most what
    can be sold off the listing now.
    """
    belief = listing.belief
    if listing.desired_units is None or belief is None:
        raise InvariantError(f"{listing.channel_sku}: a write without a desired figure or a first reading")
    operation = _operation(listing, listing.desired_units, op_id, is_compared=is_compared, is_strict=is_strict)
    return replace(
        listing,
        phase=after(listing.phase, Event.INTENDED),
        operation=operation,
        op_tries=listing.op_tries + 1,
        sent_units=listing.desired_units,
        sent_version=listing.desired_version,
        sent_at=now,
        suspicion=None,
        feed_id=None,
    )


def empty(listing: Listing, *, op_id: UUID, now: datetime) -> Listing:
    """Decide to write zero first: what cannot be compared is raised from zero alone, once every sale is known."""
    operation = _operation(listing, 0, op_id, is_compared=False, is_strict=True)
    return replace(
        listing,
        phase=after(listing.phase, Event.INTENDED),
        operation=operation,
        op_tries=listing.op_tries + 1,
        sent_at=now,
        suspicion=None,
        feed_id=None,
    )


def carried(listing: Listing, *, now: datetime) -> Listing:
    """The feed with the write has come to an end: what it has not done by now it does within the time of any write."""
    return replace(listing, sent_at=now, feed_id=None)


def _operation(listing: Listing, units: int, op_id: UUID, *, is_compared: bool, is_strict: bool) -> Operation:
    belief, rights = listing.belief, listing.rights
    if belief is None or rights is None:
        raise InvariantError(f"{listing.channel_sku}: a write before the first reading")
    buried = 0 if is_compared else rights - listing.suspense_units
    return Operation(
        op_id=op_id,
        units=units,
        expected=belief,
        net=listing.net_units,
        rights=units + buried,
        is_strict=is_strict,
    )


def answered(listing: Listing, *, now: datetime, look_after_s: float) -> Listing:
    """The channel took the write: it is the new anchor. Sales seen since it was decided came after it."""
    operation = listing.operation
    if operation is None:
        raise InvariantError(f"{listing.channel_sku}: an answer without a write")
    return replace(
        listing,
        phase=after(listing.phase, Event.ANSWERED),
        base_units=operation.units,
        base_net=operation.net,
        accepted_version=listing.sent_version,
        accepted_at=now,
        look_at=now + timedelta(seconds=look_after_s),
    )


def declined(listing: Listing, *, now: datetime, retry_after_s: float) -> Listing:
    """The write did not happen. It stays to be done, and the channel is looked at meanwhile."""
    return replace(
        listing,
        phase=after(listing.phase, Event.DECLINED),
        operation=None,
        sent_version=0,
        next_at=now + timedelta(seconds=retry_after_s),
        look_at=now,
    )


def refused(listing: Listing, words: str) -> Listing:
    """The channel will never take this write. A person reads `words`, the channel's own."""
    return replace(
        listing,
        phase=after(listing.phase, Event.REFUSED),
        parked_reason=words[:REASON_LENGTH_MAX],
        operation=None,
        sent_version=0,
        look_at=None,
    )


def lost(listing: Listing, *, now: datetime, look_after_s: float) -> Listing:
    """No answer: the write may or may not show. It is never sent again before a reading has told."""
    return replace(listing, phase=after(listing.phase, Event.LOST), look_at=now + timedelta(seconds=look_after_s))


def retried(listing: Listing, *, now: datetime) -> Listing:
    """A person says that a parked listing may be written again."""
    return replace(
        listing, phase=after(listing.phase, Event.RETRIED), parked_reason="", op_tries=0, next_at=now, look_at=now
    )


def back_off_s(tries: int) -> float:
    """How long to wait before the next attempt, after so many failed ones."""
    return min(RETRY_S_MAX, 0.25 * 2.0 ** min(tries, 10))
