"""A simulated Amazon: its wire, its delays, its limits, and buyers.

It keeps what no sandbox of Amazon's can show: a quantity that is accepted now and sells minutes later or never, a
sale that an older write undoes, orders that are pending, and searches that hide the last two minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator_books import Books, Habits, book_order
from oneshelf.connectors.amazon.simulator_gate import Gate
from oneshelf.connectors.amazon.simulator_wire import Wire
from oneshelf.sdk.simulator import BookListing, BookOrder, CatalogueItem, Simulator

SELLER_ID = "A1SIMULATEDSELLR"
MARKETPLACE_ID = "ATVPDKIKX0DER"
# What the simulator's one application and one seller are called. They open nothing but the simulator.
SIMULATED_SETTINGS = {"seller_id": SELLER_ID, "marketplace_id": MARKETPLACE_ID}
SIMULATED_SECRETS = {
    "client_id": "amzn1.application-oa2-client.simulated",
    "client_secret": "amzn1.oa2-cs.v1.simulated",
    "refresh_token": "Atzr|simulated",
}
TOKEN_PATH = "/auth/o2/token"  # noqa: S105  the path of the endpoint, not a token

FAULTS = ("throttle", "server_error", "reply_lost", "write_never_applied", "order_late")


class AmazonSimulator(Simulator):
    """One seller's account at Amazon, on one address for Login with Amazon and the Selling Partner API."""

    def __init__(self, *, seed: int, speed: float, clock: Clock) -> None:
        super().__init__(kind="amazon", seed=seed, speed=speed, clock=clock, faults=FAULTS)
        self.habits = Habits()
        self.amazon = Books(
            random=self.random,
            clock=clock,
            speed=speed,
            after=self.after,
            strikes=self.switches.strikes,
            habits=self.habits,
            have_buyers_left=lambda: self.shoppers.have_left,
        )
        self.gate = Gate(
            secrets=SIMULATED_SECRETS,
            clock=clock,
            random=self.random,
            speed=speed,
            habits=self.habits,
            switches=self.switches,
        )
        self._wire = Wire(self.amazon, self.gate, self.switches, seller_id=SELLER_ID, marketplace_id=MARKETPLACE_ID)

    def wire(self) -> Sequence[BaseRoute]:
        return self._wire.routes()

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        self.amazon.stock(items)

    def listings(self) -> Sequence[BookListing]:
        return self.amazon.shown

    def orders(self) -> Sequence[BookOrder]:
        return [book_order(order) for order in self.amazon.orders.values()]

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        return self.amazon.place(lines)

    def cancel(self, order_id: str) -> bool:
        return self.amazon.cancel(order_id)

    def ship(self, order_id: str) -> bool:
        return self.amazon.ship(order_id)

    def edit_by_hand(self, channel_sku: str, units: int) -> None:
        self.amazon.edit(channel_sku, units)

    def fulfil_by_amazon(self, channel_sku: str) -> None:
        """The listing becomes an FBA one: its units lie with Amazon, which counts and ships them."""
        self.amazon.fulfil_by_amazon(channel_sku)
