"""`inventoryAdjustQuantities` and `inventoryMoveQuantities` of the simulated shop.

The words of the refusals are those with which the schema of the Admin API 2026-10 describes their codes
(`@shopify/dev-mcp` 1.16.0, 2026-09-28). That only a change of `available` or of `on_hand` is announced is a reading of
what `inventory_levels/update` can tell; no text of Shopify says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID, MOVABLE_STATES, ON_HAND_STATES, Article
from oneshelf.connectors.shopify.simulator_writes import (
    NON_MUTABLE,
    REASONS,
    Refusal,
    Writing,
    change_row,
    group_of,
    nothing_written,
    number_of,
)

ADJUSTED_MOST = 2_000_000_000

_STALE = ("CHANGE_FROM_QUANTITY_STALE", "The changeFromQuantity argument no longer matches the persisted quantity.")
_WRONG_NAME = f"The specified quantity name is invalid. Valid values are: {', '.join(MOVABLE_STATES)}."
_TOO_HIGH = f"The quantity can't be higher than {ADJUSTED_MOST:,}."
_TOO_LOW = f"The quantity can't be lower than -{ADJUSTED_MOST:,}."


def adjust_quantities(writing: Writing) -> dict[str, Any]:
    """The payload: every difference is added to its state, or none is."""
    asked, rows = writing.asked, writing.asked["changes"]
    errors = [*_reason_errors(asked), *_adjusted_errors(writing, rows)]
    if errors:
        return nothing_written(*errors)
    targets = [(writing.shop.by_item[number_of(row["inventoryItemId"])], row) for row in rows]
    state = asked["name"]
    if any(_is_stale(writing, article, state, row) for article, row in targets):
        return nothing_written(_STALE)
    changes = []
    for article, row in targets:
        if row["delta"] == 0:
            continue
        writing.shop.adjust(article, state, row["delta"], now=writing.now)
        document = row.get("ledgerDocumentUri")
        changes.append(change_row(article, state, row["delta"], document))
        if state in ON_HAND_STATES:
            changes.append(change_row(article, "on_hand", row["delta"]))
            writing.changed(article)
    return group_of(writing, changes)


def move_quantities(writing: Writing) -> dict[str, Any]:
    """The payload: all units go from one state to another, or none do. What is on hand stays as it is."""
    rows = writing.asked["changes"]
    errors = [*_reason_errors(writing.asked), *_moved_errors(writing, rows)]
    if errors:
        return nothing_written(*errors)
    targets = [(writing.shop.by_item[number_of(row["inventoryItemId"])], row) for row in rows]
    ends = ("from", "to")
    if any(_is_stale(writing, article, row[end]["name"], row[end]) for article, row in targets for end in ends):
        return nothing_written(_STALE)
    changes = []
    for article, row in targets:
        if row["quantity"] == 0:
            continue
        for end, units in (("from", -row["quantity"]), ("to", row["quantity"])):
            writing.shop.adjust(article, row[end]["name"], units, now=writing.now)
            changes.append(change_row(article, row[end]["name"], units, row[end].get("ledgerDocumentUri")))
        names = {row[end]["name"] for end in ends}
        # What comes out of `incoming` was not on hand before.
        if names & {"available", "incoming"}:
            writing.changed(article)
    return group_of(writing, changes)


def _is_stale(writing: Writing, article: Article, state: str, row: Mapping[str, Any]) -> bool:
    return row["changeFromQuantity"] not in (None, article.units[state]) and not writing.ignores_compare()


def _reason_errors(asked: Mapping[str, Any]) -> list[Refusal]:
    if asked["reason"] in REASONS:
        return []
    message = f"The specified reason is invalid. Valid values are: {', '.join(REASONS)}."
    return [("INVALID_REASON", message, ["input", "reason"])]


def _adjusted_errors(writing: Writing, rows: Sequence[Mapping[str, Any]]) -> list[Refusal]:
    name = writing.asked["name"]
    if name not in MOVABLE_STATES:
        return [("INVALID_QUANTITY_NAME", _WRONG_NAME, ["input", "name"])]
    if len({row.get("ledgerDocumentUri") for row in rows}) > 1:
        message = (
            "All changes must have the same ledger document URI or, in the case of adjusting available, no ledger "
            "document URI."
        )
        return [("MAX_ONE_LEDGER_DOCUMENT", message, ["input", "changes"])]
    errors: list[Refusal] = []
    for index, row in enumerate(rows):
        path = ["input", "changes", str(index)]
        errors += _place_errors(writing, row["inventoryItemId"], row["locationId"], path)
        errors += _document_errors(name, row.get("ledgerDocumentUri"), path)
        if row["delta"] > ADJUSTED_MOST:
            errors.append(("INVALID_QUANTITY_TOO_HIGH", _TOO_HIGH, [*path, "delta"]))
        if row["delta"] < -ADJUSTED_MOST:
            errors.append(("INVALID_QUANTITY_TOO_LOW", _TOO_LOW, [*path, "delta"]))
    return errors


def _moved_errors(writing: Writing, rows: Sequence[Mapping[str, Any]]) -> list[Refusal]:
    errors: list[Refusal] = []
    documents = {row[end].get("ledgerDocumentUri") for row in rows for end in ("from", "to")} - {None}
    if len(documents) > 2:
        message = "Only a maximum of 2 ledger document URIs across all changes is allowed."
        errors.append(("MAXIMUM_LEDGER_DOCUMENT_URIS", message, ["input", "changes"]))
    for index, row in enumerate(rows):
        path = ["input", "changes", str(index)]
        errors += _place_errors(writing, row["inventoryItemId"], row["from"]["locationId"], path)
        errors += _end_errors(row, path)
        if not errors and not _is_there(writing, row):
            # What Shopify says of more units than there are is not recorded.
            errors.append(("MOVE_QUANTITIES_FAILED", "The quantities couldn't be moved. Try again.", path))
    return errors


def _end_errors(row: Mapping[str, Any], path: list[str]) -> list[Refusal]:
    errors: list[Refusal] = []
    for end in ("from", "to"):
        if row[end]["name"] not in MOVABLE_STATES:
            errors.append(("INVALID_QUANTITY_NAME", _WRONG_NAME, [*path, end, "name"]))
        else:
            errors += _document_errors(row[end]["name"], row[end].get("ledgerDocumentUri"), [*path, end])
    if row["from"]["name"] == row["to"]["name"]:
        message = "The quantity names for each change can't be the same."
        errors.append(("SAME_QUANTITY_NAME", message, path))
    if row["from"]["locationId"] != row["to"]["locationId"]:
        message = "The quantities can't be moved between different locations."
        errors.append(("DIFFERENT_LOCATIONS", message, path))
    if row["quantity"] < 0:
        errors.append(("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", [*path, "quantity"]))
    if row["quantity"] > ADJUSTED_MOST:
        errors.append(("INVALID_QUANTITY_TOO_HIGH", _TOO_HIGH, [*path, "quantity"]))
    return errors


def _is_there(writing: Writing, row: Mapping[str, Any]) -> bool:
    """Available may fall below zero, no other state does."""
    state = row["from"]["name"]
    article = writing.shop.by_item[number_of(row["inventoryItemId"])]
    return bool(state == "available" or article.units[state] >= row["quantity"])


def _place_errors(writing: Writing, item: str, location: str, path: list[str]) -> list[Refusal]:
    article = writing.shop.by_item.get(number_of(item))
    errors: list[Refusal] = []
    if item != gid("InventoryItem", number_of(item)) or article is None or article.is_deleted:
        message = "The specified inventory item could not be found."
        errors.append(("INVALID_INVENTORY_ITEM", message, [*path, "inventoryItemId"]))
    elif article.is_bundle_parent:
        errors.append((*NON_MUTABLE, [*path, "inventoryItemId"]))
    if location != gid("Location", LOCATION_ID):
        errors.append(("INVALID_LOCATION", "The specified location could not be found.", [*path, "locationId"]))
    return errors


def _document_errors(state: str, document: str | None, path: list[str]) -> list[Refusal]:
    """A change of available carries no document of its own, one of any other state does, and not one of Shopify's."""
    where = [*path, "ledgerDocumentUri"]
    if state == "available":
        message = "A ledger document URI is not allowed when adjusting available."
        return [("INVALID_AVAILABLE_DOCUMENT", message, where)] if document is not None else []
    if document is None:
        message = "A ledger document URI is required except when adjusting available."
        return [("INVALID_QUANTITY_DOCUMENT", message, where)]
    if document.startswith("gid://shopify/"):
        message = "Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API."
        return [("INTERNAL_LEDGER_DOCUMENT", message, where)]
    return []
