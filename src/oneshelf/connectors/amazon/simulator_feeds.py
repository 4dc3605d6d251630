"""Feeds of the simulated Amazon: put down, begun, and worked through one after the other, each as long as it takes.

Facts: Feeds API v2021-06-30 and the schemas of JSON_LISTINGS_FEED 2.0 (models of 2026-08-05); see `feeds` for others
and their sources. How long a feed takes is published nowhere: the pace here is ours, at its quick end.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import simulator_question as asked
from oneshelf.connectors.amazon.simulator_books import Books
from oneshelf.connectors.amazon.simulator_documents import instant
from oneshelf.connectors.amazon.simulator_gate import QUOTA_WORDS, BadRequestError, Bucket, Gate, object_in
from oneshelf.connectors.amazon.simulator_question import Question
from oneshelf.connectors.amazon.simulator_storage import Storage
from oneshelf.connectors.amazon.simulator_wire import changes_in, invalid
from oneshelf.sdk.cut_reply import CutReply
from oneshelf.sdk.switches import Switches

FEED_TYPE = "JSON_LISTINGS_FEED"
FAULTS = ("feed_fatal", "feed_stuck", "feed_reply_lost", "feed_report_gone")
MESSAGES_MAX = 25_000
PARAMETERS = frozenset(
    {"feedTypes", "processingStatuses", "marketplaceIds", "pageSize", "createdSince", "createdUntil", "nextToken"}
)
STATUSES = frozenset({"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"})
# Feeds of this type in so many seconds, beside the limit of the operation.
TYPE_RATE = (5 / 300, 5)


@dataclass(slots=True)
class FeedHabits:
    """In seconds of the channel's own time."""

    queue_s: tuple[float, float] = (20.0, 120.0)
    work_s: tuple[float, float] = (30.0, 300.0)
    # One that is stuck: feeds that took sixty hours were reported.
    stuck_s: float = 216_000.0


@dataclass(slots=True)
class Feed:
    """One that was begun. `status` in Amazon's words."""

    feed_id: str
    created_at: datetime
    document_id: str
    marketplace_id: str
    status: str = "IN_QUEUE"
    result_id: str = ""

    def document(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "feedId": self.feed_id,
            "feedType": FEED_TYPE,
            "marketplaceIds": [self.marketplace_id],
            "createdTime": instant(self.created_at),
            "processingStatus": self.status,
        }
        return {**shown, "resultFeedDocumentId": self.result_id} if self.result_id else shown


@dataclass(slots=True)
class Feeds:
    """All feeds that were ever begun; at most one is worked through."""

    books: Books
    gate: Gate
    storage: Storage
    switches: Switches
    clock: Clock
    seller_id: str
    habits: FeedHabits = field(default_factory=FeedHabits)
    all: dict[str, Feed] = field(default_factory=dict)
    _bucket: Bucket | None = None

    # The API -------------------------------------------------------------------------------------------------

    async def place(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset())
        content_type = object_in(await request.body()).get("contentType")
        if not isinstance(content_type, str) or not content_type:
            raise BadRequestError("contentType is required")
        document_id = self.storage.keep(None, content_type=content_type)
        url = self.storage.address(document_id, str(request.base_url))
        return self.gate.answer("createFeedDocument", {"feedDocumentId": document_id, "url": url}, status=201)

    async def create(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset())
        body = object_in(await request.body())
        if body.get("feedType") != FEED_TYPE:
            raise BadRequestError(f"this simulator works through {FEED_TYPE} only")
        marketplaces = body.get("marketplaceIds")
        if not isinstance(marketplaces, list) or not marketplaces:
            raise BadRequestError("marketplaceIds is required")
        if not set(marketplaces) <= set(self.books.marketplace_ids):
            return self.gate.error(403, "Unauthorized")
        document_id = str(body.get("inputFeedDocumentId"))
        if self.storage.content(document_id) is None:
            raise BadRequestError("there is nothing at inputFeedDocumentId")
        if not self._has_room():
            return self.gate.error(429, "QuotaExceeded", message=QUOTA_WORDS)
        feed = Feed(f"{50_000_090_000 + len(self.all)}", self.books.now(), document_id, marketplaces[0])
        self.all[feed.feed_id] = feed

        async def wake() -> None:
            self._next()

        self.books.after(self.books.random.uniform(*self.habits.queue_s), wake)
        if self.switches.strikes("feed_reply_lost"):
            return CutReply(b'{"feedId":"')
        return self.gate.answer("createFeed", {"feedId": feed.feed_id}, status=202)

    async def listed(self, _request: Request, question: Question) -> Response:
        """The newest first. There is never a second page."""
        asked.known(question, PARAMETERS)
        most = asked.whole(question, "pageSize", least=1, most=100, default=10)
        statuses = asked.subset(question, "processingStatuses", STATUSES)
        if "feedTypes" not in question:
            raise BadRequestError("feedTypes is required")
        since = asked.instant(question, "createdSince") or self.books.now() - timedelta(days=90)
        found = [
            feed.document()
            for feed in reversed(self.all.values())
            if feed.created_at >= since and (not statuses or feed.status in statuses)
        ]
        return self.gate.answer("getFeeds", {"feeds": found[:most]})

    async def get(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset())
        feed = self.all.get(request.path_params["feed_id"])
        if feed is None:
            return self.gate.error(404, "NotFound", message="Feed not found.")
        return self.gate.answer("getFeed", feed.document())

    async def cancel(self, request: Request, question: Question) -> Response:
        """Only while it waits."""
        asked.known(question, frozenset())
        feed = self.all.get(request.path_params["feed_id"])
        if feed is None:
            return self.gate.error(404, "NotFound", message="Feed not found.")
        if feed.status != "IN_QUEUE":
            raise BadRequestError("only a feed with processingStatus=IN_QUEUE can be cancelled")
        feed.status = "CANCELLED"
        return self.gate.answer("cancelFeed", {})

    async def document(self, request: Request, question: Question) -> Response:
        asked.known(question, frozenset({"enableContentEncodingUrlHeader"}))
        document_id = request.path_params["document_id"]
        if self.switches.strikes("feed_report_gone"):
            self.storage.drop(document_id)
        url = self.storage.address(document_id, str(request.base_url))
        if url is None:
            return self.gate.error(404, "NotFound", message="Feed document not found.")
        shown = {"feedDocumentId": document_id, "url": url}
        is_packed = self.storage.is_packed(document_id)
        return self.gate.answer("getFeedDocument", {**shown, "compressionAlgorithm": "GZIP"} if is_packed else shown)

    def _has_room(self) -> bool:
        rate_per_s, burst = TYPE_RATE
        now = self.clock.monotonic()
        self._bucket = self._bucket or Bucket(rate_per_s * self.books.speed, burst, float(burst), now)
        return self._bucket.take(now)

    # Work ----------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin with the oldest that waits, unless one is being worked through."""
        if any(feed.status == "IN_PROGRESS" for feed in self.all.values()):
            return
        feed = next((feed for feed in self.all.values() if feed.status == "IN_QUEUE"), None)
        if feed is None:
            return
        feed.status = "IN_PROGRESS"
        work_s = self.books.random.uniform(*self.habits.work_s)
        if self.switches.strikes("feed_stuck"):
            work_s = self.habits.stuck_s

        async def work() -> None:
            self._work(feed)
            self._next()

        self.books.after(work_s, work)

    def _work(self, feed: Feed) -> None:
        is_fatal = self.switches.strikes("feed_fatal")
        try:
            header, messages = self._read(self.storage.content(feed.document_id) or b"")
        except BadRequestError:
            feed.status = "FATAL"
            return
        if is_fatal:
            # "Some, none, or all of the operations within the feed may have completed successfully."
            messages = messages[: len(messages) // 2]
        issues: list[dict[str, object]] = []
        taken: list[str] = []
        for message in messages:
            words = self._take(feed, message)
            if words is None:
                taken.append(str(message["sku"]))
                continue
            told = {"code": "90000900", "severity": "ERROR", "message": words, "attributeName": "quantity"}
            issues.append({"messageId": message["messageId"], "sku": message["sku"], **told})
        if is_fatal:
            feed.status = "FATAL"
            return
        feed.result_id = self._keep(feed, header, issues, taken)
        feed.status = "DONE"

    def _read(self, content: bytes) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Raises BadRequestError where the whole feed breaks its schema."""
        document = object_in(content)
        header, messages = document.get("header"), document.get("messages")
        if not isinstance(header, dict) or header.get("version") != "2.0" or header.get("sellerId") != self.seller_id:
            raise BadRequestError("the header is not that of a feed of this seller")
        if not isinstance(messages, list) or not 1 <= len(messages) <= MESSAGES_MAX:
            raise BadRequestError(f"a feed has 1 to {MESSAGES_MAX} messages")
        numbers = {message.get("messageId") for message in messages if isinstance(message, dict)}
        if len(numbers) != len(messages) or not all(isinstance(message.get("sku"), str) for message in messages):
            raise BadRequestError("each message has a messageId of its own, and a SKU")
        return header, messages

    def _take(self, feed: Feed, message: Mapping[str, Any]) -> str | None:
        """Why a message is invalid; None where its change is accepted."""
        listing = self.books.listing(message["sku"])
        if listing is None:
            return "The SKU is not in the catalog."
        if message.get("operationType") != "PATCH":
            return "This simulator takes PATCH only."
        try:
            changes = changes_in(message)
        except BadRequestError as problem:
            return str(problem)
        words = invalid(changes)
        if words is None:
            for operation, rows in changes:
                self.books.submit(listing, feed.marketplace_id, operation=operation, rows=rows)
        return words

    def _keep(
        self, feed: Feed, header: Mapping[str, Any], issues: Sequence[Mapping[str, object]], taken: Sequence[str]
    ) -> str:
        """The id of the processing report. Without `includedData` it tells what was accepted, and no more."""
        invalid_count = len({issue["messageId"] for issue in issues})
        summary: dict[str, object] = {
            "errors": len(issues),
            "warnings": 0,
            "messagesProcessed": len(taken) + invalid_count,
            "messagesAccepted": len(taken),
            "messagesInvalid": invalid_count,
        }
        told = {"sellerId": self.seller_id, "version": "2.0", "feedId": feed.feed_id}
        report: dict[str, object] = {"header": told, "issues": issues, "summary": summary}
        if "report" in header:
            told["report"] = header["report"]
            summary["itemSummary"] = {"items": len(taken), "errors": 0, "warnings": 0}
            report["items"] = [{"sku": sku, "issues": []} for sku in taken]
        content = gzip.compress(msgspec.json.encode(report), mtime=0)
        return self.storage.keep(content, content_type="application/json; charset=UTF-8", is_packed=True)
