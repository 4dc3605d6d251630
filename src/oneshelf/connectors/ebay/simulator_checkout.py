"""The simulated eBay asks the seller's own endpoint before it sells, where it was given one.

https://developer.ebay.com/api-docs/sell/static/inventory/realtime-inventory-check.html (read 2026-11-26). What the page
leaves open is assumed: one call for an order, a single object for one line and a list for several; and what is late,
refused or cannot be read keeps nobody from buying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec

from oneshelf.connectors.ebay.simulator_inventory_documents import LOCATION
from oneshelf.sdk.basic import basic

ANSWER_S_MAX = 0.5


@dataclass(frozen=True, slots=True)
class CheckoutCheck:
    """Where to ask, and as whom."""

    address: str
    authorization: str

    @staticmethod
    def of(address: str, *, user: str, password: str) -> CheckoutCheck:
        return CheckoutCheck(address, basic(user, password))

    async def lets_sell(self, client: httpx2.AsyncClient, lines: Sequence[tuple[str, int]]) -> bool:
        """Whether none of these lines (SKU, units) was answered with a no."""
        asked: list[dict[str, Any]] = [
            {
                "locationID": LOCATION["merchantLocationKey"],
                "SKU": sku,
                "fulfillmentType": "SHIP_TO_HOME",
                "requestedQuantity": units,
            }
            for sku, units in lines
        ]
        headers = {
            "authorization": self.authorization,
            "content-type": "application/json",
            "accept": "application/json",
        }
        body = msgspec.json.encode(asked[0] if len(asked) == 1 else asked)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                reply = await client.post(self.address, content=body, headers=headers)
            told = msgspec.json.decode(reply.content) if reply.status_code == 200 else None
        except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.DecodeError, TimeoutError):
            return True
        answers = told if isinstance(told, list) else [told]
        return not any(isinstance(one, dict) and one.get("isAvailable") is False for one in answers)
