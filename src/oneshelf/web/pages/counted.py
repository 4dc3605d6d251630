"""Figures that read the whole catalogue, counted for all who look, and counted again the later the larger it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

from oneshelf.storage import home_views, views
from oneshelf.storage.database import Database
from oneshelf.storage.home_views import Exposure
from oneshelf.storage.views import ChannelHealth, Overview

EXPOSED_SHOWN = 5
# So many listings and SKUs are counted while somebody looks, each time. Beyond that a count is kept for a while.
ALWAYS_COUNTED = 25_000
SECONDS_KEPT_OF_A_MILLION = 20.0


class Counted(NamedTuple):
    """The channels, the whole engine and its worst case, all of one instant: `overview.read_at`."""

    channels: list[ChannelHealth]
    overview: Overview
    exposure: Exposure

    @property
    def kept_s(self) -> float:
        """How long this is good enough, in s: 0 for a small catalogue."""
        row_count = self.overview.listing_count + self.overview.sku_count
        return 0.0 if row_count <= ALWAYS_COUNTED else row_count / 1e6 * SECONDS_KEPT_OF_A_MILLION


class Tally:
    """The last count of one database. While one visitor waits for the next, the others see the last."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._last: tuple[float, Counted] | None = None

    async def read(self) -> Counted:
        """The last count where it is young enough, or where another visitor is just counting anew; else a new one."""
        if self._last is not None and self._last[1].kept_s and (self._turn.locked() or self._is_young(self._last)):
            return self._last[1]
        async with self._turn:
            if self._last is None or not self._is_young(self._last):
                self._last = (self._monotonic(), await self._count())
            return self._last[1]

    async def _count(self) -> Counted:
        async with self._database.transaction() as tx:
            await views.freeze(tx)
            channels = await views.channel_rows(tx)
            overview = await views.overview(tx, channels=channels)
            return Counted(channels, overview, await home_views.exposure(tx, limit=EXPOSED_SHOWN))

    def _is_young(self, last: tuple[float, Counted]) -> bool:
        begun_s, counted = last
        return self._monotonic() - begun_s < counted.kept_s


_tallies: WeakKeyDictionary[Database, Tally] = WeakKeyDictionary()


def tally_of(database: Database, monotonic: Callable[[], float]) -> Tally:
    """The tally of this database."""
    if database not in _tallies:
        _tallies[database] = Tally(database, monotonic)
    return _tallies[database]
