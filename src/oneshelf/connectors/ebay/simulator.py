"""A simulated eBay: its wire, its limits, and buyers.

It keeps what no sandbox shows: listings of two worlds of which each refuses the other's calls, a zero that is refused
while the old quantity goes on selling, a listing that may be revised 250 times a day, a sale that an older write
undoes, and orders that move between the pages of a list.

It does not keep: auctions, making and changing offers, uploaded feeds, Platform Notifications, and the end of a listing
that was out of stock for months.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.simulator_analytics import AnalyticsApi
from oneshelf.connectors.ebay.simulator_books import Books
from oneshelf.connectors.ebay.simulator_checkout import CheckoutCheck
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_feed import FEED_FAULTS, FeedApi
from oneshelf.connectors.ebay.simulator_fulfillment import FulfillmentApi
from oneshelf.connectors.ebay.simulator_gate import Gate
from oneshelf.connectors.ebay.simulator_habits import Habits
from oneshelf.connectors.ebay.simulator_inventory import InventoryApi
from oneshelf.connectors.ebay.simulator_notifications import (
    ACCOUNT_DELETION,
    ORDER_CONFIRMATION,
    REVOCATION,
    TOPICS,
    NotificationApi,
    is_sendable,
)
from oneshelf.connectors.ebay.simulator_order_documents import BUYER, SELLER, instant
from oneshelf.connectors.ebay.simulator_orders import Order, Trade, book_order
from oneshelf.connectors.ebay.simulator_sender import Destination, Sender
from oneshelf.connectors.ebay.simulator_trading import TradingApi
from oneshelf.errors import MalformedError
from oneshelf.sdk.simulator import BookListing, BookOrder, CatalogueItem, SimulatedAccount, Simulator

USER_ID = "SimulatedUserId1"
MARKETPLACE_ID = "EBAY_US"
# What the simulator's one application and one seller are called. They open nothing but the simulator.
SIMULATED_SETTINGS = {"user_id": USER_ID, "marketplace_id": MARKETPLACE_ID}
SIMULATED_SECRETS = {
    "client_id": "Simulated-oneshelf-PRD-0000",
    "client_secret": "PRD-simulated",
    "refresh_token": "v^1.1#i^1#r^1#simulated",
}
TOKEN_PATH = "/identity/v1/oauth2/token"  # noqa: S105  # the path of the endpoint, not a token
TOKEN_LENGTH = (32, 80)

# A page that ends early is not among them: the last page alone may be short (getOrders, getInventoryItems); and no 429
# of eBay's tells a time to wait.
FAULTS = (
    "throttle",
    "server_error",
    "error_storm",
    "reply_lost",
    "write_never_applied",
    "order_late",
    "token_expired",
    "stale_read",
    "page_drift",
    "zero_refused",
    "row_failed",
    "revision_budget_low",
    "concurrent_refused",
    "webhook_duplicate",
    "webhook_lost",
    "webhook_reorder",
    "webhook_wrong_seller",
    "webhook_tampered",
    *FEED_FAULTS,
)


class EbaySimulator(Simulator):
    """One seller's account at eBay, on one address for OAuth, the REST APIs and the Trading API."""

    late_order_faults = ("order_late",)

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        clock: Clock,
        webhook_client: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(kind="ebay", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.habits = Habits()
        self.ebay = Books(
            random=self.random,
            chance=self.chance,
            clock=clock,
            now=self.channel_now,
            speed=speed,
            after=self.after,
            strikes=self.switches.strikes,
            habits=self.habits,
        )
        self.trade = Trade(self.ebay, self._confirmed, lambda: self.shoppers.have_left)
        self.gate = Gate(
            secrets=SIMULATED_SECRETS,
            clock=clock,
            random=self.random,
            speed=speed,
            habits=self.habits,
            switches=self.switches,
        )
        self.gate.is_stormy = self.is_stormy
        faults = Faults(self.ebay, self.trade, self.switches, self.chance)
        self.sender = Sender(self, webhook_client)
        self._checkout: CheckoutCheck | None = None
        self._notifications = NotificationApi(self.ebay, self.gate, self.sender)
        self.feed = FeedApi(self.ebay, self.gate, faults, marketplace_id=MARKETPLACE_ID)
        self._apis = (
            InventoryApi(self.ebay, self.gate, faults, marketplace_id=MARKETPLACE_ID),
            FulfillmentApi(self.ebay, self.trade, self.gate, faults, marketplace_id=MARKETPLACE_ID),
            TradingApi(self.ebay, self.gate, faults),
            AnalyticsApi(self.gate),
            self.feed,
            self._notifications,
        )

    def _confirmed(self, order: Order) -> None:
        """One notification for each line item, with the order's id of now."""
        for line in order.lines:
            item = {"orderLineItemId": line.line_id, "listingId": line.listing_id, "quantity": line.units}
            told = {"orderId": order.order_id, "orderLineItems": [item]}
            self.sender.tell(ORDER_CONFIRMATION, {"user": {"userId": USER_ID, "username": SELLER}, "order": told})

    def delete_account(self, user_id: str) -> None:
        """A user of eBay's has their account deleted, which every application is told."""
        told = {"username": BUYER, "userId": user_id, "eiasToken": "nY+sHZ2PrBmdj6wVnY+sEZ2PrA2dj6w=="}
        self.sender.tell(ACCOUNT_DELETION, told)

    def connect(self, *, address: str, secret: str) -> None:
        """Notifications of all topics go to this address from now on, as if they had been subscribed to."""
        if not is_sendable(address):
            raise MalformedError(f"notifications go to https, or to http on this machine, not to {address[:80]!r}")
        self._notifications.alert_email = self._notifications.alert_email or "alert@example.invalid"
        self.sender.destinations.clear()
        self.sender.subscriptions.clear()
        destination_id = self.sender.new_id()
        token = verification_token(secret)
        self.sender.destinations[destination_id] = Destination(destination_id, "oneshelf", address, token, "ENABLED")
        for topic_id in TOPICS:
            self._notifications.subscribe(topic_id, destination_id)

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        return SimulatedAccount(
            settings={**SIMULATED_SETTINGS, "base_url": address},
            secrets={**SIMULATED_SECRETS, "verification_token": verification_token(webhook_secrets[0])},
        )

    def wire(self) -> Sequence[BaseRoute]:
        token = Route(TOKEN_PATH, self._grant, methods=["POST"])
        return [token, *(route for api in self._apis for route in api.routes())]

    async def _grant(self, request: Request) -> Response:
        return self.gate.grant(request, await request.body())

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self.sender.aclose()

    # Books -----------------------------------------------------------------------------------------------------

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        self.ebay.stock(items)

    def listings(self) -> Sequence[BookListing]:
        return self.ebay.shown

    def orders(self) -> Sequence[BookOrder]:
        return [book_order(order) for order in self.trade.orders.values()]

    # What buyers and people do ---------------------------------------------------------------------------------

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        return self.trade.place(lines)

    def ask_at_checkout(self, address: str, *, user: str, password: str) -> None:
        """From now on `check_out` asks there first. The buyers of `shoppers` do not come by it: nobody waits there."""
        self._checkout = CheckoutCheck.of(address, user=user, password=password)

    async def check_out(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """As `place`, by a buyer who is turned away also where the seller, who is asked first, says no."""
        if self._checkout is not None and not await self._checkout.lets_sell(self.sender.client(), lines):
            return None
        return self.place(lines)

    def cancel(self, order_id: str) -> bool:
        return self.trade.cancel(order_id)

    def ship(self, order_id: str) -> bool:
        return self.trade.ship(order_id)

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        """The line item says that it is in progress; how many left is in the order's shipping fulfillments."""
        return self.counted("units_shipped", self.trade.ship(order_id, only=(line_id, units)))

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        """Never: only a whole order can be cancelled.

        https://developer.ebay.com/DevZone/post-order/types/PartialOrderTypeEnum.html (checked 2026-11-26).
        """
        del order_id, line_id, units
        return False

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        """Never: nothing at eBay changes what was ordered (contract Fulfillment v1.20.7)."""
        del order_id, line_id, units
        return False

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        """Never, as for `edit_line`. Commitments that are paid together become one order: `combine`."""
        del order_id, channel_sku, units
        return False

    def combine(self, order_ids: Sequence[str]) -> str | None:
        """The buyer pays these commitments at once. The id of the one order that they are now, or None."""
        return self.trade.combine(order_ids)

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Money for units that have shipped. With `restock` never: a refund puts nothing on sale again."""
        has_happened = not restock and self.trade.refund(order_id, line_id, units)
        return self.counted("refund_kept_off", has_happened)

    def is_on_sale(self, channel_sku: str) -> bool:
        """Whether Seller Hub has a quantity of it that can be changed."""
        variation = self.ebay.catalogue.get(channel_sku)
        return variation is not None and variation.is_on_sale

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        self.ebay.edit(channel_sku, units)

    def end_listing(self, channel_sku: str) -> bool:
        """The seller removes the SKU for good: its item and offer are deleted, or its variation or listing ends."""
        variation = self.ebay.catalogue.get(channel_sku)
        has_happened = variation is not None and not variation.is_gone
        if variation is not None and has_happened:
            self.ebay.remove(variation)
        return self.counted("listing_ended", has_happened)

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        """The listing has another SKU, and is another one for whoever knows it by its SKU. False where that one is, or
        was, in use."""
        variation = self.ebay.catalogue.get(channel_sku)
        is_possible = variation is not None and variation.is_on_sale and merchant_sku not in self.ebay.catalogue
        if variation is not None and is_possible:
            self.ebay.rename(variation, merchant_sku)
        return self.counted("listing_remapped", is_possible)

    def revoke(self) -> None:
        """The seller withdraws the authorization: tokens are refused, no new one is granted, and that is told."""
        super().revoke()
        self.gate.is_revoked = True
        seller = {"username": SELLER, "userId": USER_ID, "eiasToken": "nY+sHZ2PrBmdj6wVnY+sEZ2PrA2dj6x9nY=="}
        revoked = {"revokeReason": "REVOKED_BY_USER", "revocationDate": instant(self.channel_now())}
        self.sender.tell(REVOCATION, {**seller, **revoked})

    def grant(self) -> None:
        super().grant()
        self.gate.consent()


def verification_token(secret: str) -> str:
    """A token of the length that eBay asks for, from a secret of any length."""
    if TOKEN_LENGTH[0] <= len(secret) <= TOKEN_LENGTH[1]:
        return secret
    return hashlib.sha256(secret.encode()).hexdigest()
