"""Compares the shops' books with the ledger: was every sale counted, and once?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oneshelf.demo.plan import WITHOUT_FIGURES
from oneshelf.demo.shops import Books
from oneshelf.storage.reports import HeldLine
from oneshelf.storage.views import ListingRow

LineKey = tuple[str, str, str]  # channel, order, line


@dataclass(frozen=True, slots=True)
class OrdersCompared:
    """Orders that the shops took, and those that the ledger holds exactly. `missing` and `doubled` name orders."""

    placed_count: int
    posted_count: int
    missing: tuple[str, ...]
    doubled: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return self.posted_count == self.placed_count and not self.doubled


def compare_orders(books: Mapping[str, Books], held: Iterable[HeldLine]) -> OrdersCompared:
    """Each line: units ordered less cancelled must be what the ledger holds. `books`: channel -> its books."""
    counted: dict[LineKey, int] = {
        (row.channel, row.order_id, row.line_id): row.units_held // row.pack_units for row in held
    }
    missing: set[str] = set()
    doubled: set[str] = set()
    placed_count = 0
    for channel, shop in books.items():
        for order in shop.orders:
            placed_count += 1
            name = f"{channel}/{order.order_id}"
            for line in order.lines:
                said = line.units - line.units_cancelled
                held_units = counted.pop((channel, order.order_id, line.line_id), 0)
                if held_units < said:
                    missing.add(name)
                elif held_units > said:
                    doubled.add(name)
    # What is left was sold at no shop.
    doubled |= {f"{channel}/{order_id}" for (channel, order_id, _line), units in counted.items() if units}
    wrong = missing | doubled
    posted_count = placed_count - sum(
        f"{channel}/{order.order_id}" in wrong for channel, shop in books.items() for order in shop.orders
    )
    return OrdersCompared(placed_count, posted_count, tuple(sorted(missing)), tuple(sorted(doubled)))


def unverified(books: Mapping[str, Books], listings: Iterable[ListingRow]) -> list[str]:
    """Listings that are not proved to show what they should, or do not: the engine's word and the books' must agree.

    Without those that are parked with the channel's own words.
    """
    shown = {
        (channel, row.channel_sku): row.units
        for channel, shop in books.items()
        if channel not in WITHOUT_FIGURES
        for row in shop.listings
    }
    found = []
    for row in listings:
        units = shown.pop((row.channel, row.channel_sku), None)
        if is_parked(row):
            continue
        if row.state != "verified" or units != row.desired_units:
            found.append(
                f"{row.channel} {row.channel_sku} ({row.sku}): {row.state}, should show {row.desired_units}, "
                f"proved {row.verified_units}, the shop sells {units}"
            )
    found += [f"{channel} {channel_sku}: the engine does not know it" for channel, channel_sku in shown]
    return found


def is_parked(listing: ListingRow) -> bool:
    """Whether the channel refuses the listing's figure, or has got stuck with it, in words that a person can read."""
    return listing.state in {"parked", "waiting", "sending"} and bool(listing.parked_reason)
