"""The FBA Inventory API of the simulated Amazon, checked as its model describes it."""

from __future__ import annotations

import base64

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from oneshelf.connectors.amazon import simulator_question as asked
from oneshelf.connectors.amazon.simulator_books import AMAZON_CHANNEL, Books, Listing
from oneshelf.connectors.amazon.simulator_documents import instant
from oneshelf.connectors.amazon.simulator_faults import Faults
from oneshelf.connectors.amazon.simulator_gate import BadRequestError, Gate
from oneshelf.connectors.amazon.simulator_question import Question

SKUS_MAX = 50
PAGE = 50
TOKEN_LIFE_S = 30.0
_KNOWN = frozenset(
    {
        "details",
        "granularityType",
        "granularityId",
        "startDateTime",
        "sellerSkus",
        "sellerSku",
        "nextToken",
        "marketplaceIds",
    }
)


class FbaInventory:
    """What Amazon has of the listings that it fulfils."""

    def __init__(self, books: Books, faults: Faults, gate: Gate) -> None:
        self._books = books
        self._faults = faults
        self._gate = gate

    async def summaries(self, _request: Request, question: Question) -> Response:
        """getInventorySummaries."""
        asked.known(question, _KNOWN)
        if question.get("granularityType") != "Marketplace":
            raise BadRequestError("granularityType must be Marketplace")
        marketplace_id = question.get("marketplaceIds")
        if question.get("granularityId") != marketplace_id or marketplace_id not in self._books.marketplace_ids:
            raise BadRequestError("granularityId and marketplaceIds must name one store of the seller")
        skus = question["sellerSkus"].split(",") if "sellerSkus" in question else None
        if skus is not None and len(skus) > SKUS_MAX:
            raise BadRequestError(f"sellerSkus: at most {SKUS_MAX} are allowed")
        found = [
            listing
            for listing in self._books.catalogue.values()
            if listing.channel_code == AMAZON_CHANNEL
            and listing.only_in in {None, marketplace_id}
            and not listing.is_ended
            and (skus is None or listing.sku in skus)
        ]
        start = self._start(question)
        length = self._faults.page_length(PAGE, len(found) - start)
        page = found[start : start + length]
        has_details = question.get("details") == "true"
        answer: dict[str, object] = {
            "payload": {
                "granularity": {"granularityType": "Marketplace", "granularityId": marketplace_id},
                "inventorySummaries": [self._summary(one, has_details=has_details) for one in page],
            }
        }
        if start + length < len(found):
            answer["pagination"] = {"nextToken": self._token(start + length)}
        return self._gate.answer("getInventorySummaries", answer)

    def _summary(self, listing: Listing, *, has_details: bool) -> dict[str, object]:
        reserved = sum(
            line.open
            for order in self._books.orders.values()
            for line in order.lines
            if order.fulfilled_by == "AMAZON" and line.sku == listing.sku
        )
        summary: dict[str, object] = {
            "asin": listing.asin,
            "fnSku": f"X00{listing.number:07}",
            "sellerSku": listing.sku,
            "condition": "NewItem",
            "lastUpdatedTime": instant(listing.updated_at),
            "productName": listing.title,
            "totalQuantity": listing.units + reserved,
        }
        if has_details:
            summary["inventoryDetails"] = {
                "fulfillableQuantity": listing.units,
                "inboundWorkingQuantity": 0,
                "inboundShippedQuantity": 0,
                "inboundReceivingQuantity": 0,
                "reservedQuantity": {
                    "totalReservedQuantity": reserved,
                    "pendingCustomerOrderQuantity": reserved,
                    "pendingTransshipmentQuantity": 0,
                    "fcProcessingQuantity": 0,
                },
                "unfulfillableQuantity": {"totalUnfulfillableQuantity": 0},
            }
        return summary

    def _token(self, start: int) -> str:
        made = {"start": start, "born": self._books.clock.monotonic()}
        return base64.urlsafe_b64encode(msgspec.json.encode(made)).decode()

    def _start(self, question: Question) -> int:
        if "nextToken" not in question:
            return 0
        try:
            told = msgspec.json.decode(base64.urlsafe_b64decode(question["nextToken"]), type=dict[str, float])
            start, born = int(told["start"]), told["born"]
        except (ValueError, KeyError, TypeError):
            raise BadRequestError("nextToken is not a token") from None
        if self._books.clock.monotonic() > born + TOKEN_LIFE_S / self._books.speed:
            raise BadRequestError("nextToken has expired")
        return start
