"""Drifts over the API: their evidence, what a person says of them, and their metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.domain.identity import ChannelSku
from web.paper import PaperConnector, Shop, open_shop

pytestmark = pytest.mark.pg

MUG = ChannelSku("MUG")


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        yield shop


async def drifting(shop: Shop, *, mode: str, shown: int = 9) -> tuple[PaperConnector, dict[str, Any]]:
    """A channel that shows another figure than the 5 that it should."""
    await shop.name_skus("MUG")
    paper = await shop.connect("paper")
    paper.books[MUG] = 0
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    async with shop.database.transaction() as tx:
        await tx.execute("update channels set mode = %(mode)s", {"mode": mode})
    paper.books[MUG] = shown
    await shop.sweep()
    await shop.settle()
    await shop.judge_suspicions()
    (drift,) = (await shop.client.get("/v1/drifts", params={"open": "true"})).json()["drifts"]
    return paper, drift


async def test_a_drift_tells_its_evidence(shop: Shop) -> None:
    _, drift = await drifting(shop, mode="watch")
    told = (await shop.client.get(f"/v1/drifts/{drift['drift_id']}")).json()
    assert (told["size"], told["evidence"]["why"][:8]) == (4, "no write")
    assert [one["units"] for one in told["evidence"]["readings"]][-1] == 9
    assert [one["units"] for one in told["evidence"]["writes"]] == [5]
    missing = await shop.client.get(f"/v1/drifts/{shop.clock.new_id()}")
    assert (missing.status_code, missing.json()["type"].split(":")[-1]) == (404, "no-such-drift")
    assert (await shop.client.get("/v1/drifts/first")).status_code == 422


async def test_the_ledger_adopts_what_a_person_says(shop: Shop) -> None:
    _, drift = await drifting(shop, mode="watch")
    address = f"/v1/drifts/{drift['drift_id']}/resolution"
    refused = await shop.client.put(address, json={"how": "publish"})
    assert (refused.status_code, "channel live paper" in refused.json()["detail"]) == (409, True)
    done = await shop.client.put(address, json={"how": "adopt"})
    assert done.status_code == 200, done.text
    assert "+4 MUG" in done.json()["detail"]
    assert (await shop.client.get("/v1/skus/MUG")).json()["available"] == 9
    again = await shop.client.put(address, json={"how": "adopt"})
    assert (again.status_code, "adopted already" in again.json()["detail"]) == (200, True)
    assert (await shop.client.put(address, json={"how": "wait"})).status_code == 409
    assert (await shop.client.get("/v1/skus/MUG")).json()["available"] == 9
    assert (await shop.client.put(address, json={"how": "adopt", "wait_s": 5})).status_code == 422


@pytest.mark.long
async def test_drifts_are_measured_by_cause(shop: Shop) -> None:
    await drifting(shop, mode="watch")
    text = (await shop.client.get("/metrics")).text
    assert 'oneshelf_drifts_open_by_cause{cause="foreign edit"} 1.0' in text
    assert 'oneshelf_drifts_waiting_for_a_person{cause="foreign edit"} 1.0' in text
    assert 'oneshelf_drifts_open_by_cause{cause="lost write"} 0.0' in text


async def test_detection_is_told_with_its_objective(shop: Shop) -> None:
    await shop.connect("paper")
    (told,) = (await shop.client.get("/v1/drift-detection")).json()["detections"]
    assert told == {
        "channel": "paper",
        "measured": 0,
        "missed": 0,
        "p50_s": None,
        "p95_s": None,
        "objective_s": 3 * 3600.0,
        "act": "edit",
        "corrected_p50_s": None,
        "corrected_p95_s": None,
    }


async def test_a_move_of_units_is_measured_until_every_other_listing_follows(shop: Shop) -> None:
    await drifting(shop, mode="watch")
    async with shop.database.transaction() as tx:
        await tx.execute(
            """
            insert into canaries (canary_id, channel, channel_sku, act, units_before, units_injected, injected_at,
                                  detected_at, corrected_at)
            values (gen_random_uuid(), 'paper', 'MUG', 'move', 5, 4, db_now() - interval '60 s',
                    db_now() - interval '50 s', db_now() - interval '30 s')
            """
        )
    told = (await shop.client.get("/v1/drift-detection")).json()["detections"]
    edits, moves = told
    assert (edits["act"], edits["measured"], edits["p95_s"], edits["corrected_p95_s"]) == ("edit", 0, None, None)
    assert (moves["act"], moves["measured"], moves["missed"]) == ("move", 1, 0)
    assert (round(moves["p95_s"]), round(moves["corrected_p95_s"])) == (10, 30)
    (channel,) = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (round(channel["detection_p95_s"]), round(channel["corrected_p95_s"])) == (10, 30)
    assert "right everywhere in" in (await shop.client.get("/")).text
    told_metrics = (await shop.client.get("/metrics")).text
    assert 'oneshelf_state_change_corrected_seconds{channel="paper",quantile="0.95"} 30' in told_metrics
