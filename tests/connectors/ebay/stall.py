"""A simulated eBay on a clock that the test turns, and somebody who calls it as its documents say."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as Xml

import httpx2

from connectors.amazon.harness import TurnedClock, Wiretap
from connectors.life import living
from oneshelf.connectors.ebay.simulator import SIMULATED_SECRETS, TOKEN_PATH, EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.sdk.simulator import CatalogueItem

ADDRESS = "http://127.0.0.1:1"
INVENTORY = "/sell/inventory/v1"
ORDERS = "/sell/fulfillment/v1/order"
SCOPE = "https://api.ebay.com/oauth/api_scope"
NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
START = "2026-01-05T12:00:00.000Z"


def basic(**changed: str) -> str:
    told = {**SIMULATED_SECRETS, **changed}
    return "Basic " + base64.b64encode(f"{told['client_id']}:{told['client_secret']}".encode()).decode()


@dataclass(slots=True)
class Stall:
    """One simulated eBay and a client of it."""

    clock: TurnedClock
    simulator: EbaySimulator
    wiretap: Wiretap
    client: httpx2.AsyncClient

    async def grant(self, form: Mapping[str, str], *, authorization: str | None = None) -> httpx2.Response:
        headers = {"authorization": basic() if authorization is None else authorization}
        return await self.client.post(ADDRESS + TOKEN_PATH, data=dict(form), headers=headers)

    async def token(self, *, is_user: bool = True) -> str:
        refresh = {"grant_type": "refresh_token", "refresh_token": SIMULATED_SECRETS["refresh_token"]}
        form = refresh if is_user else {"grant_type": "client_credentials", "scope": SCOPE}
        answer = await self.grant(form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def call(self, method: str, path: str, *, is_user: bool = True, **request: Any) -> httpx2.Response:
        """A REST call with a fresh token."""
        headers = {"authorization": f"Bearer {await self.token(is_user=is_user)}", **request.pop("headers", {})}
        return await self.client.request(method, ADDRESS + path, headers=headers, **request)

    async def read(self, path: str, **query: object) -> dict[str, Any]:
        answer = await self.call("GET", path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def trade(self, name: str, body: str = "") -> Xml.Element:
        """A call of the Trading API; the root of its answer."""
        answer = await self.trade_or_page(name, body)
        assert answer.status_code == 200, answer.text
        return Xml.fromstring(answer.content)  # noqa: S314  # what the simulator wrote

    async def trade_or_page(self, name: str, body: str = "") -> httpx2.Response:
        """A call of the Trading API, whose answer may be a page for people where the server is at fault."""
        headers = {
            "x-ebay-api-call-name": name,
            "x-ebay-api-siteid": "0",
            "x-ebay-api-compatibility-level": "1379",
            "x-ebay-api-iaf-token": await self.token(),
            "content-type": "text/xml",
        }
        document = f'<?xml version="1.0" encoding="utf-8"?><{name}Request xmlns="{NAMESPACE}">{body}</{name}Request>'
        return await self.client.post(ADDRESS + "/ws/api.dll", content=document.encode(), headers=headers)

    async def update(self, *rows: Mapping[str, Any]) -> httpx2.Response:
        return await self.call("POST", f"{INVENTORY}/bulk_update_price_quantity", json={"requests": list(rows)})

    def row(self, sku: str, units: int, *, item: int | None = None) -> dict[str, Any]:
        """A row that writes an item and its offer."""
        quantity = units if item is None else item
        offer = {"offerId": self.simulator.ebay.catalogue[sku].offer_id, "availableQuantity": units}
        return {"sku": sku, "shipToLocationAvailability": {"quantity": quantity}, "offers": [offer]}

    def node(self, sku: str, units: int, *, named: str | None = None) -> str:
        """An InventoryStatus that writes one variation."""
        item_id = self.simulator.ebay.catalogue[sku].listing.listing_id
        name = f"<SKU>{sku}</SKU>" if named is None else named
        quantity = f"<Quantity>{units}</Quantity>"
        return f"<InventoryStatus>{name}<ItemID>{item_id}</ItemID>{quantity}</InventoryStatus>"

    def units(self) -> dict[str, int]:
        """SKU -> units that a buyer can buy now."""
        return {listing.channel_sku: listing.units for listing in self.simulator.listings()}

    def item_id(self, sku: str) -> str:
        return self.simulator.ebay.catalogue[sku].listing.listing_id


def text(root: Xml.Element, path: str) -> str:
    return root.findtext("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/"))) or ""


def every(root: Xml.Element, path: str) -> list[Xml.Element]:
    return root.findall("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))


def errors(answer: httpx2.Response) -> list[int]:
    return [error["errorId"] for error in answer.json()["errors"]]


@asynccontextmanager
async def stall(
    inventory: Mapping[str, int] | None = None,
    trading: Mapping[str, int] | None = None,
    *,
    seed: int = 7,
    speed: float = 1.0,
    group_share: float = 0.0,
    groups: Mapping[str, str] | None = None,
    webhook_client: httpx2.AsyncClient | None = None,
) -> AsyncIterator[Stall]:
    """A stall with these listings (SKU -> units) of each world, whose eBay lives for as long as the block.

    Every order is paid, and nothing is late; with a `group_share` of 1 neighbours are variations of one listing.
    `groups`: SKU -> a name that the variations of one listing share; all others are single then.
    """
    clock = TurnedClock()
    simulator = EbaySimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)
    simulator.habits.unpaid_share = simulator.habits.payment_fails_share = 0.0
    simulator.habits.order_lag_s = (0.0, 0.0)
    simulator.habits.group_share = group_share
    simulator.ebay.groups.update(groups or {})
    for lane, catalogue in ((Lane.INVENTORY, inventory or {}), (Lane.TRADING, trading or {})):
        simulator.ebay.lanes.update(dict.fromkeys(catalogue, lane))
        items = [CatalogueItem(sku, f"Title of {sku}", units) for sku, units in catalogue.items()]
        simulator.stock_catalogue(items)
    wiretap = Wiretap(httpx2.ASGITransport(app=simulator.app()))
    async with httpx2.AsyncClient(transport=wiretap) as client, living(simulator, clock.lives):
        yield Stall(clock, simulator, wiretap, client)
