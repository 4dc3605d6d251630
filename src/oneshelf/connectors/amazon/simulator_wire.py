"""The operations of the simulated Amazon, each checked as the official models describe it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.amazon import simulator_documents as documents
from oneshelf.connectors.amazon import simulator_question as asked
from oneshelf.connectors.amazon.simulator_books import Books, Listing, Order
from oneshelf.connectors.amazon.simulator_faults import Faults
from oneshelf.connectors.amazon.simulator_fba import FbaInventory
from oneshelf.connectors.amazon.simulator_gate import BadRequestError, Gate
from oneshelf.connectors.amazon.simulator_notifications import Notifications
from oneshelf.connectors.amazon.simulator_question import Question
from oneshelf.domain.identity import UNITS_MAX
from oneshelf.sdk.cut_reply import CutReply

RESULTS_MAX = 1000
IDENTIFIERS_MAX = 20
RELATIONSHIPS = frozenset({"child_parent_sku_relationship", "package_contains_sku"})
OFFER = frozenset({"fulfillment_availability", "purchasable_offer"})


def _created(listing: Listing) -> datetime:
    return listing.created_at


def _updated(listing: Listing) -> datetime:
    return listing.updated_at


def _sku(listing: Listing) -> str:
    return listing.sku


_SORTED_BY: dict[str, Callable[[Listing], Any]] = {
    "sku": _sku,
    "createdDate": _created,
    "lastUpdatedDate": _updated,
}


class _ForbiddenError(Exception):
    """Another seller or store than the one that granted the token."""


class Wire:
    """The routes, over the books and behind the gate."""

    def __init__(
        self, books: Books, gate: Gate, faults: Faults, notifications: Notifications, *, seller_id: str
    ) -> None:
        self._books = books
        self._gate = gate
        self._faults = faults
        self._notifications = notifications
        self._seller_id = seller_id

    def routes(self) -> Sequence[BaseRoute]:
        items = "/listings/2021-08-01/items"
        orders = self.operation("searchOrders", self._search_orders)
        fba = FbaInventory(self._books, self._faults, self._gate)
        summaries = self.operation("getInventorySummaries", fba.summaries)
        order = self.operation("getOrder", self._get_order)
        search = self.operation("searchListingsItems", self._search_items)
        patch = self.operation("patchListingsItem", self._patch_item)
        get = self.operation("getListingsItem", self._get_item)
        return [
            Route("/auth/o2/token", self._grant, methods=["POST"]),
            Route("/orders/2026-01-01/orders", orders, methods=["GET"]),
            Route("/orders/2026-01-01/orders/{order_id}", order, methods=["GET"]),
            *self._notification_routes(),
            Route("/fba/inventory/v1/summaries", summaries, methods=["GET"]),
            Route(items + "/{seller_id}", search, methods=["GET"]),
            Route(items + "/{seller_id}/{sku:path}", patch, methods=["PATCH"]),
            Route(items + "/{seller_id}/{sku:path}", get, methods=["GET"]),
        ]

    def _notification_routes(self) -> Sequence[BaseRoute]:
        told = self._notifications
        prefix = "/notifications/v1"
        operations: Sequence[tuple[str, str, str, Callable[[Request], Awaitable[Response]]]] = (
            ("GET", "/destinations", "getDestinations", told.get_destinations),
            ("POST", "/destinations", "createDestination", told.create_destination),
            ("GET", "/subscriptions/{kind}", "getSubscription", told.get_subscription),
            ("POST", "/subscriptions/{kind}", "createSubscription", told.create_subscription),
        )
        return [
            Route(prefix + path, self.operation(name, _without_question(act)), methods=[method])
            for method, path, name, act in operations
        ]

    async def _grant(self, request: Request) -> Response:
        return self._gate.grant(await request.body())

    def operation(
        self, operation: str, act: Callable[[Request, Question], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            refusal = self._gate.refusal(operation, request.headers.get("x-amz-access-token"))
            if refusal is not None:
                return refusal
            try:
                return await act(request, asked.question_of(request))
            except BadRequestError as problem:
                return self._gate.error(400, "InvalidInput", message=str(problem))
            except _ForbiddenError:
                return self._gate.error(403, "Unauthorized")

        return respond

    # Listings --------------------------------------------------------------------------------------------------

    async def _search_items(self, request: Request, question: Question) -> Response:
        asked.known(question, asked.SEARCH_ITEMS)
        self._admit(asked.segments(request)[4], question)
        include = asked.subset(question, "includedData", asked.LISTING_DATA) or ["summaries"]
        page_size = asked.whole(question, "pageSize", least=1, most=20, default=10)
        found = self._found_items(question)
        start = self._faults.drifted(self._page_start(question))
        page_size = self._faults.page_length(page_size, len(found) - start)
        page = found[start : min(start + page_size, RESULTS_MAX)]
        at = self._faults.replica_at()
        pagination = {}
        if start + page_size < min(len(found), RESULTS_MAX):
            pagination["nextToken"] = self._token(question, {"start": start + page_size})
        if start > 0:
            pagination["previousToken"] = self._token(question, {"start": max(0, start - page_size)})
        answer: dict[str, object] = {
            "numberOfResults": len(found),
            "items": [documents.listing(one, question["marketplaceIds"], include, at=at) for one in page],
        }
        return self._gate.answer("searchListingsItems", {**answer, "pagination": pagination})

    def _found_items(self, question: Question) -> list[Listing]:
        if ("identifiers" in question) != ("identifiersType" in question):
            raise BadRequestError("identifiers and identifiersType must be given together")
        here = {None, question["marketplaceIds"]}
        found = [one for one in self._books.catalogue.values() if not one.is_ended]
        if "identifiers" in question:
            if question["identifiersType"] != "SKU":
                raise BadRequestError("this simulator finds listings by SKU only")
            identifiers = question["identifiers"].split(",")
            if len(identifiers) > IDENTIFIERS_MAX:
                raise BadRequestError(f"identifiers: at most {IDENTIFIERS_MAX} are allowed")
            distinct = dict.fromkeys(identifiers)
            found = [one for one in map(self._books.listing, distinct) if one is not None]
        found = [one for one in found if one.only_in in here]
        for name, stamp in (("created", _created), ("lastUpdated", _updated)):
            after, before = asked.instant(question, f"{name}After"), asked.instant(question, f"{name}Before")
            found = [one for one in found if asked.is_within(stamp(one), after=after, before=before)]
        by, order = question.get("sortBy", "lastUpdatedDate"), question.get("sortOrder", "DESC")
        if by not in _SORTED_BY or order not in {"ASC", "DESC"}:
            raise BadRequestError("sortBy or sortOrder is not one of the allowed values")
        return sorted(found, key=_SORTED_BY[by], reverse=order == "DESC")

    async def _get_item(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset({"marketplaceIds", "issueLocale", "includedData"}))
        listing = self._listing(request, question)
        include = asked.subset(question, "includedData", asked.LISTING_DATA) or ["summaries"]
        if listing is None:
            return self._gate.error(404, "NOT_FOUND", message="SKU not found in marketplace.")
        at = self._faults.replica_at()
        return self._gate.answer(
            "getListingsItem", documents.listing(listing, question["marketplaceIds"], include, at=at)
        )

    async def _patch_item(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset({"marketplaceIds", "includedData", "mode", "issueLocale"}))
        listing = self._listing(request, question)
        asked.subset(question, "includedData", frozenset({"identifiers", "issues"}))
        if question.get("mode", "VALIDATION_PREVIEW") != "VALIDATION_PREVIEW":
            raise BadRequestError("mode is not one of the allowed values")
        try:
            document = msgspec.json.decode(await request.body(), type=dict[str, Any])
        except msgspec.DecodeError:
            raise BadRequestError("the body is not a JSON object") from None
        refusal = self._gate.application_refusal("preview" if "mode" in question else sort_of(document))
        if refusal is not None:
            return refusal
        changes = changes_in(document)
        sku = unquote(asked.segments(request)[5])
        submission_id = f"{self._books.random.getrandbits(128):032x}"
        words = "The SKU is not in the catalog." if listing is None else invalid(changes)
        if listing is None or words is not None:
            return self._submitted(documents.submission(sku, "INVALID", submission_id, words or ""))
        if "mode" in question:
            return self._submitted(documents.submission(sku, "VALID", submission_id))
        for operation, rows in changes:
            self._books.submit(listing, question["marketplaceIds"], operation=operation, rows=rows)
        if self._faults.switches.strikes("reply_lost"):
            return CutReply(b'{"sku":"')
        return self._submitted(documents.submission(sku, "ACCEPTED", submission_id))

    def _submitted(self, document: object) -> Response:
        return self._gate.answer("patchListingsItem", document)

    def _listing(self, request: Request, question: Question) -> Listing | None:
        segments = asked.segments(request)
        if len(segments) != 6:
            raise BadRequestError("the SKU must be percent-encoded")
        self._admit(segments[4], question)
        listing = self._books.listing(unquote(segments[5]))
        is_here = listing is not None and listing.only_in in {None, question["marketplaceIds"]}
        return listing if is_here else None

    def _admit(self, seller_id: str, question: Question) -> None:
        if "marketplaceIds" not in question:
            raise BadRequestError("marketplaceIds is required")
        if unquote(seller_id) != self._seller_id or question["marketplaceIds"] not in self._books.marketplace_ids:
            raise _ForbiddenError

    # Orders ------------------------------------------------------------------------------------------------------

    async def _get_order(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset({"includedData"}))
        include = asked.subset(question, "includedData", asked.ORDER_DATA)
        found = self._books.orders.get(request.path_params["order_id"])
        if found is None or not found.is_visible:
            return self._gate.error(404, "NotFound", message="The order does not exist.")
        document = documents.order(found, self._books.marketplace_ids[0], include)
        return self._gate.answer("getOrder", {"order": document})

    async def _search_orders(self, _request: Request, question: Question) -> Response:
        asked.known(question, asked.SEARCH_ORDERS)
        by_creation = "createdAfter" in question
        if by_creation == ("lastUpdatedAfter" in question):
            raise BadRequestError("exactly one of createdAfter and lastUpdatedAfter is required")
        if (by_creation and "lastUpdatedBefore" in question) or (not by_creation and "createdBefore" in question):
            raise BadRequestError("created and lastUpdated must not be mixed")
        include = asked.subset(question, "includedData", asked.ORDER_DATA)
        statuses = asked.subset(question, "fulfillmentStatuses", asked.STATUSES)
        fulfilled_by = asked.subset(question, "fulfilledBy", frozenset({"MERCHANT", "AMAZON"}))
        page_size = asked.whole(question, "maxResultsPerPage", least=1, most=100, default=100)
        name = "created" if by_creation else "lastUpdated"
        before, start = self._orders_window(question, name)
        after = asked.instant(question, f"{name}After")

        def left() -> list[tuple[datetime, str, Order]]:
            shown = [
                (stamp, order.order_id, order)
                for order in self._books.orders.values()
                for stamp in [order.created_at if by_creation else order.updated_at]
                if order.is_visible and asked.is_within(stamp, after=after, before=before)
            ]
            asked_for = question.get("marketplaceIds", self._books.marketplace_ids[0]).split(",")
            if not set(asked_for).intersection(self._books.marketplace_ids):
                shown = []
            wanted = (entry for entry in shown if _is_asked(entry[2], statuses, fulfilled_by) and entry[:2] > start)
            return sorted(wanted, key=lambda entry: entry[:2])

        if "paginationToken" in question:
            self._faults.drift([entry[2] for entry in left()])
        ordered = left()
        page_size = self._faults.page_length(page_size, len(ordered))
        page = ordered[:page_size]
        answer: dict[str, object] = {
            "orders": [documents.order(entry[2], self._books.marketplace_ids[0], include) for entry in page],
            f"{name}Before": documents.instant(before),
        }
        if len(ordered) > page_size:
            # The token names the place, not the page: orders that change meanwhile leave this window for the next.
            last = {"before": before.isoformat(), "stamp": page[-1][0].isoformat(), "order_id": page[-1][1]}
            answer["pagination"] = {"nextToken": self._token(question, last)}
        return self._gate.answer("searchOrders", answer)

    def _orders_window(self, question: Question, name: str) -> tuple[datetime, tuple[datetime, str]]:
        """The end of the window and the place in it after which the page begins."""
        hidden = timedelta(seconds=self._books.habits.hidden_s / self._books.speed)
        latest = self._books.now() - hidden
        place = self._place(question, "paginationToken")
        if place is not None:
            start = (datetime.fromisoformat(place["stamp"]), place["order_id"])
            return datetime.fromisoformat(place["before"]), start
        before = asked.instant(question, f"{name}Before")
        after = asked.instant(question, f"{name}After")
        if before is not None and (before > latest or (after is not None and before < after)):
            raise BadRequestError(f"{name}Before must be two minutes in the past and after {name}After")
        return before or latest, (datetime.min.replace(tzinfo=UTC), "")

    # Page tokens -------------------------------------------------------------------------------------------------

    def _page_start(self, question: Question) -> int:
        place = self._place(question, "pageToken")
        return 0 if place is None else int(place["start"])

    def _token(self, question: Question, place: Mapping[str, object]) -> str:
        born = self._books.clock.monotonic()
        sealed = {**place, "born": born, "question": asked.fingerprint(question)}
        return base64.urlsafe_b64encode(msgspec.json.encode(sealed)).decode()

    def _place(self, question: Question, name: str) -> dict[str, Any] | None:
        if name not in question:
            return None
        try:
            place = msgspec.json.decode(base64.urlsafe_b64decode(question[name]), type=dict[str, Any])
            born = float(place["born"])
        except (ValueError, KeyError, TypeError):
            raise BadRequestError(f"{name} is not a token") from None
        life_s = self._books.habits.page_token_life_s / self._books.speed
        if self._books.clock.monotonic() > born + life_s:
            raise BadRequestError(f"{name} has expired")
        if place.get("question") != asked.fingerprint(question):
            raise BadRequestError(f"{name} belongs to another question")
        return place


def _without_question(
    act: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request, Question], Awaitable[Response]]:
    async def respond(request: Request, _question: Question) -> Response:
        return await act(request)

    return respond


def _is_asked(order: Order, statuses: Sequence[str], fulfilled_by: Sequence[str]) -> bool:
    is_status = not statuses or order.status in statuses
    return is_status and (not fulfilled_by or order.fulfilled_by in fulfilled_by)


def sort_of(document: Mapping[str, Any]) -> str:
    """Which quota of the application a patch counts for, by the attributes that it touches."""
    patches = document.get("patches")
    paths = [str(one.get("path")) for one in patches if isinstance(one, dict)] if isinstance(patches, list) else []
    touched = {path.removeprefix("/attributes/") for path in paths}
    if touched & RELATIONSHIPS:
        return "relationships"
    return "any" if touched <= OFFER else "product data"


def changes_in(document: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The `(operation, rows)` of a patch document. Raises BadRequestError where it breaks the model."""
    patches = document.get("patches")
    if not isinstance(document.get("productType"), str) or not isinstance(patches, list) or not patches:
        raise BadRequestError("productType and at least one patch are required")
    changes: list[tuple[str, list[dict[str, Any]]]] = []
    for patch in patches:
        if not isinstance(patch, dict) or patch.get("op") not in {"add", "replace", "merge", "delete"}:
            raise BadRequestError("op must be add, replace, merge or delete")
        if patch.get("path") != "/attributes/fulfillment_availability":
            raise BadRequestError("this simulator keeps /attributes/fulfillment_availability only")
        rows = patch.get("value")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise BadRequestError("value must be a list of objects")
        changes.append((str(patch["op"]), rows))
    return changes


def invalid(changes: Sequence[tuple[str, Sequence[Mapping[str, object]]]]) -> str | None:
    """Why Amazon would answer 200 with INVALID."""
    for operation, rows in changes:
        for row in rows:
            if not isinstance(row.get("fulfillment_channel_code"), str):
                return "'fulfillment_channel_code' is required but missing."
            units = row.get("quantity", 0)
            if isinstance(units, bool) or not isinstance(units, int) or not 0 <= units <= UNITS_MAX:
                return f"The value '{units}' for 'quantity' is invalid."
            if operation != "delete" and row.get("quantity") is None and len(row) == 1:
                return "'quantity' is required but missing."
    return None
