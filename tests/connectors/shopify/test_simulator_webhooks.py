"""The simulated shop announces what happens in it, as reliably as the real one: not quite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.errors import MalformedError
from oneshelf.sdk.signature import is_hmac_sha256_base64

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench


async def test_a_sale_is_announced_with_every_header_and_a_signature(bench: Bench) -> None:
    async with bench.living():
        bench.sim.place([(bench.skus[0], 3), (bench.skus[1], 1)])
        await bench.clock.live(5)
    assert sorted(bench.receiver.topics()) == ["inventory_levels/update", "inventory_levels/update", "orders/create"]
    for headers, body in bench.receiver.got:
        signature = headers["x-shopify-hmac-sha256"]
        assert is_hmac_sha256_base64(body, signature=signature, secrets=["test-client-secret"])
        assert headers["x-shopify-shop-domain"].endswith(".myshopify.com")
        assert headers["x-shopify-api-version"] == "2026-10"
        assert headers["x-shopify-triggered-at"].startswith("2026-11-23T10:00:0")
    assert len({headers["x-shopify-event-id"] for headers, _ in bench.receiver.got}) == 1
    assert len({headers["x-shopify-webhook-id"] for headers, _ in bench.receiver.got}) == 3
    levels = [json.loads(body) for headers, body in bench.receiver.got if "inventory" in headers["x-shopify-topic"]]
    assert sorted(level["available"] for level in levels) == [7, 9]
    assert set(levels[0]) == {
        "inventory_item_id",
        "location_id",
        "available",
        "updated_at",
        "admin_graphql_api_id",
    }


async def test_our_own_writes_and_edits_by_hand_come_back_as_webhooks(bench: Bench) -> None:
    async with bench.living():
        await bench.connector.push([bench.write(bench.skus[0], 4), bench.write(bench.skus[1], 10)])
        bench.sim.edit_by_hand(bench.skus[2], 1)
        await bench.clock.live(5)
    assert bench.receiver.topics() == ["inventory_levels/update"] * 2


async def test_cancelling_and_shipping_are_announced(bench: Bench) -> None:
    async with bench.living():
        orders = [bench.sim.place([(bench.skus[0], 1)]) for _ in range(2)]
        await bench.clock.live(5)
        bench.receiver.got.clear()
        bench.sim.cancel(orders[0] or "")
        await bench.clock.live(5)
        assert sorted(bench.receiver.topics()) == ["inventory_levels/update", "orders/cancelled", "orders/updated"]
        bench.receiver.got.clear()
        bench.sim.ship(orders[1] or "")
        await bench.clock.live(5)
        assert sorted(bench.receiver.topics()) == ["orders/fulfilled", "orders/updated"]


async def test_a_refused_delivery_is_tried_eight_times_more_within_four_hours_with_one_id(fast_bench: Bench) -> None:
    fast_bench.receiver.statuses = [500, 302, 404] + [503] * 20
    async with fast_bench.living():
        fast_bench.sim.edit_by_hand(fast_bench.skus[0], 3)
        await fast_bench.clock.live(4.2 * 3600 / fast_bench.sim.speed)
    assert len(fast_bench.receiver.got) == 9
    assert len({headers["x-shopify-webhook-id"] for headers, _ in fast_bench.receiver.got}) == 1
    assert len({body for _, body in fast_bench.receiver.got}) == 1
    assert (fast_bench.sim.webhooks.delivered, fast_bench.sim.webhooks.failed) == (0, 1)


async def test_a_duplicate_has_the_id_of_its_original(bench: Bench) -> None:
    bench.sim.switches.set({"webhook_duplicate": {"next": 1}})
    async with bench.living():
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(5)
    first, second = bench.receiver.got
    assert first[0]["x-shopify-webhook-id"] == second[0]["x-shopify-webhook-id"]
    assert first[1] == second[1]


async def test_a_lost_webhook_never_comes_and_a_reordered_one_is_overtaken(bench: Bench) -> None:
    async with bench.living():
        bench.sim.switches.set({"webhook_lost": {"next": 1}})
        bench.sim.edit_by_hand(bench.skus[0], 1)
        bench.sim.switches.set({"webhook_reorder": {"next": 1}})
        bench.sim.edit_by_hand(bench.skus[0], 2)
        await bench.clock.live(5)
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(60)
    assert [json.loads(body)["available"] for _, body in bench.receiver.got] == [3, 2]
    assert bench.sim.switches.hits == {"webhook_lost": 1, "webhook_reorder": 1}


def test_webhooks_go_to_https_or_stay_on_this_machine(bench: Bench) -> None:
    bench.sim.connect(address="https://shelf.example/webhooks/shop", secret="hush")
    bench.sim.connect(address="http://127.0.0.1:8000/webhooks/shop", secret="hush")
    for address in ("http://shelf.example/webhooks/shop", "ftp://localhost/", ""):
        with pytest.raises(MalformedError):
            bench.sim.connect(address=address, secret="hush")


async def test_the_health_page_says_what_a_connector_has_to_be_told(bench: Bench) -> None:
    reply = await bench.client.get("http://localhost/_sim/health")
    assert reply.json()["access_token"] == "shpat_simulated"
    assert reply.json()["location_id"] == LOCATION_ID
