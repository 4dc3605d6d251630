"""How the simulated Amazon's lists and readings mislead: old, short, or shifted between pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from oneshelf.connectors.amazon.simulator_books import Books, Order
from oneshelf.sdk.switches import Switches


@dataclass(frozen=True, slots=True)
class Faults:
    """Thrown for each answer."""

    books: Books
    switches: Switches
    chance: Random

    def replica_at(self) -> float | None:
        """The monotonic instant whose quantities this answer shows; None: now."""
        if not self.switches.strikes("stale_read"):
            return None
        return self.books.clock.monotonic() - self.chance.uniform(0.0, self.books.habits.stale_s_max) / self.books.speed

    def page_length(self, asked: int, left: int) -> int:
        """How many entries this page has: sometimes fewer than were asked for, with a token for the rest.

        The models call the page size a maximum (`maxResultsPerPage`, "may be fewer"), and the token alone tells
        whether there is more.
        """
        most = min(asked, left)
        if most < 2 or not self.switches.strikes("partial_page"):
            return asked
        return self.chance.randrange(1, most)

    def drift(self, waiting: Sequence[Order]) -> None:
        """Between two pages an order of a page that is still to come changes: it leaves the window for the next."""
        if waiting and self.switches.strikes("page_drift"):
            self.books.touch(self.chance.choice(waiting))

    def drifted(self, start: int) -> int:
        """Where a page of listings begins: one earlier or later where an earlier listing came or went meanwhile."""
        if not start or not self.switches.strikes("page_drift"):
            return start
        return start + self.chance.choice((-1, 1))
