"""A client that nobody here wrote, python-amazon-sp-api, works with the simulated Amazon over a real port.

It knows the addresses of Amazon alone. Its two hosts are put elsewhere where it keeps them: the endpoint of a client is
an attribute, that of Login with Amazon a class's; the header that names the host is cut out of an https address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from sp_api.api import ListingsItemsV20210801, ReportsV2
from sp_api.api.orders.orders_2026_01_01 import OrdersV20260101
from sp_api.auth import AccessTokenClient
from sp_api.auth.access_token_client import cache
from sp_api.base import Marketplaces, SellingApiForbiddenException, SellingApiNotFoundException
from sp_api.base.reportTypes import ReportType

from oneshelf.clock import SystemClock
from oneshelf.connectors.amazon.simulator import SELLER_ID, SIMULATED_SECRETS, AmazonSimulator
from oneshelf.sdk.simulator import CatalogueItem

CREDENTIALS = {
    "lwa_app_id": SIMULATED_SECRETS["client_id"],
    "lwa_client_secret": SIMULATED_SECRETS["client_secret"],
    "refresh_token": SIMULATED_SECRETS["refresh_token"],
}
PATIENCE_S = 90.0


@asynccontextmanager
async def at_a_port() -> AsyncIterator[tuple[AmazonSimulator, Callable[[type[Any]], Any]]]:
    """A simulated Amazon, three hundred times as fast as the real one, and what opens a client of it."""
    simulator = AmazonSimulator(seed=5, speed=300.0, clock=SystemClock())
    simulator.habits.unpaid_share = 0.0
    # The package keeps a token for an hour, in one place for all, and asks for no other when it is refused.
    simulator.habits.token_life_s = 3600.0 * 300
    cache.clear()
    simulator.stock_catalogue([CatalogueItem("A/B #1%", "Piña mug", 10), CatalogueItem("CUP", "Cup", 4)])
    simulator.fulfil_by_amazon("CUP")
    server = uvicorn.Server(uvicorn.Config(simulator.app(), lifespan="off", log_config=None, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(simulator.run())
            tasks.create_task(server.serve(sockets=[listening]))
            opened: list[Any] = []

            def client_of(kind: type[Any]) -> Any:
                opened.append(client_at(kind, f"127.0.0.1:{listening.getsockname()[1]}"))
                return opened[-1]

            try:
                yield simulator, client_of
            finally:
                for client in opened:
                    client.close()
                    client._auth._transport.close()  # The package leaves it open.
                server.should_exit = True
                life.cancel()


def client_at(kind: type[Any], host: str) -> Any:
    """A client of the package whose Amazon is at `host`."""

    class Login(AccessTokenClient):  # type: ignore[misc]  # the package has no types
        scheme = "http://"

    class Here(kind):  # type: ignore[misc]  # the package has no types
        @property
        def headers(self) -> dict[str, str]:
            return {**super().headers, "host": host}

    Login.host = host
    client = Here(Marketplaces.US, credentials=CREDENTIALS, auth_token_client_class=Login)
    client.endpoint = f"http://{host}"
    return client


@pytest.mark.long
async def test_it_sells_reads_orders_patches_a_listing_and_reads_it_back() -> None:
    async with at_a_port() as (simulator, opened):
        listings, orders = opened(ListingsItemsV20210801), opened(OrdersV20260101)
        order_id = simulator.place([("A/B #1%", 3)])
        placed_at = simulator.amazon.stamp().isoformat()
        deadline = SystemClock().monotonic() + PATIENCE_S
        found: list[dict[str, Any]] = []
        while not found and SystemClock().monotonic() < deadline:
            answer = await asyncio.to_thread(
                orders.search_orders, createdAfter="2020-01-01T00:00:00Z", includedData=["FULFILLMENT"]
            )
            found = answer.payload["orders"]
            await asyncio.sleep(0.2)
        assert [one["orderId"] for one in found] == [order_id], placed_at
        assert found[0]["orderItems"][0]["product"]["sellerSku"] == "A/B #1%"
        assert await shown(listings, "A/B #1%") == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 7}]
        assert await shown(listings, "CUP") == [{"fulfillmentChannelCode": "AMAZON_NA"}]
        taken = await asyncio.to_thread(
            listings.patch_listings_item, SELLER_ID, "A/B #1%", marketplaceIds=["ATVPDKIKX0DER"], body=patch(5)
        )
        assert taken.payload["status"] == "ACCEPTED"
        while await shown(listings, "A/B #1%") != [{"fulfillmentChannelCode": "DEFAULT", "quantity": 5}]:
            assert SystemClock().monotonic() < deadline, f"not within {PATIENCE_S} s: the patch shows"
            await asyncio.sleep(0.2)


async def test_it_is_refused_with_the_errors_that_it_knows() -> None:
    async with at_a_port() as (simulator, opened):
        listings = opened(ListingsItemsV20210801)
        with pytest.raises(SellingApiNotFoundException, match="SKU not found"):
            await shown(listings, "GONE")
        simulator.gate.denied.add("getListingsItem")
        with pytest.raises(SellingApiForbiddenException, match="Access to requested resource is denied"):
            await shown(listings, "CUP")


async def test_it_asks_for_a_report_waits_for_it_and_unpacks_it() -> None:
    async with at_a_port() as (_simulator, opened):
        reports = opened(ReportsV2)
        kind = ReportType.GET_MERCHANT_LISTINGS_ALL_DATA
        begun = await asyncio.to_thread(reports.create_report, reportType=kind, marketplaceIds=["ATVPDKIKX0DER"])
        deadline = SystemClock().monotonic() + PATIENCE_S
        status: dict[str, Any] = {}
        while status.get("processingStatus") != "DONE":
            assert SystemClock().monotonic() < deadline, status
            await asyncio.sleep(0.2)
            status = (await asyncio.to_thread(reports.get_report, begun.payload["reportId"])).payload
        document = await asyncio.to_thread(reports.get_report_document, status["reportDocumentId"], download=True)
        header, *rows = document.payload["document"].splitlines()
        columns = header.split("\t")
        told = [dict(zip(columns, row.split("\t"), strict=True)) for row in rows]
        shown_as = [(one["item-name"], one["seller-sku"], one["quantity"], one["fulfillment-channel"]) for one in told]
        assert shown_as == [("Piña mug", "A/B #1%", "10", "DEFAULT"), ("Cup", "CUP", "", "AMAZON_NA")]


async def shown(listings: Any, sku: str) -> list[dict[str, Any]]:
    answer = await asyncio.to_thread(
        listings.get_listings_item,
        SELLER_ID,
        sku,
        marketplaceIds=["ATVPDKIKX0DER"],
        includedData=["fulfillmentAvailability"],
    )
    rows: list[dict[str, Any]] = answer.payload["fulfillmentAvailability"]
    return rows


def patch(units: int) -> dict[str, Any]:
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": units}]
    return {
        "productType": "PRODUCT",
        "patches": [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}],
    }
