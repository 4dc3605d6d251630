"""The Feed API of the simulated eBay: a report of all live listings, written on request and fetched as a zip file.

https://developer.ebay.com/api-docs/sell/feed/resources/inventory_task/methods/createInventoryTask (contract v1.3.1,
checked 2026-11-23). It holds the listings of both worlds as they were when it was written.
"""

from __future__ import annotations

import io
import zipfile
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oneshelf.connectors.ebay import simulator_asked as asked
from oneshelf.connectors.ebay.simulator_asked import WrongError
from oneshelf.connectors.ebay.simulator_books import Books, Variation
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_gate import APIS, INVENTORY, EbayError, Gate
from oneshelf.connectors.ebay.simulator_habits import DAY_S
from oneshelf.connectors.ebay.simulator_inventory_documents import PRICE
from oneshelf.connectors.ebay.simulator_order_documents import instant
from oneshelf.connectors.ebay.simulator_trading_documents import problem
from oneshelf.connectors.ebay.simulator_xml import document, element, price, texts

PATH = "/sell/feed/v1"
REPORT = "LMS_ACTIVE_INVENTORY_REPORT"
# Of this report 25 in any 24 hours, and ten tasks of all sorts at a time
# (https://developer.ebay.com/api-docs/sell/static/feed/lms-feeds-quick-reference.html, checked 2026-11-23).
REPORTS_A_DAY = 25
AT_ONCE = 10
# It comes to nothing; it is written in part, and says so; its file breaks off on the way.
FEED_FAULTS = ("report_failed", "report_partial", "report_truncated")
FORMATS = frozenset({"AUCTION", "FIXED_PRICE"})
_ENDED = frozenset({"COMPLETED", "COMPLETED_WITH_ERROR", "FAILED"})
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_API = APIS["feed"]

Act = Callable[[Request], Awaitable[Response]]


def refused(error_id: int, message: str, *, status: int = 400) -> EbayError:
    category = "BUSINESS" if status == 409 else "REQUEST"
    return EbayError(status, error_id, "API_FEED", message, category=category)


@dataclass(slots=True)
class Task:
    """One task. `file` is there once it is completed."""

    task_id: str
    created_at: datetime
    schema_version: str
    status: str = "CREATED"
    completed_at: datetime | None = None
    file: bytes = b""


class FeedApi:
    """The routes, over the books and behind the gate."""

    def __init__(self, books: Books, gate: Gate, faults: Faults, *, marketplace_id: str) -> None:
        self._books = books
        self._gate = gate
        self._faults = faults
        self._marketplace_id = marketplace_id
        # Whether eBay keeps the application from it: it takes an agreement of its own, or another consent.
        self.is_forbidden = False
        self._tasks: dict[str, Task] = {}
        self._begun: deque[float] = deque()

    def routes(self) -> Sequence[BaseRoute]:
        table: tuple[tuple[str, str, Act], ...] = (
            ("POST", "/inventory_task", self._create),
            ("GET", "/inventory_task", self._all),
            ("GET", "/inventory_task/{task_id}", self._one),
            ("GET", "/task/{task_id}/download_result_file", self._result),
        )
        return [Route(PATH + path, self._operation(act), methods=[method]) for method, path, act in table]

    def _operation(self, act: Act) -> Act:
        async def respond(request: Request) -> Response:
            refusal = self._gate.admit(request, _API, (INVENTORY,))
            if refusal is not None:
                return refusal
            if self.is_forbidden:
                return refused(160022, "You are not allowed to access this resource.", status=403).response()
            try:
                return await act(request)
            except WrongError as problem:
                number = {"limit": 160012, "offset": 160013}.get(problem.name, 160017)
                return refused(number, f"The {problem.name} is invalid. {problem}").response()
            except EbayError as problem:
                return problem.response()

        return respond

    async def _create(self, request: Request) -> Response:
        wanted = asked.body_of(await request.body())
        if wanted.get("feedType") != REPORT:
            raise refused(160017, "The 'feedType' is missing or invalid.")
        if not str(wanted.get("schemaVersion") or "").replace(".", "").isdigit():
            raise refused(160018, "The 'schemaVersion' is invalid.")
        criteria = wanted.get("filterCriteria", {})
        if not isinstance(criteria, dict) or criteria.get("listingFormat", "FIXED_PRICE") not in FORMATS:
            raise refused(160019, "The 'filterCriteria' is invalid.")
        if request.headers.get("x-ebay-c-marketplace-id", self._marketplace_id) != self._marketplace_id:
            raise refused(160027, "The X-EBAY-C-MARKETPLACE-ID header is missing or invalid.")
        now = self._books.clock.monotonic()
        while self._begun and self._begun[0] <= now - DAY_S / self._books.speed:
            self._begun.popleft()
        if sum(task.status not in _ENDED for task in self._tasks.values()) >= AT_ONCE:
            raise refused(160024, "You have reached the maximum number of feed tasks at a time.", status=409)
        if len(self._begun) >= REPORTS_A_DAY:
            raise refused(160025, "You have exceeded the maximum number of tasks in the period.", status=409)
        self._begun.append(now)
        task = Task(f"task-1-{self._books.random.getrandbits(40):011d}", self._books.stamp(), wanted["schemaVersion"])
        self._tasks[task.task_id] = task
        self._work_on(task)
        return Response(
            status_code=202, headers={"Location": f"{asked.base_of(request)}{PATH}/inventory_task/{task.task_id}"}
        )

    def _work_on(self, task: Task) -> None:
        async def begin() -> None:
            task.status = "IN_PROCESS"

        async def complete() -> None:
            strikes = self._faults.switches.strikes
            if strikes("report_failed"):
                task.status = "FAILED"
                return
            is_partial = strikes("report_partial")
            task.status = "COMPLETED_WITH_ERROR" if is_partial else "COMPLETED"
            task.completed_at = self._books.stamp()
            task.file = self._file(task.task_id, is_partial=is_partial)

        wait_s = self._books.random.uniform(*self._books.habits.report_s)
        self._books.after(wait_s / 4, begin)
        self._books.after(wait_s, complete)

    async def _all(self, request: Request) -> Response:
        if request.query_params.get("feed_type") != REPORT:
            raise refused(160004, "You must submit either a 'feed_type' or 'schedule_id'.")
        limit = asked.whole(request, "limit", least=1, most=500, default=10)
        offset = asked.whole(request, "offset", least=0, most=10**9, default=0)
        if offset % limit:
            raise refused(160029, "The 'offset' value must be a multiple of the 'limit' value.")
        newest = [self._document(request, task) for task in reversed(self._tasks.values())]
        page = newest[offset : offset + limit]
        head: dict[str, object] = {
            "href": f"{PATH}/inventory_task?{request.url.query}",
            "limit": limit,
            "offset": offset,
        }
        if offset + limit < len(newest):
            url = request.url.include_query_params(limit=limit, offset=offset + limit)
            head["next"] = f"{PATH}/inventory_task?{url.query}"
        return JSONResponse({**head, "total": len(newest), "tasks": page})

    def _task(self, request: Request) -> Task:
        task = self._tasks.get(request.path_params["task_id"])
        if task is None:
            raise refused(160003, f"Task {request.path_params['task_id']} does not exist.", status=404)
        return task

    async def _one(self, request: Request) -> Response:
        return JSONResponse(self._document(request, self._task(request)))

    def _document(self, request: Request, task: Task) -> dict[str, object]:
        told: dict[str, object] = {
            "taskId": task.task_id,
            "status": task.status,
            "feedType": REPORT,
            "creationDate": instant(task.created_at),
            "schemaVersion": task.schema_version,
            "detailHref": f"{asked.base_of(request)}{PATH}/inventory_task/{task.task_id}",
        }
        if task.completed_at is not None:
            told["completionDate"] = instant(task.completed_at)
        return told

    async def _result(self, request: Request) -> Response:
        task = self._task(request)
        if not task.file:
            raise refused(160014, f"No file found for task ID {task.task_id}.", status=404)
        file = task.file
        if self._faults.switches.strikes("report_truncated"):
            file = file[: self._faults.chance.randrange(len(file) // 4, len(file))]
        disposition = f'attachment; filename="{task.task_id}.zip"'
        headers = {"content-disposition": disposition}
        return Response(file, media_type="application/octet-stream", headers=headers)

    # The file ----------------------------------------------------------------------------------------------------

    def _file(self, task_id: str, *, is_partial: bool) -> bytes:
        """A zip with one XML document (https://developer.ebay.com/DevZone/merchant-data/callref/types/
        SKUDetailsType.html, checked 2026-11-26). `Quantity` is what is for sale, without what was sold.

        One that is written in part says so among the listings (https://github.com/davidtsadler/ebay-sdk-php/issues/37).
        """
        live = [listing for listing in self._books.listings.values() if listing.is_live]
        at = self._faults.replica_at()
        told = live[: len(live) // 2] if is_partial else live
        details = [_details(one.listing_id, one.left, at) for one in told]
        acknowledgement = {"Ack": "Failure" if is_partial else "Success", "Timestamp": self._books.stamp()}
        report = element("ActiveInventoryReport", *texts(acknowledgement), *_lacks(is_partial=is_partial), *details)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            info = zipfile.ZipInfo(f"{task_id}_report.xml", _ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, document("BulkDataExchangeResponses", [report]))
        return packed.getvalue()


def _lacks(*, is_partial: bool) -> list[Element]:
    if not is_partial:
        return []
    words = "Could not get item information right now,Please try again"
    return [problem("1008", words, is_system=True)]


def _details(listing_id: str, variations: Sequence[Variation], at: float | None) -> Element:
    if variations[0].variation_id == 0:
        return element("SKUDetails", *_figures(variations[0], at), *texts({"ItemID": listing_id}))
    each = [element("Variation", *_figures(one, at)) for one in variations]
    return element("SKUDetails", *texts({"ItemID": listing_id}), element("Variations", *each))


def _figures(one: Variation, at: float | None) -> list[Element]:
    units = one.figures_at(at).units
    return [*texts({"SKU": one.sku}), price("Price", PRICE), *texts({"Quantity": units})]
