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


def nothing_written(*errors: tuple[str, str] | tuple[str, str, list[str]]) -> dict[str, Any]:
    """A payload without a group: refused for these reasons, or, with none, because there is nothing to change."""
    return {
        "inventoryAdjustmentGroup": None,
        "userErrors": [
            {"code": error[0], "message": error[1], "field": error[2] if len(error) > 2 else None} for error in errors
        ],
    }


def set_quantities(
    shop: Shop,
    asked: Mapping[str, Any],
    *,
    now: datetime,
    group_id: str,
    changed: Callable[[Article], None],
    ignores_compare: Callable[[], bool],
) -> dict[str, Any]:
    """The payload of the mutation. All rows are written, or none. `ignores_compare`: asked where a row is stale."""
    errors = _input_errors(asked) or _row_errors(shop, asked["quantities"])
    if errors:
        return nothing_written(*errors)
    if refused := _refused_rows(shop, asked["quantities"]):
        return nothing_written(*refused)
    name = asked["name"]
    targets = [(shop.by_item[_number(row["inventoryItemId"])], row) for row in asked["quantities"]]
    for article, row in targets:
        persisted = article.on_hand if name == "on_hand" else article.units["available"]
        if row["changeFromQuantity"] not in (None, persisted) and not ignores_compare():
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
        shop.set_available(article, article.units["available"] + delta, now=now)
        changed(article)
        for state in ("available", "on_hand"):
            changes.append(_change(article, state, delta))
    if not changes:
        return nothing_written()
    group = {
        "id": gid("InventoryAdjustmentGroup", group_id),
        "createdAt": stamp(now),
        "reason": asked["reason"],
        "referenceDocumentUri": asked.get("referenceDocumentUri"),
        "changes": changes,
    }
    return {"inventoryAdjustmentGroup": group, "userErrors": []}


def _refused_rows(shop: Shop, rows: list[Mapping[str, Any]]) -> list[tuple[str, str] | tuple[str, str, list[str]]]:
    """Rows that somebody has set to be refused: one is enough for the whole call."""
    message = "The specified inventory item could not be found."
    errors: list[tuple[str, str] | tuple[str, str, list[str]]] = []
    for index, row in enumerate(rows):
        names_row = shop.refusing.get(_number(row["inventoryItemId"]))
        if names_row is not None:
            path = ["input", "quantities", str(index), "inventoryItemId"]
            code = "INVALID_INVENTORY_ITEM"
            errors.append((code, message, path) if names_row else (code, message))
    return errors


def _change(article: Article, state: str, delta: int) -> dict[str, Any]:
    return {
        "name": state,
        "delta": delta,
        "quantityAfterChange": None,  # in every recorded answer
        "item": item_node(article),
        "location": location_node(),
    }


def _number(gid_text: str) -> str:
    return gid_text.rsplit("/", 1)[-1]


def _input_errors(asked: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    errors: list[tuple[str, str, list[str]]] = []
    if asked["name"] not in {"available", "on_hand"}:
        message = "The quantity name must be either 'available' or 'on_hand'."
        errors.append(("INVALID_NAME", message, ["input", "name"]))
    if asked["reason"] not in REASONS:
        message = f"The specified reason is invalid. Valid values are: {', '.join(REASONS)}."
        errors.append(("INVALID_REASON", message, ["input", "reason"]))
    return errors


def _row_errors(shop: Shop, rows: list[Mapping[str, Any]]) -> list[tuple[str, str, list[str]]]:
    errors: list[tuple[str, str, list[str]]] = []
    seen: set[tuple[str, str]] = set()
    for index, row in enumerate(rows):
        path = ["input", "quantities", str(index)]
        item, location = row["inventoryItemId"], row["locationId"]
        article = shop.by_item.get(_number(item))
        if item != gid("InventoryItem", _number(item)) or article is None or article.is_deleted:
            message = "The specified inventory item could not be found."
            errors.append(("INVALID_INVENTORY_ITEM", message, [*path, "inventoryItemId"]))
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
