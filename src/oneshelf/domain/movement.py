"""Units that went from one account to another. Movements are never changed; a correction is another movement."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import msgspec

from oneshelf.domain.account import Account
from oneshelf.domain.identity import Sku
from oneshelf.errors import broken


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
    SHIPPED_UNCOUNTED = "shipped_uncounted"  # it left, so it was there, although no count knew it


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """`units` of `sku` from `origin` to `target`. `source` names the order or the command."""

    movement_id: UUID
    sku: Sku
    units: int
    origin: Account
    target: Account
    reason: Reason
    source: str
    version: int

    def __post_init__(self) -> None:
        if self.units <= 0:
            broken(f"a movement of {self.units} units of {self.sku}")
        if self.origin is self.target or self.origin == self.target:
            broken(f"a movement of {self.sku} that goes nowhere")
