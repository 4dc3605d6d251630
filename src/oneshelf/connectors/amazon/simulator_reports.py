"""Reports of the simulated Amazon: asked for, written after a while, kept as a copy, and read at a passing address.

Facts: Reports API v2021-06-30 (model of 2026-08-05); see `reports` and `report_rows` for the others and their sources.
How long a report takes is published nowhere: the pace here is ours. A copy of the last one is handed out for an hour,
the shortest that is documented.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import simulator_question as asked
from oneshelf.connectors.amazon.simulator_books import MERCHANT_CHANNEL, Books, Listing
from oneshelf.connectors.amazon.simulator_documents import instant
from oneshelf.connectors.amazon.simulator_gate import BadRequestError, Gate, object_in
from oneshelf.connectors.amazon.simulator_question import Question
from oneshelf.connectors.amazon.simulator_storage import Storage
from oneshelf.sdk.switches import Switches

REPORT_TYPE = "GET_MERCHANT_LISTINGS_ALL_DATA"
FAULTS = ("report_fatal", "report_cancelled")
COLUMNS = (
    "item-name",
    "item-description",
    "listing-id",
    "seller-sku",
    "price",
    "quantity",
    "open-date",
    "image-url",
    "item-is-marketplace",
    "product-id-type",
    "zshop-shipping-fee",
    "item-note",
    "item-condition",
    "zshop-category1",
    "zshop-browse-path",
    "zshop-storefront-feature",
    "asin1",
    "asin2",
    "asin3",
    "will-ship-internationally",
    "expedited-shipping",
    "zshop-boldface",
    "product-id",
    "bid-for-featured-placement",
    "add-delete",
    "pending-quantity",
    "fulfillment-channel",
    "merchant-shipping-group",
    "status",
)
PARAMETERS = frozenset(
    {"reportTypes", "processingStatuses", "marketplaceIds", "pageSize", "createdSince", "createdUntil", "nextToken"}
)
STATUSES = frozenset({"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"})
MARKETPLACES_MAX = 25


@dataclass(slots=True)
class ReportHabits:
    """In seconds of the channel's own time."""

    queue_s: tuple[float, float] = (5.0, 30.0)
    write_s: tuple[float, float] = (20.0, 120.0)
    copy_s: float = 3600.0
    is_packed: bool = True
    content_type: str = "text/plain; charset=Cp1252"


@dataclass(slots=True)
class Report:
    """One that was asked for. `status` in Amazon's words."""

    report_id: str
    created_at: datetime
    start: datetime
    end: datetime
    status: str = "IN_QUEUE"
    document_id: str = ""

    def document(self, marketplace_id: str) -> dict[str, object]:
        shown: dict[str, object] = {
            "reportId": self.report_id,
            "reportType": REPORT_TYPE,
            "marketplaceIds": [marketplace_id],
            "dataStartTime": instant(self.start),
            "dataEndTime": instant(self.end),
            "createdTime": instant(self.created_at),
            "processingStatus": self.status,
        }
        return {**shown, "reportDocumentId": self.document_id} if self.document_id else shown


@dataclass(slots=True)
class Reports:
    """All reports that were ever asked for, and the copy of the last one."""

    books: Books
    gate: Gate
    storage: Storage
    switches: Switches
    clock: Clock
    habits: ReportHabits = field(default_factory=ReportHabits)
    all: dict[str, Report] = field(default_factory=dict)
    _copy: tuple[bytes, float] | None = None

    # The API -------------------------------------------------------------------------------------------------

    async def create(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset())
        body = object_in(await request.body())
        if body.get("reportType") != REPORT_TYPE:
            raise BadRequestError(f"this simulator writes {REPORT_TYPE} only")
        # "You can only specify one marketplace per report": the first is taken.
        marketplaces = body.get("marketplaceIds")
        if not isinstance(marketplaces, list) or not 1 <= len(marketplaces) <= MARKETPLACES_MAX:
            raise BadRequestError(f"marketplaceIds must name 1 to {MARKETPLACES_MAX} marketplaces")
        if marketplaces[0] not in self.books.marketplace_ids:
            return self.gate.error(403, "Unauthorized")
        now = self.books.now()
        start, end = (_instant(body, name, now) for name in ("dataStartTime", "dataEndTime"))
        report = Report(f"{50_000_017_000 + len(self.all)}", now, start, end)
        self.all[report.report_id] = report

        async def begin() -> None:
            if report.status == "IN_QUEUE":
                report.status = "IN_PROGRESS"
                self.books.after(self.books.random.uniform(*self.habits.write_s), end_it)

        async def end_it() -> None:
            self._end(report)

        self.books.after(self.books.random.uniform(*self.habits.queue_s), begin)
        return self.gate.answer("createReport", {"reportId": report.report_id}, status=202)

    async def listed(self, _request: Request, question: Question) -> Response:
        """Those of this application, the newest first. There is never a second page."""
        asked.known(question, PARAMETERS)
        asked.whole(question, "pageSize", least=1, most=100, default=10)
        statuses = asked.subset(question, "processingStatuses", STATUSES)
        if "reportTypes" not in question:
            raise BadRequestError("reportTypes is required")
        since = asked.instant(question, "createdSince") or self.books.now() - timedelta(days=90)
        found = [
            report.document(self.books.marketplace_ids[0])
            for report in reversed(self.all.values())
            if report.created_at >= since and (not statuses or report.status in statuses)
        ]
        if REPORT_TYPE not in question["reportTypes"].split(","):
            found = []
        return self.gate.answer("getReports", {"reports": found[: int(question.get("pageSize", "10"))]})

    async def get(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset())
        report = self.all.get(request.path_params["report_id"])
        if report is None:
            return self.gate.error(404, "NotFound", message="Report not found.")
        return self.gate.answer("getReport", report.document(self.books.marketplace_ids[0]))

    async def cancel(self, request: Request, question: Question) -> Response:
        """Only while it waits."""
        asked.known(question, frozenset())
        report = self.all.get(request.path_params["report_id"])
        if report is None:
            return self.gate.error(404, "NotFound", message="Report not found.")
        if report.status != "IN_QUEUE":
            raise BadRequestError("only a report with processingStatus=IN_QUEUE can be cancelled")
        report.status = "CANCELLED"
        return self.gate.answer("cancelReport", {})

    async def document(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset({"enableContentEncodingUrlHeader"}))
        document_id = request.path_params["document_id"]
        url = self.storage.address(document_id, str(request.base_url))
        if url is None:
            return self.gate.error(404, "NotFound", message="Report document not found.")
        shown = {"reportDocumentId": document_id, "url": url}
        is_packed = self.storage.is_packed(document_id)
        return self.gate.answer("getReportDocument", {**shown, "compressionAlgorithm": "GZIP"} if is_packed else shown)

    # What is written -----------------------------------------------------------------------------------------

    def _end(self, report: Report) -> None:
        there = [one for one in self.books.catalogue.values() if not one.is_ended]
        if self.switches.strikes("report_fatal"):
            report.status = "FATAL"
        elif self.switches.strikes("report_cancelled") or not there:
            report.status = "CANCELLED"
        else:
            text = self._text(there)
            content = gzip.compress(text, mtime=0) if self.habits.is_packed else text
            report.document_id = self.storage.keep(
                content, content_type=self.habits.content_type, is_packed=self.habits.is_packed
            )
            report.status = "DONE"

    def _text(self, listings: list[Listing]) -> bytes:
        """The rows as they are now, or the copy of a while ago."""
        now = self.clock.monotonic()
        if self._copy is not None and now < self._copy[1]:
            return self._copy[0]
        pending: dict[str, int] = {}
        for order in self.books.orders.values():
            for line in order.lines if order.status == "PENDING" else ():
                pending[line.sku] = pending.get(line.sku, 0) + line.open
        rows = [COLUMNS, *(_row(one, pending.get(one.sku, 0)) for one in listings)]
        text = "".join("\t".join(row) + "\r\n" for row in rows)
        # What the charset lacks is a question mark for ever.
        _, _, charset = self.habits.content_type.partition("charset=")
        written = text.encode(charset or "cp1252", "replace")
        self._copy = (written, now + self.habits.copy_s / self.books.speed)
        return written


def _row(one: Listing, pending: int) -> list[str]:
    is_own = one.channel_code == MERCHANT_CHANNEL
    told = {
        "item-name": one.title,
        "listing-id": f"0105SIM{one.number:05}",
        "seller-sku": one.sku,
        "price": "9.99",
        "quantity": str(one.units) if is_own else "",
        "open-date": one.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "item-is-marketplace": "y",
        "product-id-type": "1",
        "item-condition": "11",
        "asin1": one.asin,
        "product-id": one.asin,
        "pending-quantity": str(pending) if is_own else "",
        "fulfillment-channel": one.channel_code,
        "merchant-shipping-group": "Migrated Template",
        "status": "Active" if one.units or not is_own else "Inactive",
    }
    # Nothing is quoted: what would end a cell or a row is left out.
    return [" ".join(told.get(name, "").split("\t")).replace("\r", " ").replace("\n", " ") for name in COLUMNS]


def _instant(body: Mapping[str, Any], name: str, now: datetime) -> datetime:
    """ "The value must be prior to or equal to the current date and time"; kept to the millisecond."""
    if name not in body:
        return now
    told = asked.instant({name: str(body[name])}, name)
    if told is None or told > now:
        raise BadRequestError(f"{name} must not be in the future")
    return told.replace(microsecond=told.microsecond // 1000 * 1000)
