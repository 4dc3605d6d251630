"""How the simulated eBay's lists and readings mislead: old, or shifted between pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from oneshelf.connectors.ebay.simulator_books import Books
from oneshelf.connectors.ebay.simulator_orders import Order, Trade
from oneshelf.sdk.switches import Switches


@dataclass(frozen=True, slots=True)
class Faults:
    """Thrown for each answer."""

    books: Books
    trade: Trade
    switches: Switches
    chance: Random

    def replica_at(self) -> float | None:
        """The monotonic instant whose quantities this answer shows; None: now."""
        if not self.switches.strikes("stale_read"):
            return None
        lag_s = self.chance.uniform(0.0, self.books.habits.stale_s_max)
        return self.books.clock.monotonic() - lag_s / self.books.speed

    def drift(self, read: Sequence[Order]) -> None:
        """Between two pages an order that was on an earlier one changes: with it all others move up by one."""
        if read and self.switches.strikes("page_drift"):
            self.trade.touch(self.chance.choice(read))

    def drifted(self, start: int) -> int:
        """Where a page of listings begins: one earlier or later where an earlier one came or went meanwhile."""
        if not start or not self.switches.strikes("page_drift"):
            return start
        return max(0, start + self.chance.choice((-1, 1)))
