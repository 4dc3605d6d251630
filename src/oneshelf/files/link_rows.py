"""Files of links: which SKU each listing of a channel sells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from oneshelf.domain.identity import Channel, ChannelSku, Sku, channel_from, name_from, sku_from
from oneshelf.files.kind import NO_SUCH_SKU, Applied, Checked, Columns, Told, named_in, units_in
from oneshelf.files.table import CellError, Row
from oneshelf.flow.link import Wanted, link_listings
from oneshelf.flow.post import Keep
from oneshelf.storage import catalog, exports
from oneshelf.storage.database import Database


class Links:
    """Listings, each with the SKU behind it. One that is linked so already stays as it is."""

    name = "listings"
    columns = ("channel", "channel_sku", "sku", "pack_units")
    is_stock = False
    is_whole = False
    is_standing = True

    def adds(self, columns: Columns) -> bool:
        """It says what is so."""
        del columns
        return False

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], Wanted]:
        """A listing and a SKU in each row; without a pack size one unit is sold at a time."""
        del told
        columns.need("channel", "channel_sku", "sku")
        channel, listing, sku = (columns.cell(name) for name in ("channel", "channel_sku", "sku"))
        pack = columns.cell("pack_units")

        def read(row: Row) -> Wanted:
            columns.fit(row)
            size = pack(row)
            return Wanted(
                Channel(named_in("channel", channel(row), channel_from)),
                ChannelSku(named_in("channel_sku", listing(row), lambda text: name_from(text, what="channel_sku"))),
                Sku(named_in("sku", sku(row), sku_from)),
                1 if size == "" else units_in("pack_units", size, least=1),
            )

        return read

    def subject(self, item: Wanted) -> str:
        """A listing sells one SKU."""
        return f"{item.channel}\n{item.channel_sku}"

    def about(self, columns: Columns) -> None:
        """All of them have to do with one another."""
        del columns

    def label(self, item: Wanted) -> str:
        """The row in a few words."""
        return f"{item.channel} {item.channel_sku} sells {item.sku} in packs of {item.pack_units}"

    async def check(self, database: Database, items: Sequence[Wanted]) -> list[Checked]:
        """Each row beside the channels, listings and SKUs there are."""
        async with database.transaction() as tx:
            channels = {row.channel for row in await catalog.channels(tx)}
            skus = await catalog.known_skus(tx, {item.sku for item in items})
            there = await exports.linked(tx, {(item.channel, item.channel_sku) for item in items})

        def problem(item: Wanted) -> CellError | None:
            if item.channel not in channels:
                return CellError("channel", item.channel, f"no such channel; there are: {', '.join(sorted(channels))}")
            if (item.channel, item.channel_sku) not in there:
                reason = "the channel has shown no such listing; oneshelf listing unlinked lists those that wait"
                return CellError("channel_sku", item.channel_sku, reason)
            if item.sku not in skus:
                return CellError("sku", item.sku, NO_SUCH_SKU)
            return None

        return [Checked(problem(item)) for item in items]

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[Wanted], keep: Keep
    ) -> list[Applied]:
        """Link those that are not linked so."""
        del new_id
        if keep is Keep.NOTHING:
            async with database.transaction() as tx:
                there = await exports.linked(tx, {(item.channel, item.channel_sku) for item in items})
            new = [there[item.channel, item.channel_sku] != (item.sku, item.pack_units) for item in items]
        else:
            new = await link_listings(database, items)
        return [Applied(True, "is linked" if is_new else "was linked so before", not is_new) for is_new in new]
