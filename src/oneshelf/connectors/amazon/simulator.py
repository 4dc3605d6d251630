"""A simulated Amazon: its wire, its delays, its limits, and buyers.

It keeps what no sandbox of Amazon's can show: a quantity that is accepted now and sells minutes later or never, a
sale that an older write undoes, orders that are pending, and searches that hide the last two minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator_books import Books, Habits, Order
from oneshelf.connectors.amazon.simulator_faults import Faults
from oneshelf.connectors.amazon.simulator_feeds import FAULTS as FEED_FAULTS
from oneshelf.connectors.amazon.simulator_feeds import Feeds
from oneshelf.connectors.amazon.simulator_gate import Gate
from oneshelf.connectors.amazon.simulator_notifications import NOTIFICATION_FAULTS, Notifications
from oneshelf.connectors.amazon.simulator_queue import QUEUE_PATH, REGION, SIMULATED_KEYS, Queue
from oneshelf.connectors.amazon.simulator_reports import FAULTS as REPORT_FAULTS
from oneshelf.connectors.amazon.simulator_reports import Reports
from oneshelf.connectors.amazon.simulator_routes import document_routes, feed_routes, report_routes
from oneshelf.connectors.amazon.simulator_rows import BLOCKED
from oneshelf.connectors.amazon.simulator_storage import FAULTS as STORAGE_FAULTS
from oneshelf.connectors.amazon.simulator_storage import Storage
from oneshelf.connectors.amazon.simulator_wire import Wire
from oneshelf.sdk.simulator import BookLine, BookListing, BookOrder, CatalogueItem, SimulatedAccount, Simulator

SELLER_ID = "A1SIMULATEDSELLR"
MARKETPLACE_ID = "ATVPDKIKX0DER"
# What the simulator's one application and one seller are called. They open nothing but the simulator.
SIMULATED_SETTINGS = {"seller_id": SELLER_ID, "marketplace_id": MARKETPLACE_ID}
SIMULATED_SECRETS = {
    "client_id": "amzn1.application-oa2-client.simulated",
    "client_secret": "amzn1.oa2-cs.v1.simulated",
    "refresh_token": "Atzr|simulated",
}
TOKEN_PATH = "/auth/o2/token"  # noqa: S105  # the path of the endpoint, not a token

# A 429 with a Retry-After, which Shopify knows, is not among them: in the models a 429 has no header but an id.
FAULTS = (
    "throttle",
    "server_error",
    "reply_lost",
    "write_never_applied",
    "order_late",
    "http_429_bare",
    "error_storm",
    "token_expired",
    "stale_read",
    "partial_page",
    "page_drift",
    "payment_for_weeks",
    *NOTIFICATION_FAULTS,
    *REPORT_FAULTS,
    *FEED_FAULTS,
    *STORAGE_FAULTS,
)


class AmazonSimulator(Simulator):
    """One seller's account at Amazon, on one address for Login with Amazon and the Selling Partner API."""

    news_faults = ("notification_lost", "notification_duplicate", "notification_reorder")

    def __init__(self, *, seed: int, speed: float, clock: Clock) -> None:
        super().__init__(kind="amazon", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.habits = Habits()
        self.amazon = Books(
            random=self.random,
            clock=clock,
            now=self.channel_now,
            speed=speed,
            after=self.after,
            strikes=self.switches.strikes,
            habits=self.habits,
            have_buyers_left=lambda: self.shoppers.have_left,
            marketplace_ids=[MARKETPLACE_ID],
        )
        self.gate = Gate(
            secrets=SIMULATED_SECRETS,
            clock=clock,
            random=self.random,
            speed=speed,
            habits=self.habits,
            switches=self.switches,
        )
        self.gate.is_stormy = self.is_stormy
        dice = Random(f"amazon:{seed}:notifications")  # noqa: S311  # a seed's chance
        self.queue = Queue(clock=clock, now=self.channel_now, shuffle=dice, speed=speed)
        self.notifications = Notifications(self, self.gate, self.queue, dice, SELLER_ID, self.amazon.marketplace_ids)
        self.amazon.on_order = self.notifications.order_changed
        self.amazon.on_units = self.notifications.units_changed
        faults = Faults(self.amazon, self.switches, self.chance)
        self._wire = Wire(self.amazon, self.gate, faults, self.notifications, seller_id=SELLER_ID)
        self.storage = Storage(clock, self.random, self.chance, speed, self.switches)
        self.reports = Reports(self.amazon, self.gate, self.storage, self.switches, clock)
        self.feeds = Feeds(self.amazon, self.gate, self.storage, self.switches, clock, seller_id=SELLER_ID)

    def listening_account(self, *, address: str) -> SimulatedAccount:
        """An account whose news goes to a queue, as a person sets it up; `account` is one that is polled alone."""
        polled = self.account(address=address)
        return SimulatedAccount(
            settings={**polled.settings, "queue_url": address + QUEUE_PATH, "queue_region": REGION},
            secrets={
                **polled.secrets,
                "queue_access_key_id": SIMULATED_KEYS.access_key_id,
                "queue_secret_access_key": SIMULATED_KEYS.secret_access_key,
            },
        )

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ()) -> SimulatedAccount:
        del webhook_secrets  # Amazon sends none.
        return SimulatedAccount(
            settings={
                **SIMULATED_SETTINGS,
                "marketplace_id": ",".join(self.amazon.marketplace_ids),
                "base_url": address,
                "token_url": address + TOKEN_PATH,
            },
            secrets=SIMULATED_SECRETS,
        )

    def trade_in(self, *marketplace_ids: str) -> None:
        """The account sells in these marketplaces of one region, before anything is listed: one quantity in all."""
        self.amazon.marketplace_ids[:] = marketplace_ids

    def wire(self) -> Sequence[BaseRoute]:
        return [
            *self._wire.routes(),
            *report_routes(self.reports, self._wire),
            *feed_routes(self.feeds, self._wire),
            *document_routes(self.storage),
            # SQS has addresses of its own; here it answers at the root, where nothing else does.
            Route("/", self.queue.respond, methods=["POST"]),
        ]

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        self.amazon.stock(items)

    def listings(self) -> Sequence[BookListing]:
        return self.amazon.shown

    def orders(self) -> Sequence[BookOrder]:
        return [_book_order(order) for order in self.amazon.orders.values()]

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        return self.amazon.place(lines)

    def cancel(self, order_id: str) -> bool:
        return self.amazon.cancel(order_id)

    def ship(self, order_id: str) -> bool:
        return self.amazon.ship(order_id)

    def ship_units(self, order_id: str, line_id: str, units: int) -> bool:
        return self.counted("units_shipped", self.amazon.ship(order_id, only=(line_id, units)))

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        """The item shows who executed the cancellation, and fewer units unfulfilled (model Orders v2026-01-01)."""
        return self.counted("units_cancelled", self.amazon.cancel_units(order_id, line_id, units))

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        """Never: nothing at Amazon changes what was ordered but a cancellation.

        https://github.com/amzn/selling-partner-api-models, orders_2026-01-01.json (checked 2026-11-25).
        """
        del order_id, line_id, units
        return False

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        """Never, as for `edit_line`."""
        del order_id, channel_sku, units
        return False

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Money for units that have shipped. No order, item or listing shows it: the model has no refund.

        With `restock` never: a returned unit is on sale again when the seller edits the quantity.
        """
        has_happened = not restock and self.amazon.has_shipped(order_id, line_id, units)
        return self.counted("refund_kept_off", has_happened)

    def end_listing(self, channel_sku: str) -> bool:
        """The seller deletes the listing: reading it is a 404, searches leave it out, a patch is INVALID."""
        listing = self.amazon.listing(channel_sku)
        if listing is not None:
            self.amazon.end(listing)
        return self.counted("listing_ended", listing is not None)

    def remap(self, channel_sku: str, merchant_sku: str) -> bool:
        """A SKU is a listing's address and cannot be changed: the seller lists the product anew under another one,
        with as many units, and deletes the old listing. False where the other SKU is, or was, in use."""
        listing = self.amazon.listing(channel_sku)
        is_possible = listing is not None and merchant_sku not in self.amazon.catalogue
        if listing is not None and is_possible:
            self.amazon.rename(listing, merchant_sku)
        return self.counted("listing_remapped", is_possible)

    def revoke(self) -> None:
        """The seller withdraws the authorization: tokens are refused, and no new one is granted."""
        super().revoke()
        self.gate.is_revoked = True

    def grant(self) -> None:
        super().grant()
        self.gate.is_revoked = False

    def block_quantity(self, channel_sku: str, words: str = BLOCKED) -> None:
        """Amazon takes quantities for this listing and applies none: it says why with the listing, as an error.

        Empty `words`: the seller has mended it. What was submitted before is not applied after all.
        """
        self.amazon.catalogue[channel_sku].block = words

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        self.amazon.edit(channel_sku, units)

    def untrack(self, channel_sku: str) -> bool:
        """The listing becomes an FBA one: Amazon counts it."""
        self.fulfil_by_amazon(channel_sku)
        return self.counted("listing_untracked", True)

    def fulfil_by_amazon(self, channel_sku: str) -> None:
        """The listing becomes an FBA one: its units lie with Amazon, which counts and ships them."""
        self.amazon.fulfil_by_amazon(channel_sku)


def _book_order(order: Order) -> BookOrder:
    """The order as the books show it."""
    status = {
        "PENDING": "pending",
        "UNSHIPPED": "open",
        "PARTIALLY_SHIPPED": "open",
        "SHIPPED": "shipped",
        "CANCELLED": "cancelled",
    }
    lines = (
        BookLine(
            line.item_id,
            line.sku,
            units=line.units,
            units_cancelled=line.cancelled,
            units_relisted=line.cancelled,
            units_shipped=line.shipped,
        )
        for line in order.lines
    )
    return BookOrder(order.order_id, order.placed_at, status[order.status], tuple(lines))
