"""What a channel says of one order, in our words, and what that asks of the ledger.

An order is a snapshot: the whole order as the channel shows it at one of its versions. The ledger never sees
"an event"; it sees the difference between a snapshot and what was already posted for each line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from oneshelf.domain.command import ReturnInto
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import MalformedError


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of a channel's order, counted in units of the listing (packs, where a listing sells packs).

    `units_cancelled` will never ship. `units_relisted` is the part of them that the channel itself has put back
    on its listing; where it differs, the channel kept the units off sale. `units_shipped` have left, and
    `units_returned` of those came back and were put on the listing again by the channel itself.

    Where a channel ships from several locations and its listing is about one of them, `units_shipped` are those from
    there. `units_elsewhere` of the open ones will leave from others (None: this message does not tell from where), and
    `units_shipped_elsewhere` have. They are on nobody's shelf here, and lower no listing of this channel.

    `units_brought`: a customer put so many on the counter, whoever had sold them, and they went `brought_into` a state.
    """

    line_id: str
    channel_sku: ChannelSku
    units_ordered: int
    units_cancelled: int = 0
    units_relisted: int = 0
    units_shipped: int = 0
    units_returned: int = 0
    units_elsewhere: int | None = 0
    units_shipped_elsewhere: int = 0
    units_brought: int = 0
    brought_into: ReturnInto = ReturnInto.AVAILABLE

    def __post_init__(self) -> None:
        elsewhere = min(self.units_elsewhere or 0, self.units_shipped_elsewhere)
        least = min(self.units_ordered, self.units_cancelled, self.units_relisted, elsewhere)
        if min(least, self.units_shipped, self.units_returned, self.units_brought) < 0:
            raise MalformedError(f"order line {self.line_id} has a negative number of units")
        if self.units_open_anywhere < 0:
            shipped = self.units_shipped + self.units_shipped_elsewhere
            raise MalformedError(
                f"order line {self.line_id}: {self.units_cancelled} cancelled and {shipped} shipped "
                f"are more than the {self.units_ordered} ordered"
            )
        if (self.units_elsewhere or 0) > self.units_open_anywhere:
            raise MalformedError(f"order line {self.line_id}: more units leave from elsewhere than are open")
        if self.units_relisted > self.units_cancelled:
            raise MalformedError(f"order line {self.line_id}: more units relisted than cancelled")
        if self.units_returned > self.units_shipped:
            raise MalformedError(f"order line {self.line_id}: more units returned than shipped")

    @property
    def units_open_anywhere(self) -> int:
        """Units sold that have neither shipped nor been cancelled, wherever they are."""
        return self.units_ordered - self.units_cancelled - self.units_shipped - self.units_shipped_elsewhere

    @property
    def units_open(self) -> int:
        """Units that are to be shipped from the channel's location. In doubt they are."""
        return self.units_open_anywhere - (self.units_elsewhere or 0)

    @property
    def units_off_listing(self) -> int:
        """Units by which this line has lowered the channel's own figure: ordered here, less those it put back."""
        elsewhere = (self.units_elsewhere or 0) + self.units_shipped_elsewhere
        return self.units_ordered - self.units_relisted - self.units_returned - elsewhere

    def turnover_since(self, before: OrderLine | None) -> int:
        """Units that the channel's own figure fell and rose by, added up, since this line was as `before`; None: new.

        An order that is cancelled before we hear of it changes nothing in the end. In between the figure was lower.
        """
        elsewhere = (self.units_elsewhere or 0) + self.units_shipped_elsewhere
        then = before or OrderLine(self.line_id, self.channel_sku, units_ordered=0)
        return (
            abs(self.units_ordered - then.units_ordered)
            + abs(self.units_relisted - then.units_relisted)
            + abs(self.units_returned - then.units_returned)
            + abs(elsewhere - (then.units_elsewhere or 0) - then.units_shipped_elsewhere)
        )


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The goods changed hands when the order was made: they had left by `left_at`, and came back from `came_at` on.

    Such an order is told once as it was sold, and perhaps once more as taken back.
    """

    left_at: datetime
    came_at: datetime


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """A channel's order at one of the channel's versions.

    `version` is the channel's own, as text that sorts (an ISO instant in UTC); newer replaces older whatever the
    order of arrival. `is_pending`: sold, but the payment is not yet confirmed. `handed_over`: of a sale at a counter.
    """

    channel: Channel
    order_id: str
    version: str
    placed_at: datetime
    is_pending: bool
    lines: tuple[OrderLine, ...]
    handed_over: HandedOver | None = None

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
            sum(line.units_shipped + line.units_shipped_elsewhere for line in self.lines),
            sum(line.units_returned for line in self.lines),
        )


def turnovers(snapshot: OrderSnapshot, before: OrderSnapshot | None) -> dict[ChannelSku, int]:
    """Listing -> by how many units its figure fell and rose, added up, since the order was as `before`; None: new."""
    known = {line.line_id: line for line in before.lines} if before else {}
    turned: dict[ChannelSku, int] = {}
    for line in snapshot.lines:
        turned[line.channel_sku] = turned.get(line.channel_sku, 0) + line.turnover_since(known.get(line.line_id))
    return turned


def is_older(snapshot: OrderSnapshot, than: OrderSnapshot | None) -> bool:
    """Whether `snapshot` is outdated by one that was posted before. An equal one is not: its lines may wait."""
    return than is not None and snapshot.rank < than.rank


def located(snapshot: OrderSnapshot, known: OrderSnapshot | None) -> OrderSnapshot:
    """The snapshot, with from where its units leave: where it does not tell, that is as `known` has it.

    Units that have left elsewhere since, or were cancelled, are those that were to leave elsewhere: in doubt a unit is
    held here, and nobody is offered it.
    """
    if all(line.units_elsewhere is not None for line in snapshot.lines):
        return snapshot
    before = {line.line_id: line for line in known.lines} if known else {}
    lines = tuple(_located(line, before.get(line.line_id)) for line in snapshot.lines)
    return replace(snapshot, lines=lines)


def _located(line: OrderLine, known: OrderLine | None) -> OrderLine:
    if line.units_elsewhere is not None:
        return line
    units = 0
    if known is not None:
        left = max(0, line.units_shipped_elsewhere - known.units_shipped_elsewhere)
        cancelled = max(0, line.units_cancelled - known.units_cancelled)
        units = max(0, min((known.units_elsewhere or 0) - left - cancelled, line.units_open_anywhere))
    return replace(line, units_elsewhere=units)
