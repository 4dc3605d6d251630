"""What one order line holds of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from oneshelf.domain.command import OrderRef
from oneshelf.domain.identity import Channel, ChannelSku, Location, Sku

LineKey = tuple[Channel, str, str, Sku]  # channel, order, line; a line of a bundle has a position for each component

# A line that a claim has made, and that its channel has not spoken of yet, sells no listing.
UNSPOKEN = ChannelSku("")


@dataclass(slots=True, kw_only=True)
class LinePosition:
    """What one order line holds of one SKU, in base units. `units_short`: sold, and nothing is there for it.

    `pack_units`: units of this SKU in one sold unit of the listing. What came back of the shipped units is told twice:
    `units_restocked` by the channel, which has put them on sale again, and `units_returned` by people of ours.

    `handed_over_at`: by then all of it had left over a counter, also what it is short of. `units_brought`: what a
    customer put on the counter.
    """

    sku: Sku
    location: Location
    channel: Channel
    order_id: str
    line_id: str
    channel_sku: ChannelSku
    placed_at: datetime
    is_pending: bool
    pack_units: int = 1
    units_pending: int = 0
    units_committed: int = 0
    units_shipped: int = 0
    units_short: int = 0
    units_off_listing: int = 0
    units_returned: int = 0
    units_restocked: int = 0
    handed_over_at: datetime | None = None
    units_brought: int = 0

    @property
    def key(self) -> LineKey:
        return (self.channel, self.order_id, self.line_id, self.sku)

    @property
    def order(self) -> OrderRef:
        return OrderRef(self.channel, self.order_id)

    @property
    def is_unspoken(self) -> bool:
        """Whether only a claim made this line: its channel has not told us of it."""
        return self.channel_sku == UNSPOKEN

    @property
    def units_held(self) -> int:
        """Units this line waits to ship, whether they are there or not."""
        return self.units_pending + self.units_committed + self.units_short

    @property
    def units_back(self) -> int:
        """Of the shipped units those that are back. Told by both sides they are the same ones: each comes back once."""
        return max(self.units_returned, self.units_restocked)

    @property
    def source(self) -> str:
        return f"order {self.channel}/{self.order_id}/{self.line_id}"
