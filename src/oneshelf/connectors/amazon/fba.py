"""What Amazon itself keeps of the seller's units (FBA): shown beside the listing, and neither counted nor written.

getInventorySummaries v1 as modelled at https://github.com/amzn/selling-partner-api-models (checked 2026-11-23): at most
50 SKUs and one store in a call, two calls a second; a page's token dies after 30 s, so that pages are asked for back to
back. Stores that share one stock (pan-European FBA) each show the whole of it
(https://github.com/amzn/selling-partner-api-models/issues/452): it is asked for in one of them, or it would be counted
twice. Where an account has several, each is asked for what those before it do not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.api import SellingPartnerApi, refuse
from oneshelf.domain.identity import ChannelSku, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import ChannelFault, ReauthenticateError
from oneshelf.sdk.message import StockReading

OPERATION = "getInventorySummaries"
PATH = "/fba/inventory/v1/summaries"
LIMIT = Limit(OPERATION, 2.0, 2)
SKUS_MAX = 50


@dataclass(frozen=True, slots=True)
class FbaUnits:
    """What Amazon has of one SKU, in units. `inbound`: on the way to Amazon."""

    fulfillable: int
    reserved: int
    unfulfillable: int
    inbound: int

    def words(self) -> str:
        """As a person reads it."""
        parts = {
            "on sale": self.fulfillable,
            "reserved": self.reserved,
            "not sellable": self.unfulfillable,
            "on the way there": self.inbound,
        }
        return ", ".join(f"{units} {what}" for what, units in parts.items() if units or what == "on sale")


class FbaStock:
    """The units of one account that lie with Amazon: of a SKU those in the first of the stores that has it."""

    def __init__(self, api: SellingPartnerApi, *, marketplace_ids: Sequence[str]) -> None:
        self._api = api
        self._marketplace_ids = marketplace_ids
        # What was told last, for when it cannot be asked: a figure of a while ago is better than none.
        self._words: dict[ChannelSku, str] = {}

    async def shown(self, readings: Sequence[StockReading]) -> tuple[StockReading, ...]:
        """The same readings; what Amazon fulfils itself says in its note what Amazon has. It stays without units.

        A failure of this question keeps no other listing from being read: then what was told last stays in the note.
        """
        ours = [one.channel_sku for one in readings if one.note.startswith(parse.BY_AMAZON)]
        # The batch is a list with commas.
        asked = [sku for sku in ours if "," not in sku]
        if not asked:
            return tuple(readings)
        for start in range(0, len(asked), SKUS_MAX):
            batch = asked[start : start + SKUS_MAX]
            try:
                found = await self._summaries(batch)
            except ReauthenticateError:
                told = dict.fromkeys(batch, "the role Amazon Fulfillment is missing to tell how many there are")
            except (ChannelFault, MalformedError):
                told = {sku: "how many there are could not be read yet" for sku in batch if sku not in self._words}
            else:
                told = {sku: found[sku].words() if sku in found else "none of it there" for sku in batch}
            self._words.update(told)
        return tuple(_noted(one, self._words) for one in readings)

    async def _summaries(self, skus: Sequence[ChannelSku]) -> dict[ChannelSku, FbaUnits]:
        found: dict[ChannelSku, FbaUnits] = {}
        for marketplace_id in self._marketplace_ids:
            missing = [sku for sku in skus if sku not in found]
            if missing:
                found |= await self._summaries_in(marketplace_id, missing)
        return found

    async def _summaries_in(self, marketplace_id: str, skus: Sequence[ChannelSku]) -> dict[ChannelSku, FbaUnits]:
        query = {
            "details": "true",
            "granularityType": "Marketplace",
            "granularityId": marketplace_id,
            "marketplaceIds": marketplace_id,
            "sellerSkus": ",".join(skus),
        }
        found: dict[ChannelSku, FbaUnits] = {}
        for _page in skus:
            reply = await self._api.read(OPERATION, PATH, query)
            refuse(OPERATION, reply)
            rows, token = _answer(reply.document())
            found |= rows
            if token is None:
                break
            query["nextToken"] = token
        return found


def _noted(reading: StockReading, notes: Mapping[ChannelSku, str]) -> StockReading:
    told = notes.get(reading.channel_sku) if reading.note.startswith(parse.BY_AMAZON) else None
    return reading if told is None else replace(reading, note=f"{reading.note}: {told}")


def _answer(document: Any) -> tuple[dict[ChannelSku, FbaUnits], str | None]:
    payload = _member(document, "payload")
    rows = _member(payload, "inventorySummaries")
    if not isinstance(rows, list):
        raise MalformedError(f"{OPERATION}: inventorySummaries is no list")
    found: dict[ChannelSku, FbaUnits] = {}
    for row in rows:
        sku = _member(row, "sellerSku")
        if isinstance(sku, str) and sku:
            found[ChannelSku(sku)] = _units(_member(row, "inventoryDetails"))
    token = _member(_member(document, "pagination"), "nextToken")
    return found, token if isinstance(token, str) and token else None


def _units(details: Any) -> FbaUnits:
    def of(named: Any, name: str) -> int:
        told = _member(named, name)
        return 0 if told is None else units_from(told, what=f"{OPERATION}: {name}")

    inbound = ("inboundWorkingQuantity", "inboundShippedQuantity", "inboundReceivingQuantity")
    return FbaUnits(
        fulfillable=of(details, "fulfillableQuantity"),
        reserved=of(_member(details, "reservedQuantity"), "totalReservedQuantity"),
        unfulfillable=of(_member(details, "unfulfillableQuantity"), "totalUnfulfillableQuantity"),
        inbound=sum(of(details, name) for name in inbound),
    )


def _member(named: Any, name: str) -> Any:
    return named.get(name) if isinstance(named, Mapping) else None
