"""The Inventory API of the simulated eBay: items, offers, groups, and the one call that writes quantities.

What each call takes and answers: https://developer.ebay.com/api-docs/sell/inventory/overview.html (contract 1.18.0,
checked 2026-11-23). `offset` of the items counts pages, and not items as everywhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay import simulator_asked as asked
from oneshelf.connectors.ebay import simulator_inventory_documents as documents
from oneshelf.connectors.ebay.simulator_asked import WrongError
from oneshelf.connectors.ebay.simulator_books import Books, Figures, Lane, Listing, Variation
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_gate import APIS, INVENTORY, INVENTORY_READ, EbayError, Gate
from oneshelf.sdk.cut_reply import CutReply

PATH = "/sell/inventory/v1"
ROWS_MAX = 25
_API = APIS["inventory"]
_READS, _WRITES = (INVENTORY, INVENTORY_READ), (INVENTORY,)

Act = Callable[[Request], Awaitable[Response]]


def refused(error_id: int, message: str, *, status: int = 400, **parameters: str) -> EbayError:
    category = "APPLICATION" if error_id in {25001, 25025} else "REQUEST"
    return EbayError(status, error_id, "API_INVENTORY", message, category=category, parameters=parameters)


def busy() -> EbayError:
    words = "Concurrent access of the same Inventory or Inventory Item Group object is not allowed. Please try later."
    return refused(25025, words, status=500)


class InventoryApi:
    """The routes, over the books and behind the gate."""

    def __init__(self, books: Books, gate: Gate, faults: Faults, *, marketplace_id: str) -> None:
        self._books = books
        self._gate = gate
        self._faults = faults
        self._marketplace_id = marketplace_id

    def routes(self) -> Sequence[BaseRoute]:
        table: tuple[tuple[str, str, Act], ...] = (
            ("GET", "/inventory_item", self._items),
            ("POST", "/bulk_get_inventory_item", self._bulk_items),
            ("POST", "/bulk_update_price_quantity", self._bulk_update),
            ("GET", "/inventory_item_group/{key}", self._group),
            ("GET", "/inventory_item/{sku:path}", self._item),
            ("PUT", "/inventory_item/{sku:path}", self._replace_item),
            ("GET", "/offer", self._offers),
            ("GET", "/offer/{offer_id}", self._offer),
            ("PUT", "/offer/{offer_id}", self._replace_offer),
            ("POST", "/offer/publish_by_inventory_item_group", self._publish_group),
            ("POST", "/offer/withdraw_by_inventory_item_group", self._withdraw_group),
            ("POST", "/offer/{offer_id}/publish", self._publish),
            ("POST", "/offer/{offer_id}/withdraw", self._withdraw),
            ("GET", "/location", self._locations),
            ("GET", "/location/{key}", self._location),
        )
        return [Route(PATH + path, self._operation(act, method), methods=[method]) for method, path, act in table]

    def _operation(self, act: Act, method: str) -> Act:
        is_read = method == "GET" or act == self._bulk_items

        async def respond(request: Request) -> Response:
            refusal = self._gate.admit(request, _API, _READS if is_read else _WRITES)
            if refusal is not None:
                return refusal
            try:
                return await act(request)
            except WrongError as problem:
                is_page = problem.name in {"limit", "offset"}
                words = "You have provided invalid pagination values." if is_page else "Invalid value."
                return refused(25706 if is_page else 25709, f"{words} {problem}").response()
            except EbayError as problem:
                return problem.response()

        return respond

    # Items -----------------------------------------------------------------------------------------------------

    async def _items(self, request: Request) -> Response:
        limit = asked.whole(request, "limit", least=1, most=200, default=25)
        page = asked.whole(request, "offset", least=0, most=10**9, default=0)
        found = list(self._books.of_lane(Lane.INVENTORY))
        start = self._faults.drifted(page * limit)
        at = self._faults.replica_at()
        shown = found[start : start + limit]
        answer: dict[str, object] = {
            "href": f"{PATH}/inventory_item?limit={limit}&offset={page}",
            "total": len(found),
            "size": len(shown),
            "limit": limit,
            "inventoryItems": [documents.item(one, at, sku=True, has_group_ids=True) for one in shown],
        }
        if (page + 1) * limit < len(found):
            answer["next"] = f"{PATH}/inventory_item?limit={limit}&offset={page + 1}"
        if page:
            answer["prev"] = f"{PATH}/inventory_item?limit={limit}&offset={page - 1}"
        return JSONResponse(answer)

    async def _item(self, request: Request) -> Response:
        variation = self._variation(unquote(request.path_params["sku"]), status=404)
        at = self._faults.replica_at()
        return JSONResponse(documents.item(variation, at, sku=True, has_group_ids=True))

    async def _bulk_items(self, request: Request) -> Response:
        rows = asked.rows_of(asked.body_of(await request.body()), "requests", most=ROWS_MAX)
        skus = [str(row.get("sku", "")) for row in rows]
        if len(set(skus)) < len(skus):
            raise refused(25734, "SKU should be unique in the request.")
        at = self._faults.replica_at()
        answers: list[dict[str, object]] = []
        for sku in skus:
            variation = self._books.known(sku, Lane.INVENTORY)
            if variation is None:
                answers.append({"sku": sku, "statusCode": 404, "errors": [_unknown(sku).document]})
            else:
                item = documents.item(variation, at, sku=True, has_group_ids=False)
                answers.append({"sku": sku, "statusCode": 200, "inventoryItem": item})
        status = 200 if all(one["statusCode"] == 200 for one in answers) else 207
        return JSONResponse({"responses": answers}, status_code=status)

    async def _replace_item(self, request: Request) -> Response:
        """A complete replacement: what is not named is gone, the quantity too."""
        if not request.headers.get("content-language"):
            raise refused(25709, "Invalid value for header Content-Language.", fieldName="Content-Language")
        document = asked.body_of(await request.body())
        variation = self._variation(unquote(request.path_params["sku"]), status=404)
        listing = variation.listing
        quantity = document.get("availability", {}).get("shipToLocationAvailability", {}).get("quantity", 0)
        units = asked.units_or_none(quantity)
        if units is None or (units == 0 and self._books.is_refused_as_zero(variation, 0)):
            raise refused(25004, "Invalid quantity. The quantity must be a valid number greater than 0.")
        self._may_revise(listing)
        variation.content = {name: value for name, value in document.items() if name != "availability"}
        self._books.submit(variation, item_units=units, offer_units=None)
        return self._written(Response(status_code=204))

    async def _group(self, request: Request) -> Response:
        listing = self._group_of(unquote(request.path_params["key"]), status=404)
        return JSONResponse(documents.group(listing))

    # Quantities ------------------------------------------------------------------------------------------------

    async def _bulk_update(self, request: Request) -> Response:
        rows = asked.rows_of(asked.body_of(await request.body()), "requests", most=ROWS_MAX)
        skus = [str(row.get("sku", "")) for row in rows]
        if len(set(skus)) < len(skus):
            raise refused(25002, "A user error has occurred. A SKU is given twice in one request.")
        known = [one for sku in skus if (one := self._books.known(sku, Lane.INVENTORY)) is not None]
        for listing in {one.listing.listing_id: one.listing for one in known}.values():
            if self._books.is_busy(listing):
                raise busy()
        answers = [answer for row in rows for answer in self._update(row)]
        # A row that failed for no reason of its own stands inside a 200: who reads only the status of the call takes
        # it for written.
        status = 207 if any(answer["statusCode"] not in {200, 500} for answer in answers) else 200
        return self._written(JSONResponse({"responses": answers}, status_code=status))

    def _update(self, row: Mapping[str, Any]) -> list[dict[str, object]]:
        """The answers to one row: one for each offer that it names, or one for the item alone."""
        sku = str(row.get("sku", ""))
        offers = row.get("offers") or []
        names = [str(offer.get("offerId", "")) for offer in offers]
        heads: list[dict[str, object]] = [{"sku": sku, "offerId": name} for name in names] or [{"sku": sku}]
        try:
            if self._faults.switches.strikes("row_failed"):
                raise refused(25001, "System error. The listing could not be updated.", status=500)
            self._write(sku, row, offers)
        except EbayError as problem:
            failed: dict[str, object] = {"statusCode": problem.status, "errors": [problem.document]}
            return [{**head, **failed} for head in heads]
        return [{**head, "statusCode": 200} for head in heads]

    def _write(self, sku: str, row: Mapping[str, Any], offers: Sequence[Mapping[str, Any]]) -> None:
        variation = self._variation(sku)
        item_units = offer_units = None
        if "shipToLocationAvailability" in row:
            item_units = self._units(row["shipToLocationAvailability"].get("quantity"))
        for offer in offers:
            if str(offer.get("offerId", "")) != variation.offer_id or not variation.is_on_sale:
                words = f"This Offer is not available : {offer.get('offerId', '')}."
                raise refused(25713, words, additionalInfo=str(offer.get("offerId", "")))
            if "availableQuantity" in offer:
                offer_units = self._units(offer["availableQuantity"])
        if item_units is None and offer_units is None:
            raise refused(25002, "A user error has occurred. Neither a price nor a quantity is given.")
        if variation.listing.is_on_hold:
            raise refused(25097, "This listing is on hold due to a policy violation, and revisions are not possible.")
        old = variation.figures
        new = Figures(
            old.item_units if item_units is None else item_units,
            old.offer_units if offer_units is None else offer_units,
        )
        if new.units == 0 and self._books.is_refused_as_zero(variation, 0):
            words = "Invalid quantity. The quantity must be a valid number greater than 0."
            raise refused(25004, words, additionalInfo="quantity")
        self._may_revise(variation.listing)
        self._books.submit(variation, item_units=item_units, offer_units=offer_units)

    def _units(self, value: object) -> int:
        units = asked.units_or_none(value)
        if units is None:
            raise refused(25004, f"Invalid quantity. {value!r:.20} is not allowed.", additionalInfo="quantity")
        return units

    def _may_revise(self, listing: Listing) -> None:
        if listing.is_live and not self._books.revise(listing):
            words = "Cannot revise the listing. The limit of revisions of this listing is reached for today."
            raise refused(25019, words, additionalInfo=listing.listing_id)

    def _written(self, response: Response) -> Response:
        return CutReply(b'{"responses":[{') if self._faults.switches.strikes("reply_lost") else response

    # Offers ------------------------------------------------------------------------------------------------------

    async def _offers(self, request: Request) -> Response:
        """`sku` is called optional by the contract; without it the real API answers an error."""
        if not request.query_params.get("sku"):
            raise refused(25709, "Invalid value for sku.", fieldName="sku")
        limit = asked.whole(request, "limit", least=1, most=10**9, default=100)
        offset = asked.whole(request, "offset", least=0, most=10**9, default=0)
        variation = self._variation(request.query_params["sku"], status=404)
        at = self._faults.replica_at()
        offers = [documents.offer(variation, at, self._marketplace_id)][offset * limit :]
        head = {"href": f"{PATH}/offer?sku={variation.sku}", "total": 1, "size": len(offers), "limit": limit}
        return JSONResponse({**head, "offers": offers})

    async def _offer(self, request: Request) -> Response:
        variation = self._offered(request)
        return JSONResponse(documents.offer(variation, self._faults.replica_at(), self._marketplace_id))

    async def _replace_offer(self, request: Request) -> Response:
        """A complete replacement: what is not named is gone."""
        if not request.headers.get("content-language"):
            raise refused(25709, "Invalid value for header Content-Language.", fieldName="Content-Language")
        document = asked.body_of(await request.body())
        variation = self._offered(request)
        units = self._units(document["availableQuantity"]) if "availableQuantity" in document else None
        lacking = {"pricingSummary", "merchantLocationKey"} - set(document)
        if variation.is_on_sale:
            if lacking:
                raise refused(25002, f"A user error has occurred. {', '.join(sorted(lacking))} is missing.")
            if units == 0 and self._books.is_refused_as_zero(variation, 0):
                raise refused(25004, "Invalid quantity. The quantity must be a valid number greater than 0.")
            self._may_revise(variation.listing)
        variation.lacks = frozenset(lacking)
        self._books.submit(variation, item_units=None, offer_units=units)
        return self._written(Response(status_code=204))

    async def _publish(self, request: Request) -> Response:
        _needs_body(request)
        variation = self._offered(request)
        if variation.listing.group_key:
            raise refused(25002, "A user error has occurred. Use publish_by_inventory_item_group for this offer.")
        return self._relisted(variation.listing)

    async def _withdraw(self, request: Request) -> Response:
        _needs_body(request)
        variation = self._offered(request)
        if variation.listing.group_key or not variation.is_on_sale:
            raise refused(25002, "A user error has occurred. The offer is not the only one of a live listing.")
        self._books.end(variation.listing)
        return self._written(JSONResponse({"listingId": variation.listing.listing_id}))

    async def _publish_group(self, request: Request) -> Response:
        _needs_body(request)
        key = asked.body_of(await request.body()).get("inventoryItemGroupKey")
        return self._relisted(self._group_of(str(key)))

    async def _withdraw_group(self, request: Request) -> Response:
        _needs_body(request)
        key = asked.body_of(await request.body()).get("inventoryItemGroupKey")
        listing = self._group_of(str(key))
        if not listing.is_live:
            raise refused(25002, "A user error has occurred. The group is not published.")
        self._books.end(listing)
        return self._written(Response(status_code=204))

    def _relisted(self, listing: Listing) -> Response:
        if listing.is_live:
            raise refused(25002, "A user error has occurred. The offer is published already.")
        if not self._books.has_control and not any(one.figures.units for one in listing.left):
            raise refused(25004, "Invalid quantity. The quantity must be a valid number greater than 0.")
        if lacking := {name for one in listing.left for name in one.lacks}:
            raise refused(25002, f"A user error has occurred. {', '.join(sorted(lacking))} is missing.")
        if self._books.is_busy(listing):
            raise busy()
        return self._written(JSONResponse({"listingId": self._books.relist(listing).listing_id}))

    # Locations ---------------------------------------------------------------------------------------------------

    async def _locations(self, request: Request) -> Response:
        limit = asked.whole(request, "limit", least=1, most=10**9, default=100)
        offset = asked.whole(request, "offset", least=0, most=10**9, default=0)
        found = [documents.LOCATION][offset : offset + limit]
        head = {"href": f"{PATH}/location", "limit": limit, "offset": offset, "total": 1}
        return JSONResponse({**head, "locations": found})

    async def _location(self, request: Request) -> Response:
        if request.path_params["key"] != documents.LOCATION["merchantLocationKey"]:
            raise refused(25805, "merchantLocationKey Not Found.", status=404)
        return JSONResponse(documents.LOCATION)

    # Finding -----------------------------------------------------------------------------------------------------

    def _variation(self, sku: str, *, status: int = 400) -> Variation:
        variation = self._books.known(sku, Lane.INVENTORY)
        if variation is None:
            raise _unknown(sku, status=status)
        return variation

    def _offered(self, request: Request) -> Variation:
        offer_id = request.path_params["offer_id"]
        variation = self._books.offers.get(offer_id)
        if variation is None or variation.is_gone:
            raise refused(25713, f"This Offer is not available : {offer_id}.", status=404)
        return variation

    def _group_of(self, key: str, *, status: int = 400) -> Listing:
        found = [one for one in self._books.listings.values() if key and one.group_key == key and one.left]
        if not found:
            raise refused(25710, "We didn't find the resource/entity you are requesting.", status=status)
        return found[-1]


def _unknown(sku: str, *, status: int = 400) -> EbayError:
    return refused(25702, f"{sku} could not be found or is not available in the system.", status=status, SKU=sku)


def _needs_body(request: Request) -> None:
    """These calls take nothing, and are refused as of no length where nothing at all is sent."""
    if request.headers.get("content-length", "0") == "0":
        raise EbayError(411, 2003, "ACCESS", "Length Required")
