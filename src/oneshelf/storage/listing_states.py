"""How far a listing's figure has got, as one word: from its own `stage`, the drift that is open, and its channel."""

from __future__ import annotations

from typing import Literal

# Only `verified` says that the channel shows what it should.
ListingState = Literal[
    "verified",  # a reading proved that it shows the desired figure
    "waiting",  # a new figure is to be sent
    "sending",  # a write is on the wire
    "accepted",  # the channel took the write; a reading has to prove it
    "unknown",  # a write got no answer; a reading will tell
    "suspect",  # a reading that no order explains yet
    "drifting",  # a reading that nothing explains
    "parked",  # the channel refuses the figure; a person is needed
    "held",  # nothing is written: not live, not signed off, or held by the breaker
    "unlinked",  # nobody has said which SKU it sells
]
UNVERIFIED_STATES: tuple[ListingState, ...] = ("waiting", "sending", "accepted", "unknown", "suspect", "drifting")
# All that `listings.stage` can say.
STAGES = ("unlinked", "parked", "suspect", "verified", "sending", "accepted", "unknown", "unsigned", "idle")

BELIEF = "l.base_units - (l.net_units - l.base_net)"
# Of a stage at a channel, where no drift is open.
UNDRIFTED = """
    case
        when stage not in ('unsigned', 'idle') then stage
        when c.mode <> 'live' or c.held_at is not null then 'held'
        when c.signs_off <> 'channel' and stage = 'unsigned' then 'held'
        else 'waiting'
    end
"""
SOURCES = f"""
    listings l join channels c on c.channel = l.channel
    left join drifts d on d.channel = l.channel and d.channel_sku = l.channel_sku and d.resolved_at is null
    cross join lateral (
        select case when d.drift_id is not null and stage not in ('unlinked', 'parked') then 'drifting'
                    else {UNDRIFTED} end as state
    ) as how
"""
# Since when a figure waits for its proof: since the first one planned after the last proven one. The newest one
# would make a listing whose figure changes every second look ever fresh.
UNVERIFIED_SINCE = """
    case when how.state = any(%(unverified)s::text[]) then coalesce(
        (select p.planned_at from publications p
         where p.channel = l.channel and p.channel_sku = l.channel_sku and p.sku = l.sku
           and p.version > case when l.verified_at is null then -1 else l.verified_version end
         order by p.version limit 1),
        d.opened_at, l.suspect_at)
    end
"""
