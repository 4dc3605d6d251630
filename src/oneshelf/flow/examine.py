"""Examine an installation and its channels: each finding says what to do where it is not good.

Reads: what the engine knows of itself, and what a channel answers when it is asked. Writes: nothing.
Next: a person, who mends what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from oneshelf.clock import SystemClock
from oneshelf.domain.event import EventType
from oneshelf.errors import OneshelfError
from oneshelf.flow.channel import (
    CHANNEL_FAILURES,
    LISTENING,
    SUBSCRIPTIONS_EVERY_S,
    OpenChannel,
    announced_at,
    words_of,
)
from oneshelf.sdk.contract import Hears, Subscribes, WritesByFeed
from oneshelf.sdk.message import Finding
from oneshelf.storage import (
    alerts,
    audit_positions,
    conflicts,
    devices,
    endpoints,
    feeds,
    health,
    probes,
    schedules,
    secret_keys,
    sources,
    subscriptions,
    views,
)
from oneshelf.storage.catalog import ChannelRow
from oneshelf.storage.database import Database
from oneshelf.storage.devices import DeviceRow
from oneshelf.storage.probes import ProbeRow
from oneshelf.storage.subscriptions import SubscriptionCheck

CLOCK_OFFSET_S_MAX = 1.0
# Signatures and orders carry the channel's time; its answers tell it to the second.
CHANNEL_OFFSET_S_MAX = 5.0
# A listener waits for news for some seconds, and then begins again.
QUEUE_SILENCE_S_MAX = 300.0
# A running engine audits every minute, and on a busy machine somewhat later.
ENGINE_SILENCE_S_MAX = 150.0


async def server(database: Database) -> list[Finding]:
    """The database: its version, whether it keeps what it acknowledges, and its clock."""
    clock = SystemClock()
    async with database.transaction() as tx:
        before = clock.now()
        facts = await health.server_facts(tx)
        after = clock.now()
    # The server read its clock at some moment between ours.
    offset = max(before - facts.at, facts.at - after, timedelta())
    is_near = offset.total_seconds() <= CLOCK_OFFSET_S_MAX
    said = f"{offset.total_seconds():.3f} s apart" if offset else "no difference to be seen"
    return [
        Finding("database", is_good=True, detail=f"PostgreSQL {facts.version}"),
        Finding(
            "durability",
            is_good=facts.is_durable,
            detail=""
            if facts.is_durable
            else "fsync or synchronous_commit is off: a power cut loses sales; set both on",
        ),
        Finding(
            "clock of the database",
            is_good=is_near,
            detail=said if is_near else f"{said}; run an NTP client on both machines",
        ),
    ]


async def engine(database: Database) -> list[Finding]:
    """Whether it is at work, the ledger, what systems disagree about, the secrets, and who is sent events.

    Nobody is called.
    """
    looks = (_work, _ledger, _alerts, _sources, _secrets)
    return [*[await look(database) for look in looks], *await _endpoints(database)]


async def channel(database: Database, row: ChannelRow, opened: OpenChannel | None, public_url: str) -> list[Finding]:
    """What a channel answers when it is asked now, and how we hear of it. Changes nothing there."""
    if opened is None:
        detail = f"it cannot be opened; see its settings: oneshelf channel add {row.kind} {row.channel} ..."
        return [Finding("settings", is_good=False, detail=detail)]
    async with database.transaction() as tx:
        written = await probes.newest(tx, has_written=True)
        announced = await subscriptions.checks(tx)
        told_by = await devices.listed(tx, row.channel)
        heard = await schedules.progress(tx, row.channel, LISTENING)
        under_way = await feeds.under_way(tx, row.channel)
    try:
        told = list(await opened.connector.preflight())
    except CHANNEL_FAILURES as fault:
        told = [Finding("answers", is_good=False, detail=words_of(fault))]
    if row.takes_purchase_orders:
        return told
    if not row.shows_figures:
        return [*told, *_devices(row, told_by)]
    told += [*_clock(opened), _abilities(row, opened, written.get(row.channel))]
    if isinstance(opened.connector, Subscribes):
        told.append(_webhooks(opened, announced.get(row.channel), public_url))
    if isinstance(opened.connector, WritesByFeed) and opened.capability.feed_writes:
        told.append(_feed(opened, under_way))
    if isinstance(opened.connector, Hears):
        told.append(_queue(opened, opened.connector, heard))
    return told


async def _work(database: Database) -> Finding:
    """Whether anything is at work. What a dead engine did last looks well for as long as nobody asks how old it is."""
    async with database.transaction() as tx:
        audit = await audit_positions.status(tx)
        late = [row.channel for row in await views.channel_rows(tx) if row.is_poll_late]
    if audit.age_s is None and not late:
        return Finding("engine", is_good=True, detail="none has been at work yet; run it: oneshelf serve")
    if audit.age_s is None or audit.age_s > ENGINE_SILENCE_S_MAX:
        last = "" if audit.age_s is None else f", the last sign of it is {audit.age_s:.0f} s old"
        return Finding("engine", is_good=False, detail=f"none is at work{last}; nothing is written. Run oneshelf serve")
    if late:
        asked = f"the orders of {', '.join(late)} have not been asked for in three turns of the poll"
        detail = f"at work {audit.age_s:.0f} s ago, but {asked}"
        return Finding("engine", is_good=False, detail=f"{detail}; what each channel last said: oneshelf status")
    return Finding("engine", is_good=True, detail=f"at work {audit.age_s:.0f} s ago")


async def _ledger(database: Database) -> Finding:
    """What the engine's own audits found; they are of every minute while it runs."""
    async with database.transaction() as tx:
        audit = await audit_positions.status(tx)
    if audit.violation_count:
        detail = f"{audit.violation_count} violations; see them with their movements: oneshelf audit"
        return Finding("ledger", is_good=False, detail=detail)
    if audit.age_s is None:
        return Finding("ledger", is_good=True, detail="not audited yet; a running engine does it every minute")
    return Finding("ledger", is_good=True, detail=f"audited {audit.age_s:.0f} s ago, it balances")


async def _sources(database: Database) -> Finding:
    """Whether anything that systems stated waits for a person: above all one document with two contents."""
    async with database.transaction() as tx:
        found = await conflicts.open_by_kind(tx)
        waiting = sum(row.waiting_count for row in await sources.listed(tx))
    if "equivocation" in found:
        count, age_s = found["equivocation"]
        documents = "1 document" if count == 1 else f"{count} documents"
        detail = f"{documents} came with two contents, the first {age_s:.0f} s ago; oneshelf conflict list --open"
        return Finding("sources", is_good=False, detail=detail)
    count = sum(count for count, _ in found.values())
    said = f"{count} open conflicts: oneshelf conflict list --open" if count else "no open conflict"
    waits = f"; {waiting} differences wait for units: oneshelf source statements" if waiting else ""
    return Finding("sources", is_good=True, detail=said + waits)


async def _secrets(database: Database) -> Finding:
    """Whether what lets us in at channels is sealed, and opens here."""
    async with database.transaction() as tx:
        rows = await secret_keys.listed(tx)
        current = await secret_keys.current(tx)
    if not rows:
        return Finding("secrets", is_good=True, detail="there are none yet")
    try:
        await secret_keys.check(database)
    except OneshelfError as problem:
        return Finding("secrets", is_good=False, detail=str(problem))
    others = sum(row.key_id != current or not row.key_id for row in rows)
    if others:
        detail = f"{others} of {len(rows)} are in plain text or sealed by an old key; seal them: oneshelf secrets seal"
        return Finding("secrets", is_good=False, detail=detail)
    return Finding(
        "secrets", is_good=True, detail=f"{len(rows)}, sealed by the key {current} of {database.keyring.where}"
    )


async def _alerts(database: Database) -> Finding:
    """What is wrong now by the engine's own look. That something runs low is for whoever buys, and no fault."""
    async with database.transaction() as tx:
        counts = await alerts.open_by_kind(tx)
    found = ", ".join(
        f"{kind.removeprefix('alert.').replace('_', ' ')}: {count}" for kind, count in counts.items() if count
    )
    is_good = not any(count for kind, count in counts.items() if kind != EventType.ALERT_LOW_STOCK)
    return Finding("alerts", is_good=is_good, detail=f"{found}; see oneshelf alert list" if found else "none is open")


async def _endpoints(database: Database) -> list[Finding]:
    """Whether whoever is sent events takes them."""
    async with database.transaction() as tx:
        rows = await endpoints.listed(tx)
    return [_endpoint(row) for row in rows]


def _endpoint(row: endpoints.EndpointRow) -> Finding:
    what, resume = f"endpoint {row.endpoint}", f"oneshelf endpoint resume {row.endpoint}"
    if row.is_disabled:
        why = (
            "it answered 410 Gone" if row.state == "gone" else f"it has failed since {row.failing_since:%Y-%m-%d %H:%M}"
        )
        detail = f"{why} and is not called any more, {row.waiting_count} events wait: {row.last_words}; then: {resume}"
        return Finding(what, is_good=False, detail=detail)
    if row.state == "paused":
        return Finding(what, is_good=True, detail=f"paused, {row.waiting_count} events wait; to go on: {resume}")
    if row.fail_streak:
        detail = (
            f"failing since {row.failing_since:%Y-%m-%d %H:%M} UTC, {row.waiting_count} events wait: {row.last_words}"
        )
        return Finding(what, is_good=False, detail=f"{detail}; try it: oneshelf endpoint test {row.endpoint}")
    if row.given_up_count:
        detail = f"refused {row.given_up_count} events for three days; send them again: oneshelf endpoint replay"
        return Finding(what, is_good=False, detail=f"{detail} {row.endpoint} --since INSTANT")
    waits = f"{row.waiting_count} events wait, the oldest for {row.oldest_s or 0:.0f} s"
    return Finding(what, is_good=True, detail=f"{row.delivered_count} events taken, {waits}")


def _clock(opened: OpenChannel) -> list[Finding]:
    """How far the channel's clock is from ours, where its answers told its time."""
    ahead_s = opened.clock_ahead_s()
    if ahead_s is None:
        return []
    is_near = abs(ahead_s) <= CHANNEL_OFFSET_S_MAX
    said = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} ours" if ahead_s else "as ours"
    detail = said if is_near else f"{said}; run an NTP client here, its signatures and orders are judged by time"
    return [Finding("clock of the channel", is_good=is_near, detail=detail)]


def _devices(row: ChannelRow, told_by: Sequence[DeviceRow]) -> list[Finding]:
    """Whether its devices are heard, with no number missing and nothing that contradicts."""
    if not told_by:
        detail = f"none has told anything yet; tills post to /webhooks/{row.channel}, signed with webhook_secret"
        return [Finding("devices", is_good=True, detail=detail)]
    more = f"oneshelf channel devices {row.channel}"
    findings = []
    for one in told_by:
        wrong = []
        if one.is_offline:
            wrong.append(f"off line: told nothing for {one.silent_s:,.0f} s, its heartbeat is {one.heartbeat_s:g} s")
        if one.missing_count:
            wrong.append(f"{one.missing_count} numbers are missing, the oldest for {one.gap_age_s or 0.0:,.0f} s")
        if asked := one.refused_count + one.conflict_count:
            wrong.append(f"{asked} of its events move nothing and wait for a person")
        good = f"{one.told_count} events told, the last {one.silent_s:,.0f} s ago"
        detail = f"{'; '.join(wrong)}; see {more}" if wrong else good
        findings.append(Finding(f"device {one.device}", is_good=not wrong, detail=detail))
    return findings


def _abilities(row: ChannelRow, opened: OpenChannel, newest: ProbeRow | None) -> Finding:
    """Whether it was tried that the channel does what its connector declares, and what was found to be lost."""
    what = "written as declared"
    again = f"oneshelf channel check {row.channel} --listing LISTING --write"
    if row.fallbacks:
        lost = "; ".join(f"lacks {one} since {told['since']}: {told['reason']}" for one, told in row.fallbacks.items())
        detail = f"{lost}. Until it holds again it is written as {opened.capability.write_kind.value}; try: {again}"
        return Finding(what, is_good=False, detail=detail)
    if newest is None:
        return Finding(what, is_good=True, detail=f"{opened.capability.write_kind.value}, never tried here: {again}")
    tried = f"tried {newest.probed_at:%Y-%m-%d}"
    return Finding(what, is_good=True, detail=f"{opened.capability.write_kind.value}, {tried}")


def _webhooks(opened: OpenChannel, check: SubscriptionCheck | None, public_url: str) -> Finding:
    """Whether somebody sees that the channel goes on telling us, and what was lost."""
    what = "webhooks"
    address = announced_at(opened, public_url)
    if not address:
        every_s = opened.capability.poll_orders_s
        detail = f"nobody keeps them, orders are polled every {every_s:g} s; to be told at once set ONESHELF_PUBLIC_URL"
        return Finding(what, is_good=True, detail=detail)
    if check is None or check.address != address:
        return Finding(what, is_good=True, detail=f"not looked at yet at {address}; a running engine does it at once")
    if check.refused:
        words = "; ".join(sorted({f"{words}" for words in check.refused.values()}))
        return Finding(what, is_good=False, detail=f"{', '.join(check.refused)} cannot be subscribed to: {words}")
    looked = f"looked at {check.age_s:.0f} s ago"
    if check.age_s > 2 * SUBSCRIPTIONS_EVERY_S:
        return Finding(what, is_good=False, detail=f"{looked}, which is done every hour; is the engine running?")
    detail = f"{len(check.topics)} topics at {address}, {looked}"
    if check.lost_at is not None:
        at = f"{check.lost_at:%Y-%m-%d %H:%M} UTC"
        detail += f"; {check.lost_count} were lost so far, the last {at}, and made anew"
    return Finding(what, is_good=True, detail=detail)


def _feed(opened: OpenChannel, one: feeds.UnderWay | None) -> Finding:
    """Whether the channel works through what it was handed in one file, and since when it has not."""
    if one is None:
        return Finding("feed", is_good=True, detail="none is under way")
    carries = f"{one.listing_count} of its {one.write_count} listings wait for it"
    if one.stuck_s is None and one.age_s <= opened.capability.feed_s_max:
        return Finding("feed", is_good=True, detail=f"under way for {one.age_s:.0f} s; {carries}")
    detail = (
        f"{one.words or 'nobody has looked at it'}; begun {one.age_s:.0f} s ago, and stuck after "
        f"{opened.capability.feed_s_max:.0f} s. {carries}, the others are written one by one; no other feed is begun "
        "before this one has ended at the channel"
    )
    return Finding("feed", is_good=False, detail=detail)


def _queue(opened: OpenChannel, connector: Hears, progress: schedules.Progress | None) -> Finding:
    """Whether somebody listens to what the channel puts into its queue for us."""
    what = "queue"
    if not connector.has_queue:
        every_s = opened.capability.poll_orders_s
        return Finding(what, is_good=True, detail=f"it has none, orders are polled every {every_s:g} s")
    if progress is None or (progress.age_s is None and not progress.last_fault):
        return Finding(what, is_good=True, detail="nobody has listened yet; a running engine does it at once")
    if progress.last_fault:
        return Finding(what, is_good=False, detail=f"{progress.last_fault}; until it can be heard, orders are polled")
    is_fresh = (progress.age_s or 0.0) <= QUEUE_SILENCE_S_MAX
    said = f"listened to {progress.age_s or 0.0:.0f} s ago"
    return Finding(what, is_good=is_fresh, detail=said if is_fresh else f"{said}; is the engine running?")
