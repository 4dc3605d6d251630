"""The place of a whole pass over a channel's stock, as `schedules.cursor` of the task `stock` keeps it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from oneshelf.domain.identity import Channel
from oneshelf.storage.database import Transaction


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the pass stands that is under way, or what is known for the next one.

    `file`: the channel's name for the file that is read, begun at `asked_at`; of its readings `read_count` are stored.
    `waits_since`: since when a file has been wanted. `try_count`: how often in a row it could not be read on.
    `by_pages`: the file failed, so pages are next. `took_s`: how long the last pass from a file took.
    """

    file: str = ""
    asked_at: datetime | None = None
    waits_since: datetime | None = None
    read_count: int = 0
    try_count: int = 0
    by_pages: bool = False
    took_s: float | None = None


def place_from(cursor: str | None) -> Place:
    """The place that a cursor tells. One that cannot be read, of another version say, is the beginning."""
    try:
        return msgspec.json.decode(cursor, type=Place) if cursor else Place()
    except msgspec.DecodeError:
        return Place()


def cursor_of(place: Place) -> str | None:
    """The place as text; None: the beginning, and nothing is known."""
    return None if place == Place() else msgspec.json.encode(place).decode()


async def places(tx: Transaction) -> dict[Channel, Place]:
    """Where the pass of each channel stands."""
    cursor = await tx.execute("select channel, cursor from schedules where task = 'stock'")
    return {Channel(channel): place_from(text) async for channel, text in cursor}
