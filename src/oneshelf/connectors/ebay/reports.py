"""The whole stock from one file: a report of all that is on sale, in both worlds, for a few calls.

Feed API v1.3.1, https://developer.ebay.com/api-docs/sell/feed/resources/inventory_task/methods/createInventoryTask, and
https://developer.ebay.com/api-docs/sell/static/feed/lms-feeds-quick-reference.html (checked 2026-11-26):

- 25 of these reports in any 24 hours, and ten tasks of all sorts at a time. Beyond the first pages are read.
- A task cannot be cancelled, and carries nothing of ours. So what tasks there were is noted before one is begun: any
  other that turns up later was asked for later than that.
- eBay says nothing of how old the figures in it are. `REPORT_AGE_S` is taken, as long as an order may lag.
- It tells neither titles nor which API made a listing. So it says of no listing where to write it: that is looked up,
  as ever, before the first write. What we know not to be writable is read by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from tempfile import SpooledTemporaryFile
from urllib.parse import quote

import msgspec

from oneshelf.connectors.ebay.api import FEED, EbayApi, refuse
from oneshelf.connectors.ebay.inventory import BATCH_MAX
from oneshelf.connectors.ebay.json_reading import codes_of, decoded, error_words, errors_in
from oneshelf.connectors.ebay.kept_note import KeptNote
from oneshelf.connectors.ebay.listings import Listings
from oneshelf.connectors.ebay.report_rows import listings_in
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.decoding import answer_from
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import FileState, StockFile, StockReading
from oneshelf.sdk.secret_store import SecretStore

PATH = "/sell/feed/v1"
FEED_TYPE = "LMS_ACTIVE_INVENTORY_REPORT"
SCHEMA_VERSION = "1.0"
REPORT_AGE_S = 900.0
# One that is under way for longer than this is stuck, and nobody waits for it.
FOUND_WITHIN = timedelta(hours=1)
TOO_MANY_AT_ONCE = 160024
# A report is looked for among those of the last days.
LOOK_BACK_DAYS = "2"
# So much of a file is kept in memory; what is larger lies in a temporary file while it is read.
MEMORY_BYTES = 8_000_000
READINGS = 500

_UNDER_WAY = frozenset({"CREATED", "PENDING", "QUEUED", "SCHEDULED", "IN_PROCESS"})
_PARTIAL = frozenset({"COMPLETED_WITH_ERROR", "PARTIALLY_PROCESSED"})


class _Task(msgspec.Struct, frozen=True, rename="camel"):
    task_id: str
    status: str


class _Tasks(msgspec.Struct, frozen=True):
    tasks: list[_Task] = []


class Asked(msgspec.Struct, frozen=True):
    """When a report was asked for, and the tasks that were there before. None: none is waited for."""

    asked_at: datetime | None = None
    before: tuple[str, ...] = ()


class ReportReader:
    """Reports of all listings of one account, see `sdk.contract.WritesStockFile`."""

    def __init__(self, api: EbayApi, listings: Listings, store: SecretStore) -> None:
        self._api = api
        self._listings = listings
        self._asked = KeptNote(store, "report", Asked, empty=Asked(), what="the note of a report")

    async def begin(self, *, asked_at: datetime, since: datetime | None) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        try:
            noted = await self._asked.read()
            tasks = await self._tasks()
            found = self._found(noted, tasks, asked_at=asked_at, since=since)
            return found or await self._create(asked_at, tasks)
        except ReauthenticateError as refusal:
            if refusal.status != 403:
                raise
            # eBay lets us in, and not to reports: pages need another right, or fail as well.
            raise RefusedError(str(refusal)) from None

    def _found(
        self, noted: Asked, tasks: Sequence[_Task], *, asked_at: datetime, since: datetime | None
    ) -> StockFile | None:
        """Ours that is under way, or was asked for later than `since` and is written."""
        at = noted.asked_at
        if at is None or at < asked_at - FOUND_WITHIN:
            return None
        for task in tasks:
            is_written = task.status == "COMPLETED" and since is not None and at > since
            if task.task_id not in noted.before and (task.status in _UNDER_WAY or is_written):
                return StockFile(task.task_id, FileState.WRITING, at)
        return None

    async def _tasks(self) -> Sequence[_Task]:
        params = {"feed_type": FEED_TYPE, "look_back_days": LOOK_BACK_DAYS, "limit": "500"}
        path = f"{PATH}/inventory_task"
        reply = await self._api.read("getInventoryTasks", "GET", path, budget=FEED, params=params)
        refuse("getInventoryTasks", reply)
        return answer_from(reply.body, _Tasks, what="the answer to getInventoryTasks").tasks

    async def _create(self, asked_at: datetime, tasks: Sequence[_Task]) -> StockFile:
        before = tuple(task.task_id for task in tasks)
        await self._asked.change(lambda _noted: Asked(asked_at, before))
        wanted = {
            "feedType": FEED_TYPE,
            "schemaVersion": SCHEMA_VERSION,
            "filterCriteria": {"listingFormat": "FIXED_PRICE"},
        }
        path = f"{PATH}/inventory_task"
        reply = await self._api.write("createInventoryTask", "POST", path, budget=FEED, json=wanted)
        if reply.status == 409 and TOO_MANY_AT_ONCE in codes_of(errors_in(decoded(reply.body))):
            return StockFile("", FileState.BUSY, asked_at, words=error_words(reply.body))
        refuse("createInventoryTask", reply)
        task_id = reply.headers.get("location", "").rpartition("/")[2]
        if not task_id:
            raise OutcomeUnknownError("createInventoryTask: eBay does not say which task it made")
        return StockFile(task_id, FileState.WRITING, asked_at)

    async def look(self, file: StockFile) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        path = f"{PATH}/inventory_task/{quote(file.name, safe='')}"
        reply = await self._api.read("getInventoryTask", "GET", path, budget=FEED)
        if reply.status == 404:
            return replace(file, state=FileState.GONE, words="eBay does not know this report any more")
        refuse("getInventoryTask", reply)
        status = answer_from(reply.body, _Task, what="the answer to getInventoryTask").status
        if status in _UNDER_WAY:
            return replace(file, state=FileState.WRITING)
        if status == "COMPLETED":
            return replace(file, state=FileState.READY)
        state = FileState.PARTIAL if status in _PARTIAL else FileState.FAILED
        return replace(file, state=state, words=f"the report is {status}")

    async def drop(self, file: StockFile) -> None:
        """See `sdk.contract.WritesStockFile`. eBay goes on with it; it is not found again."""
        await self._asked.change(lambda noted: Asked(None, (*noted.before, file.name)))

    async def read(self, file: StockFile, *, after: int) -> AsyncGenerator[Sequence[StockReading]]:
        """See `sdk.contract.WritesStockFile`."""
        path = f"{PATH}/task/{quote(file.name, safe='')}/download_result_file"
        with SpooledTemporaryFile(max_size=MEMORY_BYTES) as kept:
            async with aclosing(self._api.download("getResultFile", path, budget=FEED)) as pieces:
                async for piece in pieces:
                    kept.write(piece)
            kept.seek(0)
            walked: dict[ChannelSku, str] = {}
            told: list[StockReading] = []
            count = 0
            fault: RetryLaterError | None = None
            try:
                for offered in listings_in(kept):
                    found = self._listings.reported(offered, walked=walked)
                    told += found[max(0, after - count) :]
                    count += len(found)
                    if len(told) >= READINGS:
                        yield await self._with_unwritable(told)
                        told = []
            except RetryLaterError as broken:
                fault = broken
            if told:
                # What was told before it broke off is good.
                yield await self._with_unwritable(told)
            if fault is not None:
                raise fault

    async def _with_unwritable(self, told: Sequence[StockReading]) -> Sequence[StockReading]:
        """The same; of what may not be written, as far as we know, what a reading says of it now."""
        doubtful = [one.channel_sku for one in told if isinstance(self._listings.memory.place(one.channel_sku), str)]
        now: dict[ChannelSku, StockReading] = {}
        for start in range(0, len(doubtful), BATCH_MAX):
            found = await self._listings.read(doubtful[start : start + BATCH_MAX])
            now.update((one.channel_sku, one) for one in found)
        return [now.get(one.channel_sku, one) for one in told]
