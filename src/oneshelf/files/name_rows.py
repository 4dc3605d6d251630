"""Files of SKUs and of locations: what there is, and what people call it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from oneshelf.domain.identity import Location, Sku, location_from, name_from, sku_from
from oneshelf.files.kind import Applied, Checked, Columns, Told, name_reader, named_in, text_in
from oneshelf.files.table import Row
from oneshelf.flow.post import Keep
from oneshelf.storage import catalog
from oneshelf.storage.database import Database, Transaction


class Named(NamedTuple):
    """A name, and what people call it."""

    name: str
    title: str


class Names(ABC):
    """SKUs or locations. Names are added; what was named before keeps its title."""

    is_stock = False
    is_whole = False
    is_standing = False

    def __init__(self, name: str, column: str, gate: Callable[[object], str]) -> None:
        self.name = name
        self.columns = (column, "title")
        self._gate = gate

    def adds(self, columns: Columns) -> bool:
        """It says what is so."""
        del columns
        return False

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], Named]:
        """A name in each row, and a title where there is one."""
        del told
        column = self.columns[0]
        columns.need(column)
        cell, title = columns.cell(column), columns.cell("title")

        def read(row: Row) -> Named:
            columns.fit(row)
            words = text_in("title", title(row))
            return Named(
                named_in(column, cell(row), self._gate),
                named_in("title", words, lambda text: name_from(text, what="title")) if words else "",
            )

        return read

    def subject(self, item: Named) -> str:
        """A name is given once."""
        return item.name

    def about(self, columns: Columns) -> Callable[[Row], str]:
        """The name."""
        return name_reader(columns, self.columns[0], self._gate)

    def label(self, item: Named) -> str:
        """The row in a few words."""
        return item.name

    async def check(self, database: Database, items: Sequence[Named]) -> list[Checked]:
        """Any name will do."""
        del database
        return [Checked() for _ in items]

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[Named], keep: Keep
    ) -> list[Applied]:
        """Name those that have no name yet."""
        del new_id
        async with database.transaction() as tx:
            known = await self._known(tx, items)
            if keep is not Keep.NOTHING:
                await self._add(tx, [item for item in items if item.name not in known])
        return [
            Applied(True, "was named before; its title is kept", True)
            if item.name in known
            else Applied(True, "is new")
            for item in items
        ]

    @abstractmethod
    async def _known(self, tx: Transaction, items: Sequence[Named]) -> set[str]:
        """Which of them have a name."""

    @abstractmethod
    async def _add(self, tx: Transaction, items: Sequence[Named]) -> None:
        """Name them."""


class Skus(Names):
    """SKUs."""

    def __init__(self) -> None:
        super().__init__("skus", "sku", sku_from)

    async def _known(self, tx: Transaction, items: Sequence[Named]) -> set[str]:
        return {str(sku) for sku in await catalog.known_skus(tx, [Sku(item.name) for item in items])}

    async def _add(self, tx: Transaction, items: Sequence[Named]) -> None:
        await catalog.add_skus(tx, {Sku(item.name): item.title for item in items})


class Locations(Names):
    """Locations."""

    def __init__(self) -> None:
        super().__init__("locations", "location", location_from)

    async def _known(self, tx: Transaction, items: Sequence[Named]) -> set[str]:
        return {str(place) for place in await catalog.known_locations(tx, [Location(item.name) for item in items])}

    async def _add(self, tx: Transaction, items: Sequence[Named]) -> None:
        for item in items:
            await catalog.add_location(tx, Location(item.name), title=item.title)
