"""Many quantities in one file: the feed JSON_LISTINGS_FEED, for a first load and for healing.

Feeds API v2021-06-30 and the schemas of the feed and of its report, version 2.0, as modelled at
https://github.com/amzn/selling-partner-api-models (checked 2026-11-26):

- At most 25,000 messages, five feeds in five minutes for a region: https://developer-docs.amazon.com/sp-api/changelog/
  update-feed-size-and-rate-limit-changes-for-the-json_listings_feed. Amazon advises a feed for 1,500 items or more:
  https://github.com/amzn/selling-partner-api-models/issues/543.
- Feeds of a seller are worked through one after the other, in minutes or hours; one that is stuck holds up all behind
  it (issues/657, 2633, 5151). Only one that waits can be cancelled.
- What a feed and a patch of the same listing do to each other is not said by anybody
  (https://github.com/amzn/selling-partner-api-samples/discussions/109): the engine never has both under way.
- "Accepted" is queued, as for a patch. With `header.report.includedData` the report tells of issues that came up later
  too (issues/4801); whether a quantity shows only a reading tells.
- "Some, none, or all of the operations" of a FATAL feed may have been done.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import DOCUMENT, SellingPartnerApi, is_success, refuse
from oneshelf.connectors.amazon.issues import WORDS_LENGTH_MAX, issue_words
from oneshelf.connectors.amazon.listings import BATCH_MAX, PAUSE_S, Listings
from oneshelf.connectors.amazon.patches import quantity_patch
from oneshelf.connectors.amazon.report_rows import Unpacked
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.decoding import answer_from, document_from
from oneshelf.sdk.fault import OutcomeUnknownError, RefusedError, RetryLaterError
from oneshelf.sdk.message import (
    Accepted,
    FeedBegun,
    FeedPlan,
    FeedReport,
    FeedState,
    Refused,
    StockWrite,
    Throttled,
    Unknown,
    WriteOutcome,
)

FEED_TYPE = "JSON_LISTINGS_FEED"
PATH = "/feeds/2021-06-30"
CONTENT_TYPE = "application/json; charset=UTF-8"
MESSAGES_MAX = 25_000
MESSAGES_LEAST = 1_500
# "Recommended" by Amazon; a quarter of this is what 25,000 short messages have.
BYTES_MAX = 10_000_000
# A report has an issue or two for a message.
REPORT_BYTES_MAX = 50_000_000
# Amazon states no time. An hour is long for a quantity; feeds that took days are reported.
STUCK_S = 3600.0
# Nor by when `getFeeds` lists a feed that `createFeed` has taken: minutes for what is stored at once elsewhere.
SHOWN_S = 300.0
LIMITS = (
    Limit("createFeedDocument", 0.5, 15),
    Limit("createFeed", 0.0083, 15),
    Limit("getFeed", 2.0, 15),
    Limit("getFeeds", 0.0222, 10),
    Limit("getFeedDocument", 0.0222, 10),
    Limit("cancelFeed", 2.0, 15),
)
CLOCKS_APART = timedelta(seconds=60)
# Calls to read who fulfils what, in one go.
READS_MAX = 25

_UNDER_WAY = frozenset({"IN_QUEUE", "IN_PROGRESS"})


class _Place(msgspec.Struct, frozen=True, rename="camel"):
    feed_document_id: str
    url: str


class _Begun(msgspec.Struct, frozen=True, rename="camel"):
    feed_id: str


class _Feed(msgspec.Struct, frozen=True, rename="camel"):
    feed_id: str
    processing_status: str
    result_feed_document_id: str = ""


class _Feeds(msgspec.Struct, frozen=True):
    feeds: list[_Feed]


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    compression_algorithm: str = ""


class _Issue(msgspec.Struct, frozen=True, rename="camel"):
    severity: str
    message: str
    message_id: int = 0
    sku: str = ""
    code: str = ""
    attribute_name: str = ""


class _Summary(msgspec.Struct, frozen=True, rename="camel"):
    messages_processed: int
    messages_accepted: int
    messages_invalid: int


class Result(msgspec.Struct, frozen=True):
    """The processing report of a feed."""

    issues: list[_Issue]
    summary: _Summary


class FeedWriter:
    """Feeds of one account."""

    def __init__(self, api: SellingPartnerApi, account: Account, listings: Listings) -> None:
        self._api = api
        self._account = account
        self._listings = listings

    async def plan(self, channel_skus: Sequence[ChannelSku]) -> FeedPlan:
        """See `sdk.contract.WritesByFeed`."""
        unread = [sku for sku in channel_skus if self._listings.is_own(sku) is None]
        asked = 0
        while asked < min(len(unread), READS_MAX * BATCH_MAX):
            try:
                await self._listings.read(unread[asked : asked + BATCH_MAX])
            except RetryLaterError:
                break
            asked += BATCH_MAX
        ready = tuple(sku for sku in channel_skus if self._listings.is_own(sku))
        return FeedPlan(ready, unread_count=max(0, len(unread) - asked))

    async def begin(self, writes: Sequence[StockWrite]) -> FeedBegun:
        """See `sdk.contract.WritesByFeed`. Only the last of three calls begins anything."""
        invariant(len(writes) <= MESSAGES_MAX, f"{len(writes)} messages in one feed")
        left_out: dict[ChannelSku, WriteOutcome] = {}
        taken: list[StockWrite] = []
        for write in writes:
            is_own = self._listings.is_own(write.channel_sku)
            if is_own:
                taken.append(write)
            elif is_own is None:
                left_out[write.channel_sku] = Throttled(PAUSE_S)  # What was seen of it is too old, or withdrawn.
            else:
                words = f"{write.channel_sku} was not read as seller-fulfilled: a quantity would strand its FBA stock"
                left_out[write.channel_sku] = Refused(words)
        if not taken and any(isinstance(told, Throttled) for told in left_out.values()):
            raise RetryLaterError("who fulfils these listings has to be read again", retry_after_s=PAUSE_S)
        if not taken:
            raise RefusedError("Amazon shows none of these listings as the seller's own")
        body = feed_document(self._account, taken)
        if len(body) > BYTES_MAX:
            raise RefusedError(f"a feed of {len(body)} bytes is more than Amazon takes well")
        place = await self._place()
        await self._api.upload(place.url, body, content_type=CONTENT_TYPE)
        return FeedBegun(await self._create(place.feed_document_id), left_out)

    async def _place(self) -> _Place:
        told = {"contentType": CONTENT_TYPE}
        reply = await self._api.ask("createFeedDocument", f"{PATH}/documents", told)
        refuse("createFeedDocument", reply)
        try:
            return document_from(reply.body, _Place, what="the answer to createFeedDocument")
        except MalformedError as problem:
            raise RetryLaterError(str(problem)) from None

    async def _create(self, document_id: str) -> str:
        told = {
            "feedType": FEED_TYPE,
            # A quantity is that of the region, whichever marketplace is named.
            "marketplaceIds": [self._account.marketplace_ids[0]],
            "inputFeedDocumentId": document_id,
        }
        reply = await self._api.write("createFeed", f"{PATH}/feeds", {}, told, method="POST")
        refuse("createFeed", reply)
        try:
            return document_from(reply.body, _Begun, what="the answer to createFeed").feed_id
        except MalformedError as problem:
            raise OutcomeUnknownError(f"createFeed: {problem}") from None

    async def find(self, since: datetime) -> list[str]:
        """See `sdk.contract.WritesByFeed`. A feed tells nothing of what is in it, nor who made it."""
        query = {
            "feedTypes": FEED_TYPE,
            "pageSize": "100",
            "createdSince": parse.instant_text(since - CLOCKS_APART),
        }
        reply = await self._api.read("getFeeds", f"{PATH}/feeds", query)
        refuse("getFeeds", reply)
        return [one.feed_id for one in answer_from(reply.body, _Feeds, what="the answer to getFeeds").feeds]

    async def look(self, name: str) -> FeedReport:
        """See `sdk.contract.WritesByFeed`."""
        reply = await self._api.read("getFeed", _path("feeds", name), {})
        if reply.status == 404:
            return FeedReport(FeedState.FAILED, words="Amazon does not know this feed any more")
        refuse("getFeed", reply)
        told = answer_from(reply.body, _Feed, what="the answer to getFeed")
        if told.processing_status in _UNDER_WAY:
            return FeedReport(FeedState.UNDER_WAY, words=told.processing_status)
        if told.processing_status == "CANCELLED":
            return FeedReport(FeedState.CANCELLED, words="the feed is CANCELLED")
        if told.processing_status != "DONE" or not told.result_feed_document_id:
            return FeedReport(FeedState.FAILED, words=f"the feed is {told.processing_status}")
        return await self._result(told.result_feed_document_id)

    async def drop(self, name: str) -> None:
        """See `sdk.contract.WritesByFeed`. 400: it is being worked through already."""
        reply = await self._api.write("cancelFeed", _path("feeds", name), {}, None, method="DELETE")
        if not is_success(reply) and reply.status not in {400, 404}:
            refuse("cancelFeed", reply)

    async def _result(self, document_id: str) -> FeedReport:
        """What the report says. A feed whose report is gone, or too large, has ended all the same."""
        reply = await self._api.read("getFeedDocument", _path("documents", document_id), {})
        if not is_success(reply):
            words = f"getFeedDocument: {reply.status} {parse.error_words(reply.body)}"
            return FeedReport(FeedState.FAILED, words=f"its report is gone: {words}")
        document = answer_from(reply.body, _Document, what="the answer to getFeedDocument")
        try:
            body = await self._downloaded(document)
        except MalformedError as problem:
            return FeedReport(FeedState.FAILED, words=str(problem))
        return report_of(answer_from(body, Result, what="the report of the feed"))

    async def _downloaded(self, document: _Document) -> bytes:
        unpacked = Unpacked(is_packed=document.compression_algorithm == "GZIP")
        body = bytearray()
        async with aclosing(self._api.download(document.url)) as pieces:
            async for piece in pieces:
                for part in unpacked.take(piece):
                    body += part
                    if len(body) > REPORT_BYTES_MAX:
                        raise MalformedError(f"a report of more than {REPORT_BYTES_MAX} bytes")
        if not unpacked.is_whole:
            raise RetryLaterError(f"{DOCUMENT}: the report of the feed breaks off")
        return bytes(body)


def feed_document(account: Account, writes: Sequence[StockWrite]) -> bytes:
    """The feed that makes these listings show these units."""
    header = {
        "sellerId": account.seller_id,
        "version": "2.0",
        "issueLocale": "en_US",
        "report": {"includedData": ["issues"], "apiVersion": "2021-08-01"},
    }
    messages = [
        {
            "messageId": number,
            "sku": write.channel_sku,
            "operationType": "PATCH",
            **quantity_patch(account, write.units),
        }
        for number, write in enumerate(writes, start=1)
    ]
    return msgspec.json.encode({"header": header, "messages": messages})


def report_of(result: Result) -> FeedReport:
    """What the report says: a message without an error is accepted, which is queued, and not applied.

    Of issues that came up later it tells too: where it names another number of listings than it calls invalid, nobody
    knows which of them were refused.
    """
    refused: dict[ChannelSku, list[str]] = {}
    is_named = True
    for issue in result.issues:
        if issue.severity == "ERROR" and issue.sku:
            refused.setdefault(ChannelSku(issue.sku), []).append(_words(issue))
        elif issue.severity == "ERROR":
            is_named = False
    summary = result.summary
    is_added_up = summary.messages_accepted + summary.messages_invalid == summary.messages_processed
    is_clear = is_named and is_added_up and len(refused) == summary.messages_invalid
    named = Refused if len(refused) == summary.messages_invalid else Unknown
    return FeedReport(
        FeedState.DONE,
        outcomes={sku: named("; ".join(words)[:WORDS_LENGTH_MAX]) for sku, words in refused.items()},
        others=Accepted() if is_clear else None,
        write_count=summary.messages_processed,
        words="" if is_clear else "the report does not say of every message what came of it",
    )


def _words(issue: _Issue) -> str:
    return issue_words(issue.code, issue.message, attributes=[issue.attribute_name] if issue.attribute_name else [])


def _path(kind: str, name: str) -> str:
    return f"{PATH}/{kind}/{quote(name, safe='')}"
