"""What a channel asks before it lets a buyer pay, and what it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckoutOutcome(StrEnum):
    """Why the buyer may pay, or may not."""

    AVAILABLE = "available"
    TOO_FEW = "too_few"
    NOT_LIVE = "not_live"  # nobody has signed the listing off, or its channel is paused
    UNKNOWN = "unknown"  # no listing of the channel has this SKU, or it is not linked
    ELSEWHERE = "elsewhere"  # it was asked about a place that the channel does not sell from


@dataclass(frozen=True, slots=True)
class CheckoutQuestion:
    """Can so many units of the listing be sold now? `sku`: what the channel calls it, or the seller's SKU of it.

    `is_here`: False where it is asked about a place that the channel does not sell from.
    """

    sku: str
    units: int
    is_here: bool = True


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """`units`: how many of the listing can be sold now, however many were asked for."""

    outcome: CheckoutOutcome
    units: int = 0

    @property
    def is_available(self) -> bool:
        return self.outcome is CheckoutOutcome.AVAILABLE
