"""Figures and states as a person reads them: words, signs, ages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.breaker import HoldReason, in_words
from oneshelf.storage.home_views import Exposure
from oneshelf.storage.listing_states import ListingState
from oneshelf.storage.views import ChannelHealth, ListingRow, Overview

# After this a figure that is not proved is no longer everyday business.
UNVERIFIED_S_MAX = 60.0
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_PIECE = re.compile(r"([^0-9]*)([0-9]{0,18})", re.ASCII)
_MESSAGE = re.compile(r'"(?:message|errorMessage|detail)"\s*:\s*"([^"]{1,300})')
_THROTTLED = re.compile(r"\b429\b|throttl|QuotaExceeded|too many requests", re.IGNORECASE)
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


class Word(NamedTuple):
    """A state in one word. `sign` and `tone` say the same to the eye; `meaning` says it in full."""

    word: str
    sign: str
    tone: str
    meaning: str


STATES: dict[ListingState, Word] = {
    "verified": Word("verified", "✓", "good", "read back: the channel shows this figure"),
    "waiting": Word("waiting", "…", "busy", "a new figure is to be sent"),
    "sending": Word("sending", "→", "busy", "a write is on its way"),
    "accepted": Word("accepted", "↻", "busy", "the channel took the write; a read-back has to prove it"),
    "unknown": Word("unknown", "?", "busy", "a write got no answer; a read-back will tell"),
    "suspect": Word("suspect", "?", "busy", "the channel shows a figure that no order explains yet"),
    "drifting": Word("drifting", "▲", "bad", "the channel shows a figure that nothing explains"),
    "parked": Word("parked", "✕", "bad", "the channel refuses this listing; a person is needed"),
    "held": Word("watched", "◌", "calm", "watched only: its channel is not live or held, or nobody signed it off"),
    "unlinked": Word("unlinked", "○", "calm", "nobody has said which SKU this listing sells"),
}
MODES = {
    "live": Word("live", "●", "good", "figures are written and read back"),
    "watch": Word("watch", "◌", "calm", "orders and figures are read, nothing is written"),
    "paused": Word("paused", "‖", "busy", "a person has paused writing"),
    "held": Word("held", "▲", "bad", "too much would change: only what was sold is written until somebody decides"),
}
RESOLUTIONS = {
    "": "waits for a decision",
    "republished": "our figure is being written again",
    "explained": "an order explains it",
    "vanished": "the channel shows the expected figure again",
}


def shown_units(listing: ListingRow) -> int | None:
    """What the channel shows, as last read: the proven figure, or the reading that contradicts it."""
    if listing.state == "suspect":
        return listing.suspect
    if listing.state in {"drifting", "held", "parked"} or listing.verified_units is None:
        return listing.belief
    return listing.verified_units


class Figure(NamedTuple):
    """One figure of the overview. `note`: what it means just now; `age_s`: how old the oldest of it is.

    `address`: the page that lists what is counted; empty where there is none.
    """

    name: str
    label: str
    value: int
    note: str
    tone: str = "calm"
    age_s: float | None = None
    address: str = ""


def why_held(channel: ChannelHealth) -> str:
    """Why the breaker stopped the writes of a channel that is held."""
    return in_words(HoldReason(channel.held_reason), channel.held_figures)


class Fault(NamedTuple):
    """What went wrong last at a channel, in its own words. A throttle is everyday business: the engine waits."""

    words: str
    sign: str
    tone: str


def last_fault(channel: ChannelHealth) -> Fault:
    """The last fault of a channel: the sentence that its answer holds rather than the body that it stands in."""
    said = channel.last_fault
    where, brace, body = said.partition("{")
    if brace and (found := _MESSAGE.search(body)):
        said = f"{where.strip()} {found[1]}"
    if _THROTTLED.search(channel.last_fault):
        return Fault(f"throttled: {said}", "‖", "busy")
    return Fault(said, "▲", "bad")


def of_feed(channel: ChannelHealth) -> str:
    """What the feed of many figures does that the channel works through."""
    carried = f"it carries {channel.feed_listing_count:,} listings"
    if channel.feed_stuck_s is None:
        return carried
    left = f"{carried} still" if channel.feed_listing_count else "its figures are written one by one"
    return f"{channel.feed_words}; {left}"


def losing(overview: Overview, exposure: Exposure) -> list[Figure]:
    """What costs money now: sold and not there, what could be sold twice, figures that nothing explains."""
    unknown = f"; unknown at {exposure.unknown_count:,}: a listing was never read" if exposure.unknown_count else ""
    scarce = f"units at worst, at {counted(exposure.scarce_count, 'place')} where they are scarce"
    return [
        Figure(
            "short",
            "short",
            overview.short_line_count,
            f"{overview.short_units:,} units sold that are not there" if overview.short_units else "nothing oversold",
            "bad" if overview.short_line_count else "good",
            overview.short_oldest_s,
            "/short",
        ),
        Figure(
            "exposure",
            "could be sold twice",
            exposure.scarce_units,
            (scarce if exposure.scarce_units else "no unit that is scarce") + unknown,
            "busy" if exposure.scarce_units or exposure.unknown_count else "good",
        ),
        Figure(
            "drifts",
            "open drifts",
            overview.drift_count,
            "figures that nothing explains" if overview.drift_count else "every difference is explained",
            "bad" if overview.drift_count else "good",
            overview.drift_oldest_s,
            "/drifts",
        ),
    ]


def stale(overview: Overview, channels: Sequence[ChannelHealth]) -> list[Figure]:
    """What is not fresh, or stands still."""
    parked = overview.parked_deliveries + overview.parked_orders + overview.parked_count
    failing = [channel for channel in channels if channel.is_failing]
    waited_s = overview.oldest_unverified_s
    is_late = waited_s is not None and waited_s > UNVERIFIED_S_MAX
    oldest_s = (overview.inbox_oldest_s, overview.facts_oldest_s, overview.wanted_oldest_s)
    waiting = overview.inbox_waiting + overview.facts_waiting + overview.wanted_orders
    return [
        Figure(
            "unverified",
            "unverified",
            overview.unverified_count,
            f"{overview.verified_count:,} of {overview.listing_count:,} listings read back",
            "bad" if is_late else "busy" if overview.unverified_count else "good",
            waited_s,
        ),
        Figure(
            "parked",
            "parked",
            parked,
            "deliveries, orders or listings that need a person" if parked else "nothing needs a person",
            "bad" if parked else "good",
            address="/errors",
        ),
        Figure(
            "failing",
            "failing",
            len(failing),
            ", ".join(channel.channel for channel in failing[:3])
            or ("every channel answers" if channels else "no channel is connected"),
            "bad" if failing else "good",
            address="/channels",
        ),
        Figure(
            "waiting",
            "in the queue",
            waiting,
            "deliveries and orders not yet posted",
            "busy" if waiting else "good",
            max((s for s in oldest_s if s is not None), default=None),
        ),
    ]


def unlinked(overview: Overview) -> list[Figure]:
    """Listings that nothing is written to."""
    return [
        Figure(
            "unlinked",
            "unlinked",
            overview.unlinked_count,
            "listings that nobody linked to a SKU" if overview.unlinked_count else "every listing has its SKU",
            "busy" if overview.unlinked_count else "good",
            address="/go-live",
        ),
        Figure(
            "held",
            "only watched",
            overview.held_count,
            "listings: not live, not signed off, or held" if overview.held_count else "every linked listing is written",
            address="/go-live",
        ),
    ]


def totals(overview: Overview, exposure: Exposure) -> list[Figure]:
    """What there is. What is plentiful every listing shows whole, so its sum is beyond the shelf, and that is meant."""
    reserved = overview.units_reserved
    places = counted(exposure.place_count - exposure.scarce_count, "place")
    return [
        Figure(
            "on_hand",
            "on hand",
            overview.units_on_hand,
            f"units of {counted(overview.sku_count, 'SKU')}",
            address="/skus",
        ),
        Figure("available", "available", overview.units_available, "units free to sell"),
        Figure(
            "plentiful",
            "shown more than once",
            exposure.units - exposure.scarce_units,
            f"units that several listings show, plentiful at {places}: shared out before they run short",
        ),
        Figure(
            "committed",
            "committed",
            overview.units_committed,
            f"units sold, to be shipped; {reserved:,} pending" if reserved else "units sold, to be shipped",
        ),
        Figure("orders", "orders", overview.order_count, "in the ledger", address="/orders"),
    ]


def units(value: int | None) -> str:
    """12345 -> 12,345"""
    return "\N{EN DASH}" if value is None else f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """1 listing, 2 listings."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: PO-2 before PO-10."""
    return [(int(digits) if digits else 0, text) for text, digits in _PIECE.findall(name)]


def clock(ahead_s: float | None) -> str:
    """How far a device's clock is off: 78 s behind, 3 s ahead, right."""
    if ahead_s is None:
        return ""
    whole = round(ahead_s)
    return "right" if not whole else f"{abs(whole):,} s {'ahead' if whole > 0 else 'behind'}"


def signed(value: int) -> str:
    """+3, or a true minus sign."""
    return f"+{value:,}" if value >= 0 else f"\N{MINUS SIGN}{-value:,}"


def age(seconds: float | None, absent: str = "never") -> str:
    """How long, in at most two parts: 4 s, 3 min, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return absent
    whole = max(0, int(seconds))
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < DAY_S:
        minutes = whole % HOUR_S // MINUTE_S
        return f"{whole // HOUR_S} h {minutes} min" if minutes else f"{whole // HOUR_S} h"
    hours = whole % DAY_S // HOUR_S
    return f"{whole // DAY_S} d {hours} h" if hours else f"{whole // DAY_S} d"


def instant(at: datetime) -> str:
    """In UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def sentence(words: str) -> str:
    """A message as a sentence: a capital first, a full stop at the end."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def headings(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """The columns of these rows, a "#" before those in which a figure stands."""
    figures = {name for row in rows for name, value in row.items() if isinstance(value, int)}
    return [("#" if name in figures else "") + name.replace("_", " ").capitalize() for name in rows[0]]


def evident(value: object) -> str:
    """A piece of evidence: an instant to the second, a figure, or words."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return units(value)
    text = str(value)
    return text[:19].replace("T", " ") if _INSTANT.match(text) else text
