"""That a channel is away is told once it has lasted, and is over once it has held; guards wait for neither."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest

from oneshelf.domain.alert import TOLD_S
from oneshelf.domain.blind_window import SILENT_TURNS, BlindWindow, Objective, silence_s
from oneshelf.storage import alerts, blind_windows, catalog, hearing, schedules, views
from oneshelf.storage.audit_positions import AuditStatus
from oneshelf.storage.views import ChannelHealth
from oneshelf.web.pages import verdict
from storage.pinned import SHOP, PinnedDatabase, pinned
from storage.test_schedules import a_lease

pytestmark = pytest.mark.pg

SEED = 4711
NOT_AUDITED = AuditStatus(None, 0, 0, 0)
LEASE_S = 1.0


@dataclass(frozen=True)
class Seen:
    """What is told at an instant, and what guards reckon with."""

    row: ChannelHealth
    alert_count: int
    alarms: list[str]
    silent_s: float


async def begun(pin: PinnedDatabase, *, every_s: float) -> None:
    async with pin.database.transaction() as tx:
        await schedules.ensure(tx, SHOP, {"orders": every_s})
        await catalog.set_mode(tx, SHOP, "live")


async def poll(pin: PinnedDatabase) -> None:
    """Orders are asked for, all of them."""
    async with pin.database.transaction() as tx:
        await schedules.hurry(tx, SHOP, "orders", at_most_every_s=0)
        due = await schedules.claim(tx, SHOP, "orders", lease=a_lease(), lease_s=LEASE_S)
        assert due is not None
        assert await schedules.advance(tx, due, cursor=None, covered_until=pin.at, is_finished=True)


async def look(pin: PinnedDatabase) -> Seen:
    async with pin.database.transaction() as tx:
        [row] = await views.channel_rows(tx)
        standing = [one for one in await alerts.standing(tx) if one.channel == SHOP]
        [heard] = await hearing.heard(tx)
    told = [one.what for one in verdict.alarms([row], NOT_AUDITED)]
    return Seen(row, len(standing), told, heard.silent_s)


@pytest.mark.long(but_one_in=4)
@pytest.mark.parametrize("every_s", [0.5, 5.0, 25.0, 60.0, 180.0])
async def test_no_silence_is_hidden_and_none_flickers(dsn: str, every_s: float) -> None:
    """Polls come as chance wants, with silences of every length between them."""
    print(f"seed {SEED}")  # shown when it fails
    chance = Random(f"{SEED}:{every_s}")
    late_s, rest_s = max(SILENT_TURNS * every_s, TOLD_S), max(every_s, TOLD_S)
    # A step that no bound is a whole number of.
    step_s, now_s, heard_s, poll_s = round(late_s / 12.7, 3), 0.0, 0.0, 0.0
    changes: list[tuple[float, bool]] = [(0.0, False)]
    async with pinned(dsn) as pin:
        await begun(pin, every_s=every_s)
        for _ in range(400):
            if now_s >= poll_s:
                await poll(pin)
                heard_s = now_s
                poll_s = now_s + chance.choice([every_s, every_s, every_s, late_s / 2, late_s, 1.5 * late_s])
            seen = await look(pin)
            silence = now_s - heard_s
            assert seen.row.is_poll_late is (silence >= late_s)
            assert seen.silent_s == silence_s(unheard_s=silence, every_s=every_s), "guards wait for nothing"
            assert seen.silent_s > 0 or not seen.row.is_poll_late, "people are not told before guards know"
            assert seen.alert_count == seen.row.is_stale
            assert seen.alarms == ["shop is blind"] * seen.row.is_stale
            if seen.row.is_stale is not changes[-1][1]:
                changes.append((now_s, seen.row.is_stale))
            now_s += step_s
            await pin.turn(step_s)
    assert len(changes) > 5, "nothing came and went"
    for (at_s, is_told), (until_s, _) in pairwise(changes):
        assert until_s - at_s > (rest_s if is_told else late_s) - step_s


async def until_told(pin: PinnedDatabase) -> float:
    """The seconds from now until the channel is told to fail."""
    passed_s = 0.0
    while not (await look(pin)).row.is_failing:
        assert passed_s < 600
        await pin.turn(1)
        passed_s += 1
    return passed_s


async def fails(pin: PinnedDatabase) -> None:
    async with pin.database.transaction() as tx:
        await catalog.record_failure(tx, SHOP, fault="the shop is closed")


async def answers(pin: PinnedDatabase) -> None:
    async with pin.database.transaction() as tx:
        await catalog.record_success(tx, SHOP)


@pytest.mark.long
async def test_a_channel_that_answers_no_call_is_told_after_a_minute_however_seldom_it_is_called(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await begun(pin, every_s=60)
        await poll(pin)
        await fails(pin)
        assert await until_told(pin) == TOLD_S
        assert (await look(pin)).alarms == ["shop fails"]
        await fails(pin)
        assert (await look(pin)).row.failing_s == TOLD_S
        await answers(pin)
        assert (await look(pin)).alarms == []


@pytest.mark.long
async def test_failed_calls_between_good_ones_are_everyday_business(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await begun(pin, every_s=60)
        for _ in range(40):
            await poll(pin)
            for _ in range(5):
                await fails(pin)
                await pin.turn(2)
                assert (await look(pin)).alarms == []
            await answers(pin)


async def test_a_channel_that_was_connected_long_before_an_engine_ran_is_not_late_at_its_first_poll(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await pin.turn(86_400)
        await begun(pin, every_s=60)
        assert (await look(pin)).alarms == []
        await poll(pin)
        assert (await look(pin)).alarms == []


async def test_a_channel_whose_orders_were_never_asked_for_is_told_too(dsn: str) -> None:
    async with pinned(dsn) as pin:
        await begun(pin, every_s=60)
        await pin.turn(179)
        assert (await look(pin)).alarms == []
        await pin.turn(1)
        seen = await look(pin)
        assert (seen.alarms, seen.row.poll_age_s, seen.alert_count) == (["shop is blind"], None, 1)


async def test_writes_that_compare_nothing_make_no_channel_blind(dsn: str) -> None:
    """What the windows call blind is how a channel is written, and that never changes."""
    async with pinned(dsn) as pin:
        await begun(pin, every_s=60)
        await poll(pin)
        async with pin.database.transaction() as tx:
            window = BlindWindow(120, 900, is_blind=True)
            await blind_windows.store(tx, {SHOP: (window, Objective(0.99, 300, 7200))})
        seen = await look(pin)
        assert (seen.alarms, seen.alert_count, seen.row.is_stale) == ([], 0, False)
