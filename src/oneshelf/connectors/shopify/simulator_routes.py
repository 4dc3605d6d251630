"""From where the open units of an order will leave: fulfilment orders, as the simulated shop has and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_payloads import connection, line_node, location_node, order_node, stamp
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID, OTHER_LOCATION_ID, OrderedLine, Shop, ShopOrder

ROUTES = """
enum FulfillmentOrderSortKeys { ID UPDATED_AT }

type FulfillmentOrder implements Node {
  id: ID!
  status: FulfillmentOrderStatus!
  updatedAt: DateTime!
  order: Order!
  assignedLocation: FulfillmentOrderAssignedLocation!
  lineItems(first: Int, after: String): FulfillmentOrderLineItemConnection!
}

enum FulfillmentOrderStatus { CANCELLED CLOSED INCOMPLETE IN_PROGRESS ON_HOLD OPEN SCHEDULED }

type FulfillmentOrderAssignedLocation {
  name: String!
  location: Location
}

type FulfillmentOrderConnection {
  nodes: [FulfillmentOrder!]!
  pageInfo: PageInfo!
}

type FulfillmentOrderLineItem implements Node {
  id: ID!
  totalQuantity: Int!
  remainingQuantity: Int!
  lineItem: LineItem!
}

type FulfillmentOrderLineItemConnection {
  nodes: [FulfillmentOrderLineItem!]!
  pageInfo: PageInfo!
}
"""

Part = tuple[OrderedLine, int, int]  # a line; units in all, and those that have not left


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """What of one order leaves from one location."""

    rank: str
    order: ShopOrder
    location_id: str
    parts: tuple[Part, ...]

    @property
    def number(self) -> str:
        return f"{self.order.order_id}{1 if self.location_id == LOCATION_ID else 2}"

    @property
    def updated_at(self) -> datetime:
        return self.order.routed_at or self.order.created_at

    @property
    def is_open(self) -> bool:
        return any(left for _, _, left in self.parts)


def assign(shop: Shop, order_id: str, line_id: str, units: int, *, now: datetime) -> ShopOrder | None:
    """Of what is open of a line `units` are assigned to the other location. None where that changes nothing.

    An order does not count as changed by it: no text of Shopify says that it does.
    """
    order, line = shop.orders.get(order_id), shop.line(order_id, line_id)
    if order is None or line is None or not 0 <= units <= line.unfulfilled or units == line.elsewhere:
        return None
    more = units - line.elsewhere
    if more < 0 and not line.article.can_sell(-more):
        return None
    line.elsewhere = units
    shop.commit(line.article, -more, now)
    order.routed_at = now
    return order


def routes_of(order: ShopOrder) -> Sequence[Route]:
    """One for each location that has, or had, something to ship of it."""
    found = []
    for location_id in (LOCATION_ID, OTHER_LOCATION_ID):
        is_here = location_id == LOCATION_ID
        parts = tuple(
            (line, left + gone, left)
            for line in order.lines
            for left, gone in [
                (line.open_here, line.fulfilled) if is_here else (line.elsewhere, line.fulfilled_elsewhere)
            ]
            if left + gone
        )
        if parts:
            rank = f"{stamp(order.routed_at or order.created_at)}/{order.order_id}/{location_id}"
            found.append(Route(rank, order, location_id, parts))
    return found


def whole_order_node(order: ShopOrder) -> dict[str, Any]:
    """The order with its fulfilment orders."""
    return {**order_node(order), "fulfillmentOrders": connection(routes_of(order), route_node)}


def route_node(route: Route) -> dict[str, Any]:
    def shown(part: Part) -> dict[str, Any]:
        line, total, left = part
        return {
            "__typename": "FulfillmentOrderLineItem",
            "id": gid("FulfillmentOrderLineItem", f"{route.number}{line.line_id[-4:]}"),
            "totalQuantity": total,
            "remainingQuantity": left,
            "lineItem": line_node(line),
        }

    place = location_node(route.location_id)
    return {
        "__typename": "FulfillmentOrder",
        "id": gid("FulfillmentOrder", route.number),
        "status": "OPEN" if route.is_open else "CLOSED",
        "updatedAt": stamp(route.updated_at),
        "order": order_node(route.order),
        "assignedLocation": {"name": place["name"], "location": place},
        "lineItems": connection(route.parts, shown),
    }


def moved_payload(order: ShopOrder) -> dict[str, Any]:
    """The topic fulfillment_orders/moved: the fulfilment orders, and neither the order nor its units."""
    told = [{"id": gid("FulfillmentOrder", route.number), "status": "open"} for route in routes_of(order)]
    return {
        "original_fulfillment_order": told[0],
        "moved_fulfillment_order": told[-1],
        "source_location": {"id": gid("Location", LOCATION_ID)},
        "destination_location_id": gid("Location", OTHER_LOCATION_ID),
    }
