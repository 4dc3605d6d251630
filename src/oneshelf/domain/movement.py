"""Units that went from one account to another. Movements are never changed; a correction is another movement."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from oneshelf.domain.account import Account
from oneshelf.domain.identity import Location, Sku
from oneshelf.errors import broken


class Reason(StrEnum):
    """Why units moved, in shop words."""

    RECEIVED = "received"
    ADJUSTED = "adjusted"
    WRITTEN_OFF = "written_off"
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
    ANNOUNCED = "announced"  # with a shipment
    UNLOADED = "unloaded"
    UNLOADED_OVER = "unloaded_over"  # more came than was announced
    ANNOUNCEMENT_ENDED = "announcement_ended"  # it will not come
    OVER_SETTLED = "over_settled"  # somebody has looked at what came beyond the tolerance
    MOVED = "moved"
    DISPATCHED = "dispatched"
    ARRIVED = "arrived"
    ARRIVED_OVER = "arrived_over"  # more came than was sent: it waits in quality control
    LOST_IN_TRANSIT = "lost_in_transit"
    RETURNED = "returned"
    ASSEMBLED = "assembled"
    DISASSEMBLED = "disassembled"
    SEEN_BY_COUNT = "seen_by_count"  # told late, and a count had seen it: the reversal of that
    SHIPPED_UNCOUNTED = "shipped_uncounted"  # it left, so it was there, although no count knew it


# Movements that make the ledger follow what somebody has seen. They are no news to a count: it replaces them.
CORRECTIONS = (Reason.COUNTED, Reason.SEEN_BY_COUNT, Reason.SHIPPED_UNCOUNTED)


class Movement(msgspec.Struct, frozen=True, kw_only=True):
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
        if self.units <= 0:
            broken(f"a movement of {self.units} units of {self.sku}")
        if self.origin is self.target or self.origin == self.target:
            broken(f"a movement of {self.sku} that goes nowhere")
        origin, target = self.origin.location, self.target.location
        if origin is not target and origin is not None and target is not None and origin != target:
            broken(f"a movement of {self.sku} from {origin} to {target}, with nothing in transit")

    @property
    def location(self) -> Location | None:
        """Where it changed a balance; None if it touched none."""
        return self.origin.location or self.target.location
