"""A drift: a channel shows a figure that nothing in flight explains. It has a size, an age and a cause."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a channel's figure differs from the belief, as far as the evidence goes."""

    LOST_WRITE = "lost write"  # accepted by the channel, never applied
    LATE_WRITE = "late write"  # an older write of ours, applied after a newer one
    FOREIGN_EDIT = "foreign edit"  # somebody else changed the figure
    UNSEEN_ORDER = "unseen order"  # an order that we had not been told of
    UNKNOWN = "unknown"


class Resolution(StrEnum):
    """How a drift ended."""

    REPUBLISHED = "republished"  # the engine rules: its figure was written again
    EXPLAINED = "explained"  # an order arrived that explains it
    VANISHED = "vanished"  # the channel shows the expected figure again
