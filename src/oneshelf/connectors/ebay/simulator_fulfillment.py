"""The Fulfillment API of the simulated eBay: orders, read as a list that goes on moving.

https://developer.ebay.com/api-docs/sell/fulfillment/resources/order/methods/getOrders (contract v1.20.7, checked
2026-11-23).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay import simulator_asked as asked
from oneshelf.connectors.ebay import simulator_order_documents as documents
from oneshelf.connectors.ebay.simulator_asked import WrongError
from oneshelf.connectors.ebay.simulator_books import Books
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_gate import APIS, ORDERS, ORDERS_READ, EbayError, Gate
from oneshelf.connectors.ebay.simulator_orders import Order, Trade

PATH = "/sell/fulfillment/v1"
LIMIT_MAX = 200
IDS_MAX = 50
_SHOWN_BY_DEFAULT = timedelta(days=90)
_OLDEST = timedelta(days=2 * 365)
_FILTER = re.compile(r"(creationdate|lastmodifieddate):\[([^\]]*?)\.\.([^\]]*?)\]|(orderfulfillmentstatus):\{([^}]*)\}")
_STATUSES = frozenset({"NOT_STARTED", "IN_PROGRESS", "FULFILLED"})
_SCOPES = (ORDERS, ORDERS_READ)
_API = APIS["fulfillment"]

Act = Callable[[Request], Awaitable[Response]]


def refused(error_id: int, message: str, *, status: int = 400) -> EbayError:
    return EbayError(status, error_id, "API_FULFILLMENT", message)


class FulfillmentApi:
    """The routes, over the books and behind the gate."""

    def __init__(self, books: Books, trade: Trade, gate: Gate, faults: Faults, *, marketplace_id: str) -> None:
        self._books = books
        self._trade = trade
        self._gate = gate
        self._faults = faults
        self._marketplace_id = marketplace_id

    def routes(self) -> Sequence[BaseRoute]:
        table: tuple[tuple[str, Act], ...] = (
            ("/order", self._orders),
            ("/order/{order_id}", self._order),
            ("/order/{order_id}/shipping_fulfillment", self._shipments),
        )
        return [Route(PATH + path, self._operation(act), methods=["GET"]) for path, act in table]

    def _operation(self, act: Act) -> Act:
        async def respond(request: Request) -> Response:
            refusal = self._gate.admit(request, _API, _SCOPES)
            if refusal is not None:
                return refusal
            try:
                _check_field_groups(request)
                return await act(request)
            except WrongError as problem:
                number = {"limit": 31100, "offset": 31000, "fieldGroups": 32800}.get(problem.name, 30800)
                return refused(number, f"Invalid {problem.name}: {problem}").response()
            except EbayError as problem:
                return problem.response()

        return respond

    # One order -------------------------------------------------------------------------------------------------

    def _found(self, request: Request) -> Order:
        order = self._trade.found(request.path_params["order_id"])
        if order is None or not self._is_shown(order):
            raise refused(32100, f"Invalid order ID: {request.path_params['order_id']}", status=404)
        return order

    def _is_shown(self, order: Order) -> bool:
        is_hidden = self._books.habits.hides_unpaid and order.status == "pending"
        return order.is_listed and not order.paid_as and not is_hidden

    async def _order(self, request: Request) -> Response:
        order = self._found(request)
        return JSONResponse(self._document(request, order, has_requests=True))

    async def _shipments(self, request: Request) -> Response:
        order = self._found(request)
        shipments = [documents.shipment(one) for one in order.shipments]
        return JSONResponse({"fulfillments": shipments, "total": len(shipments)})

    def _document(self, request: Request, order: Order, *, has_requests: bool) -> dict[str, object]:
        base = asked.base_of(request) + PATH
        return documents.order(order, self._marketplace_id, base=base, has_requests=has_requests)

    # All orders ------------------------------------------------------------------------------------------------

    async def _orders(self, request: Request) -> Response:
        if request.query_params.get("orderIds"):
            return self._by_ids(request, request.query_params["orderIds"].split(","))
        limit = asked.whole(request, "limit", least=1, most=LIMIT_MAX, default=50)
        offset = asked.whole(request, "offset", least=0, most=10**9, default=0)
        found = self._matching(request.query_params.get("filter", ""))
        if offset:
            self._faults.drift(found[:offset])
            found = self._matching(request.query_params.get("filter", ""))
        page = found[offset : offset + limit]
        here = f"{PATH}/order?{request.url.query}"
        answer: dict[str, object] = {
            "href": here,
            "total": len(found),
            "limit": limit,
            "offset": offset,
            "orders": [self._document(request, one, has_requests=False) for one in page],
        }
        if offset + limit < len(found):
            answer["next"] = _at(request, limit, offset + limit)
        if offset:
            answer["prev"] = _at(request, limit, max(0, offset - limit))
        return JSONResponse(answer)

    def _by_ids(self, request: Request, order_ids: Sequence[str]) -> Response:
        """All other parameters are ignored. An order may be asked for by the id that it had before it was paid."""
        if len(order_ids) > IDS_MAX:
            raise refused(30900, f"Exceeded maximum number of order IDs (the current limit is {IDS_MAX})")
        found = [self._trade.found(order_id) for order_id in order_ids]
        shown = {one.order_id: one for one in found if one is not None and self._is_shown(one)}
        orders = [self._document(request, one, has_requests=False) for one in shown.values()]
        here = f"{PATH}/order?{request.url.query}"
        return JSONResponse({"href": here, "total": len(orders), "limit": 50, "offset": 0, "orders": orders})

    def _matching(self, text: str) -> list[Order]:
        """All orders that the filter lets through, the oldest first by what it filters on.

        Where creation and modification are both asked for, modification is ignored.
        """
        conditions = _conditions(text)
        now = self._books.now()
        created = self._window(conditions.get("creationdate"), "creationdate", now)
        changed = self._window(conditions.get("lastmodifieddate"), "lastmodifieddate", now)
        if created is None and changed is None:
            created = (now - _SHOWN_BY_DEFAULT, now)
        statuses = conditions.get("orderfulfillmentstatus")
        found: list[tuple[datetime, str, Order]] = []
        for order in self._trade.orders.values():
            at = order.created_at if created is not None else order.changed_at
            since, until = created or changed or (at, at)
            is_asked = statuses is None or documents.fulfillment_status(order) in statuses[0].split("|")
            if since <= at <= until and is_asked and self._is_shown(order):
                found.append((at, order.order_id, order))
        return [order for _at_, _order_id, order in sorted(found, key=lambda entry: entry[:2])]

    def _window(self, texts: tuple[str, str] | None, name: str, now: datetime) -> tuple[datetime, datetime] | None:
        if texts is None:
            return None
        if not texts[0]:
            raise refused(30820, "Start date is missing")
        since = _instant(texts[0])
        until = _instant(texts[1]) if texts[1] else now
        if max(since, until) > now:
            raise refused(30850, "Start and end dates can't be in the future")
        if since > until:
            raise refused(30840, "Start date should be before end date")
        if until - since > _OLDEST or now - since > _OLDEST:
            raise refused(30830, "Time range between start date and end date must be within '2' years.")
        return since, until


def _check_field_groups(request: Request) -> None:
    if request.query_params.get("fieldGroups", "TAX_BREAKDOWN") != "TAX_BREAKDOWN":
        raise WrongError("fieldGroups", "only TAX_BREAKDOWN is allowed")


def _conditions(text: str) -> dict[str, tuple[str, str]]:
    """Filter name -> its two texts. Raises EbayError for what getOrders does not know."""
    conditions: dict[str, tuple[str, str]] = {}
    rest = text
    while rest:
        match = _FILTER.match(rest)
        if match is None:
            raise refused(30700, f"Invalid filter name: {rest[:60]}")
        if match[1]:
            conditions[match[1]] = (match[2], match[3])
        else:
            if not _STATUSES.issuperset(match[5].split("|")):
                raise refused(30800, f"Invalid filter value {match[5]} for filter {match[4]}")
            conditions[match[4]] = (match[5], "")
        rest = rest[match.end() :].removeprefix(",")
    return conditions


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise refused(30810, "Invalid date format") from None
    if at.tzinfo is None:
        raise refused(30810, "Invalid date format")
    return at


def _at(request: Request, limit: int, offset: int) -> str:
    url = request.url.include_query_params(limit=limit, offset=offset)
    return f"{PATH}/order?{url.query}"
