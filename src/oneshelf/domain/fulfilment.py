"""What an order snapshot moves: the difference between what it says of a line and what that line already holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Component, OrderRef
from oneshelf.domain.handover import hand_over
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.late import give_what_was_seen
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.line import LinePosition
from oneshelf.domain.movement import Reason
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError

LINE_UNITS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """Which SKU a listing sells, from which location, and how many base units one sold unit takes.

    Of a bundle, `components` says which SKUs are counted for one of it.
    """

    sku: Sku
    location: Location
    pack_units: int
    components: tuple[Component, ...] = ()

    @property
    def counted(self) -> tuple[tuple[Sku, int], ...]:
        """The SKUs that one sold unit takes, and how many units of each."""
        if not self.components:
            return ((self.sku, self.pack_units),)
        return tuple((part.sku, self.pack_units * part.units) for part in self.components)


@dataclass(frozen=True, slots=True)
class OrderPosted:
    """What posting a snapshot did, apart from the movements on the shelf.

    `off_listing`: listing -> by how many listing units more the channel's own figure has been lowered by orders
    (negative: raised). `unlinked`: listings of lines that were left out, because nobody has linked them to a SKU.
    """

    off_listing: Mapping[ChannelSku, int]
    unlinked: tuple[ChannelSku, ...]


def post_order(shelf: Shelf, snapshot: OrderSnapshot, links: Mapping[ChannelSku, Link]) -> OrderPosted:
    """Move what this snapshot changes. Posting the same snapshot again moves nothing.

    A line that was posted before stays with the SKUs, location and units it was posted to, even if its listing has
    been linked to another SKU since, or its bundle is another one. A line of a bundle holds units of each component.
    The shelf must hold the order's lines and the balances of all links.

    Raises MalformedError, and moves nothing, for a line of more than `LINE_UNITS_MAX` base units: nobody sells that
    many, and such a figure would do harm.
    """
    for line in snapshot.lines:
        _check_plausible(shelf, snapshot, line, links.get(line.channel_sku))
    off_listing: dict[ChannelSku, int] = {}
    unlinked: list[ChannelSku] = []
    # Once for the order: looking for each line would cost a long receipt its square.
    order = OrderRef(snapshot.channel, snapshot.order_id)
    claimed = [position for position in shelf.lines_of(order) if position.is_unspoken]
    for line in snapshot.lines:
        positions = shelf.positions(snapshot.channel, snapshot.order_id, line.line_id)
        is_new = not positions
        if not positions:
            link = links.get(line.channel_sku)
            if link is None:
                unlinked.append(line.channel_sku)
                continue
            positions = _new_positions(shelf, snapshot, line, link, claimed)
            for position in positions if snapshot.handed_over is None else ():
                sold = (line.units_open + line.units_shipped) * position.pack_units
                give_what_was_seen(shelf, position, sold - position.units_committed - position.units_shipped)
        # Each position of a bundle remembers the same figure: the listing was lowered once.
        change = line.units_off_listing - positions[0].units_off_listing
        off_listing[line.channel_sku] = off_listing.get(line.channel_sku, 0) + change
        for position in positions:
            position.units_off_listing = line.units_off_listing
            if snapshot.handed_over is not None:
                hand_over(shelf, position, line, snapshot.handed_over, is_new=is_new)
                continue
            _confirm_payment(shelf, position, snapshot)
            _ship(shelf, position, line.units_shipped * position.pack_units)
            _restock(shelf, position, line.units_returned * position.pack_units)
            _hold(shelf, position, line.units_open * position.pack_units)
            shelf.changed_lines.add(position.key)
    shelf.fill_shortages()
    return OrderPosted(off_listing=off_listing, unlinked=tuple(unlinked))


def _check_plausible(shelf: Shelf, snapshot: OrderSnapshot, line: OrderLine, link: Link | None) -> None:
    positions = shelf.positions(snapshot.channel, snapshot.order_id, line.line_id)
    packs = [position.pack_units for position in positions] or [units for _, units in (link.counted if link else ())]
    pack_units = max(packs, default=1)
    units = max(line.units_ordered, line.units_brought)
    if units * pack_units > LINE_UNITS_MAX:
        raise MalformedError(
            f"order {snapshot.order_id}, line {line.line_id}: {units} of {line.channel_sku} are more than "
            f"the {LINE_UNITS_MAX} units that one line may move"
        )


def _new_positions(
    shelf: Shelf, snapshot: OrderSnapshot, line: OrderLine, link: Link, claimed: Sequence[LinePosition]
) -> list[LinePosition]:
    positions = [
        LinePosition(
            sku=sku,
            location=link.location,
            channel=snapshot.channel,
            order_id=snapshot.order_id,
            line_id=line.line_id,
            channel_sku=line.channel_sku,
            placed_at=snapshot.placed_at,
            is_pending=snapshot.is_pending,
            pack_units=units,
        )
        for sku, units in sorted(link.counted)
    ]
    for position in positions:
        shelf.add_line(position)
        _take_over(shelf, position, claimed)
    return positions


def _take_over(shelf: Shelf, position: LinePosition, of_order: Sequence[LinePosition]) -> None:
    """What a claim has committed for this order is this line's, now that the channel names it. No unit moves."""
    for claimed in of_order:
        if not claimed.is_unspoken or (claimed.sku, claimed.location) != (position.sku, position.location):
            continue
        position.units_committed += claimed.units_committed
        position.units_shipped += claimed.units_shipped
        position.units_returned += claimed.units_returned
        shelf.shorten(position, claimed.units_short)
        shelf.shorten(claimed, -claimed.units_short)
        claimed.units_committed = claimed.units_shipped = claimed.units_returned = 0
        # From now on the channel speaks for these units: no command ships or cancels them.
        claimed.channel_sku = position.channel_sku
        shelf.changed_lines.add(claimed.key)


def _confirm_payment(shelf: Shelf, position: LinePosition, snapshot: OrderSnapshot) -> None:
    """Pending units become committed once the channel has confirmed the payment."""
    if snapshot.is_pending or not position.is_pending:
        return
    position.is_pending = False
    shelf.move(
        position.sku,
        origin=Account(StockState.RESERVED, position.location),
        target=Account(StockState.COMMITTED, position.location),
        units=position.units_pending,
        reason=Reason.COMMITTED,
        source=position.source,
    )
    position.units_committed += position.units_pending
    position.units_pending = 0


def _ship(shelf: Shelf, position: LinePosition, units_shipped: int) -> None:
    """Held units leave for the customer; what was shipped by mistake in the channel's books comes back to held."""
    units = units_shipped - position.units_shipped
    committed = Account(StockState.COMMITTED, position.location)
    if units < 0:
        _unship(shelf, position, -units)
    elif units > 0:
        _have_committed(shelf, position, units)
        shelf.move(
            position.sku,
            origin=committed,
            target=Account(Outside.CUSTOMER),
            units=units,
            reason=Reason.SHIPPED,
            source=position.source,
        )
        position.units_committed -= units
    position.units_shipped = units_shipped


def _unship(shelf: Shelf, position: LinePosition, units: int) -> None:
    """Units that the channel says never left. Those that were returned are back already: the line looks for others."""
    still_out = min(units, position.units_shipped - position.units_back)
    shelf.move(
        position.sku,
        origin=Account(Outside.CUSTOMER),
        target=Account(StockState.COMMITTED, position.location),
        units=still_out,
        reason=Reason.SHIPPED,
        source=position.source,
    )
    position.units_committed += still_out
    shelf.shorten(position, units - still_out)
    left = position.units_shipped - units
    position.units_returned = min(position.units_returned, left)
    position.units_restocked = min(position.units_restocked, left)
    shelf.look_for_units(position)


def _restock(shelf: Shelf, position: LinePosition, units_restocked: int) -> None:
    """Shipped units that the channel put on sale again are available here too, but for those that people booked before.

    Never fewer than once: a channel takes no return back.
    """
    if units_restocked <= position.units_restocked:
        return
    others = [line for line in shelf.lines_of(position.order) if line.sku == position.sku]
    before, new = sum(line.units_back for line in others), units_restocked - position.units_back
    position.units_restocked = units_restocked
    for other in others:
        # Whoever booked it did not have to say of which line it is.
        spare = other.units_returned - other.units_restocked if other is not position else 0
        units = max(0, min(spare, new))
        new -= units
        other.units_returned -= units
        position.units_returned += units
        shelf.changed_lines.add(other.key)
    shelf.move(
        position.sku,
        origin=Account(Outside.CUSTOMER),
        target=Account(StockState.AVAILABLE, position.location),
        units=sum(line.units_back for line in others) - before,
        reason=Reason.RETURNED,
        source=position.source,
    )


def _have_committed(shelf: Shelf, position: LinePosition, units: int) -> None:
    """Have `units` committed for this line: held ones, else free ones, else ones that no count knew of."""
    committed = Account(StockState.COMMITTED, position.location)
    for state in (StockState.RESERVED, StockState.AVAILABLE):
        missing = units - position.units_committed
        at_hand = (
            position.units_pending if state is StockState.RESERVED else shelf.available(position.sku, position.location)
        )
        taken = max(0, min(missing, at_hand))
        shelf.move(
            position.sku,
            origin=Account(state, position.location),
            target=committed,
            units=taken,
            reason=Reason.COMMITTED,
            source=position.source,
        )
        position.units_committed += taken
        if state is StockState.RESERVED:
            position.units_pending -= taken
        else:
            shelf.shorten(position, -min(taken, position.units_short))
    uncounted = max(0, units - position.units_committed)
    shelf.move(
        position.sku,
        origin=Account(Outside.FOUND),
        target=committed,
        units=uncounted,
        reason=Reason.SHIPPED_UNCOUNTED,
        source=position.source,
    )
    position.units_committed += uncounted
    shelf.shorten(position, -min(uncounted, position.units_short))


def _hold(shelf: Shelf, position: LinePosition, units_open: int) -> None:
    """Hold as many units as the line still waits for: take free ones, or give back those cancelled."""
    excess = position.units_held - units_open
    if excess < 0:
        _take(shelf, position, -excess)
    elif excess > 0:
        _give_back(shelf, position, excess)


def _take(shelf: Shelf, position: LinePosition, units: int) -> None:
    taken = min(units, shelf.available(position.sku, position.location))
    state, reason = (
        (StockState.RESERVED, Reason.PENDING) if position.is_pending else (StockState.COMMITTED, Reason.COMMITTED)
    )
    shelf.move(
        position.sku,
        origin=Account(StockState.AVAILABLE, position.location),
        target=Account(state, position.location),
        units=taken,
        reason=reason,
        source=position.source,
    )
    if position.is_pending:
        position.units_pending += taken
    else:
        position.units_committed += taken
    if taken < units:
        shelf.shorten(position, units - taken)
        shelf.touch((position.sku, position.location))


def _give_back(shelf: Shelf, position: LinePosition, units: int) -> None:
    """Release what was cancelled: first what was never there, then what was held."""
    from_short = min(units, position.units_short)
    shelf.shorten(position, -from_short)
    from_pending = min(units - from_short, position.units_pending)
    from_committed = units - from_short - from_pending
    for state, released in ((StockState.RESERVED, from_pending), (StockState.COMMITTED, from_committed)):
        shelf.move(
            position.sku,
            origin=Account(state, position.location),
            target=Account(StockState.AVAILABLE, position.location),
            units=released,
            reason=Reason.CANCELLED,
            source=position.source,
        )
    position.units_pending -= from_pending
    position.units_committed -= from_committed
