"""What a wholesale buyer orders, in our words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.wholesale import LINES_MAX, VERSION_MAX, order_id_of
from oneshelf.errors import MalformedError


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseLine:
    """A line as the buyer numbers it. `numbers`: what the article is called, the seller's own name for it first."""

    line_id: str
    numbers: tuple[ChannelSku, ...]
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOrder:
    """A purchase order as its buyer states it: all of it, also when they change it, under a higher `version`.

    `is_cancelled`: nothing of it is wanted any more, whatever its lines say. Raises MalformedError.
    """

    po_number: str
    version: int
    lines: tuple[PurchaseLine, ...]
    is_cancelled: bool = False
    ship_by: date | None = None
    cancel_after: date | None = None

    def __post_init__(self) -> None:
        order_id_of("any", self.po_number)
        if not self.is_cancelled and not 1 <= len(self.lines) <= LINES_MAX:
            raise MalformedError(f"order {self.po_number} has {len(self.lines)} lines; it must have 1 to {LINES_MAX}")
        ids = [line.line_id for line in self.lines]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise MalformedError(f"line {twice[0]} stands in order {self.po_number} twice")
        if not 1 <= self.version <= VERSION_MAX:
            raise MalformedError(f"version is {self.version}; it must be 1 to {VERSION_MAX}")


@dataclass(frozen=True, slots=True)
class PurchaseOrders:
    """What one buyer orders in one delivery: all of it is kept, or nothing. `customer`: by which name we know them."""

    customer: str
    orders: tuple[PurchaseOrder, ...]
