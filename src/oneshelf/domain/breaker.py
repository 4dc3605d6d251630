"""When a channel is held: so much would change, and no order says why, that a person has to look first.

What follows from orders and reservations is never held: it has happened, and a listing that does not follow it sells
units twice. Everything else can be a slip of one hand: a count file full of zeros, a wrong link, an emptied location.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

from oneshelf.domain.movement import Reason
from oneshelf.errors import MalformedError

# What people and files do to units. All other movements follow from orders and reservations.
BY_HAND = frozenset(
    {
        Reason.RECEIVED,
        Reason.ADJUSTED,
        Reason.COUNTED,
        Reason.SEEN_BY_COUNT,
        Reason.MOVED,
        Reason.DISPATCHED,
        Reason.ARRIVED,
        Reason.ARRIVED_OVER,
        Reason.ASSEMBLED,
        Reason.DISASSEMBLED,
        Reason.EXPECTED,
        Reason.ANNOUNCED,
        Reason.UNLOADED,
        Reason.UNLOADED_OVER,
        Reason.ANNOUNCEMENT_ENDED,
        Reason.OVER_SETTLED,
        Reason.WRITTEN_OFF,
    }
)


class HoldReason(StrEnum):
    """Why a channel is held."""

    ZEROED = "zeroed"  # too many of its listings would show nothing
    CHANGED = "changed"  # too many of its listings would show another figure
    TRUNCATED = "truncated"  # the channel itself shows far fewer listings than it did


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """More than this share of a channel's listings, and at least so many of them, within `window_s`."""

    zero_share: float = 0.2
    zero_least: int = 10
    change_share: float = 0.5
    change_least: int = 50
    window_s: float = 3600.0
    snapshot_share: float = 0.5
    snapshot_least: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A channel's listings: how many sell something, and how many changes wait or went lately that no order explains.

    `shown`: listings that show more than zero, or did before they were zeroed. `linked`: all of which we know a figure.
    `zeroed` are among `changed`.
    """

    shown: int
    linked: int
    zeroed: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure that waits to be written, beside what was let go last. Units are the listing's own.

    `sent_units`: the last figure that was let go; None before the first. `hand_units`: units that people have moved
    since then, 0 where they took back what they did. `trade_count`: movements since then that follow from orders and
    reservations. `is_shared`: the SKU is guarded, so that its listings also change as their shares of it do.
    """

    shown_units: int
    desired_units: int
    sent_units: int | None
    is_released: bool
    is_signed_off: bool
    hand_units: int
    trade_count: int
    is_shared: bool = False

    @property
    def is_zero(self) -> bool:
        """Whether the listing sells something, and would not any more."""
        return self.desired_units == 0 < self.shown_units

    @property
    def is_by_hand(self) -> bool:
        """Whether the breaker counts it.

        A first figure is what a sign-off is about; only one that takes the listing off sale counts, unless this very
        listing was signed off. Where neither a person nor an order has moved a unit, a policy or a link is another.
        """
        if self.is_released:
            return False
        if self.sent_units is None:
            return self.is_zero and not self.is_signed_off
        return self.desired_units != self.sent_units and (
            self.hand_units != 0 or (self.trade_count == 0 and not self.is_shared)
        )

    @property
    def passes_a_hold(self) -> bool:
        """Whether it is written while the channel is held: a cut, and something was sold since the last figure.

        So is the cut of a share that another listing needs.
        """
        is_cut = self.desired_units < self.shown_units
        return is_cut and (self.trade_count > 0 or (self.is_shared and self.hand_units == 0))


def reason_to_hold(figures: Figures, limits: Limits) -> HoldReason | None:
    """Why the channel has to be held; None while its changes are everyday business."""
    if figures.zeroed >= limits.zero_least and figures.zeroed > limits.zero_share * figures.shown:
        return HoldReason.ZEROED
    if figures.changed >= limits.change_least and figures.changed > limits.change_share * figures.linked:
        return HoldReason.CHANGED
    return None


def is_truncated(*, seen: int, before: int, limits: Limits) -> bool:
    """Whether a sweep saw so few of the listings that the one before saw that something is wrong with the channel."""
    return before >= limits.snapshot_least and seen < limits.snapshot_share * before


def limits_from(overrides: Mapping[str, float]) -> Limits:
    """The limits of one channel. Raises MalformedError for an unknown name or a value that makes no sense."""
    known = {field.name for field in fields(Limits)}
    for name, value in overrides.items():
        if name not in known:
            raise MalformedError(f"the breaker has no limit {name!r}; there are: {', '.join(sorted(known))}")
        if not value >= 0 or (name.endswith("_share") and value > 1):
            raise MalformedError(f"{name} is {value:g}; a share is from 0 to 1, and nothing is below 0")
    whole = {name: int(value) if name.endswith("_least") else value for name, value in overrides.items()}
    return Limits(**{**asdict(Limits()), **whole})


def in_words(reason: HoldReason, figures: Mapping[str, int]) -> str:
    """Why a channel is held, as one sentence for a person. `figures`: as they were stored with the hold."""
    match reason:
        case HoldReason.ZEROED:
            return f"{figures['zeroed']} of {figures['shown']} listings that sell something would show 0"
        case HoldReason.CHANGED:
            return f"{figures['changed']} of {figures['linked']} listings would change without any order"
        case HoldReason.TRUNCATED:
            return f"the channel shows {figures['seen']} listings, and showed {figures['before']} before"
