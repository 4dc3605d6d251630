"""`inventorySetQuantities` of the simulated shop: its refusals, its comparison, and its memory of keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_payloads import item_node, location_node, stamp
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID, Article, Shop

KEY_LIFE_S = 24 * 3600.0
UNITS_MOST = 1_000_000_000

REASONS = (
    "correction",
    "cycle_count_available",
    "damaged",
    "movement_canceled",
    "movement_created",
    "movement_received",
    "movement_updated",
    "other",
    "promotion",
    "quality_control",
    "received",
    "reservation_created",
    "reservation_deleted",
    "reservation_updated",
    "restock",
    "safety_stock",
    "shrinkage",
)

_CONCURRENT = (
    "IDEMPOTENCY_CONCURRENT_REQUEST",
    "This request is currently in progress, please try again.",
)
_MISMATCH = (
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    "The same idempotency key cannot be used with different operation parameters.",
)
# What a call refuses: code, message, and where in the input it stands; nowhere: of the call as a whole.
Refusal = tuple[str, str] | tuple[str, str, list[str]]

NON_MUTABLE = (
    "NON_MUTABLE_INVENTORY_ITEM",
    "The specified inventory item is not allowed to be adjusted via API. Example: if the inventory item is a parent "
    "bundle.",
)
_FAILED = ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "The previous attempt failed. Use a new idempotency key.")


@dataclass(slots=True)
class _Remembered:
    """A key that was used: the digest of its parameters, when in channel time, what came of it (None: under way)."""

    parameters: str
    first_at: float
    payload: dict[str, Any] | None = None


class KeyMemory:
    """The keys of the last 24 hours of the channel's time."""

    def __init__(self) -> None:
        self._keys: dict[str, _Remembered] = {}

    def begin(self, key: str, parameters: Mapping[str, Any], *, now: float) -> dict[str, Any] | None:
        """None when the request is new and may run, else the answer to give instead."""
        self._forget(now)
        said = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
        known = self._keys.get(key)
        if known is None:
            self._keys[key] = _Remembered(said, now)
            return None
        if known.parameters != said:
            return nothing_written(_MISMATCH)
        if known.payload is None:
            return nothing_written(_CONCURRENT)
        return nothing_written(_FAILED) if known.payload["userErrors"] else known.payload

    def _forget(self, now: float) -> None:
        while self._keys:
            oldest = next(iter(self._keys))
            if now - self._keys[oldest].first_at < KEY_LIFE_S:
                return
            del self._keys[oldest]

    def end(self, key: str, payload: dict[str, Any]) -> None:
        if key in self._keys:
            self._keys[key].payload = payload


def nothing_written(*errors: Refusal) -> dict[str, Any]:
    """A payload without a group: refused for these reasons, or, with none, because there is nothing to change."""
    return {
        "inventoryAdjustmentGroup": None,
        "userErrors": [
            {"code": error[0], "message": error[1], "field": error[2] if len(error) > 2 else None} for error in errors
        ],
    }


@dataclass(frozen=True, slots=True)
class Writing:
    """One call. `changed` is told each article whose level is announced; `ignores_compare` is asked of a stale one."""

    shop: Shop
    asked: Mapping[str, Any]
    now: datetime
    group_id: str
    changed: Callable[[Article], None]
    ignores_compare: Callable[[], bool]


def group_of(writing: Writing, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """The payload of what was written. Where nothing has changed there is no group."""
    if not changes:
        return nothing_written()
    group = {
        "id": gid("InventoryAdjustmentGroup", writing.group_id),
        "createdAt": stamp(writing.now),
        "reason": writing.asked["reason"],
        "referenceDocumentUri": writing.asked.get("referenceDocumentUri"),
        "changes": changes,
    }
    return {"inventoryAdjustmentGroup": group, "userErrors": []}


def set_quantities(writing: Writing) -> dict[str, Any]:
    """The payload of the mutation. All rows are written, or none."""
    shop, asked = writing.shop, writing.asked
    errors = _input_errors(asked) or _row_errors(shop, asked["quantities"])
    if errors:
        return nothing_written(*errors)
    if refused := _refused_rows(shop, asked["quantities"]):
        return nothing_written(*refused)
    name = asked["name"]
    targets = [(shop.by_item[number_of(row["inventoryItemId"])], row) for row in asked["quantities"]]
    for article, row in targets:
        persisted = article.on_hand if name == "on_hand" else article.units["available"]
        if row["changeFromQuantity"] not in (None, persisted) and not writing.ignores_compare():
            # Reported from live shops: the row is not named, and the whole call is refused.
            message = "The changeFromQuantity argument no longer matches the persisted quantity."
            return nothing_written(("CHANGE_FROM_QUANTITY_STALE", message))
    changes: list[dict[str, Any]] = []
    for article, row in targets:
        persisted = article.on_hand if name == "on_hand" else article.units["available"]
        delta = row["quantity"] - persisted
        if not article.is_stocked:
            # Since 2026 a write where the item is not stocked succeeds, and leaves a level that sells nothing.
            article.is_stocked, article.is_active = True, False
        if delta == 0:
            continue
        shop.set_available(article, article.units["available"] + delta, now=writing.now)
        writing.changed(article)
        for state in ("available", "on_hand"):
            changes.append(change_row(article, state, delta))
    return group_of(writing, changes)


def _refused_rows(shop: Shop, rows: list[Mapping[str, Any]]) -> list[Refusal]:
    """Rows that somebody has set to be refused: one is enough for the whole call."""
    message = "The specified inventory item could not be found."
    errors: list[Refusal] = []
    for index, row in enumerate(rows):
        names_row = shop.refusing.get(number_of(row["inventoryItemId"]))
        if names_row is not None:
            path = ["input", "quantities", str(index), "inventoryItemId"]
            code = "INVALID_INVENTORY_ITEM"
            errors.append((code, message, path) if names_row else (code, message))
    return errors


def change_row(article: Article, state: str, delta: int, document: str | None = None) -> dict[str, Any]:
    """One row of a group."""
    return {
        "name": state,
        "delta": delta,
        "quantityAfterChange": None,  # in every recorded answer
        "ledgerDocumentUri": document,
        "item": item_node(article),
        "location": location_node(),
    }


def number_of(gid_text: str) -> str:
    """What follows the last slash of a gid."""
    return gid_text.rsplit("/", 1)[-1]


def _input_errors(asked: Mapping[str, Any]) -> list[Refusal]:
    errors: list[Refusal] = []
    if asked["name"] not in {"available", "on_hand"}:
        message = "The quantity name must be either 'available' or 'on_hand'."
        errors.append(("INVALID_NAME", message, ["input", "name"]))
    if asked["reason"] not in REASONS:
        message = f"The specified reason is invalid. Valid values are: {', '.join(REASONS)}."
        errors.append(("INVALID_REASON", message, ["input", "reason"]))
    return errors


def _row_errors(shop: Shop, rows: list[Mapping[str, Any]]) -> list[Refusal]:
    errors: list[Refusal] = []
    seen: set[tuple[str, str]] = set()
    for index, row in enumerate(rows):
        path = ["input", "quantities", str(index)]
        item, location = row["inventoryItemId"], row["locationId"]
        article = shop.by_item.get(number_of(item))
        if item != gid("InventoryItem", number_of(item)) or article is None or article.is_deleted:
            message = "The specified inventory item could not be found."
            errors.append(("INVALID_INVENTORY_ITEM", message, [*path, "inventoryItemId"]))
        elif article.is_bundle_parent:
            errors.append((*NON_MUTABLE, [*path, "inventoryItemId"]))
        if location != gid("Location", LOCATION_ID):
            message = "The specified location could not be found."
            errors.append(("INVALID_LOCATION", message, [*path, "locationId"]))
        if row["quantity"] > UNITS_MOST:
            message = f"The quantity can't be higher than {UNITS_MOST:,}."
            errors.append(("INVALID_QUANTITY_TOO_HIGH", message, [*path, "quantity"]))
        if row["quantity"] < -UNITS_MOST:
            message = f"The quantity can't be lower than -{UNITS_MOST:,}."
            errors.append(("INVALID_QUANTITY_TOO_LOW", message, [*path, "quantity"]))
        if (item, location) in seen:
            message = "The combination of inventoryItemId and locationId must be unique."
            errors.append(("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", message, [*path, "locationId"]))
        seen.add((item, location))
    return errors
