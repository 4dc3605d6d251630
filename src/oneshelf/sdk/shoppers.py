"""Buyers of a simulated channel: they come at random, want what sells best most often, and change their mind."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Protocol

from oneshelf.errors import MalformedError

# Beyond these a plan is a mistake, and the arithmetic of the buyers would break.
ORDERS_PER_S_MAX = 10_000.0
ZIPF_MAX = 10.0
AFTER_S_MAX = 1_000_000.0


class Shop(Protocol):
    """The part of a simulator that buyers use."""

    def listings(self) -> Sequence[Listed]: ...

    def place(self, lines: Sequence[tuple[str, int]]) -> str | None: ...

    def cancel(self, order_id: str) -> bool: ...

    def ship(self, order_id: str) -> bool: ...


class Listed(Protocol):
    """What a buyer sees of a listing."""

    @property
    def channel_sku(self) -> str: ...

    @property
    def units(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ShoppersPlan:
    """How buyers behave: orders per second (of the clock, not of the channel's time), and shares of 1.

    Demand follows Zipf's law over the catalogue in its order: the n-th listing draws 1 / n ** `zipf`.
    Cancelling and shipping happen after exponential delays with the given means. Raises MalformedError for a figure
    that no buyer could follow.
    """

    orders_per_s: float
    zipf: float = 1.1
    two_lines_share: float = 0.15
    cancel_share: float = 0.05
    cancel_after_s: float = 6.0
    ship_share: float = 0.3
    ship_after_s: float = 10.0

    def __post_init__(self) -> None:
        shares = ("two_lines_share", "cancel_share", "ship_share")
        bounds = {"orders_per_s": ORDERS_PER_S_MAX, "zipf": ZIPF_MAX, **dict.fromkeys(shares, 1.0)}
        for name, most in bounds.items():
            if not 0 <= getattr(self, name) <= most:
                raise MalformedError(f"{name} is {getattr(self, name)}; it must lie between 0 and {most:g}")
        for name in ("cancel_after_s", "ship_after_s"):
            if not 0 < getattr(self, name) <= AFTER_S_MAX:
                raise MalformedError(f"{name} is {getattr(self, name)}; it must be above 0, at most {AFTER_S_MAX:g}")


class Shoppers:
    """The buyers of one simulator. `shop` is called often and does what has become due."""

    def __init__(self, shop: Shop, random: Random) -> None:
        self._shop = shop
        self._random = random
        self._plan = ShoppersPlan(orders_per_s=0.0)
        self._next_at = float("inf")
        self._due: list[tuple[float, str, str]] = []
        self.turned_away = 0
        # Whether buyers were told to stop: then nobody pays, cancels or fetches anything either.
        self.have_left = False

    def follow(self, plan: ShoppersPlan, now: float) -> None:
        """Behave like this from now on. Zero orders per second ends all shopping, paying, cancelling and
        shipping."""
        self._plan = plan
        self.have_left = plan.orders_per_s <= 0
        if self.have_left:
            self._next_at = float("inf")
            self._due.clear()
        else:
            self._next_at = now + self._random.expovariate(plan.orders_per_s)

    @property
    def next_at(self) -> float:
        """The monotonic instant at which the next buyer does something; infinity where nobody will."""
        return min([self._next_at, *(at for at, _act, _order_id in self._due)])

    def shop(self, now: float) -> None:
        """Place, cancel and ship what is due at the monotonic instant `now`."""
        while self._next_at <= now:
            self._next_at += self._random.expovariate(self._plan.orders_per_s)
            self._order(now)
        due = [what for what in self._due if what[0] <= now]
        self._due = [what for what in self._due if what[0] > now]
        for _at, act, order_id in sorted(due):
            if act == "cancel":
                self._shop.cancel(order_id)
            else:
                self._shop.ship(order_id)

    def _order(self, now: float) -> None:
        listings = self._shop.listings()
        if not listings:
            return
        weights = list(accumulate(1 / (rank + 1) ** self._plan.zipf for rank in range(len(listings))))
        basket: dict[str, int] = {}
        for _ in range(2 if self._random.random() < self._plan.two_lines_share else 1):
            wanted = listings[bisect(weights, self._random.random() * weights[-1])]
            basket[wanted.channel_sku] = basket.get(wanted.channel_sku, 0) + self._random.choice((1, 1, 1, 2))
        order_id = self._shop.place(list(basket.items()))
        if order_id is None:
            self.turned_away += 1
        elif self._random.random() < self._plan.cancel_share:
            self._due.append((now + self._random.expovariate(1 / self._plan.cancel_after_s), "cancel", order_id))
        elif self._random.random() < self._plan.ship_share:
            self._due.append((now + self._random.expovariate(1 / self._plan.ship_after_s), "ship", order_id))
