"""The breaker's columns of `channels` and `listings`: who is held, why, and what was let go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from oneshelf.domain.breaker import Change, Figures, HoldReason, Limits, limits_from
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.storage.database import Transaction, only_row

_BELIEF = "l.base_units - (l.net_units - l.base_net)"
# As the index `movements_by_hand` has them.
BY_HAND = """reason in (
    'received', 'adjusted', 'counted', 'seen_by_count', 'moved', 'dispatched', 'arrived', 'arrived_over', 'assembled',
    'disassembled', 'expected', 'announced', 'unloaded', 'unloaded_over', 'announcement_ended', 'over_settled',
    'written_off')"""

# Beside each listing `l`: the last figure that was let go, and what has moved since at the balances it came from.
_SINCE_SENT = f"""
    left join lateral (
        select p.version, p.units, p.derivation from publications p
        where p.channel = l.channel and p.channel_sku = l.channel_sku and p.sku = l.sku
          and (p.sent_at is not null or p.version <= l.released_version)
        order by p.version desc limit 1
    ) as sent on true
    cross join lateral (
        select coalesce(sum(abs(hand.units)), 0)::bigint as hand_units, min(hand.since) as hand_from,
               coalesce(sum(b.version - part.version - hand.movement_count), 0)::bigint as trade_count,
               coalesce(bool_or(s.is_guarded), false) as is_shared
        from (
            select coalesce(piece ->> 'sku', l.sku) as sku, at.key as location, at.value::bigint as version
            from jsonb_array_elements(
                coalesce(sent.derivation -> 'components', jsonb_build_array(sent.derivation))) as one (piece)
            cross join lateral jsonb_each_text(piece -> 'ledger_versions') as at
        ) as part
        join balances b on b.sku = part.sku and b.location = part.location
        join skus s on s.sku = part.sku
        cross join lateral (
            select coalesce(sum(case when m.to_account = 'available' then m.units
                                     when m.from_account = 'available' then -m.units else 0 end), 0) as units,
                   count(*) as movement_count, min(m.posted_at) as since
            from movements m
            where m.sku = part.sku and m.version > part.version and m.{BY_HAND}
              and coalesce(m.from_location, m.to_location) = part.location
        ) as hand
    ) as moved
"""
_CHANGE = f"""
    {_BELIEF}, l.desired_units, sent.units,
    coalesce(sent.version = l.desired_version, l.released_version >= l.desired_version),
    l.signed_off_at is not null, moved.hand_units, moved.trade_count, moved.is_shared
"""
# The same as `domain.breaker.Change.is_by_hand`, for counting.
_IS_BY_HAND = f"""
    not coalesce(sent.version = l.desired_version, l.released_version >= l.desired_version)
    and case when sent.version is null then l.desired_units = 0 and {_BELIEF} > 0 and l.signed_off_at is null
             else l.desired_units <> sent.units
                  and (moved.hand_units <> 0 or moved.trade_count = 0 and not moved.is_shared) end
"""


class Standing(NamedTuple):
    """How a channel stands with its breaker. `is_due`: whether it is time to look if the hold is still needed."""

    channel: Channel
    held: HoldReason | None
    limits: Limits
    is_due: bool


class Counted(NamedTuple):
    """What the breaker counts in a channel now. `waiting`: changes by hand that were not let go yet.

    `zeroed_since`, `changed_since`: when the first movement behind them was posted.
    """

    figures: Figures
    waiting: int
    zeroed_since: datetime | None
    changed_since: datetime | None


class Hold(NamedTuple):
    """A channel that is, or was, held. `held_from`: since when the changes were on their way that it stopped for."""

    held_at: datetime | None
    held_from: datetime | None
    reason: str
    figures: dict[str, int]


async def standing(tx: Transaction, channel: Channel, *, is_locked: bool = False, every_s: float) -> Standing:
    """How the channel stands; with `is_locked`, and it stays so until this transaction ends. Lock it before listings.

    `every_s`: how often a hold is looked at again. One that was removed meanwhile is not held, and has no listings.
    """
    cursor = await tx.execute(
        f"""
        select held_reason, breaker,
               coalesce(hold_checked_at, held_at) < db_now() - make_interval(secs => %(every_s)s)
        from channels where channel = %(channel)s {"for no key update" if is_locked else ""}
        """,
        {"channel": channel, "every_s": every_s},
    )
    row = await cursor.fetchone()
    if row is None:
        return Standing(channel, None, Limits(), is_due=False)
    reason, overrides, is_due = row
    return Standing(channel, HoldReason(reason) if reason else None, limits_from(overrides), bool(is_due))


async def changes(tx: Transaction, channel: Channel, channel_skus: Collection[ChannelSku]) -> dict[ChannelSku, Change]:
    """What would be written to these (locked) listings, and why."""
    cursor = await tx.execute(
        f"""
        select l.channel_sku, {_CHANGE} from listings l {_SINCE_SENT}
        where l.channel = %(channel)s and l.channel_sku = any(%(channel_skus)s::text[])
          and l.base_units is not null and l.desired_units is not null
        """,
        {"channel": channel, "channel_skus": sorted(channel_skus)},
    )
    return {
        ChannelSku(row[0]): Change(
            shown_units=row[1],
            desired_units=row[2],
            sent_units=row[3],
            is_released=row[4],
            is_signed_off=row[5],
            hand_units=row[6],
            trade_count=row[7],
            is_shared=row[8],
        )
        async for row in cursor
    }


async def count(tx: Transaction, channel: Channel, *, window_s: float) -> Counted:
    """All changes by hand of the channel: those that wait, and those that were let go within the window."""
    cursor = await tx.execute(
        f"""
        with waiting as (
            select l.channel_sku, l.desired_units = 0 and {_BELIEF} > 0 as is_zero, moved.hand_from
            from listings l join channels c on c.channel = l.channel {_SINCE_SENT}
            where l.channel = %(channel)s and l.sku is not null and l.phase <> 'parked' and l.base_units is not null
              and l.desired_version > l.sent_version and l.desired_units <> {_BELIEF}
              and (c.signs_off = 'channel' or l.signed_off_at is not null) and {_IS_BY_HAND}
        ), lately as (
            select l.channel_sku, l.hand_zero and l.desired_units = 0 as is_zero, l.hand_from
            from listings l
            where l.channel = %(channel)s and l.hand_at > db_now() - make_interval(secs => %(window_s)s)
              and l.sku is not null and not exists (select from waiting w where w.channel_sku = l.channel_sku)
        ), counted as (
            select is_zero, hand_from from waiting union all select is_zero, hand_from from lately
        )
        select (select count(*) from listings l where l.channel = %(channel)s and l.sku is not null and
                    ({_BELIEF} > 0 or l.channel_sku in (select channel_sku from lately where is_zero))),
               (select count(*) from listings l
                where l.channel = %(channel)s and l.sku is not null and l.base_units is not null),
               (select count(*) from counted where is_zero), (select count(*) from counted),
               (select count(*) from waiting), (select min(hand_from) from counted where is_zero),
               (select min(hand_from) from counted)
        """,
        {"channel": channel, "window_s": window_s},
    )
    shown, linked, zeroed, changed, *rest = await only_row(cursor)
    return Counted(Figures(shown=shown, linked=linked, zeroed=zeroed, changed=changed), *rest)


async def most(tx: Transaction, channel: Channel, *, window_s: float) -> Figures:
    """What `count` would count if no order were behind any change that waits: an upper bound, from one cheap look."""
    cursor = await tx.execute(
        f"""
        select count(*) filter (where belief > 0 or is_lately_zero and not is_waiting),
               count(*) filter (where belief is not null),
               count(*) filter (where is_waiting and desired_units = 0 and belief > 0 or is_lately_zero),
               count(*) filter (where is_waiting or is_lately)
        from (
            select {_BELIEF} as belief, l.desired_units, l.hand_at > db_now() - make_interval(secs => %(window_s)s)
                       and l.hand_zero and l.desired_units = 0 as is_lately_zero,
                   l.hand_at > db_now() - make_interval(secs => %(window_s)s) as is_lately,
                   l.desired_version > l.sent_version and l.phase <> 'parked' and l.desired_units <> {_BELIEF}
                       as is_waiting
            from listings l where l.channel = %(channel)s and l.sku is not null
        ) as one
        """,
        {"channel": channel, "window_s": window_s},
    )
    shown, linked, zeroed, changed = await only_row(cursor)
    return Figures(shown=shown, linked=linked, zeroed=zeroed, changed=changed)


async def let_go(tx: Transaction, channel: Channel, by_hand: Iterable[tuple[ChannelSku, bool]]) -> None:
    """Remember changes by hand that are written now: `(listing, whether it goes off sale)`. Their rows are locked."""
    ordered = sorted(by_hand)
    await tx.execute(
        f"""
        update listings t set hand_at = db_now(), hand_from = new.since, hand_zero = new.is_zero
        from (
            select l.channel_sku, wanted.is_zero, coalesce(moved.hand_from, l.desired_at) as since
            from unnest(%(channel_skus)s::text[], %(is_zero)s::boolean[]) as wanted (channel_sku, is_zero)
            join listings l on l.channel = %(channel)s and l.channel_sku = wanted.channel_sku {_SINCE_SENT}
        ) as new
        where t.channel = %(channel)s and t.channel_sku = new.channel_sku
        """,
        {
            "channel": channel,
            "channel_skus": [channel_sku for channel_sku, _ in ordered],
            "is_zero": [is_zero for _, is_zero in ordered],
        },
    )


async def hold(
    tx: Transaction, channel: Channel, reason: HoldReason, figures: Mapping[str, int], *, since: datetime | None
) -> None:
    """Stop the writes of a channel whose row is locked. One that is held already stays held for its first reason."""
    await tx.execute(
        """
        update channels set held_at = db_now(), held_reason = %(reason)s, held_figures = %(figures)s,
            held_from = coalesce(%(since)s, db_now()), hold_checked_at = db_now()
        where channel = %(channel)s and held_at is null
        """,
        {"channel": channel, "reason": reason.value, "figures": Jsonb(dict(figures)), "since": since},
    )


async def keep_holding(tx: Transaction, channel: Channel) -> None:
    """The hold was looked at and is still needed."""
    await tx.execute("update channels set hold_checked_at = db_now() where channel = %(channel)s", {"channel": channel})


async def end_hold(tx: Transaction, channel: Channel, *, lets_go: bool) -> bool:
    """Write to the channel again. `lets_go`: a person has seen what waits, and all of it may be written.

    False where the channel was not held.
    """
    cursor = await tx.execute(
        """
        update channels set held_at = null, held_reason = '', held_figures = '{}', hold_checked_at = null,
            swept_count = case when %(lets_go)s then swept_last else swept_count end
        where channel = %(channel)s and held_at is not null
        """,
        {"channel": channel, "lets_go": lets_go},
    )
    if cursor.rowcount == 0:
        return False
    await accept(tx, channel, lets_go=lets_go)
    return True


async def accept(tx: Transaction, channel: Channel, *, lets_go: bool = True) -> None:
    """All figures that wait now are meant so, and what went before is forgotten: the breaker counts from here."""
    await tx.execute(
        """
        update listings l set
            released_version = case when %(lets_go)s then l.desired_version else l.released_version end,
            hand_at = case when %(lets_go)s then null else l.hand_at end,
            next_at = case when l.desired_version > l.sent_version then least(l.next_at, db_now()) else l.next_at end
        from (
            select channel, channel_sku from listings
            where channel = %(channel)s and sku is not null and (desired_version > sent_version or hand_at is not null)
            order by channel_sku for update
        ) as wanted
        where l.channel = wanted.channel and l.channel_sku = wanted.channel_sku
        """,
        {"channel": channel, "lets_go": lets_go},
    )


async def swept(tx: Transaction, channel: Channel, seen: int) -> tuple[Standing, int]:
    """A sweep saw so many listings. How the channel stands, its row locked, and how many the last whole sweep saw.

    Of one that was removed meanwhile: none.
    """
    found = await standing(tx, channel, is_locked=True, every_s=0)
    cursor = await tx.execute(
        "update channels set swept_last = %(seen)s where channel = %(channel)s returning swept_count",
        {"channel": channel, "seen": seen},
    )
    row = await cursor.fetchone()
    return found, int(row[0]) if row else 0


async def last_swept(tx: Transaction, channel: Channel) -> int:
    """How many listings the last sweep saw; none where there was none yet."""
    cursor = await tx.execute("select swept_last from channels where channel = %(channel)s", {"channel": channel})
    row = await cursor.fetchone()
    return int(row[0] or 0) if row else 0


async def swept_whole(tx: Transaction, channel: Channel) -> None:
    """The last sweep is the measure of the next one."""
    await tx.execute("update channels set swept_count = swept_last where channel = %(channel)s", {"channel": channel})


async def held(tx: Transaction, channel: Channel) -> Hold:
    """The present hold of a channel; where there is none, `held_from` is that of the last one."""
    cursor = await tx.execute(
        "select held_at, held_from, held_reason, held_figures from channels where channel = %(channel)s",
        {"channel": channel},
    )
    return Hold(*await only_row(cursor))


async def set_limits(tx: Transaction, channel: Channel, overrides: Mapping[str, float]) -> Limits:
    """Give a channel limits of its own; those left out are the usual ones. Raises MalformedError."""
    limits = limits_from(overrides)
    usual = asdict(Limits())
    own = {name: value for name, value in asdict(limits).items() if value != usual[name]}
    await tx.execute(
        "update channels set breaker = %(own)s where channel = %(channel)s", {"channel": channel, "own": Jsonb(own)}
    )
    return limits
