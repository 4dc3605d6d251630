"""The Trading API of the simulated eBay: XML calls at one address, told apart by a header.

https://developer.ebay.com/devzone/xml/docs/reference/ebay/index.html (schema 1379, checked 2026-11-23). Listings of
the Inventory API can be read here, and not changed. Where eBay documents no number for a wrong argument, 37 stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay import simulator_trading_documents as documents
from oneshelf.connectors.ebay.simulator_books import Books, Listing
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_gate import APIS, HTML_BODY, Gate
from oneshelf.connectors.ebay.simulator_revise import Revisions, TradingError
from oneshelf.connectors.ebay.simulator_xml import Node, document, element, read, texts
from oneshelf.sdk.cut_reply import CutReply

PATH = "/ws/api.dll"
ENTRIES_MAX = 200
_EVENTS_BACK = timedelta(hours=48)
_WINDOW_MOST = timedelta(days=120)
_WRITES = frozenset({"ReviseInventoryStatus", "EndFixedPriceItem", "RelistFixedPriceItem"})

Answer = tuple[str, list[Element], list[Element | None]]
Call = Callable[[Node], Answer]


class TradingApi:
    """One route, over the books and behind the gate."""

    def __init__(self, books: Books, gate: Gate, faults: Faults) -> None:
        self._books = books
        self._gate = gate
        self._faults = faults
        self._revisions = Revisions(books, faults)
        self._burst: deque[float] = deque()
        self._calls: Mapping[str, Call] = {
            "ReviseInventoryStatus": self._revisions.revise,
            "EndFixedPriceItem": self._revisions.end,
            "RelistFixedPriceItem": self._revisions.relist,
            "GetItem": self._item,
            "GetMyeBaySelling": self._selling,
            "GetSellerEvents": self._events,
            "GetSellerList": self._list,
            "GetUserPreferences": self._preferences,
            "SetUserPreferences": self._set_preferences,
        }

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(PATH, self._respond, methods=["POST"])]

    async def _respond(self, request: Request) -> Response:
        name = request.headers.get("x-ebay-api-call-name", "")
        if self._gate.is_stormy() or self._faults.switches.strikes("server_error"):
            return self._server_error(name)
        try:
            call = self._admitted(name, request)
            acknowledgement, errors, children = call(_request(name, await request.body()))
        except TradingError as refusal:
            return self._answer(name, "Failure", [refusal.element], [])
        if name in _WRITES and self._faults.switches.strikes("reply_lost"):
            return CutReply(b"<?xml version=")
        return self._answer(name, acknowledgement, errors, children)

    def _admitted(self, name: str, request: Request) -> Call:
        token = request.headers.get("x-ebay-api-iaf-token", "")
        if not token:
            raise TradingError("930", "Auth token is missing or empty.")
        grant = self._gate.grant_of(token)
        if grant is None or not grant.is_user:
            # The numbers of both refusals: https://github.com/hendt/ebay-api, src/errors (checked 2026-11-26).
            raise TradingError("21917053", "Expired IAF token. IAF token supplied is expired.")
        if name not in self._calls:
            raise TradingError("2", f"Unsupported API call. The API call {name!r:.40} is invalid or not supported.")
        if not self._gate.is_counted(APIS["TradingAPI"]):
            raise TradingError("518", "Call usage limit has been reached. Your application has exceeded usage limit.")
        if self._faults.switches.strikes("throttle") or (name == "ReviseInventoryStatus" and self._is_too_fast()):
            raise TradingError("21919144", "You have exceeded your maximum call limit. Try back in 15 seconds.")
        return self._calls[name]

    def _is_too_fast(self) -> bool:
        now, habits = self._books.clock.monotonic(), self._books.habits
        while self._burst and self._burst[0] <= now - habits.burst_s / self._books.speed:
            self._burst.popleft()
        if len(self._burst) >= habits.burst:
            return True
        self._burst.append(now)
        return False

    def _server_error(self, name: str) -> Response:
        if not name or self._books.random.random() < 0.5:
            return Response(HTML_BODY, status_code=503, media_type="text/html")
        error = documents.problem("10007", "Internal error to the application.", is_system=True)
        return self._answer(name, "Failure", [error], [])

    def _answer(
        self, name: str, acknowledgement: str, errors: Sequence[Element], children: Sequence[Element | None]
    ) -> Response:
        head = documents.head(self._books.stamp(), acknowledgement, errors)
        return Response(document(f"{name}Response", [*head, *children]), media_type="text/xml")

    # Reading -----------------------------------------------------------------------------------------------------

    def _item(self, node: Node) -> Answer:
        listing = self._books.listings.get(node.text("ItemID"))
        if listing is None:
            raise TradingError("17", "This item cannot be accessed.", values=[node.text("ItemID")])
        return "Success", [], [self._shown(listing)]

    def _selling(self, node: Node) -> Answer:
        asked = node.all("ActiveList")
        if not asked or asked[0].text("Include") == "false":
            return "Success", [], []
        found = [one for one in self._books.listings.values() if one.is_live]
        page, total = self._page(asked[0], found)
        has_variations = node.text("HideVariations") != "true"
        items = element("ItemArray", *(self._shown(one, has_variations=has_variations) for one in page))
        return "Success", [], [element("ActiveList", items if page else None, total)]

    def _events(self, node: Node) -> Answer:
        """What changed since an instant of the last 48 hours: https://developer.ebay.com/devzone/xml/docs/reference/
        ebay/GetSellerEvents.html (checked 2026-11-23)."""
        now = self._books.stamp()
        since = _instant(node, "ModTimeFrom")
        if since is None or since < now - _EVENTS_BACK / self._books.speed or since > now:
            raise TradingError("37", "Invalid date range. ModTimeFrom must lie within the last 48 hours.")
        until = _instant(node, "ModTimeTo") or now
        found = [one for one in self._books.listings.values() if since <= one.changed_at <= until]
        has_variations = node.text("HideVariations") != "true"
        items = [self._shown(one, has_variations=has_variations) for one in found]
        return "Success", [], [*texts({"TimeTo": until}), element("ItemArray", *items) if items else None]

    def _list(self, node: Node) -> Answer:
        """Listings that start, or end, within a window of 120 days at most."""
        now = self._books.stamp()
        names = ("Start", "End")
        windows = [(name, _instant(node, f"{name}TimeFrom"), _instant(node, f"{name}TimeTo")) for name in names]
        asked = [(name, since, until) for name, since, until in windows if since and until]
        if not asked or asked[0][2] - asked[0][1] > _WINDOW_MOST:
            raise TradingError("37", "Invalid date range. A start or end window of 120 days at most is needed.")
        name, since, until = asked[0]
        found = []
        for one in self._books.listings.values():
            at = one.started_at if name == "Start" else documents.ends_at(one, now)
            if since <= at <= until:
                found.append(one)
        if not node.has("Pagination"):
            raise TradingError("37", "Pagination is required.")
        page, total = self._page(node, found)
        has_more = int(node.text("Pagination/PageNumber") or 1) * self._entries(node) < len(found)
        has_variations = node.text("IncludeVariations") == "true"
        items = [self._shown(one, has_variations=has_variations) for one in page]
        rest = texts({"HasMoreItems": has_more})
        counts = {"ItemsPerPage": self._entries(node), "PageNumber": node.text("Pagination/PageNumber") or 1}
        tail = texts({**counts, "ReturnedItemCountActual": len(items)})
        return "Success", [], [total, *rest, element("ItemArray", *items), *tail]

    def _entries(self, node: Node) -> int:
        text = node.text("Pagination/EntriesPerPage") or "25"
        if not text.isdigit() or not 1 <= int(text) <= ENTRIES_MAX:
            raise TradingError("37", f"EntriesPerPage must lie between 1 and {ENTRIES_MAX}.")
        return int(text)

    def _page(self, node: Node, found: Sequence[Listing]) -> tuple[Sequence[Listing], Element]:
        entries = self._entries(node)
        text = node.text("Pagination/PageNumber") or "1"
        pages = -(-len(found) // entries)
        if not text.isdigit() or not 1 <= int(text) <= max(1, pages):
            raise TradingError("340", f"Page number is out of range: there are {pages} pages.")
        start = self._faults.drifted((int(text) - 1) * entries)
        counts = texts({"TotalNumberOfPages": pages, "TotalNumberOfEntries": len(found)})
        return found[start : start + entries], element("PaginationResult", *counts)

    def _shown(self, listing: Listing, *, has_variations: bool = True) -> Element:
        now = self._books.stamp()
        return documents.item(listing, self._faults.replica_at(), now, has_variations=has_variations)

    # Preferences -------------------------------------------------------------------------------------------------

    def _preferences(self, node: Node) -> Answer:
        is_asked = node.text("ShowOutOfStockControlPreference") == "true"
        told = texts({"OutOfStockControlPreference": self._books.has_control}) if is_asked else []
        return "Success", [], [*told]

    def _set_preferences(self, node: Node) -> Answer:
        if node.has("OutOfStockControlPreference"):
            self._books.habits.has_out_of_stock_control = node.text("OutOfStockControlPreference") == "true"
        return "Success", [], []


def _request(name: str, body: bytes) -> Node:
    node = read(body)
    if node is None or node.name != f"{name}Request":
        raise TradingError("5", "XML Parse error.")
    return node


def _instant(node: Node, path: str) -> datetime | None:
    if not node.has(path):
        return None
    try:
        at = datetime.fromisoformat(node.text(path))
    except ValueError:
        raise TradingError("37", f"{path} is not a date.") from None
    if at.tzinfo is None:
        raise TradingError("37", f"{path} has no time zone.")
    return at
