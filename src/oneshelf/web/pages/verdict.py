"""What somebody has to look at first, in words, with the way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oneshelf.domain.identity import Channel
from oneshelf.storage.audit_positions import AuditStatus
from oneshelf.storage.blind_windows import ChannelWindow
from oneshelf.storage.views import ChannelHealth, Overview
from oneshelf.web import wording


class Alarm(NamedTuple):
    """One thing that is wrong now, for how long, and where to go. `link`: the words of the way out."""

    what: str
    why: str
    age_s: float | None
    address: str
    link: str


def alarms(
    channels: Sequence[ChannelHealth], audit: AuditStatus, windows: Mapping[Channel, ChannelWindow]
) -> list[Alarm]:
    """Broken books first, then channels that are held, that fail, that are late, and that nobody can reckon with."""
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
        if one.fail_streak and one.last_fault:
            often = "" if one.fail_streak == 1 else f" ({one.fail_streak:,} times in a row)"
            words = f"{one.last_fault[:160]}{often}"
            found.append(Alarm(f"{one.channel} fails", words, one.poll_age_s, place, "See the channel"))
        elif one.is_poll_late:
            words = "its orders have not been asked for in three turns of the poll"
            found.append(Alarm(f"{one.channel} is late", words, one.poll_age_s, place, "See the channel"))
        if one.feed_stuck_s is not None:
            what = f"a feed is stuck at {one.channel}"
            found.append(Alarm(what, wording.of_feed(one), one.feed_age_s, place, "See the channel"))
        window = windows.get(one.channel)
        if window is not None and window.is_blind and one.mode == "live":
            words = "sales there can be seen by nothing now: what could run out is shared as if it were scarce"
            found.append(Alarm(f"{one.channel} is blind", words, one.covered_age_s, place, "See the channel"))
    return found


def next_step(overview: Overview, channels: Sequence[ChannelHealth]) -> str:
    """What to do first on an engine that has nothing to show yet."""
    if not overview.sku_count:
        return "name a sku"
    if not channels:
        return "connect a channel"
    if not overview.listing_count:
        return "wait for the first sweep"
    return ""
