"""A client that nobody here wrote: the package `ebay-rest`, generated from eBay's contracts, against our simulator.

Over a real socket it is granted tokens, reads items, offers, orders and quotas, and writes a quantity. It knows eBay's
two addresses by heart. That of the APIs is set as its generated code allows, through the default configuration; for
that of the tokens there is no setting, so the one function that returns it is replaced. Its transport, its OAuth and
its reading of answers are untouched. Its OAuth library refuses plain HTTP unless it is told that this is a test.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from ebay_rest import API, Error
from ebay_rest.api import (
    commerce_notification,
    developer_analytics,
    sell_feed,
    sell_fulfillment,
    sell_inventory,
)
from ebay_rest.multiton import Multiton
from ebay_rest.token import _OAuth2Api

from connectors.ebay.stall import Stall, stall
from oneshelf.connectors.ebay.simulator import SIMULATED_SECRETS, TOKEN_PATH
from oneshelf.connectors.ebay.simulator_feed import REPORT
from oneshelf.connectors.ebay.simulator_gate import CONSENTED

APIS = (commerce_notification, developer_analytics, sell_feed, sell_fulfillment, sell_inventory)
APPLICATION = {
    "app_id": SIMULATED_SECRETS["client_id"],
    "cert_id": SIMULATED_SECRETS["client_secret"],
    "redirect_uri": "shelf-example",
}
USER = {
    "email_or_username": "seller",
    "password": "none",
    "scopes": list(CONSENTED),
    "refresh_token": SIMULATED_SECRETS["refresh_token"],
    "refresh_token_expiry": "2999-01-01T00:00:00.000Z",
}
HEADER = {
    "accept_language": "en-US",
    "content_language": "en-US",
    "country": "US",
    "currency": "USD",
    "marketplace_id": "EBAY_US",
}
Call = Callable[..., Any]


@asynccontextmanager
async def serving(desk: Stall, monkeypatch: pytest.MonkeyPatch, **changed: object) -> AsyncIterator[API]:
    """The package, pointed at the simulated eBay on a real socket. `changed`: of the user's record."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setattr(_OAuth2Api, "_get_endpoint", lambda _self: address + TOKEN_PATH)
    monkeypatch.setattr(Multiton, "_instances", [])
    for api in APIS:
        configuration = api.Configuration()
        monkeypatch.setattr(api.Configuration, "_default", configuration)
        configuration.host = address + "{basePath}"
        api.Configuration.set_default(configuration)
    config = uvicorn.Config(desk.simulator.app(), lifespan="off", ws="none", log_config=None, log_level="error")
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield API(application=APPLICATION, user={**USER, **changed}, header=HEADER)
        finally:
            server.should_exit = True


async def call(method: Call, *arguments: object, **named: object) -> Any:
    """What a call of the package returns. It waits, so it does so in a thread."""
    return await asyncio.to_thread(method, *arguments, **named)


async def every(method: Call, **named: object) -> list[dict[str, Any]]:
    """The records of all pages."""
    pages: list[dict[str, Any]] = await asyncio.to_thread(lambda: list(method(**named)))
    return [page["record"] for page in pages if "record" in page]


async def test_the_package_reads_items_and_offers_and_writes_a_quantity(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stall({"MUG": 3, "CUP": 4}, {"JUG": 5}) as desk, serving(desk, monkeypatch) as package:
        items = await every(package.sell_inventory_get_inventory_items)
        shown = {one["sku"]: one["availability"]["ship_to_location_availability"]["quantity"] for one in items}
        assert shown == {"MUG": 3, "CUP": 4}
        (offer,) = await every(package.sell_inventory_get_offers, sku="MUG")
        assert (offer["available_quantity"], offer["status"]) == (3, "PUBLISHED")
        body = {
            "requests": [
                {
                    "sku": "MUG",
                    "shipToLocationAvailability": {"quantity": 7},
                    "offers": [{"offerId": offer["offer_id"], "availableQuantity": 7}],
                }
            ]
        }
        written = await call(
            package.sell_inventory_bulk_update_price_quantity, body=body, content_type="application/json"
        )
        assert [row["status_code"] for row in written["responses"]] == [200]
        await desk.clock.advance(5)
        assert (await call(package.sell_inventory_get_offer, offer["offer_id"]))["available_quantity"] == 7


async def test_the_package_reads_all_pages_of_orders_and_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stall({"MUG": 900}, {"JUG": 900}) as desk, serving(desk, monkeypatch) as package:
        placed = [desk.simulator.place([("MUG", 1), ("JUG", 2)]) for _ in range(430)]
        await desk.clock.advance(1801)
        assert desk.simulator.cancel(str(placed[0]))
        orders = await every(package.sell_fulfillment_get_orders, filter="creationdate:[2026-01-05T00:00:00.000Z..]")
        assert sorted(one["order_id"] for one in orders) == sorted(str(one) for one in placed)
        assert {one["order_payment_status"] for one in orders} == {"PAID", "FULLY_REFUNDED"}
        alone = await call(package.sell_fulfillment_get_order, placed[0])
        assert (alone["cancel_status"]["cancel_state"], len(alone["cancel_status"]["cancel_requests"])) == (
            "CANCELED",
            1,
        )
        assert [line["quantity"] for line in alone["line_items"]] == [1, 2]


async def test_the_package_reads_quotas_keys_and_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stall({"MUG": 3}) as desk, serving(desk, monkeypatch) as package:
        limits = await call(package.developer_analytics_get_rate_limits, api_name="inventory", api_context="sell")
        (rate,) = limits["rate_limits"][0]["resources"][0]["rates"]
        assert (rate["limit"], rate["remaining"]) == (2_000_000, 2_000_000)
        (key_id,) = desk.simulator.sender.keys.made
        key = await call(package.commerce_notification_get_public_key, key_id)
        assert (key["algorithm"], key["digest"]) == ("ECDSA", "SHA1")
        answer = await desk.call(
            "POST", "/sell/feed/v1/inventory_task", json={"feedType": REPORT, "schemaVersion": "1.0"}
        )
        task_id = answer.headers["location"].rpartition("/")[2]
        assert (await call(package.sell_feed_get_inventory_task, task_id))["status"] == "CREATED"


async def test_the_package_is_refused_where_ebay_would_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stall({"MUG": 3}) as desk, serving(desk, monkeypatch) as package:
        with pytest.raises(Error, match="Not Found"):
            await call(package.sell_inventory_get_inventory_item, "NONE")
        desk.simulator.revoke()
        with pytest.raises(Error, match="Unauthorized"):
            await call(package.sell_inventory_get_inventory_item, "MUG")
    async with stall({"MUG": 3}) as desk, serving(desk, monkeypatch, refresh_token="stale") as package:
        with pytest.raises(Error, match="invalid_grant"):
            await call(package.sell_inventory_get_inventory_item, "MUG")
