"""What Square says, typed: a document of another shape is malformed, and nobody guesses.

Names and types as in Square's own package for Python, squareup 46.0.0.20260916, made from its API definition of version
2026-09-16 (checked 2026-11-26). What is empty Square leaves out, so nearly everything may be missing. Members that
are not named here are not kept: what buyers leave behind (names, addresses, cards) never enters the inbox by a poll.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TypeVar

import msgspec

from oneshelf.domain.identity import UNITS_MAX, instant_from, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import document_from

_ID = re.compile(r"[A-Za-z0-9_-]{1,192}", re.ASCII)
# "A decimal string ... up to 5 digits after the decimal point": InventoryCount.quantity.
_QUANTITY = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,5})?", re.ASCII)
IN_STOCK = "IN_STOCK"

Document = TypeVar("Document")


class Error(msgspec.Struct):
    category: str = ""
    code: str = ""
    detail: str | None = None
    field: str | None = None

    @property
    def words(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.code}: {self.detail or self.category}{where}"


class Errors(msgspec.Struct):
    errors: list[Error] | None = None


# Orders -----------------------------------------------------------------------------------------------------------


class Money(msgspec.Struct, omit_defaults=True):
    amount: int | None = None


class LineItem(msgspec.Struct, omit_defaults=True):
    quantity: str
    uid: str | None = None
    catalog_object_id: str | None = None
    item_type: str | None = None


class Entry(msgspec.Struct, omit_defaults=True):
    line_item_uid: str
    quantity: str


class Fulfillment(msgspec.Struct, omit_defaults=True):
    state: str | None = None
    line_item_application: str | None = None
    entries: list[Entry] | None = None


class ReturnLineItem(msgspec.Struct, omit_defaults=True):
    catalog_object_id: str | None = None


class Return(msgspec.Struct, omit_defaults=True):
    source_order_id: str | None = None
    return_line_items: list[ReturnLineItem] | None = None


class Tender(msgspec.Struct, omit_defaults=True):
    type: str | None = None


class Order(msgspec.Struct, omit_defaults=True):
    id: str
    location_id: str
    state: str
    created_at: str
    updated_at: str
    line_items: list[LineItem] | None = None
    fulfillments: list[Fulfillment] | None = None
    returns: list[Return] | None = None
    tenders: list[Tender] | None = None
    net_amount_due_money: Money | None = None


class PolledOrder(msgspec.Struct, omit_defaults=True):
    """What is stored of an order that was asked for. `paid_offline_at`: by the clock of the till that was offline."""

    order: Order
    paid_offline_at: str | None = None


class Orders(msgspec.Struct):
    orders: list[Order] | None = None
    cursor: str | None = None


class OneOrder(msgspec.Struct):
    order: Order


class OfflineDetails(msgspec.Struct):
    client_created_at: str | None = None


class Payment(msgspec.Struct):
    order_id: str | None = None
    offline_payment_details: OfflineDetails | None = None


class Payments(msgspec.Struct):
    payments: list[Payment] | None = None
    cursor: str | None = None


# Catalog and counts -------------------------------------------------------------------------------------------------


class Override(msgspec.Struct):
    location_id: str | None = None
    track_inventory: bool | None = None
    sold_out: bool | None = None


class VariationFacts(msgspec.Struct):
    item_id: str | None = None
    name: str | None = None
    sku: str | None = None
    track_inventory: bool | None = None
    measurement_unit_id: str | None = None
    stockable: bool | None = None
    location_overrides: list[Override] | None = None


class ItemFacts(msgspec.Struct):
    name: str | None = None


class CatalogObject(msgspec.Struct):
    type: str
    id: str
    is_deleted: bool | None = None
    present_at_all_locations: bool | None = None
    present_at_location_ids: list[str] | None = None
    absent_at_location_ids: list[str] | None = None
    item_variation_data: VariationFacts | None = None
    item_data: ItemFacts | None = None


class CatalogObjects(msgspec.Struct):
    objects: list[CatalogObject] | None = None
    related_objects: list[CatalogObject] | None = None
    cursor: str | None = None


class Count(msgspec.Struct):
    catalog_object_id: str
    quantity: str
    state: str | None = None
    location_id: str | None = None


class Counts(msgspec.Struct):
    counts: list[Count] | None = None
    cursor: str | None = None


# Account --------------------------------------------------------------------------------------------------------------


class LocationFacts(msgspec.Struct):
    id: str
    name: str | None = None
    status: str | None = None


class OneLocation(msgspec.Struct):
    location: LocationFacts


class TokenStatus(msgspec.Struct):
    merchant_id: str
    scopes: list[str] | None = None
    expires_at: str | None = None


class Granted(msgspec.Struct):
    access_token: str
    expires_at: str | None = None
    refresh_token: str | None = None


# Webhooks -------------------------------------------------------------------------------------------------------------


class OrderRef(msgspec.Struct):
    location_id: str | None = None


class EventObject(msgspec.Struct):
    inventory_counts: list[Count] | None = None
    order_created: OrderRef | None = None
    order_updated: OrderRef | None = None
    order_fulfillment_updated: OrderRef | None = None


class EventFacts(msgspec.Struct):
    id: str | None = None
    object: EventObject | None = None


class Event(msgspec.Struct):
    type: str
    data: EventFacts | None = None


class EventHead(msgspec.Struct):
    """What is looked at before an event is stored: enough to tell it from the next."""

    type: str = ""
    event_id: str = ""


# Values ---------------------------------------------------------------------------------------------------------------


def read_as(body: bytes, kind: type[Document], what: str) -> Document:
    """Raises MalformedError."""
    return document_from(body, kind, what=what)


def is_id(text: str) -> bool:
    """Whether Square could have made this id."""
    return _ID.fullmatch(text) is not None


def an_id(text: str | None, what: str) -> str:
    if text is None or not is_id(text):
        raise MalformedError(f"{what} is no id of Square's: {str(text)[:40]!r}")
    return text


def instant(text: str | None, what: str) -> datetime:
    """An RFC 3339 instant, in UTC. Square writes up to nine digits of a second."""
    shortened = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text) if isinstance(text, str) else text
    return instant_from(shortened, what=what)


def sortable(at: datetime) -> str:
    """UTC text of fixed width, so that the order of texts is the order of instants."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def units_sold(text: str, what: str) -> int:
    """Whole units that an order takes: of what is sold by measure in doubt one more."""
    return units_from(int(_decimal(text, what).to_integral_value(ROUND_CEILING)), what=what)


def units_shown(text: str, what: str) -> int:
    """Whole units that can be sold of a count, which may be below zero: in doubt one fewer."""
    units = int(_decimal(text, what).to_integral_value(ROUND_FLOOR))
    return units_from(units, what=what, least=-UNITS_MAX)


def _decimal(text: str, what: str) -> Decimal:
    if _QUANTITY.fullmatch(text) is None:
        raise MalformedError(f"{what} is no quantity: {text[:40]!r}")
    return Decimal(text)
