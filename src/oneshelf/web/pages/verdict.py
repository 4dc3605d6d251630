"""What somebody has to look at first, in words, with the way to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oneshelf.storage.audit_positions import AuditStatus
from oneshelf.storage.views import ChannelHealth, Overview
from oneshelf.web import wording


class Alarm(NamedTuple):
    """One thing that is wrong now, for how long, and where to go. `link`: the words of the way out."""

    what: str
    why: str
    age_s: float | None
    address: str
    link: str


def alarms(channels: Sequence[ChannelHealth], audit: AuditStatus) -> list[Alarm]:
    """Broken books first, then for each channel that it is held, fails, is not heard, or stands with a feed."""
    found: list[Alarm] = []
    if audit.violation_count:
        words = (
            f"{audit.violation_count:,} places where the ledger does not balance; oneshelf audit shows the movements"
        )
        found.append(Alarm("The ledger does not balance", words, audit.age_s, "/errors", "See what is wrong"))
    for one in channels:
        place = f"/channels/{one.channel}"
        if one.held_s is not None:
            words = f"{wording.why_held(one)}; only what was sold is written"
            found.append(Alarm(f"{one.channel} is held by its breaker", words, one.held_s, place, "Release it or undo"))
        if one.is_failing:
            often = "" if one.fail_streak == 1 else f" ({one.fail_streak:,} times in a row)"
            words = f"{one.last_fault[:160]}{often}"
            found.append(Alarm(f"{one.channel} fails", words, one.failing_s, place, "See the channel"))
        if one.is_stale:
            what = f"{one.channel} is {'blind' if one.mode == 'live' else 'late'}"
            found.append(Alarm(what, _why_stale(one), one.poll_age_s, place, "See the channel"))
        if one.feed_stuck_s is not None:
            what = f"a feed is stuck at {one.channel}"
            found.append(Alarm(what, wording.of_feed(one), one.feed_age_s, place, "See the channel"))
    return found


def _why_stale(channel: ChannelHealth) -> str:
    if channel.poll_back_s is not None:
        return "its orders are asked for again; over once that has held for a turn of the poll, and for a minute"
    words = "its orders have not been asked for in three turns of the poll"
    if channel.mode != "live":
        return words
    return f"{words}: what is sold there may not be known, and what could run out is shared as if it were scarce"


def next_step(overview: Overview, channels: Sequence[ChannelHealth]) -> str:
    """What to do first on an engine that has nothing to show yet."""
    if not overview.sku_count:
        return "name a sku"
    if not channels:
        return "connect a channel"
    if not overview.listing_count:
        return "wait for the first sweep"
    return ""
