"""How the simulated shop tells of itself: GraphQL objects for answers, REST objects for webhooks.

A GraphQL object is a dict whose callable members are called with their arguments when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_shop import (
    LOCATION_ID,
    LOCATION_NAME,
    ON_HAND_STATES,
    OTHER_LOCATION_NAME,
    STATES,
    Article,
    Fulfillment,
    OrderedLine,
    Part,
    Refund,
    ShopOrder,
    on_hand,
)


def stamp(instant: datetime) -> str:
    """Whole seconds, as Shopify writes them."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def connection(objects: Sequence[object], shown: Callable[[Any], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A connection whose cursors are positions; for lists that only grow at their end."""

    def page(_info: object, first: int = 50, after: str | None = None, **_rest: object) -> dict[str, Any]:
        ranked = [(str(at), entry) for at, entry in enumerate(objects, start=1)]
        start = int(after) if after and after.isdecimal() else 0
        return a_page(ranked[start:], first, shown)

    return page


def a_page(rest: Sequence[tuple[str, Any]], length: int, shown: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The first `length` of what is left of a list of `(cursor, entry)`."""
    chosen = rest[:length]
    nodes = [shown(entry) for _cursor, entry in chosen]
    return {
        "nodes": nodes,
        "edges": [{"node": node} for node in nodes],
        "pageInfo": {"hasNextPage": len(rest) > length, "endCursor": chosen[-1][0] if chosen else None},
    }


# GraphQL ---------------------------------------------------------------------------------------------------


def location_node(location_id: str = LOCATION_ID) -> dict[str, Any]:
    return {
        "__typename": "Location",
        "id": gid("Location", location_id),
        "name": LOCATION_NAME if location_id == LOCATION_ID else OTHER_LOCATION_NAME,
        "isActive": True,
        "isFulfillmentService": False,
    }


def quantity_names() -> list[dict[str, Any]]:
    named = [
        {
            "name": state,
            "belongsTo": ["on_hand"] if state in ON_HAND_STATES else [],
            "comprises": [],
            "isInUse": True,
        }
        for state in STATES
    ]
    on_hand = {"name": "on_hand", "belongsTo": [], "comprises": list(ON_HAND_STATES), "isInUse": True}
    return [*named, on_hand]


def variant_node(article: Article, at: datetime | None = None) -> dict[str, Any]:
    """The variant, with its units as they were `at` an instant of the last while; None: now."""
    return {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", article.variant_id),
        "sku": article.sku,
        "displayName": f"{article.title} - Default Title",
        "inventoryItem": lambda _info: item_node(article, at),
    }


def item_node(article: Article, at: datetime | None = None) -> dict[str, Any]:
    def level(_info: object, locationId: str, includeInactive: bool = False) -> dict[str, Any] | None:
        is_shown = article.is_stocked and (article.is_active or includeInactive)
        return level_node(article, at) if is_shown and locationId == gid("Location", LOCATION_ID) else None

    def levels(
        _info: object, first: int | None = None, after: str | None = None, includeInactive: bool = False
    ) -> dict[str, Any]:
        is_shown = article.is_stocked and (article.is_active or includeInactive) and after is None
        return a_page([("1", article)] if is_shown else [], first or 1, lambda one: level_node(one, at))

    return {
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", article.item_id),
        "sku": article.sku,
        "tracked": article.is_tracked,
        "inventoryLevel": level,
        "inventoryLevels": levels,
    }


def level_gid(article: Article) -> str:
    """The number of a level is neither the location's nor the item's, and no key: identity is (item, location)."""
    return f"gid://shopify/InventoryLevel/{143_273_000_001 + article.at}?inventory_item_id={article.item_id}"


def level_node(article: Article, at: datetime | None = None) -> dict[str, Any]:
    units = article.units_at(at)

    def quantities(_info: object, names: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "__typename": "InventoryQuantity",
                "id": f"gid://shopify/InventoryQuantity/{143_273_000_001 + article.at}?name={name}",
                "name": name,
                "quantity": on_hand(units) if name == "on_hand" else units[name],
                # Recorded: the sum has no instant of its own.
                "updatedAt": None if name == "on_hand" else stamp(article.updated_at),
            }
            for name in names
            if name == "on_hand" or name in units
        ]

    return {
        "__typename": "InventoryLevel",
        "id": level_gid(article),
        "isActive": article.is_active,
        "updatedAt": stamp(article.updated_at),
        "location": location_node(),
        "quantities": quantities,
    }


def order_node(order: ShopOrder) -> dict[str, Any]:
    return {
        "__typename": "Order",
        "id": gid("Order", order.order_id),
        "name": f"#{order.number}",
        "test": False,
        "createdAt": stamp(order.created_at),
        "updatedAt": stamp(order.updated_at),
        "cancelledAt": stamp(order.cancelled_at) if order.cancelled_at else None,
        "sourceName": "web",
        "retailLocation": None,
        "lineItems": connection(order.lines, line_node),
        "fulfillments": lambda _info, first=50: [_fulfillment_node(each) for each in order.fulfillments[:first]],
        "refunds": lambda _info, first=50: [_refund_node(each) for each in order.refunds[:first]],
    }


def line_node(line: OrderedLine) -> dict[str, Any]:
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.line_id),
        "sku": line.article.sku,
        "quantity": line.quantity,
        "currentQuantity": line.current,
        "unfulfilledQuantity": line.unfulfilled,
        "variant": None if line.article.is_deleted else variant_node(line.article),
    }


def _fulfillment_node(fulfillment: Fulfillment) -> dict[str, Any]:
    def shown(part: Part) -> dict[str, Any]:
        return {
            "__typename": "FulfillmentLineItem",
            "id": gid("FulfillmentLineItem", f"{fulfillment.fulfillment_id}{part.line.line_id[-4:]}"),
            "quantity": part.units,
            "lineItem": line_node(part.line),
        }

    return {
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", fulfillment.fulfillment_id),
        "status": "SUCCESS",
        "location": location_node(fulfillment.location_id),
        "fulfillmentLineItems": connection(fulfillment.parts, shown),
    }


def _refund_node(refund: Refund) -> dict[str, Any]:
    def shown(part: Part) -> dict[str, Any]:
        kind, is_restocked = refund.restock_type, refund.restock_type != "NO_RESTOCK"
        return {
            "quantity": part.units,
            "restockType": kind,
            "restocked": is_restocked,
            "location": location_node(refund.location_id) if is_restocked else None,
            "lineItem": line_node(part.line),
        }

    return {
        "__typename": "Refund",
        "id": gid("Refund", refund.refund_id),
        "createdAt": stamp(refund.created_at),
        "refundLineItems": connection(refund.parts, shown),
    }


# Webhooks --------------------------------------------------------------------------------------------------


def level_payload(article: Article) -> dict[str, Any]:
    """Available alone, of one location; no cause, no difference, and not the variant."""
    return {
        "inventory_item_id": int(article.item_id),
        "location_id": int(LOCATION_ID),
        "available": article.units["available"],
        "updated_at": stamp(article.updated_at),
        "admin_graphql_api_id": level_gid(article),
    }


def order_payload(order: ShopOrder) -> dict[str, Any]:
    """The one REST order that every orders/* topic carries."""
    return {
        "id": int(order.order_id),
        "admin_graphql_api_id": gid("Order", order.order_id),
        "name": f"#{order.number}",
        "created_at": stamp(order.created_at),
        "updated_at": stamp(order.updated_at),
        "cancelled_at": stamp(order.cancelled_at) if order.cancelled_at else None,
        "closed_at": None,
        "financial_status": "voided" if order.cancelled_at else "paid",
        "fulfillment_status": _fulfilled(any(line.unfulfilled for line in order.lines), bool(order.fulfillments)),
        "source_name": "web",
        "location_id": None,
        "test": False,
        "tags": "",
        "line_items": [_line_payload(line) for line in order.lines],
        "fulfillments": [
            {
                "id": int(each.fulfillment_id),
                "order_id": int(order.order_id),
                "status": "success",
                "created_at": stamp(each.created_at),
                "location_id": int(each.location_id),
                "line_items": [{**_line_payload(p.line), "quantity": p.units} for p in each.parts],
            }
            for each in order.fulfillments
        ],
        "refunds": [refund_payload(order, each) for each in order.refunds],
    }


def refund_payload(order: ShopOrder, refund: Refund) -> dict[str, Any]:
    """A refund, in its order and alone on the topic refunds/create."""
    return {
        "id": int(refund.refund_id),
        "order_id": int(order.order_id),
        "created_at": stamp(refund.created_at),
        "refund_line_items": [
            {
                "line_item_id": int(part.line.line_id),
                "quantity": part.units,
                "restock_type": refund.restock_type.lower(),
                "location_id": None if refund.restock_type == "NO_RESTOCK" else int(refund.location_id),
            }
            for part in refund.parts
        ],
    }


def edit_payload(order: ShopOrder, line: OrderedLine, units: int, *, edit_id: str) -> dict[str, Any]:
    """The topic orders/edited: by how many units a line grew, or shrank where `units` is below zero."""
    delta = {"id": int(line.line_id), "delta": abs(units)}
    return {
        "order_edit": {
            "id": int(edit_id),
            "order_id": int(order.order_id),
            "created_at": stamp(order.updated_at),
            "committed_at": stamp(order.updated_at),
            "line_items": {"additions": [delta] if units > 0 else [], "removals": [delta] if units < 0 else []},
        }
    }


def item_payload(article: Article) -> dict[str, Any]:
    """The topic inventory_items/update."""
    return {
        "id": int(article.item_id),
        "sku": article.sku,
        "updated_at": stamp(article.updated_at),
        "tracked": article.is_tracked,
        "admin_graphql_api_id": gid("InventoryItem", article.item_id),
    }


def gone_payload(article: Article) -> dict[str, Any]:
    """The topic inventory_items/delete."""
    return {"id": int(article.item_id), "admin_graphql_api_id": gid("InventoryItem", article.item_id)}


def _fulfilled(is_left: bool, has_begun: bool) -> str | None:
    if not has_begun:
        return None
    return "partial" if is_left else "fulfilled"


def _line_payload(line: OrderedLine) -> dict[str, Any]:
    return {
        "id": int(line.line_id),
        "admin_graphql_api_id": gid("LineItem", line.line_id),
        "variant_id": None if line.article.is_deleted else int(line.article.variant_id),
        "product_id": None if line.article.is_deleted else int(line.article.variant_id) + 10_000_000,
        "product_exists": not line.article.is_deleted,
        "sku": line.article.sku,
        "title": line.article.title,
        "quantity": line.quantity,
        "current_quantity": line.current,
        "fulfillable_quantity": line.unfulfilled,
        "fulfillment_status": _fulfilled(line.unfulfilled > 0, line.fulfilled > 0),
        "fulfillment_service": "manual",
        "requires_shipping": True,
        "properties": [],
    }
