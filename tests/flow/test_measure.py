"""What is measured of the way from a sale to its proof, and what follows from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from oneshelf.domain.demand import PRIOR_RATE_PER_S
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.flow import confirm, reconcile
from oneshelf.flow.measure import measure
from oneshelf.storage import blind_windows, demand, hearing, rights, touched
from oneshelf.storage.blind_windows import WEEK_S, ChannelWindow, OwnObjective, Window
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

LEFT, RIGHT = Channel("left"), Channel("right")
MUG = Sku("MUG")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Two live channels that sell mugs, and nothing to do."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        for name in (LEFT, RIGHT):
            (await shop.connect(name)).books[ChannelSku("MUG")] = 0
        await shop.command("receipt", type="receive", sku="MUG", units=50)
        await shop.settle()
        await shop.sweep()
        await shop.settle()
        yield shop


async def run(shop: Shop, statement: str) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(statement.encode())


async def measured(shop: Shop) -> dict[tuple[str, str], Window]:
    """(channel, part) -> of the last week, measured now."""
    await measure(shop.database, shop.channels, every_s=0)
    async with shop.database.transaction() as tx:
        found = await blind_windows.windows(tx)
    return {(one.channel, one.part): one for one in found if one.window_s == WEEK_S}


async def reckoned(shop: Shop) -> dict[str, ChannelWindow]:
    async with shop.database.transaction() as tx:
        return {one.channel: one for one in await blind_windows.reckoned(tx)}


async def sell(shop: Shop, channel: str = "left", order_id: str = "o-1", units: int = 1) -> None:
    await shop.order(channel, order_id, MUG=units)
    await shop.settle()


async def backdate(shop: Shop, *, placed_s: float, seen_s: float, posted_s: float, verified_s: float) -> None:
    """As if every sale had been placed, seen, posted and proved so many seconds ago, all decided once posted."""
    at = shop.clock.now()
    ago = {
        name: at - timedelta(seconds=seconds)
        for name, seconds in {
            **{"created": 7200, "live": 7100, "placed": placed_s, "seen": seen_s, "posted": posted_s},
            **{"accepted": posted_s - 1, "verified": verified_s},
        }.items()
    }
    for statement in (
        "update channels set created_at = %(created)s, live_since = %(live)s",
        "update inbox set received_at = %(seen)s",
        "update orders set placed_at = %(placed)s, seen_at = %(seen)s, posted_at = %(posted)s",
        "update publications q set planned_at = %(posted)s, sent_at = %(posted)s, accepted_at = %(accepted)s, "
        "verified_at = %(verified)s "
        "where version = (select max(version) from publications p where p.channel = q.channel)",
    ):
        async with shop.database.transaction() as tx:
            await tx.execute(statement.encode(), ago)


async def test_each_part_of_a_sales_way_is_counted_once_where_it_belongs(shop: Shop) -> None:
    before = await measured(shop)
    await sell(shop)
    after = await measured(shop)
    counts = {key: one.sample_count - (before[key].sample_count if key in before else 0) for key, one in after.items()}
    assert {key: count for key, count in counts.items() if count} == {
        **{(LEFT, part): 1 for part in ("seen", "seen_by_webhook", "posted", "ingested", "elsewhere")},
        **{(RIGHT, part): 1 for part in ("decided", "sent", "accepted", "verified", "proved")},
    }


async def test_the_seconds_are_those_of_the_rows_and_never_less(shop: Shop) -> None:
    await sell(shop)
    await backdate(shop, placed_s=100, seen_s=70, posted_s=65, verified_s=25)
    found = await measured(shop)
    exact = {(LEFT, "seen"): 30, (LEFT, "posted"): 5, (LEFT, "ingested"): 35, (LEFT, "elsewhere"): 75,
             (RIGHT, "proved"): 40, (RIGHT, "verified"): 39}  # fmt: skip
    for key, seconds in exact.items():
        assert seconds * 0.999 <= found[key].p99_s <= seconds * 1.101, key


async def test_measuring_again_counts_nothing_twice(shop: Shop) -> None:
    await sell(shop)
    first = await measured(shop)
    assert await measured(shop) == first


async def test_an_order_that_a_poll_brought_is_told_from_one_of_a_webhook(shop: Shop) -> None:
    await sell(shop)
    await run(shop, "update inbox set is_polled = true")
    found = await measured(shop)
    assert (LEFT, "seen_by_poll") in found
    assert (LEFT, "seen_by_webhook") not in found


async def test_a_figure_that_a_later_one_replaced_waits_for_the_proof_of_that(shop: Shop) -> None:
    await sell(shop)
    await backdate(shop, placed_s=100, seen_s=100, posted_s=50, verified_s=25)
    await run(
        shop,
        "insert into publications (channel, channel_sku, version, sku, units, derivation, planned_at) "
        "select channel, channel_sku, version - 1, sku, units, derivation, planned_at - interval '45 s' "
        "from publications where channel = 'right' order by version desc limit 1 "
        "on conflict (channel, channel_sku, sku, version) do update set "
        "planned_at = excluded.planned_at, verified_at = null",
    )
    found = await measured(shop)
    assert 69 < found[RIGHT, "proved"].p99_s < 78


async def test_what_was_decided_before_the_channel_was_live_is_no_blind_window(shop: Shop) -> None:
    await sell(shop)
    await run(shop, "update channels set live_since = now() + interval '1 s'")
    assert not [key for key in await measured(shop) if key[1] in {"proved", "decided", "elsewhere"}]


async def test_what_is_not_proved_counts_with_its_age_once_that_is_long(shop: Shop) -> None:
    await sell(shop)
    await backdate(shop, placed_s=1300, seen_s=1250, posted_s=1200, verified_s=0)
    await run(shop, "update publications set verified_at = null")
    found = await measured(shop)
    assert 1199 < found[RIGHT, "proved"].p99_s < 1400
    assert 1299 < found[LEFT, "elsewhere"].p99_s < 1500


async def test_samples_are_forgotten_after_a_week(shop: Shop) -> None:
    await sell(shop)
    await measured(shop)
    await run(shop, "update blind_window_bins set slot_at = slot_at - interval '8 days'")
    await run(shop, "update orders set posted_at = posted_at - interval '8 days'")
    await run(shop, "update publications set planned_at = planned_at - interval '8 days'")
    assert await measured(shop) == {}


async def test_only_one_node_measures_in_a_minute(shop: Shop) -> None:
    await sell(shop)
    assert await measure(shop.database, shop.channels) == 1
    await sell(shop, order_id="o-2")
    assert await measure(shop.database, shop.channels) == 0


async def test_where_nothing_is_measured_the_declared_seconds_are_reckoned_with(shop: Shop) -> None:
    await measured(shop)
    found = (await reckoned(shop))[LEFT]
    # Of the paper channel: no lag, a poll an hour; five seconds to apply.
    assert (found.tau_in_s, found.tau_out_s, found.is_in_measured) == (3600, 5, False)
    assert (found.seen_s, found.detect_s, found.share) == (3605, 7200, 0.99)


async def test_a_hundred_samples_overrule_what_is_declared(shop: Shop) -> None:
    await sell(shop)
    await measured(shop)
    await run(
        shop,
        "insert into blind_window_bins select 'left', 'ingested', date_bin('10 minutes', now(), timestamptz "
        "'2000-01-01') - interval '2 hours', 10, 1000",
    )
    await measured(shop)
    found = (await reckoned(shop))[LEFT]
    assert found.is_in_measured
    assert found.tau_in_s == pytest.approx(1.1**10)


async def test_an_objective_that_a_person_sets_is_judged_by(shop: Shop) -> None:
    await sell(shop)
    await backdate(shop, placed_s=100, seen_s=70, posted_s=65, verified_s=25)
    await measured(shop)
    assert ((found := (await reckoned(shop))[LEFT]).sale_count, found.seen_count) == (1, 1)
    assert (found.listing_count, found.fresh_count) == (1, 1)
    async with shop.database.transaction() as tx:
        await blind_windows.set_objective(tx, LEFT, OwnObjective(share=0.9, seen_s=60))
    await measured(shop)
    found = (await reckoned(shop))[LEFT]
    assert (found.share, found.seen_s, found.detect_s) == (0.9, 60, 7200)
    assert (found.sale_count, found.seen_count) == (1, 0)


# Demand -----------------------------------------------------------------------------------------------------------


async def figures(shop: Shop) -> dict[str, dict[str, Any]]:
    async with shop.database.transaction() as tx:
        cursor = await tx.execute(
            "select channel, rate_per_s, buffer_units, threshold_units, inputs from sku_demand where sku = 'MUG'"
        )
        return {
            channel: {"rate": rate, "buffer": buffer, "threshold": threshold, "inputs": inputs}
            async for channel, rate, buffer, threshold, inputs in cursor
        }


@pytest.mark.long
async def test_sales_become_rates_buffers_and_thresholds_with_their_reasons(shop: Shop) -> None:
    for number in range(6):
        await sell(shop, order_id=f"o-{number}", units=3)
    await measured(shop)
    found = await figures(shop)
    assert set(found) == {"", LEFT, RIGHT}
    assert found[""]["inputs"]["sold"]["units"] == 18
    assert found[LEFT]["rate"] == pytest.approx(found[""]["rate"])
    assert found[LEFT]["rate"] > found[RIGHT]["rate"]
    # A sale at the left is unseen for an hour and five seconds where nothing is measured yet: two more hot hours.
    assert found[RIGHT]["buffer"] > found[LEFT]["buffer"] > 0
    assert found[""]["threshold"] > found[RIGHT]["buffer"]
    assert found[""]["threshold"] == found[""]["inputs"]["kept"]["units"]
    assert set(found[RIGHT]["inputs"]["others"]) == {LEFT}


async def test_planning_is_answered_for_what_sells_and_for_what_nobody_knows(shop: Shop) -> None:
    await sell(shop, units=10)
    await measured(shop)
    found = await figures(shop)
    async with shop.database.transaction() as tx:
        buffers = await demand.buffers(tx, [(MUG, RIGHT), (Sku("CAP"), RIGHT), (Sku("CAP"), Channel("nowhere"))])
        guard = (await rights.guards(tx, [MUG]))[MUG]
        unknown = hearing.threshold_of_unknown(await hearing.heard(tx))
        rates = await demand.rates(tx, [(MUG, demand.ALL), (Sku("CAP"), LEFT)])
    assert buffers[MUG, RIGHT] == found[RIGHT]["buffer"] > buffers[Sku("CAP"), RIGHT] >= 0
    assert buffers[Sku("CAP"), Channel("nowhere")] == 0
    assert guard.measured is not None
    assert guard.measured.threshold_units == found[""]["threshold"] > unknown.units > 0
    assert guard.measured.window_s == unknown.window_s
    assert rates == {(MUG, demand.ALL): found[""]["rate"], (Sku("CAP"), LEFT): PRIOR_RATE_PER_S}


async def test_no_sale_waits_for_the_first_figure_of_a_listing(shop: Shop) -> None:
    assert (RIGHT, "proved") not in await measured(shop)
    await sell(shop)
    assert (await measured(shop))[RIGHT, "proved"].sample_count == 1


async def test_the_steps_from_hour_to_hour_are_those_of_the_whole_hours(shop: Shop) -> None:
    random, hours = Random(1), 30
    units = [[random.choice((0, 0, 1, 5)) for _ in range(hours + 2)] for _ in (LEFT, RIGHT)]
    await run(shop, "update skus set created_at = db_now() - interval '31 hours 5 minutes'")
    for channel, of_hours in zip((LEFT, RIGHT), units, strict=True):
        for age, sold in enumerate(of_hours[: hours + 1]):
            async with shop.database.transaction() as tx:
                await tx.execute(
                    """
                    insert into sku_sales (sku, channel, slot_at, units, line_count)
                    select 'MUG', %(channel)s, db_now() - make_interval(hours => %(age)s, mins => 20), %(sold)s, 1
                    where %(sold)s > 0
                    """,
                    {"channel": channel, "age": age, "sold": sold},
                )
    async with shop.database.transaction() as tx:
        found = (await demand.selling(tx, [MUG]))[MUG]
    for there, of_hours in ((found.sold[LEFT], units[0]), (found.sold[RIGHT], units[1])):
        whole = of_hours[1 : hours + 1]
        last = of_hours[0]
        assert (there.recent_units, there.hour_units, there.units) == (last, sum(whole), last + sum(whole))
        assert there.hour_steps == sum((one - other) ** 2 for one, other in pairwise(whole))
    both = [one + other for one, other in zip(*units, strict=True)][1 : hours + 1]
    assert found.all_sold.hour_steps == sum((one - other) ** 2 for one, other in pairwise(both))


async def test_sales_that_leave_the_week_take_their_rate_with_them(shop: Shop) -> None:
    await sell(shop, units=10)
    await measured(shop)
    fast = (await figures(shop))[""]["rate"]
    await run(shop, "update sku_sales set slot_at = slot_at - interval '8 days'")
    await run(shop, "update orders set posted_at = posted_at - interval '8 days'")
    await run(shop, "update sku_demand set measured_at = measured_at - interval '1 day'")
    await measured(shop)
    assert (await figures(shop))[""]["rate"] < fast / 5


# Read more often ---------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_what_has_just_sold_is_read_back_between_two_sweeps_and_the_rest_is_not(shop: Shop) -> None:
    (await shop.connect("third")).books[ChannelSku("CAP")] = 0
    await shop.command("caps", type="receive", sku="CAP", units=5)
    await shop.settle()
    await shop.sweep()
    await shop.settle()
    await sell(shop)
    await measured(shop)
    assert [await reconcile.look_often(shop.database, channel) for channel in shop.channels.values()] == [0, 0, 0]
    await run(shop, "update listings set verified_at = verified_at - interval '5 minutes'")
    assert [await reconcile.look_often(shop.database, channel) for channel in shop.channels.values()] == [1, 1, 0]
    await shop.settle()
    assert await reconcile.look_often(shop.database, shop.channels[LEFT]) == 0, "it has just been read"


@pytest.mark.long
async def test_a_drift_on_a_hot_listing_is_found_without_a_sweep(shop: Shop) -> None:
    await sell(shop)
    await measured(shop)
    shop.connectors[RIGHT].books[ChannelSku("MUG")] = 99
    await run(shop, "update listings set verified_at = verified_at - interval '5 minutes'")
    await reconcile.look_often(shop.database, shop.channels[RIGHT])
    await confirm.confirm(shop.database, shop.channels[RIGHT], shop.clock)
    async with shop.database.transaction() as tx:
        cursor = await tx.execute("select suspect_units from listings where channel = 'right'")
        assert await cursor.fetchall() == [(99,)]


# Shown ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_program_is_told_the_windows_and_the_objective(shop: Shop) -> None:
    missing = await shop.client.get("/v1/channels/left/windows")
    assert missing.status_code == 404
    await sell(shop)
    await measured(shop)
    told = (await shop.client.get("/v1/channels/left/windows")).json()
    assert (told["channel"], told["tau_in_s"], told["is_in_measured"]) == ("left", 3600, False)
    assert told["objective"]["sale_count"] == 1
    assert told["objective"]["budget_left"] == 1
    parts = [one["part"] for one in told["windows"] if one["window_s"] == 3600]
    assert parts.index("seen") < parts.index("posted") < parts.index("ingested")


@pytest.mark.long
async def test_metrics_tell_the_windows_and_a_late_poll(shop: Shop) -> None:
    await sell(shop)
    await measured(shop)
    await run(shop, "update schedules set last_done_at = now() - interval '4 hours' where channel = 'right'")
    lines = (await shop.client.get("/metrics")).text.splitlines()
    assert 'oneshelf_blind_window_samples{channel="left",part="ingested"} 1.0' in lines
    assert 'oneshelf_tau_seconds{channel="left",way="in"} 3600.0' in lines
    assert 'oneshelf_objective_budget_left{channel="left"} 1.0' in lines
    assert 'oneshelf_poll_late{channel="left"} 0.0' in lines
    assert 'oneshelf_poll_late{channel="right"} 1.0' in lines
    assert [line for line in lines if line.startswith('oneshelf_blind_window_seconds{channel="right",part="proved"')]


async def test_what_a_first_measurement_makes_scarce_is_planned_though_nothing_moved(shop: Shop) -> None:
    await shop.command("caps", type="receive", sku="CAP", units=2)
    await shop.settle()
    await measured(shop)
    async with shop.database.transaction() as tx:
        assert (await touched.claim(tx, limit=9)).skus == [Sku("CAP")], "50 mugs are plenty for one a day"
    await measured(shop)
    async with shop.database.transaction() as tx:
        assert (await touched.claim(tx, limit=9)).skus == []


async def test_a_channel_that_was_just_connected_is_measured_at_once(shop: Shop) -> None:
    await measured(shop)
    await measure(shop.database, shop.channels)
    before = await reckoned(shop)
    await shop.connect("third")
    await measure(shop.database, shop.channels)
    after = await reckoned(shop)
    assert set(after) - set(before) == {"third"}
    await measure(shop.database, shop.channels)
    assert await reckoned(shop) == after
