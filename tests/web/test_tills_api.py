"""Tills over HTTP: events in at the door, devices and stock out, on the page and in the metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from flow.till_world import SECRET, TILL, Event, ago, event, opened_till, sale
from oneshelf.cli import app
from oneshelf.flow import interpret, post
from oneshelf.sdk.simulated_sender import signed_headers
from oneshelf.storage import catalog
from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        async with shop.database.transaction() as tx:
            new = catalog.NewChannel(
                TILL, "till", BERLIN, {"heartbeat_s": "60"}, {"webhook_secret": SECRET}, {}, shows_figures=False
            )
            await catalog.add_channel(tx, new)
        shop.channels[TILL] = opened_till({"heartbeat_s": "60"})
        await shop.command("k1", type="receive", sku="MUG", units=9)
        yield shop


async def tell(shop: Shop, *events: Event) -> httpx2.Response:
    body = json.dumps(list(events)).encode()
    headers = signed_headers(body, delivery_id="d", timestamp=1, secret=SECRET)
    answer = await shop.client.post(f"/webhooks/{TILL}", content=body, headers=dict(headers))
    while await interpret.interpret(shop.database, shop.channels):
        pass
    while await post.post_facts(shop.database, shop.clock.new_id):
        pass
    return answer


async def test_what_a_device_posts_is_counted(shop: Shop) -> None:
    assert (await tell(shop, sale(1, 2))).status_code == 200
    told = (await shop.client.get(f"/v1/tills/{TILL}/stock")).json()
    assert told == {
        "location": BERLIN,
        "stock": [{"sku": "MUG", "title": "Mug of the shop", "available": 7, "sellable_by_listings": 0}],
        "next": None,
    }
    body = b"[]"
    unsigned = await shop.client.post(f"/webhooks/{TILL}", content=body)
    assert unsigned.status_code == 401


async def test_the_stock_comes_in_pages(shop: Shop) -> None:
    await shop.command("k2", type="receive", sku="CAP", units=1)
    first = (await shop.client.get(f"/v1/tills/{TILL}/stock?limit=1")).json()
    assert [row["sku"] for row in first["stock"]] == ["CAP"]
    second = (await shop.client.get(f"/v1/tills/{TILL}/stock", params={"after": first["next"]})).json()
    assert ([row["sku"] for row in second["stock"]], second["next"]) == (["MUG"], None)


async def test_devices_gaps_and_questions_are_told(shop: Shop) -> None:
    at = ago(5)
    await tell(shop, sale(1, at=at), sale(4, at=at), event("void", 5, receipt="R-9", at=at))
    await tell(shop, sale(1, 3, at=at))
    told = (await shop.client.get(f"/v1/tills/{TILL}/devices")).json()
    [device] = told["devices"]
    assert (device["device"], device["highest"], device["missing_count"], device["gap_count"]) == ("till-1", 5, 2, 1)
    assert (device["conflict_count"], device["waiting_count"], device["is_offline"]) == (1, 1, False)
    assert [(gap["first"], gap["last"]) for gap in told["gaps"]] == [(2, 3)]
    assert {question["sequence"] for question in told["questions"]} == {1, 5}
    page = (await shop.client.get(f"/channels/{TILL}")).text
    assert "Numbers that are missing" in page
    assert "told before with other content" in page
    assert "Stop writing to it" not in page
    metrics = (await shop.client.get("/metrics")).text
    labels = '{channel="till",device="till-1"}'
    assert f"oneshelf_device_missing_numbers{labels} 2.0" in metrics
    assert f"oneshelf_device_questions{labels} 2.0" in metrics
    assert f"oneshelf_device_offline{labels} 0.0" in metrics


async def test_a_silent_device_is_off_line(shop: Shop) -> None:
    await tell(shop, sale(1))
    async with shop.database.transaction() as tx:
        await tx.execute("update devices set heard_at = heard_at - interval '61 seconds'")
    [device] = (await shop.client.get(f"/v1/tills/{TILL}/devices")).json()["devices"]
    assert device["is_offline"]
    assert "off line" in (await shop.client.get(f"/channels/{TILL}")).text


async def test_what_is_no_till_is_404(shop: Shop) -> None:
    await shop.connect("one")
    for name in ("one", "none"):
        for what in ("stock", "devices"):
            answer = await shop.client.get(f"/v1/tills/{name}/{what}")
            assert answer.status_code == 404
            assert "there are: till" in answer.json()["detail"]


async def test_a_channel_that_shows_no_figure_says_so(shop: Shop) -> None:
    [row] = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (row["channel"], row["writes"]) == (TILL, "never")
    refused = await shop.client.post(f"/v1/channels/{TILL}/sign-off", json={"by": "Ada"})
    assert refused.status_code == 422
    assert "shows no figure" in refused.json()["detail"]


async def test_a_person_settles_a_device(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = ago(5)
    await tell(shop, sale(3, at=at))
    await tell(shop, sale(3, 2, at=at))
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["channel", *arguments], catch_exceptions=False)
        return result.exit_code, result.output

    listed = await asyncio.to_thread(run, "devices", "--json")
    told = json.loads(listed[1])
    assert [(gap["first"], gap["last"]) for gap in told["gaps"]] == [(1, 2)]
    assert len(told["questions"]) == 1
    settled = await asyncio.to_thread(run, "settle", TILL, "till-1", "--json")
    assert json.loads(settled[1]) == {"channel": TILL, "device": "till-1", "missing_count": 2, "seen_count": 1}
    unknown = await asyncio.to_thread(run, "settle", TILL, "till-9")
    assert unknown[0] == 2
    assert "there are: till-1" in unknown[1]

    async def device() -> dict[str, Any]:
        told: list[dict[str, Any]] = (await shop.client.get(f"/v1/tills/{TILL}/devices")).json()["devices"]
        return told[0]

    # What is refused for good is shown until somebody has seen it, and a device that is gone is not off line for ever.
    await tell(shop, sale(4, receipt="R-3", at=ago(4)), event("void", 5, receipt="R-9", at=ago(4)))
    assert [(await device())[name] for name in ("refused_count", "waiting_count")] == [1, 1]
    async with shop.database.transaction() as tx:
        await tx.execute("update devices set heard_at = heard_at - interval '1 day', settled_at = null")
    assert (await device())["is_offline"]
    assert "events seen: 2" in (await asyncio.to_thread(run, "settle", TILL, "till-1"))[1]
    told = await device()
    assert [told[name] for name in ("is_offline", "refused_count", "waiting_count")] == [False, 0, 0]
    await tell(shop, sale(6, receipt="R-9", at=ago(3)))
    assert (await device())["told_count"] == 4
    async with shop.database.transaction() as tx:
        cursor = await tx.execute("select voided_at is not null from device_events where sequence = 6")
        assert await cursor.fetchall() == [(True,)]
    assert (await shop.client.get(f"/v1/tills/{TILL}/devices")).json()["gaps"] == []
