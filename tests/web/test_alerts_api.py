"""What is wrong at a channel is an alert: over HTTP, for the doctor, in the metrics and to whoever types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from oneshelf.clock import SystemClock
from oneshelf.domain.breaker import HoldReason
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.flow import alert, examine
from oneshelf.storage import breakers, catalog
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

MUG = ChannelSku("MUG")
LEFT = Channel("left")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Two live channels with mugs, whose units they share."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        for name in ("left", "right"):
            (await shop.connect(name)).books[MUG] = 0
        await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "guarded"})
        await shop.command("receipt", type="receive", sku="MUG", units=6)
        await shop.settle()
        yield shop


async def run(shop: Shop, statement: str) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(statement.encode())


async def open_alerts(shop: Shop) -> dict[str, dict[str, Any]]:
    """Kind -> what stands, after the engine has looked, waited out its patience, and looked again."""
    await alert.alert(shop.database)
    await run(shop, "update alerts set seen_at = seen_at - interval '10 minutes' where opened_at is null")
    await alert.alert(shop.database)
    found = (await shop.client.get("/v1/alerts", params={"open": "true"})).json()["alerts"]
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


async def test_a_shop_that_is_well_has_no_alert(shop: Shop) -> None:
    assert await open_alerts(shop) == {}
    [finding] = [one for one in await examine.engine(shop.database) if one.what == "alerts"]
    assert (finding.is_good, finding.detail) == (True, "none is open")


async def test_a_channel_whose_orders_nobody_asks_for_is_stale(shop: Shop) -> None:
    await run(shop, "update schedules set last_done_at = now() - interval '4 hours' where channel = 'right'")
    await run(shop, "update channels set last_fault = 'the shop is closed' where channel = 'right'")
    await alert.alert(shop.database)
    assert (await shop.client.get("/v1/alerts")).json()["alerts"] == [], "not yet: it may be a moment"
    found = await open_alerts(shop)
    assert list(found) == ["alert.stale_channel"]
    told = found["alert.stale_channel"]
    assert told["what"].startswith("right is stale: its orders have not been asked for in three turns")
    assert told["what"].endswith("(the shop is closed)")
    assert 'oneshelf_alerts_open{kind="alert.stale_channel"} 1.0' in (await shop.client.get("/metrics")).text
    [finding] = [one for one in await examine.engine(shop.database) if one.what == "alerts"]
    assert (finding.is_good, "stale channel: 1; see oneshelf alert list" in finding.detail) == (False, True)


async def test_a_channel_that_is_only_watched_wakes_nobody(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await catalog.set_mode(tx, LEFT, "watch")
    await run(shop, "update schedules set last_done_at = now() - interval '4 hours' where channel = 'left'")
    assert await open_alerts(shop) == {}


async def test_a_held_channel_is_an_alert_until_it_is_released(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await breakers.hold(tx, LEFT, HoldReason.ZEROED, {"zeroed": 30, "shown": 40}, since=None)
    assert (await open_alerts(shop))["alert.held_channel"]["what"].startswith("left is held by its breaker (zeroed)")
    await shop.client.post("/v1/channels/left/release", json={"by": "Ada"})
    await open_alerts(shop)
    await run(shop, "update alerts set gone_at = gone_at - interval '2 minutes'")
    assert await open_alerts(shop) == {}
    [over] = (await shop.client.get("/v1/alerts")).json()["alerts"]
    assert (over["state"], over["closed_at"] > over["opened_at"]) == ("closed", True)


async def test_a_zero_that_is_refused_is_an_alert_with_the_channels_words(shop: Shop) -> None:
    shop.connectors["left"].refuses.add(MUG)
    await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "frozen"})
    await shop.settle()
    found = await open_alerts(shop)
    assert found["alert.zero_failed"]["what"] == (
        "left MUG (MUG) is to show 0 and may still sell 3: this entry was printed in ink"
    )


@pytest.mark.long
async def test_a_figure_that_was_raised_by_hand_is_an_exposure_and_a_drift(shop: Shop) -> None:
    shop.connectors["left"].refuses.add(MUG)
    shop.connectors["left"].books[MUG] += 5
    await shop.sweep()
    await shop.settle()
    await shop.judge_suspicions()
    await shop.settle()
    await run(shop, "update drifts set opened_at = opened_at - interval '1 hour'")
    found = await open_alerts(shop)
    assert found["alert.exposed"]["figures"] == {"sku": "MUG", "units": 5}
    assert found["alert.drift"]["what"].startswith("left MUG (MUG) shows 8 instead of 3: ")


@pytest.mark.long
async def test_a_credential_that_ends_is_told_30_days_7_days_and_one_day_before(shop: Shop) -> None:
    told_of = {31: [], 30: [30], 8: [30], 7: [7, 30], 1: [1, 7, 30], -3: [1, 7, 30]}
    for days, warned in told_of.items():
        ends_on = (SystemClock().now() + timedelta(days=days)).date().isoformat()
        ends = [{"what": "client secret", "ends_on": ends_on, "way_out": "make a new one"}]
        async with shop.database.transaction() as tx:
            await tx.execute("update channels set access_ends = %s where channel = 'left'", [Jsonb(ends)])
        await alert.alert(shop.database)
        alerts = (await shop.client.get("/v1/alerts", params={"open": "true"})).json()["alerts"]
        found = {one["figures"]["days"]: one["what"] for one in alerts if one["kind"] == "alert.access_ends"}
        assert sorted(found) == warned
        if 7 in found:
            assert found[7] == f"left: client secret ends on {ends_on}, within 7 days: make a new one"
    [row] = [one for one in (await shop.client.get("/v1/channels")).json()["channels"] if one["channel"] == "left"]
    assert row["access_ends"] == ends
    text = (await shop.client.get("/channels/left")).text
    assert f"<dt>Access ends</dt><dd>client secret on <strong>{ends_on}</strong>: make a new one</dd>" in text


async def test_alerts_come_page_by_page(shop: Shop) -> None:
    await run(
        shop,
        "insert into alerts (kind, name, figures, opened_at) select 'alert.low_stock', 'S' || n, "
        "jsonb_build_object('sku', 'S' || n), now() from generate_series(1, 3) as n",
    )
    first = (await shop.client.get("/v1/alerts", params={"limit": 2})).json()
    second = (await shop.client.get("/v1/alerts", params={"limit": 2, "before": first["next"]})).json()
    names = [one["figures"]["sku"] for page in (first, second) for one in page["alerts"]]
    assert (names, second["next"]) == (["S3", "S2", "S1"], None)
    for wrong in ({"before": "first"}, {"limit": "0"}, {"closed": "true"}):
        answer = await shop.client.get("/v1/alerts", params=wrong)
        assert (answer.status_code, bool(json.loads(answer.text)["detail"])) == (422, True)
