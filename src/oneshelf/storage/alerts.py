"""Rows of `alerts`: what stands wrong, and since when. What is wrong at this moment is read where it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import class_row

from oneshelf.domain.alert import ACCESS_ENDS_DAYS, PATIENCE_S, Alert, Condition, Turn
from oneshelf.domain.event import EventType
from oneshelf.domain.identity import printable
from oneshelf.storage import arrays, listing_issues
from oneshelf.storage.database import Transaction, try_only
from oneshelf.storage.on_call_views import SHARED_TOO_MUCH, ZERO_FAILS
from oneshelf.storage.schedules import POLLS

_KEY = int.from_bytes(b"alerts")
# A drift that the engine has not put right by itself in this time is for a person to look at.
DRIFT_OPEN_S = 900.0
KEPT_S = 30 * 86_400.0
FORGOTTEN_MAX = 5_000
# What others say may be long; these members hold it.
_WORDS_LENGTH_MAX = 160
_WORDS = ("last_fault", "reason", "waiting_for", "issues")

_STANDING = f"""
    select 'alert.low_stock' as kind, '' as channel, l.sku as name,
           jsonb_build_object(
               'sku', l.sku, 'available', coalesce(b.available, 0), 'reorder_at', l.reorder_at) as figures
    from low_stocks l left join lateral (
        select sum(available) as available from balances where sku = l.sku
    ) as b on true
    union all
    select 'alert.oversold', '', sku, jsonb_build_object('sku', sku, 'units_short', sum(units_short))
    from (select sku, units_short from order_lines where units_short > 0
          union all
          select sku, units_short from reservations where state = 'held' and units_short > 0) as short
    group by sku
    union all
    select 'alert.exposed', '', sku, jsonb_build_object('sku', sku, 'units', sum(units))
    from ({SHARED_TOO_MUCH}) as beyond group by sku
    union all
    select 'alert.stale_channel', c.channel, '', jsonb_build_object(
               'channel', c.channel, 'last_fault', c.last_fault,
               'why', 'its orders have not been asked for in three turns of the poll')
    from channels c join {POLLS} polls on polls.channel = c.channel
    where c.shows_figures and c.mode = 'live' and (polls.is_late or polls.back_s is not null)
    union all
    select 'alert.held_channel', channel, '',
           jsonb_build_object('channel', channel, 'reason', held_reason, 'figures', held_figures)
    from channels where held_at is not null
    union all
    select 'alert.drift', d.channel, d.channel_sku, jsonb_build_object(
               'channel', d.channel, 'listing', d.channel_sku, 'sku', d.sku, 'drift_id', d.drift_id, 'cause', d.cause,
               'expected_units', d.expected_units, 'observed_units', d.observed_units, 'waiting_for', d.waiting_for,
               'issues', {listing_issues.words_of("d")})
    from drifts d join channels c on c.channel = d.channel and c.mode = 'live'
    where d.resolved_at is null
      and (d.waiting_for <> '' or d.opened_at <= db_now() - make_interval(secs => %(drift_s)s))
    union all
    select 'alert.zero_failed', l.channel, l.channel_sku, jsonb_build_object(
               'channel', l.channel, 'listing', l.channel_sku, 'sku', l.sku,
               'units', (l.rights_units - l.suspense_units) * l.pack_units,
               'reason', l.parked_reason, 'issues', {listing_issues.words_of("l")})
    from listings l join channels c on c.channel = l.channel where {ZERO_FAILS}
    union all
    select 'alert.access_ends', c.channel, ends.what || ' in ' || warned.days, jsonb_build_object(
               'channel', c.channel, 'what', ends.what, 'ends_on', ends.ends_on, 'days', warned.days,
               'way_out', ends.way_out)
    from channels c
    cross join jsonb_to_recordset(c.access_ends) as ends (what text, ends_on date, way_out text)
    cross join unnest(%(access_days)s::int[]) as warned (days)
    where ends.ends_on - (db_now() at time zone 'UTC')::date <= warned.days
"""

# What is told of an alert is written down with it: whoever dies in between tells it again, or nothing happened.
_TOLD = """
    insert into untold (event_type, channel, name, detail)
    select a.kind, a.channel, a.name, a.figures || jsonb_build_object(
        'alert_id', a.alert_id, 'state', %(state)s::text, 'opened_at', a.opened_at, 'closed_at', a.closed_at)
    from {rows} a
"""


class AlertRow(NamedTuple):
    """An alert that somebody was told of. `closed_at` None: it is open."""

    alert_id: int
    kind: str
    channel: str
    name: str
    figures: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None

    @property
    def state(self) -> str:
        return "open" if self.closed_at is None else "closed"


async def try_lock(tx: Transaction) -> bool:
    """Be the only one that looks, until this transaction ends. False: another does."""
    return await try_only(tx, _KEY)


async def standing(tx: Transaction) -> list[Condition]:
    """All that is wrong at this moment."""
    cursor = await tx.execute(_STANDING, {"drift_s": DRIFT_OPEN_S, "access_days": list(ACCESS_ENDS_DAYS)})
    return [
        Condition(kind=EventType(kind), channel=channel, name=name, figures=_cleaned(figures))
        async for kind, channel, name, figures in cursor
    ]


async def known(tx: Transaction) -> list[Alert]:
    """All alerts that are not closed, also those that nobody was told of yet."""
    cursor = await tx.execute(
        """
        select alert_id, kind, channel, name, figures, seen_at, opened_at, gone_at from alerts
        where closed_at is null order by alert_id
        """
    )
    return [
        Alert(
            alert_id=number,
            kind=EventType(kind),
            channel=channel,
            name=name,
            figures=figures,
            seen_at=seen_at,
            opened_at=opened_at,
            gone_at=gone_at,
        )
        async for number, kind, channel, name, figures, seen_at, opened_at, gone_at in cursor
    ]


async def write(tx: Transaction, turn: Turn) -> None:
    """What became of each, and what is to be told of it."""
    await _begin(tx, turn.begun)
    await _set(
        tx,
        "figures = new.figures, gone_at = null",
        [(one.alert_id, condition.figures) for one, condition in turn.stands],
    )
    await _set(
        tx,
        "figures = new.figures, gone_at = null, opened_at = db_now()",
        [(one.alert_id, condition.figures) for one, condition in turn.opened],
        told="open",
    )
    await _set(tx, "gone_at = db_now()", [(one.alert_id, {}) for one in turn.gone])
    await _set(tx, "closed_at = db_now()", [(one.alert_id, {}) for one in turn.closed], told="closed")
    await tx.execute(
        "delete from alerts where alert_id = any(%(ids)s::bigint[])",
        {"ids": arrays.numbers(one.alert_id for one in turn.forgotten)},
    )


async def forget(tx: Transaction) -> int:
    """Forget alerts that have been over for a month, one batch. Returns how many."""
    cursor = await tx.execute(
        """
        delete from alerts where alert_id in (
            select alert_id from alerts where closed_at < db_now() - make_interval(secs => %(kept_s)s)
            order by closed_at limit %(limit)s
        )
        """,
        {"kept_s": KEPT_S, "limit": FORGOTTEN_MAX},
    )
    return cursor.rowcount


async def rows(tx: Transaction, *, is_open: bool, before: int | None = None, limit: int) -> list[AlertRow]:
    """Those that were told of, the newest first, from before this id on. `is_open`: only those that are not over."""
    cursor = tx.cursor(row_factory=class_row(AlertRow))
    await cursor.execute(
        """
        select alert_id, kind, channel, name, figures, opened_at, closed_at from alerts
        where opened_at is not null and (closed_at is null or not %(is_open)s)
          and (%(before)s::bigint is null or alert_id < %(before)s)
        order by alert_id desc limit %(limit)s
        """,
        {"is_open": is_open, "before": before, "limit": limit},
    )
    return await cursor.fetchall()


async def open_by_kind(tx: Transaction) -> dict[str, int]:
    """Kind -> how many are open; each kind is in it."""
    cursor = await tx.execute(
        """
        select kind, count(*) from alerts where closed_at is null and opened_at is not null group by kind
        """
    )
    counts = {kind.value: 0 for kind in PATIENCE_S}
    return counts | {kind: count async for kind, count in cursor}


async def _begin(tx: Transaction, conditions: Sequence[Condition]) -> None:
    await tx.execute(
        f"""
        with begun as (
            insert into alerts (kind, channel, name, figures, opened_at)
            select kind, channel, name, figures, case when is_told then db_now() end
            from unnest(%(kinds)s::text[], %(channels)s::text[], %(names)s::text[], %(figures)s::jsonb[],
                        %(told)s::boolean[]) as new (kind, channel, name, figures, is_told)
            returning *
        )
        {_TOLD.format(rows="begun")} where a.opened_at is not null order by a.alert_id
        """,
        {
            "kinds": arrays.texts([one.kind.value for one in conditions]),
            "channels": arrays.texts([one.channel for one in conditions]),
            "names": arrays.texts([one.name for one in conditions]),
            "figures": arrays.texts([_json(one.figures) for one in conditions]),
            "told": arrays.flags(not PATIENCE_S[one.kind] for one in conditions),
            "state": "open",
        },
    )


async def _set(
    tx: Transaction, columns: str, alerts: Iterable[tuple[int, Mapping[str, Any]]], *, told: str = ""
) -> None:
    pairs = list(alerts)
    if not pairs:
        return
    update = f"""
        update alerts a set {columns} from unnest(%(ids)s::bigint[], %(figures)s::jsonb[]) as new (alert_id, figures)
        where a.alert_id = new.alert_id
    """
    await tx.execute(
        f"with changed as ({update} returning a.*) {_TOLD.format(rows='changed')} order by a.alert_id"
        if told
        else update,
        {
            "ids": arrays.numbers(number for number, _ in pairs),
            "figures": arrays.texts([_json(figures) for _, figures in pairs]),
            **({"state": told} if told else {}),
        },
    )


def _cleaned(figures: dict[str, Any]) -> dict[str, Any]:
    """A channel's words are cut to what fits into a line."""
    return {
        name: printable(value, length_max=_WORDS_LENGTH_MAX) if name in _WORDS else value
        for name, value in figures.items()
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
