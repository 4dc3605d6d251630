"""A simulated Shopify shop with one location, on the real wire: GraphQL Admin API and signed webhooks.

The access token is `shpat_simulated` and the location is 75596366001; `GET /_sim/health` shows both, and the app's
credentials for those who ask for a token of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.shopify.access import TOKEN_PATH
from oneshelf.connectors.shopify.simulator_bulk import FAULTS as BULK_FAULTS
from oneshelf.connectors.shopify.simulator_bulk import FILE_PATH, BulkOperations
from oneshelf.connectors.shopify.simulator_cost import QUERY_COST_MAX, Bucket, actual_cost, throttled, too_costly
from oneshelf.connectors.shopify.simulator_graphql import (
    Prepared,
    RefusedRequestError,
    executed,
    prepared,
)
from oneshelf.connectors.shopify.simulator_lists import Lists
from oneshelf.connectors.shopify.simulator_mutations import Mutations
from oneshelf.connectors.shopify.simulator_payloads import (
    edit_payload,
    gone_payload,
    item_payload,
    level_payload,
    order_payload,
    refund_payload,
)
from oneshelf.connectors.shopify.simulator_routes import assign, moved_payload
from oneshelf.connectors.shopify.simulator_shop import (
    KEPT_STATES,
    LOCATION_ID,
    MOVABLE_STATES,
    Article,
    OrderedLine,
    Shop,
    ShopOrder,
)
from oneshelf.connectors.shopify.simulator_tokens import ACCESS_TOKEN as ACCESS_TOKEN
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, REFRESH_TOKEN, App
from oneshelf.connectors.shopify.simulator_webhooks import Webhooks
from oneshelf.domain.identity import units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.cut_reply import CutReply
from oneshelf.sdk.simulator import BookListing, BookOrder, CatalogueItem, SimulatedAccount, Simulator

VERSIONS = ("2026-04", "2026-07", "2026-10")
FAULTS = (
    "webhook_duplicate",
    "webhook_lost",
    "webhook_reorder",
    "throttle",
    "http_429",
    "server_error",
    "reply_lost",
    "slow_write",
    "http_429_bare",
    "error_storm",
    "stale_read",
    "partial_page",
    "page_drift",
    "ignores_compare",
    "ignores_key",
    "token_expired",
    "webhook_day_late",
    "webhook_assembled_late",
    "subscription_dropped",
    "silent_move",
    *BULK_FAULTS,
)

_RETRY_AFTER_S = 2.0


class ShopifySimulator(Simulator):
    """One shop. `webhook_client` delivers webhooks; without one a client of its own is made when it is needed."""

    late_order_faults = ("stale_read",)

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        clock: Clock,
        webhook_client: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(kind="shopify", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.shop = Shop()
        self.installed = App(self)
        self.webhooks = Webhooks(self, webhook_client)
        self.points = Bucket(speed=speed)
        self.bulk = BulkOperations(self)
        self._lists = Lists(self)
        self._mutations = Mutations(self)

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        return SimulatedAccount(
            settings={"base_url": address, "location_id": LOCATION_ID},
            secrets={"access_token": ACCESS_TOKEN, "webhook_secret": ",".join(webhook_secrets)},
        )

    # What a buyer and a person in the back office do ---------------------------------------------------------

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        for item in items:
            self.shop.add(item, now=self.channel_now())

    def listings(self) -> Sequence[BookListing]:
        return self.shop.listings

    def orders(self) -> Sequence[BookOrder]:
        return self.shop.book_orders()

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        order = self.shop.place(lines, now=self.channel_now())
        if order is None:
            return None
        order.placed_at = self.clock.now()
        self._announce(order, "orders/create", has_moved_levels=True)
        self._move_silently()
        return order.order_id

    def cancel(self, order_id: str) -> bool:
        order = self.shop.cancel(order_id, now=self.channel_now())
        return self._announce(order, "orders/cancelled", "orders/updated", has_moved_levels=True)

    def ship(self, order_id: str) -> bool:
        order = self.shop.ship(order_id, now=self.channel_now())
        return self._announce(order, "orders/fulfilled", "orders/updated")

    def refuse_writes(self, channel_sku: str, *, names_row: bool = True) -> None:
        """Every write that has this variant in it is refused as a whole; `names_row`: saying which row is wrong."""
        self.shop.refusing[self.shop.article(channel_sku).item_id] = names_row

    def take_writes(self, channel_sku: str) -> None:
        """The variant may be written again."""
        self.shop.refusing.pop(self.shop.article(channel_sku).item_id, None)

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        order = self.shop.ship(order_id, now=self.channel_now(), only=(line_id, units))
        topic = "orders/partially_fulfilled" if order and order.status == "open" else "orders/fulfilled"
        return self.counted("units_shipped", self._announce(order, topic, "orders/updated"))

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        """As a person in the back office does it: the order is edited, and what was removed is restocked."""
        line = self.shop.line(order_id, line_id)
        is_possible = line is not None and 0 < units <= line.unfulfilled
        return self.counted("units_cancelled", is_possible and self._edit_line(order_id, line_id, -units))

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        line = self.shop.line(order_id, line_id)
        is_edited = line is not None and self._edit_line(order_id, line_id, units - line.unfulfilled)
        return self.counted("order_edited", is_edited)

    def _edit_line(self, order_id: str, line_id: str, more: int) -> bool:
        line = self.shop.line(order_id, line_id)
        wanted = line.unfulfilled + more if line else 0
        order = self.shop.edit(order_id, line_id, wanted, now=self.channel_now())
        if order is None or line is None:
            return False
        return self._announce_edit(order, line, more)

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        order = self.shop.add_line(order_id, channel_sku, units, now=self.channel_now())
        return self.counted("order_edited", order is not None and self._announce_edit(order, order.lines[-1], units))

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        done = self.shop.refund(order_id, line_id, units, restock=restock, now=self.channel_now())
        if done is None:
            return False
        order, refund = done
        event_id = self.webhooks.new_event()
        self.webhooks.send("refunds/create", refund_payload(order, refund), event_id=event_id)
        self.webhooks.send("orders/updated", order_payload(order), event_id=event_id)
        if restock:
            self.announce_level(refund.parts[0].line.article, event_id=event_id)
        return self.counted("refund_restocked" if restock else "refund_kept_off", True)

    def ships_elsewhere(self, order_id: str, line_id: str, units: int) -> bool:
        order = assign(self.shop, order_id, line_id, units, now=self.channel_now())
        line = self.shop.line(order_id, line_id)
        if order is None or line is None:
            return False
        event_id = self.webhooks.new_event()
        self.webhooks.send("fulfillment_orders/moved", moved_payload(order), event_id=event_id)
        self.announce_level(line.article, event_id=event_id)
        return self.counted("order_routed", True)

    def end_listing(self, channel_sku: str) -> bool:
        """Somebody deletes the variant. From then on its orders' lines have no variant."""
        article = self.shop.by_variant.get(channel_sku)
        if article is None or article.is_deleted:
            return False
        self.shop.delete(article, now=self.channel_now())
        self.webhooks.send("inventory_items/delete", gone_payload(article), event_id=self.webhooks.new_event())
        return self.counted("listing_ended", True)

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        """Somebody types another SKU. The variant and its inventory item keep their ids."""
        article = self.shop.by_variant.get(channel_sku)
        if article is None or article.is_deleted:
            return False
        self.shop.rename(article, merchant_sku, now=self.channel_now())
        self.webhooks.send("inventory_items/update", item_payload(article), event_id=self.webhooks.new_event())
        return self.counted("listing_remapped", True)

    def untrack(self, channel_sku: str) -> bool:
        """Somebody takes the tick off "track quantity"."""
        self.shop.article(channel_sku).is_tracked = False
        return self.counted("listing_untracked", True)

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        article = self.shop.article(channel_sku)
        self.shop.set_available(article, units, now=self.channel_now())
        self.announce_level(article, event_id=self.webhooks.new_event())

    def move_units(self, channel_sku: str, units: int, *, origin: str, target: str, is_silent: bool = True) -> bool:
        """A merchant moves units between stock states, such as from `available` to `damaged`. False: too few are there.

        No text of Shopify says which states announce a change, and what is announced tells `available` alone: by
        default nothing is said at all.
        """
        if not {origin, target} <= set(MOVABLE_STATES) or origin == target:
            raise MalformedError(f"units move between two of {', '.join(MOVABLE_STATES)}, not {origin} and {target}")
        article = self.shop.article(channel_sku)
        if not self.shop.move(article, units, origin=origin, target=target, now=self.channel_now()):
            return False
        if not is_silent and "available" in {origin, target}:
            self.announce_level(article, event_id=self.webhooks.new_event())
        return self.counted("units_moved", True)

    def _move_silently(self) -> None:
        """Where somebody has switched it on: a merchant moves a unit that is on sale to where it is not."""
        if self.switches.strikes("silent_move"):
            on_sale = [article for article in self.shop.articles if article.can_sell(1)]
            if on_sale:
                article, target = self.chance.choice(on_sale), self.chance.choice(KEPT_STATES)
                self.move_units(article.variant_id, 1, origin="available", target=target)

    def connect(self, *, address: str, secret: str) -> None:
        """The app's configuration sends all webhooks there. Shopify takes https only; on this machine http will do."""
        self.webhooks.subscriptions.configure(address)
        self.installed.set_secret(secret)

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self.webhooks.aclose()

    def _announce(self, order: ShopOrder | None, *topics: str, has_moved_levels: bool = False) -> bool:
        """Tell of the order, where there is one; whether there is."""
        if order is None:
            return False
        event_id = self.webhooks.new_event()
        for topic in topics:
            self.webhooks.send(topic, order_payload(order), event_id=event_id)
        if has_moved_levels:
            for article in {line.article.item_id: line.article for line in order.lines}.values():
                self.announce_level(article, event_id=event_id)
        return True

    def _announce_edit(self, order: ShopOrder, line: OrderedLine, units: int) -> bool:
        """ "orders/updated" comes "including when an orders/edited webhook is triggered".

        https://community.shopify.com/c/shopify-apis-and-sdks/difference-between-the-orders-updated-and-orders-edited-webhooks/td-p/1060608
        """
        event_id = self.webhooks.new_event()
        edited = edit_payload(order, line, units, edit_id=self.shop.other_id())
        self.webhooks.send("orders/edited", edited, event_id=event_id)
        self.webhooks.send("orders/updated", order_payload(order), event_id=event_id)
        self.announce_level(line.article, event_id=event_id)
        return True

    def touch(self, order: ShopOrder) -> None:
        """Somebody writes a note on the order: nothing of it changes but when it was last updated."""
        order.updated_at = self.channel_now()
        self._announce(order, "orders/updated")

    def announce_level(self, article: Article, *, event_id: str) -> None:
        self.webhooks.send("inventory_levels/update", lambda: level_payload(article), event_id=event_id)

    # The wire ------------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[BaseRoute]:
        def refuse(asked: dict[str, Any]) -> None:
            self.refuse_writes(str(asked["channel_sku"]), names_row=bool(asked.get("names_row", True)))

        def take(asked: dict[str, Any]) -> None:
            self.take_writes(str(asked["channel_sku"]))

        def move(asked: dict[str, Any]) -> bool:
            return self.move_units(
                str(asked["channel_sku"]),
                units_from(asked["units"], what="units", least=1),
                origin=str(asked["from"]),
                target=str(asked["to"]),
                is_silent=bool(asked.get("silent", True)),
            )

        return [
            *super()._controls(),
            Route("/_sim/move-units", self._control(move), methods=["POST"]),
            Route("/_sim/refuse-writes", self._control(refuse), methods=["POST"]),
            Route("/_sim/take-writes", self._control(take), methods=["POST"]),
            *(Route(f"/_sim/{name}", self._control(act), methods=["POST"]) for name, act in self.installed.controls()),
        ]

    def wire(self) -> Sequence[BaseRoute]:
        return [
            Route("/admin/api/{version}/graphql.json", self._graphql, methods=["POST"]),
            Route(TOKEN_PATH, self.installed.grant, methods=["POST"]),
            Route(FILE_PATH, self.bulk.file, methods=["GET"]),
        ]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "kind": self.kind,
                "seed": self.seed,
                "speed": self.speed,
                "access_token": ACCESS_TOKEN,
                "client_id": CLIENT_ID,
                "client_secret": self.installed.secret,
                "refresh_token": REFRESH_TOKEN,
                "location_id": LOCATION_ID,
                "webhooks_delivered": self.webhooks.delivered,
            }
        )

    async def _graphql(self, request: Request) -> Response:
        version = request.path_params["version"]
        self.bulk.address = str(request.base_url)
        refusal = self._refusal(request, version)
        if refusal is not None:
            return refusal
        try:
            asked = msgspec.json.decode(await request.body(), type=dict[str, Any])
        except msgspec.DecodeError:
            return JSONResponse({"errors": {"query": "Required parameter missing or invalid"}}, status_code=400)
        try:
            ready = prepared(asked.get("query"), asked.get("variables"))
            answer = self._throttled(ready)
            is_done = answer is None
            if answer is None:
                answer = await self._executed(ready)
        except RefusedRequestError as refused:
            answer, is_done = refused.answer, False
        else:
            if is_done and ready.call and self.switches.strikes("reply_lost"):
                return CutReply(b'{"data":{"inv')
        return Response(
            msgspec.json.encode(answer),
            media_type="application/json",
            headers={"X-Shopify-API-Version": version, "X-Request-Id": self.webhooks.new_event()},
        )

    def _refusal(self, request: Request, version: str) -> Response | None:
        if version not in VERSIONS:
            return JSONResponse({"errors": "Not Found"}, status_code=404)
        if self.is_revoked or not self.installed.admits(request.headers.get("x-shopify-access-token")):
            self.counted("token_revoked", self.is_revoked)
            words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return JSONResponse({"errors": words}, status_code=401)
        if self.switches.strikes("http_429"):
            headers = {"Retry-After": f"{_RETRY_AFTER_S / self.speed:.3f}"}
            return JSONResponse({"errors": "Too Many Requests"}, status_code=429, headers=headers)
        if self.switches.strikes("http_429_bare"):
            return JSONResponse({"errors": "Too Many Requests"}, status_code=429)
        if self.is_stormy() or self.switches.strikes("server_error"):
            page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
            return Response(page, status_code=502, media_type="text/html")
        return None

    def _throttled(self, ready: Prepared) -> dict[str, Any] | None:
        now = self.clock.monotonic()
        if ready.cost > QUERY_COST_MAX:
            return too_costly(ready.cost)
        if self.points.available(now) >= ready.cost and not self.switches.strikes("throttle"):
            return None
        return throttled(self.points.status(now, requested=ready.cost, actual=None))

    async def _executed(self, ready: Prepared) -> dict[str, Any]:
        root = {call.root: await self._mutations.answer(call)} if (call := ready.call) else None
        answer = executed(ready, root or self._lists.query_root())
        actual = actual_cost(answer["data"], requested=ready.cost)
        self.points.spend(actual)
        answer["extensions"] = {"cost": self.points.status(self.clock.monotonic(), requested=ready.cost, actual=actual)}
        return answer
