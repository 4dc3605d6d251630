"""The whole stock from one file: a report of all listings, which Amazon writes for a few calls.

Reports API v2021-06-30 as modelled at https://github.com/amzn/selling-partner-api-models (checked 2026-11-26), and the
tutorials at https://developer-docs.amazon.com/sp-api/docs/reports-api:

- A report is CANCELLED by itself where there is no data to return. Then, and where it is FATAL, pages are read.
- Its document is to be had at an address that lives five minutes. So the address is asked for when it is read.
- Amazon hands out a copy of the last report "within the cache period (between one and six hours depending on the
  number of entries)", https://developer-docs.amazon.com/sp-api/docs/report-type-values-inventory. It is said of the
  language of the columns; we take it that the rows are as old. `REPORT_AGE_S` is the longest.
- One marketplace a report, says the same page. An account with several is read by pages.

A report keeps the range of time that it was asked for, which this kind does not use. Ours ends when we asked for it,
less a minute for the clocks, and begins `MARK` before: so a process that died after it asked leaves all that the next
one needs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import DOCUMENT, SellingPartnerApi, is_success, refuse
from oneshelf.connectors.amazon.report_rows import Rows, Unpacked
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.decoding import answer_from, document_from
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import FileState, StockFile, StockReading

REPORT_TYPE = "GET_MERCHANT_LISTINGS_ALL_DATA"
PATH = "/reports/2021-06-30"
# "Requests per second" and burst of the model.
LIMITS = (
    Limit("createReport", 0.0167, 15),
    Limit("getReports", 0.0222, 10),
    Limit("getReport", 2.0, 15),
    Limit("getReportDocument", 0.0167, 15),
    Limit("cancelReport", 0.0222, 10),
)
REPORT_AGE_S = 6 * 3600.0
# The range of a report must not end in the future, by Amazon's clock.
CLOCKS_APART = timedelta(seconds=60)
MARK = timedelta(seconds=61)
# One that is under way for longer than this is stuck, and nobody waits for it.
FOUND_WITHIN = timedelta(hours=1)
# The address lives for five minutes.
ADDRESS_LIFE_S = 240.0

_UNDER_WAY = frozenset({"IN_QUEUE", "IN_PROGRESS"})


class _Report(msgspec.Struct, frozen=True, rename="camel"):
    """A report as the model has it. A range that is missing is not ours."""

    report_id: str
    processing_status: str
    data_start_time: datetime | None = None
    data_end_time: datetime | None = None
    report_document_id: str = ""

    def asked_at(self) -> datetime | None:
        """When we asked for it; None: somebody else did."""
        start, end = self.data_start_time, self.data_end_time
        is_ours = start is not None and end is not None and end.tzinfo is not None and end - start == MARK
        return end + CLOCKS_APART if is_ours and end is not None else None


class _Reports(msgspec.Struct, frozen=True):
    reports: list[_Report]


class _Begun(msgspec.Struct, frozen=True, rename="camel"):
    report_id: str


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    compression_algorithm: str = ""


class ReportReader:
    """Reports of all listings of one account. `forget`: these are not shown as the seller's own."""

    def __init__(
        self,
        api: SellingPartnerApi,
        account: Account,
        *,
        clock: Clock,
        forget: Callable[[Iterable[ChannelSku]], None],
    ) -> None:
        self._api = api
        self._account = account
        self._clock = clock
        self._forget = forget
        # Document -> where it is, and until when.
        self._addresses: dict[str, tuple[_Document, float]] = {}

    async def begin(self, *, asked_at: datetime, since: datetime | None) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        if len(self._account.marketplace_ids) > 1 or self._account.supply_source_id:
            raise RefusedError("a report tells of one marketplace, and of no supply source: pages are read")
        asked_at = asked_at.replace(microsecond=asked_at.microsecond // 1000 * 1000)
        try:
            return await self._found(asked_at, since) or await self._create(asked_at)
        except ReauthenticateError as refusal:
            if refusal.status != 403 or parse.is_token_rejected(str(refusal)):
                raise
            # Amazon lets us in, and not to reports: pages need another role, or fail as well.
            raise RefusedError(str(refusal)) from None

    async def _found(self, asked_at: datetime, since: datetime | None) -> StockFile | None:
        """Ours that is under way, or was asked for later than `since` and is written."""
        query = {
            "reportTypes": REPORT_TYPE,
            "marketplaceIds": self._account.marketplace_ids[0],
            "processingStatuses": "IN_QUEUE,IN_PROGRESS,DONE",
            "createdSince": parse.instant_text(asked_at - FOUND_WITHIN - CLOCKS_APART),
            "pageSize": "100",
        }
        reply = await self._api.read("getReports", f"{PATH}/reports", query)
        refuse("getReports", reply)
        for report in answer_from(reply.body, _Reports, what="the answer to getReports").reports:
            at = report.asked_at()
            if at is None or at < asked_at - FOUND_WITHIN:
                continue
            is_written = report.processing_status == "DONE" and since is not None and at > since
            if report.processing_status in _UNDER_WAY or is_written:
                return StockFile(report.report_id, FileState.WRITING, at)
        return None

    async def _create(self, asked_at: datetime) -> StockFile:
        end = asked_at - CLOCKS_APART
        body = {
            "reportType": REPORT_TYPE,
            "marketplaceIds": [self._account.marketplace_ids[0]],
            "dataStartTime": _text(end - MARK),
            "dataEndTime": _text(end),
            "reportOptions": {"preferredReportDocumentLocale": "en_US"},
        }
        reply = await self._api.write("createReport", f"{PATH}/reports", {}, body, method="POST")
        refuse("createReport", reply)
        try:
            begun = document_from(reply.body, _Begun, what="the answer to createReport")
        except MalformedError as problem:
            raise OutcomeUnknownError(f"createReport: {problem}") from None
        return StockFile(begun.report_id, FileState.WRITING, asked_at)

    async def look(self, file: StockFile) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        reply = await self._api.read("getReport", _path("reports", file.name), {})
        if reply.status == 404:
            return replace(file, state=FileState.GONE, words="Amazon does not know this report any more")
        refuse("getReport", reply)
        report = answer_from(reply.body, _Report, what="the answer to getReport")
        status = report.processing_status
        if status in _UNDER_WAY:
            return replace(file, state=FileState.WRITING)
        if status == "DONE" and report.report_document_id:
            return replace(file, state=FileState.READY, address=report.report_document_id)
        why = ": somebody did, or there is no data to return" if status == "CANCELLED" else ""
        return replace(file, state=FileState.FAILED, words=f"the report is {status}{why}")

    async def drop(self, file: StockFile) -> None:
        """See `sdk.contract.WritesStockFile`. Only one that waits can be cancelled; another is written for nobody."""
        reply = await self._api.write("cancelReport", _path("reports", file.name), {}, None, method="DELETE")
        if not is_success(reply) and reply.status not in {400, 404}:
            refuse("cancelReport", reply)

    async def read(self, file: StockFile, *, after: int) -> AsyncGenerator[Sequence[StockReading]]:
        """See `sdk.contract.WritesStockFile`."""
        document = await self._document(file.address)
        unpacked = Unpacked(is_packed=document.compression_algorithm == "GZIP")
        headers: dict[str, str] = {}
        rows, count = None, 0
        async with aclosing(self._api.download(document.url, told=headers.update)) as pieces:
            async for piece in pieces:
                rows = rows or Rows(headers.get("content-type", ""))
                for part in unpacked.take(piece):
                    found = rows.take(part)
                    fresh, count = found[max(0, after - count) :], count + len(found)
                    if fresh:
                        yield self._told(fresh)
        if not unpacked.is_whole:
            raise RetryLaterError(f"{DOCUMENT}: the report breaks off")
        last = (rows or Rows()).end()[max(0, after - count) :]
        if last:
            yield self._told(last)

    def _told(self, readings: list[StockReading]) -> list[StockReading]:
        # A report is too old to say of a listing that it is the seller's own; that it is not, is news enough to ask.
        self._forget(reading.channel_sku for reading in readings if reading.units is None)
        return readings

    async def _document(self, document_id: str) -> _Document:
        known, until = self._addresses.get(document_id, (None, 0.0))
        if known is not None and self._clock.monotonic() < until:
            return known
        asked_at = self._clock.monotonic()
        reply = await self._api.read("getReportDocument", _path("documents", document_id), {})
        refuse("getReportDocument", reply)
        document = answer_from(reply.body, _Document, what="the answer to getReportDocument")
        self._addresses = {document_id: (document, asked_at + ADDRESS_LIFE_S)}
        return document


def _path(kind: str, name: str) -> str:
    return f"{PATH}/{kind}/{quote(name, safe='')}"


def _text(instant: datetime) -> str:
    return parse.instant_text(instant)[:-4] + "Z"
