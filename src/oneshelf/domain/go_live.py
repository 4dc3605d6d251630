"""What a channel's listings would show from us, beside what they show now, and why: read before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What would happen to a listing, the most frightening first."""

    ZERO = "zero"  # it sells something, and would not any more
    CUT = "cut"  # we would show less
    RAISE = "raise"  # we would show more
    PARKED = "parked"  # the channel refuses our figure
    TWINS = "twins"  # two listings of the channel carry its merchant SKU, so neither is linked by itself
    UNLINKED = "unlinked"  # nobody has said which SKU it sells
    UNREAD = "unread"  # what it shows has never been read, or its orders are not all known yet
    UNCOUNTED = "uncounted"  # linked, and of its SKU nothing was ever counted: nothing is written
    SAME = "same"  # both say the same


# Those that would be written.
WRITTEN = (Cause.ZERO, Cause.CUT, Cause.RAISE)
# Twins are told from other unlinked listings by what else there is, so they are of one rank.
_RANKS = {
    Cause.ZERO: 1,
    Cause.CUT: 2,
    Cause.RAISE: 3,
    Cause.PARKED: 4,
    Cause.TWINS: 5,
    Cause.UNLINKED: 5,
    Cause.UNREAD: 6,
    Cause.UNCOUNTED: 7,
    Cause.SAME: 8,
}
# So wide is a rank: larger changes are told apart from each other no more.
_WIDTH = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One listing as it stands. Units are the listing's own; `derivation`: as `publications` keeps it.

    `shown_units`: what the channel shows as far as we know. `foreign_edits`: how often somebody else changed it lately.
    """

    channel: str
    channel_sku: str
    merchant_sku: str
    title: str
    sku: str | None
    pack_units: int
    note: str
    parked_reason: str | None
    has_twin: bool
    shown_units: int | None
    is_anchored: bool
    desired_units: int | None
    desired_version: int
    is_signed_off: bool
    signed_off_by: str
    foreign_edits: int
    balance: Mapping[str, int]
    derivation: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """What would happen to one listing. `change`: units more (or less) than now; None where nothing is written."""

    channel: str
    channel_sku: str
    merchant_sku: str
    sku: str | None
    cause: Cause
    channel_says: int | None
    we_would_say: int | None
    change: int | None
    because: str
    warning: str
    is_signed_off: bool
    signed_off_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A plan in figures. `counts`: cause -> listings. `written`: would be written once signed off."""

    counts: Mapping[Cause, int]
    written: int
    signed_off: int
    units_now: int
    units_then: int

    @property
    def listing_count(self) -> int:
        return sum(self.counts.values())


def fright_of(line: PlanLine) -> int:
    """Where a line stands in the plan of its channel: the causes in their order, in each the largest changes first.

    Lines of one place stand in the order of their names. The database works it out as well: `listings.fright`.
    """
    return _RANKS[line.cause] * _WIDTH - min(abs(line.change or 0), _WIDTH - 1)


def range_of(cause: Cause) -> tuple[int, int]:
    """The places of a cause: those beyond the first, up to the second."""
    return (_RANKS[cause] - 1) * _WIDTH, _RANKS[cause] * _WIDTH


def line_of(facts: Facts) -> PlanLine:
    """What would happen to this listing, and why."""
    cause = _cause(facts)
    shown = facts.shown_units
    would = None if cause in {Cause.TWINS, Cause.UNLINKED, Cause.UNCOUNTED} else facts.desired_units
    change = would - shown if cause in WRITTEN and would is not None and shown is not None else None
    return PlanLine(
        channel=facts.channel,
        channel_sku=facts.channel_sku,
        merchant_sku=facts.merchant_sku,
        sku=facts.sku,
        cause=cause,
        channel_says=shown,
        we_would_say=would,
        change=change,
        because=_because(facts, cause),
        warning="; ".join(_warnings(facts)),
        is_signed_off=facts.is_signed_off,
        signed_off_by=facts.signed_off_by,
    )


def totals(lines: Sequence[PlanLine]) -> Totals:
    """The plan in figures. Units: of all listings that would be written or stay the same."""
    counts = Counter(line.cause for line in lines)
    known = [line for line in lines if line.cause in {*WRITTEN, Cause.SAME}]
    return Totals(
        counts={cause: counts[cause] for cause in Cause if counts[cause]},
        written=sum(counts[cause] for cause in WRITTEN),
        signed_off=sum(line.is_signed_off for line in lines),
        units_now=sum(max(0, line.channel_says or 0) for line in known),
        units_then=sum(line.we_would_say or 0 for line in known),
    )


def _cause(facts: Facts) -> Cause:
    if facts.sku is None:
        return Cause.TWINS if facts.has_twin else Cause.UNLINKED
    if facts.parked_reason is not None:
        return Cause.PARKED
    if facts.desired_units is None or facts.desired_version == 0:
        return Cause.UNCOUNTED
    if facts.shown_units is None or not facts.is_anchored:
        return Cause.UNREAD
    if facts.desired_units == facts.shown_units:
        return Cause.SAME
    if facts.desired_units > facts.shown_units:
        return Cause.RAISE
    return Cause.ZERO if facts.desired_units == 0 < facts.shown_units else Cause.CUT


def _because(facts: Facts, cause: Cause) -> str:
    match cause:
        case Cause.TWINS:
            return f"several listings carry {facts.merchant_sku!r}: link each by hand"
        case Cause.UNLINKED:
            return facts.note or f"no SKU is {facts.merchant_sku!r}: name it, or link the listing by hand"
        case Cause.UNCOUNTED:
            return f"nothing of {facts.sku} was ever counted where this channel sells: receive or count it"
        case Cause.PARKED:
            return f"the channel refuses: {facts.parked_reason}"
        case Cause.UNREAD:
            return facts.note or "the engine has yet to read it, or the orders from before: leave it running in watch"
        case _:
            return _derived(facts)


def _derived(facts: Facts) -> str:
    """The figure, step by step."""
    parts = facts.derivation.get("components")
    if isinstance(parts, list) and parts:
        told = ", ".join(f"{part['sku']} for {part['bundles']}" for part in parts)
        return f"a bundle: {told}{_steps(facts)}"
    balance = facts.balance
    taken = [
        f"- {balance[state]} {state.replace('_', ' ')}"
        for state in ("committed", "reserved", "damaged", "quality_control", "safety_stock")
        if balance.get(state)
    ]
    held = facts.derivation.get("in_suspense")
    suspense = f", - {held} that some channel no longer shows" if isinstance(held, int) and held else ""
    steps = " ".join([f"{balance.get('on_hand', 0)} on hand", *taken, f"= {balance.get('available', 0)} available"])
    return f"{steps}{suspense}{_steps(facts)}"


def _steps(facts: Facts) -> str:
    """What a rule, a pool, or sharing scarce units among listings makes of it, in the words of `explain`."""
    steps = facts.derivation.get("steps")
    if not isinstance(steps, list) or not steps:
        return f", in packs of {facts.pack_units}" if facts.pack_units > 1 else ""
    told = (
        f"; {before} -> {after} {name}{f' [{rule}]' if rule else ''}"
        for name, before, after, rule in steps
        if before != after
    )
    return "".join(told)


def _warnings(facts: Facts) -> Iterable[str]:
    if facts.shown_units is not None and facts.shown_units < 0:
        yield "the channel sells it below zero: switch that off there, or it sells what is not there"
    if facts.foreign_edits:
        yield f"somebody else changed it {facts.foreign_edits} times in 7 days: find out which app also writes stock"
    if facts.sku is not None and facts.has_twin:
        yield "another listing carries the same merchant SKU"
