"""What a channel says of one order, in our words, and what that asks of the ledger.

An order is a snapshot: the whole order as the channel shows it at one of its versions. The ledger never sees
"an event"; it sees the difference between a snapshot and what was already posted for each line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of a channel's order, counted in units of the listing (packs, where a listing sells packs).

    `units_cancelled` will never ship. `units_relisted` is the part of them that the channel itself has put back
    on its listing; where it differs, the channel kept the units off sale. `units_shipped` have left, and
    `units_returned` of those came back and were put on the listing again by the channel itself.
    """

    line_id: str
    channel_sku: ChannelSku
    units_ordered: int
    units_cancelled: int = 0
    units_relisted: int = 0
    units_shipped: int = 0
    units_returned: int = 0

    def __post_init__(self) -> None:
        least = min(self.units_ordered, self.units_cancelled, self.units_relisted)
        if min(least, self.units_shipped, self.units_returned) < 0:
            raise MalformedError(f"order line {self.line_id} has a negative number of units")
        if self.units_cancelled + self.units_shipped > self.units_ordered:
            raise MalformedError(
                f"order line {self.line_id}: {self.units_cancelled} cancelled and {self.units_shipped} shipped "
                f"are more than the {self.units_ordered} ordered"
            )
        if self.units_relisted > self.units_cancelled:
            raise MalformedError(f"order line {self.line_id}: more units relisted than cancelled")
        if self.units_returned > self.units_shipped:
            raise MalformedError(f"order line {self.line_id}: more units returned than shipped")

    @property
    def units_open(self) -> int:
        """Units sold that have neither shipped nor been cancelled."""
        return self.units_ordered - self.units_cancelled - self.units_shipped

    @property
    def units_off_listing(self) -> int:
        """Units by which this line has lowered the channel's own figure: ordered, less those it put back."""
        return self.units_ordered - self.units_relisted - self.units_returned


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """A channel's order at one of the channel's versions.

    `version` is the channel's own, as text that sorts (an ISO instant in UTC); newer replaces older whatever the
    order of arrival. `is_pending`: sold, but the payment is not yet confirmed.
    """

    channel: Channel
    order_id: str
    version: str
    placed_at: datetime
    is_pending: bool
    lines: tuple[OrderLine, ...]

    def __post_init__(self) -> None:
        line_ids = [line.line_id for line in self.lines]
        if len(set(line_ids)) != len(line_ids):
            raise MalformedError(f"order {self.order_id} names a line twice")

    @property
    def rank(self) -> tuple[str, int, int, int, int, int, int]:
        """Sorts snapshots of one order: by version, then by how far along its life the order is.

        Two snapshots can share a version, since channels stamp whole seconds. Confirmation of the payment, lines,
        units ever ordered, cancellations, shipments and returns only ever grow, so the further one is the newer one.
        """
        return (
            self.version,
            0 if self.is_pending else 1,
            len(self.lines),
            sum(line.units_ordered for line in self.lines),
            sum(line.units_cancelled for line in self.lines),
            sum(line.units_shipped for line in self.lines),
            sum(line.units_returned for line in self.lines),
        )


def is_older(snapshot: OrderSnapshot, than: OrderSnapshot | None) -> bool:
    """Whether `snapshot` is outdated by one that was posted before. An equal one is not: its lines may wait."""
    return than is not None and snapshot.rank < than.rank
