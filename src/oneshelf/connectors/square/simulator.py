"""A simulated Square: one seller, one location, a till and a website, on Square's real wire.

It keeps what makes Square different: counts in the order of when they happened, so that a late sale of an offline
till may change nothing; a count that repeats the last one and is dropped by default; answers in which what is empty
is missing; a sale at the till that is announced by its count alone.

It does not keep: adjustments by the API, transfers, several locations, modifiers, bundles, subscriptions of webhooks
(there is one, made by `connect`), PKCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx2
from starlette.routing import BaseRoute, Route

from oneshelf.clock import Clock
from oneshelf.connectors.square.simulator_documents import (
    LOCATION_ID,
    Returned,
    SaleFacts,
    count_document,
    stamp,
    state_of,
)
from oneshelf.connectors.square.simulator_gate import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Gate
from oneshelf.connectors.square.simulator_tally import Tally
from oneshelf.connectors.square.simulator_webhooks import Webhooks
from oneshelf.connectors.square.simulator_wire import Wire
from oneshelf.domain.identity import units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.simulated_shop import Article, Sale, ShopSimulator, SoldLine
from oneshelf.sdk.simulator import CatalogueItem, SimulatedAccount

FAULTS = (
    "write_never_applied",
    "stale_read",
    "order_late",
    "token_expired",
    "webhook_duplicate",
    "webhook_lost",
    "webhook_reorder",
)
# More than we allow ourselves: what Square allows it does not say.
CALLS = Limit("square.calls", rate_per_s=10.0, burst=40)
# How late an order shows in a search, and how old a count may be that is told, at most. Square states neither.
ORDER_LATE_S, STALE_S = 29.0, 14.0


class SquareSimulator(ShopSimulator):
    """A seller's account. `till_share`: of the buyers those who stand at the till; the others order on the website."""

    late_order_faults = ("order_late",)

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        clock: Clock,
        webhook_client: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(kind="square", seed=seed, speed=speed, clock=clock, calls=CALLS, more_faults=FAULTS)
        self.facts: dict[str, SaleFacts] = {}
        self.returned: list[Returned] = []
        self.sold_out: set[str] = set()
        self.till_share = 0.0
        self.gate = Gate(self)
        self.webhooks = Webhooks(self, webhook_client)
        self._tallies: dict[str, Tally] = {}
        # Variation -> what it showed and until when, newest last, for readings that lag.
        self._history: dict[str, list[tuple[float, int]]] = {}
        self._wire = Wire(self)

    def wire(self) -> Sequence[BaseRoute]:
        return self._wire.routes()

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        signing = {"webhook_signature_key": ",".join(webhook_secrets)} if self.webhooks.address else {}
        return SimulatedAccount(
            settings={
                "location_id": LOCATION_ID,
                "base_url": address,
                **({"notification_url": self.webhooks.address} if self.webhooks.address else {}),
            },
            secrets={
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "refresh_token": REFRESH_TOKEN,
                **signing,
            },
        )

    def connect(self, *, address: str, secret: str) -> None:
        self.webhooks.address, self.webhooks.key = address, secret

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            await self.webhooks.aclose()

    def _controls(self) -> Sequence[BaseRoute]:
        def till(asked: dict[str, Any]) -> str | None:
            lines = [
                (str(line["channel_sku"]), units_from(line["units"], what="units", least=1)) for line in asked["lines"]
            ]
            return self.sell_at_till(lines, offline_s=float(asked.get("offline_s", 0.0)))

        def take_back(asked: dict[str, Any]) -> bool:
            units = units_from(asked["units"], what="units", least=1)
            return self.take_back(
                str(asked["order_id"]), str(asked["line_id"]), units, restock=bool(asked.get("restock", False))
            )

        def share(asked: dict[str, Any]) -> None:
            self.till_share = min(1.0, max(0.0, float(asked["share"])))

        return [
            *super()._controls(),
            Route("/_sim/till", self._control(till), methods=["POST"]),
            Route("/_sim/till-share", self._control(share), methods=["POST"]),
            Route("/_sim/take-back", self._control(take_back), methods=["POST"]),
        ]

    # Counts ----------------------------------------------------------------------------------------------------

    def stock_catalogue(self, items: Sequence[CatalogueItem]) -> None:
        known = set(self.articles)
        super().stock_catalogue(items)
        for sku in self.articles.keys() - known:
            self._tallies[sku] = Tally()
            self._tallies[sku].count(self.articles[sku].units, self.channel_now())

    def count(self, channel_sku: str, units: int, at: datetime, *, ignores_unchanged: bool) -> None:
        """Somebody counted so many then. `ignores_unchanged`: what repeats the last count is dropped."""
        tally = self._tallies[channel_sku]
        if self.switches.strikes("write_never_applied"):
            # As if somebody had counted a moment later.
            return
        if not (ignores_unchanged and tally.counted == units):
            tally.count(units, at)
            self._shows(channel_sku)

    def write_units(self, channel_sku: str, units: int) -> None:
        """Somebody recounts it in the item library, below zero if that is what they type."""
        self._tallies[channel_sku].count(units, self.channel_now())
        self._shows(channel_sku)

    def _take(self, channel_sku: str, units: int) -> None:
        self._adjust(channel_sku, -units, self.channel_now())

    def _adjust(self, channel_sku: str, delta: int, at: datetime) -> None:
        if self._tallies[channel_sku].adjust(delta, at):
            self._shows(channel_sku)

    def _shows(self, channel_sku: str) -> None:
        article, units = self.articles[channel_sku], self._tallies[channel_sku].units
        if article.units != units:
            now = self.clock.monotonic()
            self._history.setdefault(channel_sku, []).append((now, article.units))
            del self._history[channel_sku][:-50]
            article.units = units
        self.announce(article=article)

    def units_told(self, channel_sku: str) -> int:
        """What a reading says: the count of now, or one of a moment ago."""
        if self.switches.strikes("stale_read"):
            seen_at = self.clock.monotonic() - self.chance.uniform(0.0, STALE_S) / self.speed
            for until, units in self._history.get(channel_sku, ()):
                if seen_at < until:
                    return units
        return self.articles[channel_sku].units

    # What buyers and people do -----------------------------------------------------------------------------------

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """An order on the website, paid, which waits for its parcel; or, for `till_share`, a sale at the till."""
        if self.till_share and self.random.random() < self.till_share:
            is_there = all(sku in self.articles and self._sells(sku, units) for sku, units in lines)
            return self.sell_at_till(lines) if is_there and lines else None
        return super().place(lines)

    def put_in_cart(self, lines: Sequence[tuple[str, int]]) -> str:
        """An order that nobody has paid: it lowers nothing."""
        return self._sold(lines, SaleFacts(is_paid=False), self.clock.now())

    def sell_at_till(self, lines: Sequence[tuple[str, int]], *, offline_s: float = 0.0) -> str | None:
        """Somebody carries it out of the shop, whatever Square shows. The order's id.

        `offline_s`: the till has no connection and tells of it after so many seconds of Square's time; then None.
        """
        truly_at, sold_at = self.clock.now(), self.channel_now()
        if offline_s <= 0:
            return self._sold(lines, SaleFacts(is_till=True), truly_at, took_at=sold_at)

        async def transmit() -> None:
            self._sold(lines, SaleFacts(is_till=True, paid_offline_at=sold_at), truly_at, took_at=sold_at)

        self.after(offline_s, transmit)
        return None

    def _sold(
        self, lines: Sequence[tuple[str, int]], facts: SaleFacts, truly_at: datetime, took_at: datetime | None = None
    ) -> str:
        if any(sku not in self.articles for sku, _ in lines):
            raise MalformedError(f"no such listing among {[sku for sku, _ in lines]}")
        order_id, now = f"{5001 + len(self.sales)}", self.channel_now()
        self.facts[order_id] = facts
        sale = Sale(order_id, truly_at, now, now, self.change)
        self.sales[order_id] = sale
        for number, (sku, units) in enumerate(lines, 1):
            sale.lines.append(SoldLine(f"{order_id}-{number}", sku, units, shipped=units if facts.is_till else 0))
            if took_at is not None:
                self._adjust(sku, -units, took_at)
        self._changed(sale)
        return order_id

    def cancel(self, order_id: str) -> bool:
        """Its units are not on sale again until somebody counts them: Square says nothing of a restock."""
        sale = self.sales.get(order_id)
        if sale is None or sale.status != "open" or any(line.shipped for line in sale.lines):
            return False
        for line in sale.lines:
            self._cancel(line, line.open, restock=not self.facts[order_id].is_paid)
        return self._changed(sale)

    def cancel_units(self, order_id: str, line_id: str, units: int) -> bool:
        line = self._line(order_id, line_id)
        if line is None or not 0 < units < line.open:
            return False
        self._cancel(line, units, restock=False)
        return self.counted("units_cancelled", self._changed(self.sales[order_id]))

    def edit_line(self, order_id: str, line_id: str, units: int) -> bool:
        """Never: a paid order cannot be changed."""
        del order_id, line_id, units
        return False

    def add_line(self, order_id: str, channel_sku: str, units: int) -> bool:
        """Never, as for `edit_line`."""
        del order_id, channel_sku, units
        return False

    def refund(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Money for what has left. With `restock` never: no order shows it, so see `take_back`."""
        return not restock and self.take_back(order_id, line_id, units, restock=False)

    def take_back(self, order_id: str, line_id: str, units: int, *, restock: bool) -> bool:
        """Units come back to the till, by an order of its own. `restock`: the cashier puts them on sale again."""
        line = self._line(order_id, line_id)
        if line is None or not 0 < units <= line.shipped - line.returned:
            return False
        returned = Returned(f"{9001 + len(self.returned)}", order_id, line, units, self.channel_now())
        self.returned.append(returned)
        if restock:
            self._adjust(line.channel_sku, units, self.channel_now())
        return self.counted("refund_restocked" if restock else "refund_kept_off", True)

    def _cancel(self, line: SoldLine, units: int, *, restock: bool) -> None:
        """What was never paid was never taken, so that nothing goes back."""
        line.cancelled += units
        line.restocked += units if restock else 0

    def revoke(self) -> None:
        super().revoke()
        told = {"revocation": {"revoked_at": stamp(self.channel_now()), "revoker_type": "MERCHANT"}}
        self.webhooks.send("oauth.authorization.revoked", "revocation", "", told)

    # Announcements ---------------------------------------------------------------------------------------------

    def announce(self, *, sale: Sale | None = None, article: Article | None = None) -> None:
        if article is not None:
            count = count_document(article.channel_sku, article.units, self.channel_now())
            self.webhooks.send(
                "inventory.count.updated", "inventory_counts", article.channel_sku, {"inventory_counts": [count]}
            )
        if sale is not None and not self.facts[sale.order_id].is_till:
            name = "order_updated" if self.facts[sale.order_id].is_told else "order_created"
            told = {
                "order_id": sale.order_id,
                "location_id": LOCATION_ID,
                "state": state_of(sale, self.facts[sale.order_id]),
                "version": sale.change,
                "created_at": stamp(sale.placed_at),
                **({"updated_at": stamp(sale.changed_at)} if name == "order_updated" else {}),
            }
            self.webhooks.send(name.replace("_", "."), name, sale.order_id, {name: told})

    def _changed(self, sale: Sale) -> bool:
        facts = self.facts.setdefault(sale.order_id, SaleFacts())
        if not facts.is_told and self.switches.strikes("order_late"):
            facts.visible_at = self.clock.monotonic() + self.chance.uniform(0.0, ORDER_LATE_S) / self.speed
        is_changed = super()._changed(sale)
        facts.is_told = True
        return is_changed
