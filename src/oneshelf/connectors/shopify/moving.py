"""Moves units of one listing between the stock states that an app may change, or in and out of one of them.

Which those are, and what each call has to say, is in the descriptions of `inventoryMoveQuantities` and
`inventoryAdjustQuantities` (https://shopify.dev/docs/api/admin-graphql/2026-10, checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.connectors.shopify.answers import UserError, Variant, user_errors_from
from oneshelf.connectors.shopify.documents import ADJUST_UNITS, MOVE_UNITS
from oneshelf.connectors.shopify.graphql import ShopifyApi
from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.domain.account import StockState
from oneshelf.errors import invariant
from oneshelf.sdk.fault import MisconfiguredError, OutcomeUnknownError, RetryLaterError
from oneshelf.sdk.message import Applied, Refused, Stale, UnitMove, Unknown, WriteOutcome
from oneshelf.telemetry import get_logger

MOVABLE_STATES = (
    StockState.AVAILABLE,
    StockState.RESERVED,
    StockState.DAMAGED,
    StockState.QUALITY_CONTROL,
    StockState.SAFETY_STOCK,
    StockState.INCOMING,
)
# What a merchant reads in the item's history. Shopify has no better word for the others.
_REASONS = {
    StockState.DAMAGED: "damaged",
    StockState.QUALITY_CONTROL: "quality_control",
    StockState.SAFETY_STOCK: "safety_stock",
}
_OTHER_REASON = "correction"

_LATER = frozenset({"SERVICE_UNAVAILABLE", "MOVE_QUANTITIES_FAILED", "ADJUST_QUANTITIES_FAILED"})
# Another figure than the expected one, or a key that no other call may use: both need a new reading and a new key.
_ANEW = frozenset(
    {"CHANGE_FROM_QUANTITY_STALE", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"}
)
_BACK_OFF_S = 1.0

log = get_logger(__name__)


async def move_units(api: ShopifyApi, move: UnitMove, variant: Variant | None, *, location: str) -> WriteOutcome:
    """See `sdk.contract.MovesUnits`. `variant`: as it was just read; None: there is none."""
    invariant(set(move.states) <= set(MOVABLE_STATES), f"units of {move.states} are not for an app to move")
    obstacle = "Shopify has no such product variant" if variant is None else variant.obstacle
    if variant is None or obstacle:
        return Refused(f"variant {move.channel_sku}: {obstacle}")
    if too_few := _too_few(move):
        return Refused(too_few)
    document, root = (
        (MOVE_UNITS, "inventoryMoveQuantities") if len(move.states) > 1 else (ADJUST_UNITS, "inventoryAdjustQuantities")
    )
    asked = _asked(move, item=gid("InventoryItem", variant.inventory_item), location=gid("Location", location))
    try:
        errors = user_errors_from(await api.write(document, {"input": asked, "key": str(move.key)}), root)
    except OutcomeUnknownError as lost:
        return Unknown(str(lost))
    return _refused(errors, move) if errors else Applied()


def _too_few(move: UnitMove) -> str:
    """Available alone may fall below zero at Shopify."""
    if move.origin in {None, StockState.AVAILABLE}:
        return ""
    held = move.expected[move.origin] if move.origin else 0
    return f"{held} units are in {move.origin}, and {move.units} were to leave it" if held < move.units else ""


def _asked(move: UnitMove, *, item: str, location: str) -> dict[str, Any]:
    """The `input` of the call: the same move gives the same bytes."""
    document = f"gid://oneshelf/UnitMove/{move.key}"

    def end(state: StockState) -> dict[str, object]:
        # A change of available carries no document of its own, one of any other state has to.
        own = {} if state is StockState.AVAILABLE else {"ledgerDocumentUri": document}
        return {"locationId": location, "changeFromQuantity": move.expected[state], **own}

    change: Mapping[str, object]
    if move.origin and move.target:
        ends = {"from": (move.origin, end(move.origin)), "to": (move.target, end(move.target))}
        named = {side: {"name": state.value, **told} for side, (state, told) in ends.items()}
        change = {"inventoryItemId": item, "quantity": move.units, **named}
        return {"reason": _reason(move.target), "referenceDocumentUri": document, "changes": [change]}
    (state,) = move.states
    change = {"inventoryItemId": item, "delta": move.units if move.target else -move.units, **end(state)}
    return {
        "name": state.value,
        "reason": _reason(state),
        "referenceDocumentUri": document,
        "changes": [change],
    }


def _reason(state: StockState) -> str:
    return _REASONS.get(state, _OTHER_REASON)


def _refused(errors: tuple[UserError, ...], move: UnitMove) -> WriteOutcome:
    codes = {error.code for error in errors}
    words = errors[0].words
    if codes & _ANEW:
        if "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" in codes:
            log.error("shopify.key_mismatch", words=words, listings=[move.channel_sku])
        return Stale()
    if "IDEMPOTENCY_CONCURRENT_REQUEST" in codes:
        return Unknown(words)
    if codes & _LATER:
        raise RetryLaterError(words, retry_after_s=_BACK_OFF_S)
    if "INVALID_LOCATION" in codes:
        raise MisconfiguredError(f"{words}; correct location_id: it is none of this shop's locations")
    return Refused(words)
