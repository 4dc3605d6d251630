"""What a corner shop says, typed: a document of another shape is malformed, and nobody guesses."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from oneshelf.domain.identity import UNITS_MAX

Units = Annotated[int, msgspec.Meta(ge=0, le=UNITS_MAX)]


class Line(msgspec.Struct):
    id: str
    item: str
    quantity: Units
    cancelled: Units
    restocked: Units
    shipped: Units
    returned: Units


class Order(msgspec.Struct):
    id: str
    change: int
    placed_at: str
    changed_at: str
    lines: list[Line]


class News(msgspec.Struct):
    """What a webhook says: an order as it is now, or the item whose quantity changed."""

    order: Order | None = None
    item: str | None = None


class Orders(msgspec.Struct):
    orders: list[msgspec.Raw]
    position: int
    more: bool


class Item(msgspec.Struct):
    id: str
    sku: str
    title: str
    quantity: Annotated[int, msgspec.Meta(ge=-UNITS_MAX, le=UNITS_MAX)]
    tracked: bool


class Items(msgspec.Struct):
    items: list[Item]
    next: str | None


class Results(msgspec.Struct):
    results: list[Literal["ok", "stale", "unknown", "untracked"]]


class Access(msgspec.Struct):
    shop: str
    may: list[str]
