"""One SKU at one location on paper: what is on the shelf follows from the set of facts that were told, in no order.

Nothing here is of the engine. A fact is a sale, a void, a return, a receipt or a count, each with the minute in which
it happened; or a version of a marketplace order. What wholesale and marketplaces ship has no minute of its own: it
happens when it is told, which is after every dated fact.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sale:
    """A till sold units."""

    receipt: int
    units: int
    minute: int


@dataclass(frozen=True)
class Void:
    """The sale of that receipt did not take place; its units lie on the shelf since this minute."""

    receipt: int
    of: int
    minute: int


@dataclass(frozen=True)
class Back:
    """A customer put units on the counter of a till."""

    receipt: int
    units: int
    minute: int
    is_damaged: bool


@dataclass(frozen=True)
class Receipt:
    """A supplier brought units."""

    units: int
    minute: int


@dataclass(frozen=True)
class Counted:
    """So many units lay there in this minute, damaged ones too."""

    units: int
    minute: int


@dataclass(frozen=True)
class Ordered:
    """A marketplace order at one of its versions."""

    order: int
    version: int
    units: int
    cancelled: int
    shipped: int

    @property
    def open(self) -> int:
        return self.units - self.cancelled - self.shipped


Dated = Sale | Void | Back | Receipt | Counted
Fact = Dated | Ordered


@dataclass
class Paper:
    """`first`: units that lay there before anything. What is told again is the same fact."""

    first: int
    told: set[Fact] = field(default_factory=set)
    # What has left by parcel since the count that rules, and what of it no count had known of.
    left: int = 0
    found: int = 0

    def tell(self, fact: Fact) -> None:
        before = self.ruling()
        self.told.add(fact)
        ruling = self.ruling()
        if ruling is not None and ruling != before:
            # A count needs nobody to find anything, unless more has left by parcel than it and all else allow: of
            # parcels somebody has looked on the shelf.
            self.found = 0
            self.found = max(0, -self.shelf() - self._sold_at_tills(ruling.minute))

    def _sold_at_tills(self, since: int) -> int:
        voided = {one.of for one in self.told if isinstance(one, Void)}
        sales = [one for one in self.told if isinstance(one, Sale) and one.receipt not in voided]
        return sum(one.units for one in sales if one.minute > since)

    def ruling(self) -> Counted | None:
        """The latest count, whenever it was told."""
        return max((one for one in self.told if isinstance(one, Counted)), key=lambda one: one.minute, default=None)

    def order(self, number: int) -> Ordered | None:
        """A marketplace order as its highest version says."""
        versions = [one for one in self.told if isinstance(one, Ordered) and one.order == number]
        return max(versions, key=lambda one: one.version, default=None)

    def orders(self) -> dict[int, Ordered]:
        found = {one.order: self.order(one.order) for one in self.told if isinstance(one, Ordered)}
        return {number: one for number, one in found.items() if one is not None}

    def shelf(self) -> int:
        """Units on the shelf, less those that tills sold and that nobody has found yet. It may be below zero."""
        ruling = self.ruling()
        units, since = (ruling.units, ruling.minute) if ruling else (self.first, -1)
        sales = {one.receipt: one for one in self.told if isinstance(one, Sale)}
        for fact in self.told:
            if isinstance(fact, Ordered | Counted) or fact.minute <= since:
                continue
            match fact:
                case Sale():
                    units -= fact.units
                case Void():
                    units += sales[fact.of].units if fact.of in sales else 0
                case Back() | Receipt():
                    units += fact.units
        return units - self.left + self.found
