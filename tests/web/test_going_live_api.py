"""The plan, the sign-off and the release over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from oneshelf.domain.breaker import HoldReason
from oneshelf.domain.identity import Channel
from oneshelf.storage import breakers
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.connect("paper", mode="watch")
        await shop.name_skus("MUG", "CAP")
        await shop.command("first", type="receive", sku="MUG", units=7)
        async with shop.database.transaction() as tx:
            await tx.execute(
                """
                insert into listings (channel, channel_sku, merchant_sku, sku, base_units, desired_units,
                                      desired_version)
                values ('paper', '1', 'MUG', 'MUG', 12, 7, 1), ('paper', '2', 'CAP', 'CAP', 3, 0, 1),
                       ('paper', '3', 'BAG', null, 9, null, 0)
                """
            )
        yield shop


async def test_the_plan_says_what_would_be_written(shop: Shop) -> None:
    plan = (await shop.client.get("/v1/channels/paper/plan")).json()
    assert [(line["channel_sku"], line["cause"], line["change"]) for line in plan["listings"]] == [
        ("2", "zero", -3),
        ("1", "cut", -5),
        ("3", "unlinked", None),
    ]
    assert (plan["mode"], plan["signs_off"], plan["written"], plan["signed_off"]) == ("watch", "channel", 2, 0)
    assert (await shop.client.get("/v1/channels/nope/plan")).status_code == 404


@pytest.mark.long
async def test_some_are_signed_off_then_all(shop: Shop) -> None:
    answer = await shop.client.post("/v1/channels/paper/sign-off", json={"by": "Ada", "listings": ["1"]})
    assert answer.json() == {"signed_off": 1}
    plan = (await shop.client.get("/v1/channels/paper/plan")).json()
    assert (plan["mode"], plan["signs_off"], plan["signed_off"]) == ("live", "listing", 1)
    refused = await shop.client.post("/v1/channels/paper/sign-off", json={"by": "Ada", "listings": ["3"]})
    assert refused.status_code == 404
    assert "no linked listing" in refused.json()["detail"]
    assert (await shop.client.post("/v1/channels/paper/sign-off", json={"by": "Ada"})).json() == {"signed_off": 1}
    assert (await shop.client.get("/v1/channels/paper/plan")).json()["signs_off"] == "channel"


async def test_a_hold_is_shown_and_released(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        figures = {"zeroed": 30, "shown": 40}
        await breakers.hold(tx, Channel("paper"), HoldReason.ZEROED, figures, since=None)
    [channel] = (await shop.client.get("/v1/channels")).json()["channels"]
    assert (channel["held_reason"], channel["held_figures"]) == ("zeroed", figures)
    assert channel["held_s"] >= 0
    page = (await shop.client.get("/")).text
    assert "30 of 40 listings that sell something would show 0" in page
    gauge = 'oneshelf_channel_held_seconds{channel="paper"}'
    assert f"{gauge} 0.0\n" not in (await shop.client.get("/metrics")).text
    for was_held in (True, False):
        answer = await shop.client.post("/v1/channels/paper/release", json={"by": "Ada"})
        assert answer.json() == {"was_held": was_held}
    assert f"{gauge} 0.0\n" in (await shop.client.get("/metrics")).text
