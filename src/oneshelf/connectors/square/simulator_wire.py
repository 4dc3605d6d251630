"""The routes of the simulated Square: locations, catalog, inventory, orders, payments."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.square.simulator_documents import (
    LOCATION_ID,
    MERCHANT_ID,
    count_document,
    item_document,
    order_document,
    payment_document,
    return_document,
    stamp,
    variation_document,
)
from oneshelf.connectors.square.simulator_gate import Asked, invalid
from oneshelf.domain.identity import instant_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulated_shop import Article

if TYPE_CHECKING:
    from oneshelf.connectors.square.simulator import SquareSimulator

Answer = dict[str, Any]
CHANGES_MAX, IDS_MAX, PAGE_MAX = 100, 1000, 1000
# Square does not say for how long a cursor of SearchOrders is good.
CURSOR_LIFE_S = 300.0
# "occurred_at cannot be older than 24 hours or in the future": InventoryPhysicalCount.
OLDEST = timedelta(hours=24)
_QUANTITY = re.compile(r"[0-9]{1,9}", re.ASCII)


class Wire:
    """Square's API over the books of a simulated seller."""

    def __init__(self, simulator: SquareSimulator) -> None:
        self._sim = simulator
        # Idempotency key -> the request that came with it, and what was answered.
        self._answered: dict[str, tuple[bytes, Answer]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        gate = self._sim.gate
        behind = gate.behind
        return [
            Route("/oauth2/token", gate.grant, methods=["POST"]),
            Route("/oauth2/token/status", behind(gate.token_status), methods=["POST"]),
            Route("/v2/locations/{id}", behind(self._location, "MERCHANT_PROFILE_READ"), methods=["GET"]),
            Route("/v2/catalog/search", behind(self._search_catalog, "ITEMS_READ"), methods=["POST"]),
            Route("/v2/catalog/batch-retrieve", behind(self._read_catalog, "ITEMS_READ"), methods=["POST"]),
            Route("/v2/inventory/counts/batch-retrieve", behind(self._counts, "INVENTORY_READ"), methods=["POST"]),
            Route(
                "/v2/inventory/changes/batch-create",
                behind(self._change, "INVENTORY_WRITE", is_write=True),
                methods=["POST"],
            ),
            Route("/v2/orders/search", behind(self._search_orders, "ORDERS_READ"), methods=["POST"]),
            Route("/v2/orders/{id}", behind(self._order, "ORDERS_READ"), methods=["GET"]),
            Route("/v2/payments", behind(self._payments, "PAYMENTS_READ"), methods=["GET"]),
        ]

    def _location(self, request: Request, _asked: Asked) -> Answer:
        if request.path_params["id"] != LOCATION_ID:
            raise invalid("NOT_FOUND", "Location not found.", "location_id", status=404)
        location = {"id": LOCATION_ID, "name": "Main street", "status": "ACTIVE", "merchant_id": MERCHANT_ID}
        return {"location": location}

    # Catalog -------------------------------------------------------------------------------------------------

    def _search_catalog(self, _request: Request, asked: Asked) -> Answer:
        if asked.get("object_types") != ["ITEM_VARIATION"]:
            raise invalid("INVALID_VALUE", "The simulator searches ITEM_VARIATION only.", "object_types")
        limit = min(int(asked.get("limit") or 100), PAGE_MAX)
        begin = _offset_in(asked.get("cursor"))
        shown = [one for one in self._sim.articles.values() if not one.is_ended]
        answer = self._catalog(shown[begin : begin + limit], asked)
        return {**answer, "cursor": f"c{begin + limit}"} if begin + limit < len(shown) else answer

    def _read_catalog(self, _request: Request, asked: Asked) -> Answer:
        ids = _ids_in(asked, "object_ids")
        found = [self._sim.articles[one] for one in ids if one in self._sim.articles]
        return self._catalog([one for one in found if not one.is_ended], asked)

    def _catalog(self, articles: Sequence[Article], asked: Asked) -> Answer:
        at = self._sim.channel_now()
        sold_out = self._sim.sold_out
        objects = [
            variation_document(one, is_sold_out=one.channel_sku in sold_out or one.units <= 0, at=at)
            for one in articles
        ]
        answer: Answer = {"objects": objects} if objects else {}
        if objects and asked.get("include_related_objects"):
            answer["related_objects"] = [item_document(one, at=at) for one in articles]
        return answer

    # Inventory -----------------------------------------------------------------------------------------------

    def _counts(self, _request: Request, asked: Asked) -> Answer:
        ids, begin = _ids_in(asked, "catalog_object_ids"), _offset_in(asked.get("cursor"))
        limit = min(int(asked.get("limit") or 100), PAGE_MAX)
        is_here = LOCATION_ID in asked.get("location_ids", [LOCATION_ID])
        known = [one for one in dict.fromkeys(ids) if is_here and one in self._sim.articles]
        page = known[begin : begin + limit]
        counts = [count_document(one, self._sim.units_told(one), self._sim.channel_now()) for one in page]
        answer: Answer = {"counts": counts} if counts else {}
        return {**answer, "cursor": f"c{begin + limit}"} if begin + limit < len(known) else answer

    def _change(self, _request: Request, asked: Asked) -> Answer:
        key = asked.get("idempotency_key")
        if not isinstance(key, str) or not 0 < len(key) <= 128:
            raise invalid("MISSING_REQUIRED_PARAMETER", "Missing required parameter.", "idempotency_key")
        said = msgspec.json.encode(asked, order="deterministic")
        if key in self._answered:
            first, answer = self._answered[key]
            if first != said:
                raise invalid("IDEMPOTENCY_KEY_REUSED", "The key was used for another request.", "idempotency_key")
            return answer
        changes = asked.get("changes") or []
        if len(changes) > CHANGES_MAX:
            raise invalid("ARRAY_LENGTH_TOO_LONG", f"At most {CHANGES_MAX} changes.", "changes")
        counted = [self._physical_count(change, f"changes[{at}]") for at, change in enumerate(changes)]
        for channel_sku, units, at in counted:
            self._sim.count(channel_sku, units, at, ignores_unchanged=asked.get("ignore_unchanged_counts") is not False)
        now = self._sim.channel_now()
        counts = [count_document(sku, self._sim.articles[sku].units, now) for sku, _, _ in counted]
        answer = {"counts": counts} if counts else {}
        self._answered[key] = (said, answer)
        return answer

    def _physical_count(self, change: Any, where: str) -> tuple[str, int, datetime]:
        """One wrong row refuses the whole request; how Square treats the others it does not say."""
        told = change.get("physical_count") if isinstance(change, dict) else None
        if not isinstance(told, dict) or change.get("type") != "PHYSICAL_COUNT":
            raise invalid("INVALID_VALUE", "The simulator takes physical counts only.", where)
        article = self._sim.articles.get(str(told.get("catalog_object_id")))
        if article is None or article.is_ended or not article.is_tracked:
            raise invalid("INVALID_VALUE", "No such catalog object.", f"{where}.physical_count.catalog_object_id")
        if told.get("location_id") != LOCATION_ID or told.get("state") != "IN_STOCK":
            raise invalid("INVALID_VALUE", "Wrong location or state.", f"{where}.physical_count.location_id")
        quantity = str(told.get("quantity"))
        if _QUANTITY.fullmatch(quantity) is None:
            raise invalid("INVALID_VALUE", "Invalid quantity.", f"{where}.physical_count.quantity")
        now = self._sim.channel_now()
        try:
            at = instant_from(told.get("occurred_at"), what="occurred_at")
        except MalformedError as problem:
            raise invalid("INVALID_TIME", str(problem), f"{where}.physical_count.occurred_at") from None
        if not now - OLDEST <= at <= now:
            raise invalid("INVALID_TIME", "Too old, or in the future.", f"{where}.physical_count.occurred_at")
        return article.channel_sku, int(quantity), at

    # Orders ----------------------------------------------------------------------------------------------------

    def _search_orders(self, _request: Request, asked: Asked) -> Answer:
        query = asked.get("query") or {}
        changed = ((query.get("filter") or {}).get("date_time_filter") or {}).get("updated_at") or {}
        sort = query.get("sort") or {}
        if sort.get("sort_field") != "UPDATED_AT" or sort.get("sort_order") != "ASC":
            raise invalid("BAD_REQUEST", "The simulator sorts by UPDATED_AT, ASC.", "query.sort")
        if asked.get("location_ids") != [LOCATION_ID]:
            raise invalid("INVALID_VALUE", "Unknown location.", "location_ids")
        limit = min(int(asked.get("limit") or 500), PAGE_MAX)
        digest = hashlib.sha256(msgspec.json.encode([query, limit], order="deterministic")).hexdigest()[:12]
        now = self._sim.channel_now()
        # "If the end time is absent, it defaults to the time of the first request for the cursor."
        after, end = ("", ""), changed.get("end_at") or stamp(now)
        if asked.get("cursor"):
            end, after = self._place(str(asked["cursor"]), digest)
        start = stamp(instant_from(changed["start_at"], what="start_at")) if "start_at" in changed else ""
        rows = sorted((document["updated_at"], document["id"], document) for document in self._visible())
        left = [row for row in rows if start <= row[0] <= end and (row[0], row[1]) > after]
        answer: Answer = {"orders": [row[2] for row in left[:limit]]} if left else {}
        if len(left) > limit:
            place = [digest, stamp(now), end, left[limit - 1][0], left[limit - 1][1]]
            answer["cursor"] = base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
        return answer

    def _place(self, cursor: str, digest: str) -> tuple[str, tuple[str, str]]:
        try:
            of, made_at, end, changed_at, order_id = msgspec.json.decode(
                base64.urlsafe_b64decode(cursor), type=list[str]
            )
        except (ValueError, msgspec.DecodeError):
            raise invalid("INVALID_CURSOR", "Invalid cursor.", "cursor") from None
        life = timedelta(seconds=CURSOR_LIFE_S / self._sim.speed)
        is_old = self._sim.channel_now() - instant_from(made_at, what="cursor") > life
        if of != digest or is_old:
            raise invalid("INVALID_CURSOR", "The cursor is of another query, or too old.", "cursor")
        return end, (changed_at, order_id)

    def _visible(self) -> list[Answer]:
        """What a search finds: of an order that was just placed it may know nothing yet."""
        now_s = self._sim.clock.monotonic()
        shown = [sale for sale in self._sim.sales.values() if self._sim.facts[sale.order_id].visible_at <= now_s]
        return [self._document(sale.order_id) for sale in shown] + [return_document(one) for one in self._sim.returned]

    def _document(self, order_id: str) -> Answer:
        names = {sku: article.title for sku, article in self._sim.articles.items()}
        return order_document(self._sim.sales[order_id], self._sim.facts[order_id], names)

    def _order(self, request: Request, _asked: Asked) -> Answer:
        order_id = request.path_params["id"]
        if order_id in self._sim.sales:
            return {"order": self._document(order_id)}
        for one in self._sim.returned:
            if one.order_id == order_id:
                return {"order": return_document(one)}
        raise invalid("NOT_FOUND", "Order not found.", "order_id", status=404)

    def _payments(self, request: Request, _asked: Asked) -> Answer:
        params = request.query_params
        begin, end = params.get("begin_time", ""), params.get("end_time", "9")
        found = []
        for sale in self._sim.sales.values():
            facts = self._sim.facts[sale.order_id]
            is_wanted = params.get("is_offline_payment") != "true" or facts.paid_offline_at is not None
            if facts.is_paid and is_wanted and begin <= stamp(sale.placed_at) <= end:
                found.append(payment_document(sale, facts))
        return {"payments": found[:100]} if found else {}


def _ids_in(asked: Asked, name: str) -> list[str]:
    ids = asked.get(name) or []
    if len(ids) > IDS_MAX:
        raise invalid("ARRAY_LENGTH_TOO_LONG", f"At most {IDS_MAX} ids.", name)
    return [str(one) for one in ids]


def _offset_in(cursor: object) -> int:
    if not cursor:
        return 0
    if not isinstance(cursor, str) or not cursor[1:].isdecimal():
        raise invalid("INVALID_CURSOR", "Invalid cursor.", "cursor")
    return int(cursor[1:])
