"""A channel is connected on the pages: read-only, with what it answers, and no secret is ever shown again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from oneshelf.app import assembled
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, CLIENT_SECRET
from oneshelf.domain.identity import Channel
from oneshelf.flow.connect import found
from oneshelf.sdk.kinds import load_kinds
from oneshelf.storage.catalog import ChannelRow
from oneshelf.storage.database import Database
from oneshelf.storage.keyring import Keyring, is_sealed

pytestmark = pytest.mark.pg

SHOP = "http://127.0.0.1:9801"
OWN = {"origin": "http://shelf.localhost"}
TYPED = {
    "name": "web-shop",
    "new_location": "BERLIN",
    "base_url": SHOP,
    "location_id": LOCATION_ID,
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}


@dataclass
class Desk:
    """An engine that reaches one simulated shop, and a browser before its pages."""

    database: Database
    client: httpx2.AsyncClient

    async def send(self, path: str, **fields: str) -> httpx2.Response:
        return await self.client.post(path, data=fields, headers=OWN)

    async def row(self, name: str = "web-shop") -> ChannelRow | None:
        return await found(self.database, Channel(name))


@asynccontextmanager
async def open_desk(dsn: str, keys: Path) -> AsyncIterator[Desk]:
    clock = SystemClock()
    sim = ShopifySimulator(seed=3, speed=600.0, clock=clock, webhook_client=None)
    transport = httpx2.ASGITransport(sim.app(), raise_app_exceptions=False)
    async with (
        Database.open(dsn, connections_max=6, keyring=Keyring(file=keys / "secrets.key")) as database,
        assembled(database, clock, client=httpx2.AsyncClient(mounts={SHOP: transport})) as engine,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(engine.application), base_url="http://shelf.localhost"
        ) as browser,
    ):
        yield Desk(database, browser)


@pytest.fixture
async def desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(dsn, tmp_path) as desk:
        yield desk


def findings(answer: httpx2.Response) -> dict[str, str]:
    """What was found -> good or bad."""
    return {what: tone for tone, what in re.findall(r'<li class="(good|bad)" data-finding="([^"]+)"', answer.text)}


async def test_every_kind_that_is_installed_asks_for_what_it_declares(desk: Desk) -> None:
    kinds = load_kinds()
    listed = (await desk.client.get("/connect")).text
    for name, kind in kinds.items():
        assert f'href="/connect/{name}"' in listed
        form = (await desk.client.get(f"/connect/{name}")).text
        for one in kind.settings:
            [field] = re.findall(rf'<input name="{one.name}"[^>]*>', form)
            assert ('type="password"' in field) is one.is_secret
            assert ("required" in field) is (one.default is None)
    assert (await desk.client.get("/connect/pigeon")).status_code == 404


async def test_a_channel_is_connected_read_only_and_says_what_it_answers(desk: Desk) -> None:
    answer = await desk.send("/connect/shopify", **TYPED)
    assert answer.headers["location"] == "/channels/web-shop/check"
    row = await desk.row()
    assert row is not None
    assert (row.mode, row.location, sorted(row.secrets)) == ("watch", "BERLIN", ["client_id", "client_secret"])
    assert all(map(is_sealed, row.secrets.values()))
    page = await desk.client.get(answer.headers["location"])
    told = findings(page)
    assert told["access token"] == told["scope read_orders"] == told["written as declared"] == "good"
    assert set(told.values()) == {"good"}
    assert 'href="/go-live/web-shop"' in page.text
    again = await desk.send("/connect/shopify", **TYPED)
    assert again.status_code == 303


async def test_what_nobody_linked_is_counted_of_this_channel_alone(desk: Desk) -> None:
    for name, count in {"a-shop": 1_001, "web-shop": 3}.items():
        assert (await desk.send("/connect/shopify", **{**TYPED, "name": name})).status_code == 303
        async with desk.database.transaction() as tx:
            await tx.execute(
                "insert into listings (channel, channel_sku, merchant_sku)"
                " select %(name)s, 'L-' || n, 'NOBODY-' || n from generate_series(1, %(count)s) as n",
                {"name": name, "count": count},
            )
    page = (await desk.client.get("/channels/web-shop/check")).text
    assert "<strong>3</strong> of its listings have no SKU yet" in page


async def test_no_answer_holds_a_secret(desk: Desk) -> None:
    refused = await desk.send("/connect/shopify", **{**TYPED, "base_url": "not an address"})
    await desk.send("/connect/shopify", **TYPED)
    pages = ["/connect/shopify?channel=web-shop", "/channels/web-shop/check", "/channels/web-shop", "/channels"]
    shown = [refused, *[await desk.client.get(path) for path in pages]]
    assert refused.status_code == 422
    assert "Nothing was saved" in refused.text
    assert 'value="web-shop"' in refused.text
    for answer in shown:
        assert CLIENT_SECRET not in answer.text
        assert CLIENT_ID not in answer.text


async def test_what_is_wrong_is_named_and_a_wrong_way_in_says_what_to_do(desk: Desk) -> None:
    for wrong, words in (
        ({"name": ""}, "name"),
        ({"new_location": ""}, "location"),
        ({"location_id": ""}, "location_id"),
        ({"api_version": "\x07"}, "api_version"),
        ({"base_url": SHOP + "x" * 5000}, "base_url"),
    ):
        answer = await desk.send("/connect/shopify", **{**TYPED, **wrong})
        assert (answer.status_code, words in answer.text) == (422, True), wrong
        assert await desk.row() is None
    await desk.send("/connect/shopify", **{**TYPED, "client_secret": "wrong"})
    page = await desk.client.get("/channels/web-shop/check")
    assert "bad" in findings(page).values()
    assert "need you" in page.text


async def test_a_name_that_is_taken_is_not_taken_over(desk: Desk) -> None:
    await desk.send("/connect/shopify", **TYPED)
    other = await desk.send("/connect/shopify", **{**TYPED, "location_id": "1"})
    assert (other.status_code, "already" in other.text) == (422, True)
    row = await desk.row()
    assert row is not None
    assert row.settings["location_id"] == LOCATION_ID


async def test_a_change_keeps_the_secrets_that_were_not_typed_and_watches_again(desk: Desk) -> None:
    await desk.send("/connect/shopify", **TYPED)
    before = await desk.row()
    assert before is not None
    changed: dict[str, Any] = {"changes": "web-shop", "location": "BERLIN", "base_url": SHOP, "location_id": "1"}
    answer = await desk.send("/connect/shopify", **changed)
    assert answer.status_code == 303
    row = await desk.row()
    assert row is not None
    assert (row.settings["location_id"], sorted(row.secrets)) == ("1", sorted(before.secrets))


async def test_another_address_is_told_no_secret_of_the_one_before(desk: Desk) -> None:
    await desk.send("/connect/shopify", **TYPED)
    moved = {"changes": "web-shop", "location": "BERLIN", "base_url": "https://evil.test", "location_id": LOCATION_ID}
    answer = await desk.send("/connect/shopify", **moved)
    assert (answer.status_code, "typed anew" in answer.text) == (422, True)
    row = await desk.row()
    assert row is not None
    assert row.settings["base_url"] == SHOP


async def test_no_other_site_connects_a_channel(desk: Desk) -> None:
    answer = await desk.client.post("/connect/shopify", data=TYPED, headers={"origin": "https://evil.test"})
    assert answer.status_code == 403
    assert await desk.row() is None
