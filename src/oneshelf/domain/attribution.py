"""What caused a drift, from what is known about it: a pure function of the evidence that is kept with the drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.domain.drift import Cause
from oneshelf.domain.state_change import StateMove, States, in_words

# Of more late orders than this no sum is looked for: the newest ones are left out.
ORDERS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReading:
    """Somebody's reading of the listing. `source`: push, confirm or reconcile."""

    at: datetime
    units: int
    believed: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentWrite:
    """A figure that we sent, and how far it got."""

    units: int
    sent_at: datetime
    accepted_at: datetime | None
    verified_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LateOrder:
    """An order from before the drift that we heard of after it. `units` it took off the listing.

    `is_unpaid`: its payment was still open when it came to us.
    """

    order: str
    units: int
    placed_at: datetime
    seen_at: datetime
    is_unpaid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one unit of a bundle takes of a SKU, and by how many units its listing on the channel drifts; 0: not.

    `size` is in units of the SKU, below zero for a fall.
    """

    bundle: str
    sku: str
    bundle_units: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was looked at. Units are the listing's own (packs), but for `parts`.

    `found`: the cause that the reading itself told. `silent_states`: states whose change the channel never announces.
    `is_announced`: the channel itself said that this figure may have changed. `hears_announcements`: it said so of
    some listing within the last day, so that its silence means something. `states_before`, `states_after`: state ->
    units that lie there and are not on sale, as accounted for and as read last. `moved`: what of that explains the
    drift, see `state_change.moves_behind`. `issues`: what the channel says is wrong with the listing; it explains why
    a figure does not show, and never by whom it was changed.
    """

    expected_units: int
    observed_units: int
    found: str
    readings: tuple[SeenReading, ...] = ()
    writes: tuple[RecentWrite, ...] = ()
    orders: tuple[LateOrder, ...] = ()
    parts: tuple[Part, ...] = ()
    silent_states: tuple[str, ...] = ()
    is_announced: bool = False
    hears_announcements: bool = False
    same_count: int = 0
    states_before: States = field(default_factory=dict)
    states_after: States = field(default_factory=dict)
    states_at: datetime | None = None
    moved: tuple[StateMove, ...] = ()
    issues: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The cause, in words why, and the orders that explain it."""

    cause: Cause
    why: str
    explained_by: tuple[str, ...] = ()


def attribute(evidence: Evidence) -> Attribution:
    """The cause of a drift. What a write proved that did not show, or showed late, and what was silent, stays that."""
    found = Cause(evidence.found)
    if found in {Cause.LOST_WRITE, Cause.LATE_WRITE}:
        sent = ", ".join(str(write.units) for write in evidence.writes) or "none that is known"
        said = f"; the channel says of the listing: {evidence.issues}" if evidence.issues else ""
        return Attribution(cause=found, why=f"figures sent lately: {sent}; shown: {evidence.observed_units}{said}")
    if evidence.moved:
        said = "the channel announced that the figure changed, not why" if evidence.is_announced else "nothing was said"
        return Attribution(
            cause=Cause.SILENT_STATE_CHANGE,
            why=f"the same reading shows units in other states: {in_words(evidence.moved)}; {said}",
        )
    by_orders = explained_by_orders(evidence)
    if by_orders is not None:
        return by_orders
    bundle = bundle_that_explains(evidence.parts)
    if bundle:
        return Attribution(
            cause=Cause.BUNDLE_ARITHMETIC,
            why=f"all listed components of {bundle} drift together, each by what one amount of it takes",
        )
    if found is Cause.SILENT_STATE_CHANGE or _is_silent(evidence):
        return Attribution(
            cause=Cause.SILENT_STATE_CHANGE,
            why="the channel announces changes and did not announce this one; it never announces those of "
            + (", ".join(evidence.silent_states) or "other stock states"),
        )
    unproved = _unproved_write(evidence)
    if unproved is not None:
        why = (
            f"a write of {unproved.units} was not proved yet when this was read: whether it was applied, and which "
            "orders before or after, nobody can tell"
        )
        return Attribution(cause=Cause.UNKNOWN, why=why)
    late = _unanswered_write(evidence)
    if late is not None:
        why = f"a write of {late.units} got no answer at {late.sent_at:%H:%M:%S}, and may have been applied late"
        return Attribution(cause=Cause.UNKNOWN, why=why)
    if found is Cause.UNKNOWN and evidence.observed_units > evidence.expected_units:
        why = "a write was under way when this was read: sales may lie before it and their cancellations after it"
        return Attribution(cause=Cause.UNKNOWN, why=why)
    said = "the channel announced a change" if evidence.is_announced else "no announcement came"
    return Attribution(cause=Cause.FOREIGN_EDIT, why=f"no write and no order explains it; {said}")


def _is_silent(evidence: Evidence) -> bool:
    """Whether a channel that tells of changes let a fall go by without a word, and has states it never tells of.

    Where its readings tell the other states, they are the proof, and nothing is guessed.
    """
    is_fall = evidence.observed_units < evidence.expected_units and evidence.states_at is None
    return is_fall and bool(evidence.silent_states) and evidence.hears_announcements and not evidence.is_announced


def _unproved_write(evidence: Evidence) -> RecentWrite | None:
    """The last write before the reading, where no reading had shown it yet."""
    if not evidence.readings:
        return None
    at = evidence.readings[-1].at
    last = max((write for write in evidence.writes if write.sent_at < at), key=lambda one: one.sent_at, default=None)
    if last is None or (last.verified_at is not None and last.verified_at <= at):
        return None
    return last


def _unanswered_write(evidence: Evidence) -> RecentWrite | None:
    """A write of the very figure that is shown, which went out before it was read and was never answered."""
    if not evidence.readings:
        return None
    at = evidence.readings[-1].at
    unanswered = (one for one in evidence.writes if one.accepted_at is None and one.verified_at is None)
    return next((one for one in unanswered if one.units == evidence.observed_units and one.sent_at < at), None)


def explained_by_orders(evidence: Evidence) -> Attribution | None:
    """The late orders that add up to the fall; None where none do."""
    fall = evidence.expected_units - evidence.observed_units
    late = _adding_up_to(fall, sorted(evidence.orders, key=lambda one: (one.placed_at, one.order)))
    if not late:
        return None
    names = tuple(one.order for one in late)
    words = f"{fall} units were sold by {', '.join(names)}, which we heard of after the reading"
    if all(one.is_unpaid for one in late):
        return Attribution(cause=Cause.LATE_PENDING, why=f"{words}, not paid yet", explained_by=names)
    return Attribution(cause=Cause.UNSEEN_ORDER, why=words, explained_by=names)


def blurred_by_orders(evidence: Evidence) -> Attribution | None:
    """Unknown, where orders were heard of late that do not add up to the drift: none of it is said to be an edit.

    Of a line that was cancelled meanwhile nobody can tell any more what it took off the listing when it was read.
    """
    if not evidence.orders:
        return None
    names = ", ".join(one.order for one in evidence.orders[:3])
    why = f"orders from before it were heard of after it ({names}), and do not add up to it: nobody can tell"
    return Attribution(cause=Cause.UNKNOWN, why=why)


def bundle_that_explains(parts: Sequence[Part]) -> str:
    """The bundle of which the channel sold, or took back, some by itself: its parts drift in proportion. Or ''."""
    by_bundle: dict[str, list[Part]] = {}
    for part in parts:
        by_bundle.setdefault(part.bundle, []).append(part)
    for bundle, own in sorted(by_bundle.items()):
        bundles = {part.size / part.bundle_units for part in own}
        if len(own) > 1 and len(bundles) == 1 and bundles != {0.0} and next(iter(bundles)).is_integer():
            return bundle
    return ""


def _adding_up_to(units: int, orders: Sequence[LateOrder]) -> tuple[LateOrder, ...]:
    """The earliest orders that add up to exactly `units` (fewest first); none where no sum does."""
    sums: Mapping[int, tuple[LateOrder, ...]] = {0: ()}
    for order in orders[:ORDERS_MAX]:
        if order.units > 0:
            grown = {total + order.units: (*taken, order) for total, taken in sums.items()}
            sums = {**grown, **sums} if units not in sums else sums
            sums = {total: taken for total, taken in sums.items() if total <= units}
    return sums.get(units, ()) if units > 0 else ()
