"""Units that went from one account to another. Movements are never changed; a correction is another movement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.account import Account
from oneshelf.domain.identity import Location, Sku
from oneshelf.errors import invariant


class Reason(StrEnum):
    """Why units moved, in shop words."""

    RECEIVED = "received"
    ADJUSTED = "adjusted"
    COUNTED = "counted"
    PENDING = "pending"  # sold, payment not yet confirmed
    COMMITTED = "committed"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"
    SHORTAGE_FILLED = "shortage_filled"
    RESERVED = "reserved"
    RELEASED = "released"
    EXPIRED = "expired"
    EXPECTED = "expected"
    MOVED = "moved"
    DISPATCHED = "dispatched"
    ARRIVED = "arrived"
    ARRIVED_OVER = "arrived_over"  # more came than was sent
    LOST_IN_TRANSIT = "lost_in_transit"
    RETURNED = "returned"
    ASSEMBLED = "assembled"
    DISASSEMBLED = "disassembled"
    SEEN_BY_COUNT = "seen_by_count"  # told late, and a count had seen it: the reversal of that
    SHIPPED_UNCOUNTED = "shipped_uncounted"  # it left, so it was there, although no count knew it


# Movements that make the ledger follow a count. They are no news to another count, which replaces them.
CORRECTIONS = (Reason.COUNTED, Reason.SEEN_BY_COUNT)


@dataclass(frozen=True, slots=True)
class Movement:
    """`units` of `sku` from `origin` to `target`. `source` names the order or the command.

    It changes one balance at most, whose `version` it made: between two locations, units are in transit.
    `happened_at`: when, if it was told late.
    """

    movement_id: UUID
    sku: Sku
    units: int
    origin: Account
    target: Account
    reason: Reason
    source: str
    version: int
    happened_at: datetime | None = None

    def __post_init__(self) -> None:
        invariant(self.units > 0, f"a movement of {self.units} units of {self.sku}")
        invariant(self.origin != self.target, f"a movement of {self.sku} that goes nowhere")
        places = {account.location for account in (self.origin, self.target)} - {None}
        invariant(len(places) <= 1, f"a movement of {self.sku} between locations, with nothing in transit")

    @property
    def location(self) -> Location | None:
        """Where it changed a balance; None if it touched none."""
        return self.origin.location or self.target.location
