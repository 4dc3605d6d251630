"""The documents of the simulated Square, spelled as squareup 46.0.0.20260916 types them (API version 2026-09-16).

What is empty is left out, as Square does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oneshelf.sdk.simulated_shop import Article, Sale, SoldLine

LOCATION_ID = "LSIMULATED001"
MERCHANT_ID = "MSIMULATED001"
PRICE = {"amount": 1200, "currency": "EUR"}
NOTHING_DUE = {"amount": 0, "currency": "EUR"}


@dataclass(slots=True)
class SaleFacts:
    """What Square knows of a sale beside its lines.

    `visible_at`: the monotonic instant from which a search finds it. `is_paid`: a buyer who only filled a cart has not.
    `is_told`: it is no new one any more.
    """

    is_till: bool = False
    is_paid: bool = True
    paid_offline_at: datetime | None = None
    visible_at: float = 0.0
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """An order by which units of another one come back."""

    order_id: str
    source_order_id: str
    line: SoldLine
    units: int
    at: datetime


def stamp(at: datetime) -> str:
    """As Square writes instants: milliseconds, UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order_document(sale: Sale, facts: SaleFacts, names: dict[str, str]) -> dict[str, Any]:
    """An order as it is now. `names`: variation -> its title."""
    lines = [
        {
            "uid": line.line_id,
            "name": names.get(line.channel_sku, ""),
            "quantity": str(line.units),
            "catalog_object_id": line.channel_sku,
            "item_type": "ITEM",
            "base_price_money": PRICE,
        }
        for line in sale.lines
    ]
    document: dict[str, Any] = {
        "id": sale.order_id,
        "location_id": LOCATION_ID,
        "source": {"name": "Square Point of Sale" if facts.is_till else "Square Online"},
        "state": state_of(sale, facts),
        "version": sale.change,
        "created_at": stamp(sale.placed_at),
        "updated_at": stamp(sale.changed_at),
        "line_items": lines,
        "net_amount_due_money": NOTHING_DUE if facts.is_paid else PRICE,
    }
    if facts.is_paid:
        document["tenders"] = [
            {"id": f"T{sale.order_id}", "type": "CARD", "amount_money": PRICE, "payment_id": f"P{sale.order_id}"}
        ]
    if not facts.is_till:
        document["fulfillments"] = fulfillments(sale)
    if document["state"] != "OPEN":
        document["closed_at"] = stamp(sale.changed_at)
    return document


def state_of(sale: Sale, facts: SaleFacts) -> str:
    if facts.is_till:
        return "COMPLETED"
    return {"open": "OPEN", "shipped": "COMPLETED", "cancelled": "CANCELED"}[sale.status]


def fulfillments(sale: Sale) -> list[dict[str, Any]]:
    """One that lists nothing while all is in one state; else one for each state with its entries.

    "orders returned by the API might contain multiple fulfillments": Order.fulfillments.
    """
    recipient = {"display_name": "Ada Buyer", "email_address": "ada@example.invalid"}
    parts = {
        "COMPLETED": {line.line_id: line.shipped for line in sale.lines if line.shipped},
        "CANCELED": {line.line_id: line.cancelled for line in sale.lines if line.cancelled},
        "PROPOSED": {line.line_id: line.open for line in sale.lines if line.open},
    }
    states = [state for state, units in parts.items() if units]
    told: list[dict[str, Any]] = []
    for number, state in enumerate(states):
        whole: dict[str, Any] = {
            "uid": f"F{number}",
            "type": "SHIPMENT",
            "state": state,
            "shipment_details": {"recipient": recipient},
        }
        if len(states) == 1:
            told.append({**whole, "line_item_application": "ALL"})
            continue
        entries = [
            {"uid": f"E{line_id}", "line_item_uid": line_id, "quantity": str(units)}
            for line_id, units in parts[state].items()
        ]
        told.append({**whole, "line_item_application": "ENTRY_LIST", "entries": entries})
    return told


def return_document(one: Returned) -> dict[str, Any]:
    line: dict[str, Any] = {
        "uid": f"R{one.line.line_id}",
        "source_line_item_uid": one.line.line_id,
        "quantity": str(one.units),
        "catalog_object_id": one.line.channel_sku,
        "item_type": "ITEM",
    }
    return {
        "id": one.order_id,
        "location_id": LOCATION_ID,
        "state": "COMPLETED",
        "created_at": stamp(one.at),
        "updated_at": stamp(one.at),
        "closed_at": stamp(one.at),
        "returns": [{"uid": "R1", "source_order_id": one.source_order_id, "return_line_items": [line]}],
    }


def payment_document(sale: Sale, facts: SaleFacts) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": f"P{sale.order_id}",
        "order_id": sale.order_id,
        "location_id": LOCATION_ID,
        "status": "COMPLETED",
        "source_type": "CARD",
        "amount_money": PRICE,
        "created_at": stamp(sale.placed_at),
        "updated_at": stamp(sale.placed_at),
        "buyer_email_address": "ada@example.invalid",
    }
    if facts.paid_offline_at is not None:
        document["is_offline_payment"] = True
        document["offline_payment_details"] = {"client_created_at": stamp(facts.paid_offline_at)}
    return document


def variation_document(article: Article, *, is_sold_out: bool, at: datetime) -> dict[str, Any]:
    override: dict[str, Any] = {"location_id": LOCATION_ID}
    if is_sold_out:
        override["sold_out"] = True
    return {
        "type": "ITEM_VARIATION",
        "id": article.channel_sku,
        "updated_at": stamp(at),
        "version": 1,
        "is_deleted": article.is_ended,
        "present_at_all_locations": True,
        "item_variation_data": {
            "item_id": f"I{article.channel_sku}",
            "name": "Regular",
            "sku": article.sku,
            "pricing_type": "FIXED_PRICING",
            "price_money": PRICE,
            "track_inventory": article.is_tracked,
            "sellable": True,
            "stockable": True,
            "location_overrides": [override],
        },
    }


def item_document(article: Article, *, at: datetime) -> dict[str, Any]:
    return {
        "type": "ITEM",
        "id": f"I{article.channel_sku}",
        "updated_at": stamp(at),
        "version": 1,
        "is_deleted": False,
        "present_at_all_locations": True,
        "item_data": {"name": article.title, "product_type": "REGULAR"},
    }


def count_document(channel_sku: str, units: int, at: datetime, *, state: str = "IN_STOCK") -> dict[str, Any]:
    return {
        "catalog_object_id": channel_sku,
        "catalog_object_type": "ITEM_VARIATION",
        "state": state,
        "location_id": LOCATION_ID,
        "quantity": str(units),
        "calculated_at": stamp(at),
    }
