"""Writes available units, compared with what we believe, many listings in one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

import msgspec

from oneshelf.connectors.shopify.answers import UserError, Variant, user_errors_from
from oneshelf.connectors.shopify.documents import ACTIVATE, ARRAY_LENGTH_MAX, SET_AVAILABLE
from oneshelf.connectors.shopify.graphql import ShopifyApi
from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import invariant
from oneshelf.sdk.capability import WRONG_BY
from oneshelf.sdk.fault import (
    ChannelFault,
    MisconfiguredError,
    OutcomeUnknownError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.message import Applied, Refused, Stale, StockWrite, Throttled, Unknown, WriteOutcome
from oneshelf.telemetry import get_logger

_KEY_SPACE = UUID("6f1c1f0e-6f0b-5d0c-9b1f-6f6e6573686c")
_ROUNDS = 2
_BACK_OFF_S = 1.0

# What a refusal of `inventorySetQuantities` means, code by code
# (https://shopify.dev/docs/api/admin-graphql/2026-10/enums/InventorySetQuantitiesUserErrorCode, checked 2026-11-26).
# Those that are not named here blame rows: an item or a location that is not there, an item that no app may set, a
# figure out of bounds. They park the rows that they name.
_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
# The key is spent: the same rows go again under the key of the next attempt.
_SPENT = frozenset({"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"})
_LATER = frozenset({"SERVICE_UNAVAILABLE"})
# What we say with every call, whatever its rows: nobody's listing is to blame, and no other call fares better.
_OURS = frozenset(
    {
        "COMPARE_QUANTITY_REQUIRED",
        "INVALID_NAME",
        "INVALID_REASON",
        "INVALID_REFERENCE_DOCUMENT",
    }
)
_NOT_TOLD = frozenset({"IDEMPOTENCY_CONCURRENT_REQUEST", "SERVICE_UNAVAILABLE"})

log = get_logger(__name__)

Read = Callable[[Sequence[ChannelSku]], Awaitable[tuple[Variant, ...]]]


@dataclass(frozen=True, slots=True)
class _Row:
    write: StockWrite
    inventory_item: str


class _Batch:
    """The outcomes of one push so far. `may_have_written`: a call of it was applied, or nobody knows."""

    def __init__(self) -> None:
        self.outcomes: dict[UUID, WriteOutcome] = {}
        self.may_have_written = False

    def settle(self, rows: Iterable[_Row], outcome: WriteOutcome) -> None:
        for row in rows:
            self.outcomes[row.write.key] = outcome


class Pusher:
    """Sets `available` at one location. It remembers identities and obstacles of listings, never a quantity."""

    def __init__(self, api: ShopifyApi, *, location: str, read: Read) -> None:
        self._api = api
        self._location = location
        self._read = read
        self._items: dict[ChannelSku, tuple[str, str]] = {}

    def remember(self, variants: Iterable[Variant]) -> None:
        """Which inventory item is behind each variant, and what stands against writing it."""
        for variant in variants:
            self._items[variant.reading.channel_sku] = (variant.inventory_item, variant.obstacle)

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """One outcome per write. Every row is compared with its `expected_units` by Shopify itself.

        Shopify takes one idempotency key per call, not per row. The key of a call follows from the keys of its rows
        and from the exact figures, so the same writes pushed together again are the same call with the same bytes,
        and Shopify repeats its first answer while the key lives. Writes of which the outcome is unknown and which
        come again in other company are another call: then only the comparison protects them, and it does not see a
        sale that brought the figure back to the expected one. So look first, and do not resend a raise.

        One stale row refuses a whole call without saying which row it is. Then the rows are read, those that differ
        from what we expect are Stale, and the rest goes again; after two rounds in two halves, once each.
        """
        invariant(len(writes) <= ARRAY_LENGTH_MAX, f"{len(writes)} writes in one push")
        invariant(len({write.key for write in writes}) == len(writes), "two writes of a push share a key")
        batch = _Batch()
        rows = await self._rows(writes, batch)
        try:
            await self._write(rows, batch)
        except ChannelFault as fault:
            if not batch.may_have_written:
                raise
            # Some rows are written, so the fault may not speak for all of them.
            left = [row for row in rows if row.write.key not in batch.outcomes]
            batch.settle(left, _outcome_of(fault, is_alone=len(left) == 1))
        return tuple(batch.outcomes[write.key] for write in writes)

    async def remembers_key(self, channel_sku: ChannelSku, units: int, *, key: UUID) -> bool | None:
        """Writes what is shown, twice the same call, and then another one under the same key.

        A shop that remembers keys repeats its first answer, and refuses the third call as a mismatch: "The same
        idempotency key cannot be used with different operation parameters". One that does not would execute it: it sets
        what is shown as well, but compares with a figure that no listing shows. None where the listing cannot be
        written, or where its figure is another one by now.
        """
        write = StockWrite(key=key, channel_sku=channel_sku, units=units, expected_units=units)
        rows = await self._rows([write], _Batch())
        if not rows:
            return None
        variables = self._variables(rows, 0)
        for _ in range(2):
            if user_errors_from(await self._api.write(SET_AVAILABLE, variables), "inventorySetQuantities"):
                return None
        other = self._variables([_Row(replace(write, expected_units=units + WRONG_BY), rows[0].inventory_item)], 0)
        answer = await self._api.write(SET_AVAILABLE, {**other, "key": variables["key"]})
        codes = {error.code for error in user_errors_from(answer, "inventorySetQuantities")}
        return None if codes & _NOT_TOLD else "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" in codes

    async def activate(self, channel_sku: ChannelSku, *, key: UUID) -> WriteOutcome:
        """Have the item stocked and sold at the location, with nothing available yet.

        Without a figure Shopify restores the one that the level had when it was deactivated, whatever was sold since
        (https://shopify.dev/changelog/inventoryactivate-now-preserves-available-quantity, checked 2026-11-23).
        """
        self._items.pop(channel_sku, None)
        await self._read([channel_sku])
        item, obstacle = self._items.get(channel_sku, ("", "Shopify has no such product variant"))
        if not item or not obstacle:
            return Refused(obstacle or "the item is active at this location already")
        place = {"item": gid("InventoryItem", item), "location": gid("Location", self._location)}
        try:
            answer = await self._api.write(ACTIVATE, {**place, "available": 0, "key": str(key)})
            errors = user_errors_from(answer, "inventoryActivate")
        except OutcomeUnknownError as lost:
            return Unknown(str(lost))
        return Refused(errors[0].words.removeprefix(": ")) if errors else Applied()

    async def _rows(self, writes: Sequence[StockWrite], batch: _Batch) -> list[_Row]:
        """The writes that can be sent; the others are settled. An obstacle may be gone, so it is read again."""
        unclear = [w.channel_sku for w in writes if self._items.get(w.channel_sku, ("", "?"))[1]]
        if unclear:
            for sku in unclear:
                self._items.pop(sku, None)
            await self._read(unclear)
        rows: list[_Row] = []
        items: set[str] = set()
        for write in writes:
            item, obstacle = self._items.get(write.channel_sku, ("", "Shopify has no such product variant"))
            if not obstacle and item in items:
                obstacle = f"another listing of this push shares the inventory item {item}"
            if obstacle:
                batch.outcomes[write.key] = Refused(f"variant {write.channel_sku}: {obstacle}")
                continue
            items.add(item)
            rows.append(_Row(write, item))
        return sorted(rows, key=lambda row: row.write.key)

    async def _write(self, rows: list[_Row], batch: _Batch) -> None:
        for attempt in range(_ROUNDS):
            if not rows:
                return
            rows = await self._call(rows, attempt, batch)
        half = (len(rows) + 1) // 2
        for part in (rows[:half], rows[half:]):
            if part:
                batch.settle(await self._call(part, _ROUNDS, batch), Stale())

    async def _call(self, rows: list[_Row], attempt: int, batch: _Batch) -> list[_Row]:
        """Send the rows once and settle what can be. The rows that are worth another attempt."""
        try:
            answer = await self._api.write(SET_AVAILABLE, self._variables(rows, attempt))
            errors = user_errors_from(answer, "inventorySetQuantities")
        except OutcomeUnknownError as lost:
            batch.may_have_written = True
            batch.settle(rows, Unknown(str(lost)))
            return []
        if not errors:
            batch.may_have_written = True
            batch.settle(rows, Applied())
            return []
        return await self._refused(rows, errors, batch)

    async def _refused(self, rows: list[_Row], errors: tuple[UserError, ...], batch: _Batch) -> list[_Row]:
        codes = {error.code for error in errors}
        if codes & _STALE:
            return await self._still_expected(rows, batch)
        if "IDEMPOTENCY_CONCURRENT_REQUEST" in codes:
            # The same call is under way from somewhere else and may be applied after this answer.
            batch.may_have_written = True
            batch.settle(rows, Unknown(errors[0].words))
            return []
        if codes & _SPENT:
            if "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" in codes:
                # The key follows from all that is sent with it, so this cannot be, or somebody else uses our keys.
                log.error(
                    "shopify.key_mismatch", words=errors[0].words, listings=[row.write.channel_sku for row in rows]
                )
            return rows
        if codes & _LATER:
            raise RetryLaterError(errors[0].words, retry_after_s=_BACK_OFF_S)
        if codes & _OURS:
            raise MisconfiguredError(f"{errors[0].words}; the shop no longer takes what we say with every write")
        if "INVALID_LOCATION" in codes:
            raise MisconfiguredError(f"{errors[0].words}; correct location_id: it is none of this shop's locations")
        named = {error.row: error for error in errors if error.row is not None and error.row < len(rows)}
        if not named:
            # Shopify does not say which row it means. Whoever pushes sends them again in parts.
            raise RefusedError(errors[0].words)
        for index, error in named.items():
            batch.settle([rows[index]], Refused(error.words))
        return [row for index, row in enumerate(rows) if index not in named]

    async def _still_expected(self, rows: list[_Row], batch: _Batch) -> list[_Row]:
        shown = {
            variant.reading.channel_sku: variant.reading.units
            for variant in await self._read([row.write.channel_sku for row in rows])
        }
        expected: list[_Row] = []
        for row in rows:
            if shown.get(row.write.channel_sku) == row.write.expected_units:
                expected.append(row)
            else:
                batch.settle([row], Stale())
        return expected

    def _variables(self, rows: Sequence[_Row], attempt: int) -> dict[str, object]:
        """The same rows and attempt give the same bytes."""
        quantities = [
            {
                "inventoryItemId": gid("InventoryItem", row.inventory_item),
                "locationId": gid("Location", self._location),
                "quantity": row.write.units,
                "changeFromQuantity": row.write.expected_units,
            }
            for row in rows
        ]
        said = {"attempt": attempt, "keys": [str(row.write.key) for row in rows], "quantities": quantities}
        key = str(uuid5(_KEY_SPACE, msgspec.json.encode(said, order="deterministic").decode()))
        return {
            "input": {
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": f"gid://oneshelf/StockWrite/{key}",
                "quantities": quantities,
            },
            "key": key,
        }


def _outcome_of(fault: ChannelFault, *, is_alone: bool) -> WriteOutcome:
    """What a later call's fault means for the writes that were in it, or not yet sent: not written.

    Of several that were refused, one may be the culprit: they come again, without those that are written.
    """
    if isinstance(fault, RefusedError) and is_alone:
        return Refused(str(fault))
    if isinstance(fault, RetryLaterError):
        return Throttled(fault.retry_after_s)
    return Throttled(_BACK_OFF_S)  # credentials: the next push meets the same answer first, and raises it
