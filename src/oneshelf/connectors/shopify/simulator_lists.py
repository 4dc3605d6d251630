"""What the simulated shop answers to queries, and how its lists mislead: old, short, or shifted between pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_payloads import (
    a_page,
    connection,
    item_node,
    location_node,
    quantity_names,
    stamp,
    variant_node,
)
from oneshelf.connectors.shopify.simulator_routes import route_node, routes_of, whole_order_node
from oneshelf.connectors.shopify.simulator_shop import (
    LOCATION_ID,
    LOCATION_NAME,
    OTHER_LOCATION_ID,
    SHOP_DOMAIN,
    Article,
    ShopOrder,
)
from oneshelf.sdk.decoding import an_instant

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator

# How far a replica or the search index lags behind, at most, in seconds of the shop's time. Shopify states no figure;
# the connector reckons with as much (`ORDERS_LAG_S`), and this simulator keeps to it.
STALE_S_MAX = 5.0

_UPDATED_SINCE = re.compile(r"updated_at:>=\s*'?([0-9T:.Z+-]+)'?", re.ASCII)


class Lists:
    """The root of every query, over the books of one simulated shop."""

    def __init__(self, simulator: ShopifySimulator) -> None:
        self._simulator = simulator
        self._shop = simulator.shop

    def query_root(self) -> dict[str, Any]:
        """A member per root field, called with the field's arguments. `stale_read` strikes a whole answer."""
        shop = self._shop

        def location(_info: object, id: str = "") -> dict[str, Any] | None:
            return location_node() if id == gid("Location", LOCATION_ID) else None

        def order(_info: object, id: str) -> dict[str, Any] | None:
            found = shop.orders.get(id.rsplit("/", 1)[-1])
            return whole_order_node(found) if found else None

        return {
            "nodes": self._nodes,
            "productVariants": self._variants,
            "inventoryItems": self._items,
            "bulkOperation": self._simulator.bulk.by_id,
            "bulkOperations": self._simulator.bulk.listed,
            "orders": self._changed_orders,
            "fulfillmentOrders": self._changed_routes,
            "order": order,
            "location": location,
            "locations": connection([LOCATION_ID, OTHER_LOCATION_ID], location_node),
            "shop": {"id": gid("Shop", "1"), "name": LOCATION_NAME, "myshopifyDomain": SHOP_DOMAIN},
            "currentAppInstallation": {
                "id": gid("AppInstallation", "1"),
                "accessScopes": [{"handle": scope} for scope in self._simulator.installed.scopes],
            },
            "webhookSubscriptions": self._simulator.webhooks.subscriptions.listed,
            "inventoryProperties": {"quantityNames": quantity_names()},
        }

    # Stock -----------------------------------------------------------------------------------------------------

    def _nodes(self, _info: object, ids: list[str]) -> list[dict[str, Any] | None]:
        at = self._replica_at()
        return [self._node(each, at) for each in ids]

    def _node(self, node_id: str, at: datetime | None) -> dict[str, Any] | None:
        kind, _, number = node_id.removeprefix("gid://shopify/").partition("/")
        if kind == "Order":
            order = self._shop.orders.get(number)
            return whole_order_node(order) if order else None
        article = self._shop.by_variant.get(number) if kind == "ProductVariant" else None
        return variant_node(article, at) if article and not article.is_deleted else None

    def _variants(self, _info: object, first: int = 50, after: str | None = None, **_rest: object) -> dict[str, Any]:
        """Sorted by id, which no change moves. The cursor is a place in the catalogue."""
        at = self._replica_at()
        start = int(after) if after and after.isdecimal() else 0
        rest = self._articles(start, first)

        def shown(article: Article) -> dict[str, Any]:
            return variant_node(article, at)

        return a_page(rest, self._length(rest, first), shown)

    def _items(self, _info: object, first: int = 50, after: str | None = None) -> dict[str, Any]:
        """As the variants, each by its inventory item."""
        at = self._replica_at()
        rest = self._articles(int(after) if after and after.isdecimal() else 0, first)
        return a_page(rest, self._length(rest, first), lambda article: item_node(article, at))

    def _articles(self, start: int, length: int) -> list[tuple[str, Article]]:
        """`(cursor, article)` of so many that are on sale, from a place in the catalogue on, and of one more."""
        articles = self._shop.articles
        on_sale = (articles[at] for at in range(start, len(articles)) if not articles[at].is_deleted)
        return [(str(one.at + 1), one) for one in islice(on_sale, length + 1)]

    def _replica_at(self) -> datetime | None:
        """The instant whose state this answer shows; None: now."""
        simulator = self._simulator
        if not simulator.switches.strikes("stale_read"):
            return None
        return simulator.channel_now() - timedelta(seconds=self._lag_s())

    def _lag_s(self) -> float:
        return self._simulator.chance.uniform(0.0, STALE_S_MAX) / self._simulator.speed

    # Orders ----------------------------------------------------------------------------------------------------

    def _changed_orders(
        self, _info: object, first: int = 50, after: str | None = None, query: str = "", **_rest: object
    ) -> dict[str, Any]:
        """Sorted by update, then id. The cursor holds both, so that orders that move on are met again, not missed.

        As at Shopify, a query that is not understood is ignored and everything is returned.
        """
        if after:
            self._drift(after)
        wanted = _UPDATED_SINCE.search(query or "")
        since = an_instant(wanted[1], "updated_at") if wanted else None
        ranked = sorted(
            ((_rank(order), order) for order in self._indexed() if since is None or order.updated_at >= since),
            key=lambda entry: entry[0],
        )
        rest = [(rank, order) for rank, order in ranked if rank > (after or "")]
        return a_page(rest, self._length(rest, first), whole_order_node)

    def _changed_routes(
        self, _info: object, first: int = 50, after: str | None = None, query: str = "", **_rest: object
    ) -> dict[str, Any]:
        """Fulfilment orders, sorted as the orders are."""
        wanted = _UPDATED_SINCE.search(query or "")
        since = an_instant(wanted[1], "updated_at") if wanted else None
        routes = [route for order in self._indexed() for route in routes_of(order)]
        ranked = sorted((route.rank, route) for route in routes if since is None or route.updated_at >= since)
        rest = [(rank, route) for rank, route in ranked if rank > (after or "")]
        return a_page(rest, self._length(rest, first), route_node)

    def _indexed(self) -> Sequence[ShopOrder]:
        """The orders that the search knows. Where it lags, some of the latest are not in it yet, in no order."""
        simulator = self._simulator
        orders = list(self._shop.orders.values())
        if not simulator.switches.strikes("stale_read"):
            return orders
        known_until = simulator.channel_now() - timedelta(seconds=self._lag_s())
        return [one for one in orders if one.updated_at <= known_until or simulator.chance.random() < 0.5]

    def _drift(self, after: str) -> None:
        """Between two pages somebody touches an order of a page that is still to come: it moves to the end."""
        simulator = self._simulator
        waiting = [one for one in self._shop.orders.values() if _rank(one) > after]
        if waiting and simulator.switches.strikes("page_drift"):
            simulator.touch(simulator.chance.choice(waiting))

    def _length(self, rest: Sequence[object], length: int) -> int:
        """How many entries this page has: sometimes fewer than were asked for, with more to come.

        "hasNextPage" alone tells whether there is more: https://shopify.dev/docs/api/usage/pagination-graphql
        (checked 2026-11-25).
        """
        most = min(len(rest), length)
        if most < 2 or not self._simulator.switches.strikes("partial_page"):
            return length
        return self._simulator.chance.randrange(1, most)


def _rank(order: ShopOrder) -> str:
    return f"{stamp(order.updated_at)}/{order.order_id}"
