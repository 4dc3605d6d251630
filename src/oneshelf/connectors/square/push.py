"""Writes figures: a physical count of each, as of the instant of the call.

BatchChangeInventory (POST /v2/inventory/changes/batch-create, version 2026-09-16, checked 2026-11-26): "Changes are
applied based on the client-supplied timestamp", at most 100 of them; `occurred_at` "cannot be older than 24 hours or
in the future". So a sale that happens after the stamp, while the call is under way, stays subtracted; one from
before it that we have not heard of is overwritten, and a till that is offline tells of such sales for up to 72
hours. That is a blind write.

Never an adjustment, although its arithmetic would be kinder: an adjustment has to say why. Taken from IN_STOCK it is a
sale or a loss in the seller's reports, and neither happened ("Inventory adjustments must match the most appropriate
state change", https://developer.squareup.com/docs/app-marketplace/requirements/inventory-api, checked 2026-11-26).

Never without `ignore_unchanged_counts: false`: by default a count is dropped that repeats the last count, whatever was
sold in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid5

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.square.api import SquareApi
from oneshelf.connectors.square.documents import IN_STOCK, Counts, sortable
from oneshelf.connectors.square.stock import PAGE, Shelf
from oneshelf.errors import invariant
from oneshelf.sdk.fault import MisconfiguredError, OutcomeUnknownError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Accepted, Refused, StockWrite, Unknown, WriteOutcome

PATH = "/v2/inventory/changes/batch-create"
_KEY_SPACE = UUID("5d6a1a52-1f0a-5a53-9b9f-737175617265")
# What a refusal of the instant is called. It is the same in every row: no listing is to blame.
_TIME_CODES = ("INVALID_TIME", "occurred_at")
# The date in an answer is cut to whole seconds.
_DATE_CUT_S = 1.0
# Clocks that are kept right differ by less than the first. One that is off by more than the second is not kept.
_BACK_S, _BACK_S_MAX = 1.0, 64.0


class Pusher:
    """Sets the count in stock at one location."""

    def __init__(self, api: SquareApi, shelf: Shelf, *, clock: Clock, location: str) -> None:
        self._api = api
        self._shelf = shelf
        self._clock = clock
        self._location = location
        # How far back a stamp lies, since Square has called one the future.
        self._back_s = 0.0

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """One outcome per write, of one call for all. Raises RefusedError where Square refuses all of it for one row:
        whoever pushes sends it again in halves.
        """
        invariant(len(writes) <= PAGE, f"{len(writes)} listings in one push to Square")
        outcomes: dict[StockWrite, WriteOutcome] = {}
        obstacles = await self._shelf.obstacles([write.channel_sku for write in writes]) if writes else {}
        for write in writes:
            if obstacle := obstacles[write.channel_sku]:
                outcomes[write] = Refused(f"{write.channel_sku}: {obstacle}")
        left = [write for write in writes if write not in outcomes]
        if left:
            outcomes.update(await self._called(left))
        return tuple(outcomes[write] for write in writes)

    async def _called(self, writes: Sequence[StockWrite]) -> dict[StockWrite, WriteOutcome]:
        try:
            answer = await self._api.write(Counts, PATH, self._changes(writes))
        except OutcomeUnknownError as lost:
            return dict.fromkeys(writes, Unknown(str(lost)))
        except RefusedError as refusal:
            if any(code in str(refusal) for code in _TIME_CODES):
                raise self._earlier(str(refusal)) from None
            raise
        # "The current counts for all objects referenced in the request." What they are only a reading proves.
        told = {count.catalog_object_id for count in answer.counts or ()}
        return {
            write: Accepted()
            if write.channel_sku in told
            else Unknown(f"the answer says nothing of {write.channel_sku}")
            for write in writes
        }

    def _earlier(self, words: str) -> RetryLaterError | MisconfiguredError:
        """Next time the stamp lies further back. Nothing was written, and no listing is to blame."""
        self._back_s = max(_BACK_S, 2 * self._back_s)
        if self._back_s > _BACK_S_MAX:
            return MisconfiguredError(f"{words}; set the clock of this machine right")
        return RetryLaterError(words, retry_after_s=_BACK_S)

    def _changes(self, writes: Sequence[StockWrite]) -> dict[str, object]:
        occurred_at = self._occurred_at()
        changes = [
            {
                "type": "PHYSICAL_COUNT",
                "physical_count": {
                    "reference_id": str(write.key),
                    "catalog_object_id": write.channel_sku,
                    "state": IN_STOCK,
                    "location_id": self._location,
                    "quantity": str(write.units),
                    "occurred_at": occurred_at,
                },
            }
            for write in writes
        ]
        # For how long Square remembers a key it does not say ("We do not publish a retention period",
        # https://developer.squareup.com/forums/t/28303, checked 2026-11-26), so nothing rests on it: each call has its
        # own, and the same key never comes with other bytes.
        key = uuid5(_KEY_SPACE, msgspec.json.encode(changes, order="deterministic").decode())
        return {"idempotency_key": str(key), "changes": changes, "ignore_unchanged_counts": False}

    def _occurred_at(self) -> str:
        """Now, by Square's clock as far as its answers tell: never in its future."""
        ahead_s = self._api.clock_ahead_s
        cut_s = _DATE_CUT_S if ahead_s < 0 else 0.0
        return sortable(self._clock.now() + timedelta(seconds=ahead_s - cut_s - self._back_s))
