"""The whole stock from one file: a bulk operation writes it, beside the budget of calls, and we read it line by line.

https://shopify.dev/docs/api/usage/bulk-operations/queries (checked 2026-11-23): since 2026-01 an app may have five
operations at once in a shop; one has to be over in ten days; its file is kept for seven. No frozen state of the shop is
promised. So what is in a file is true of some instant since it was begun, and what is not in it proves nothing.

The query of an operation is kept by Shopify; recordings of a real shop (2026-04, April to July 2026) tell it with its
comments. Ours begins with the instant at which it was asked for, so that a process that died with an operation under
way leaves all that the next one needs. Where a comment is not kept, another operation is begun.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from oneshelf.connectors.shopify.answers import Variant, user_errors_from, variant_from
from oneshelf.connectors.shopify.documents import CANCEL_BULK, FIND_BULK, READ_BULK, RUN_BULK, bulk_variants
from oneshelf.connectors.shopify.graphql import FILE, ShopifyApi
from oneshelf.connectors.shopify.json_reading import a_list, a_text, an_object, decoded, gid, part, sortable_instant
from oneshelf.errors import MalformedError
from oneshelf.sdk.address import may_download
from oneshelf.sdk.decoding import an_instant
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.lines import Lines
from oneshelf.sdk.message import FileState, StockFile, StockReading

READINGS_AT_ONCE = 500

_ASKED_AT = re.compile(r"\s*# oneshelf asked at ([0-9T:.Z+-]+)\n(.*)", re.S | re.ASCII)
_UNDER_WAY = frozenset({"CREATED", "RUNNING"})
_TRY_LATER = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})

Remember = Callable[[Iterable[Variant]], None]


class BulkReader:
    """Bulk operations that read all variants at one location."""

    def __init__(self, api: ShopifyApi, *, location: str, remember: Remember) -> None:
        self._api = api
        self._location = location
        self._remember = remember
        self._query = bulk_variants(gid("Location", location))

    async def begin(self, *, asked_at: datetime, since: datetime | None) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        try:
            return await self._found(since) or await self._run(asked_at)
        except ReauthenticateError as refusal:
            if refusal.status:
                raise
            # The shop let us in, and has something against bulk operations: pages need other rights, or fail as well.
            raise RefusedError(str(refusal)) from None

    async def _found(self, since: datetime | None) -> StockFile | None:
        """Ours that is under way, or was asked for later than `since` and is written."""
        answer = await self._api.read(FIND_BULK, {})
        try:
            listed = an_object(part(answer, "bulkOperations", "answer"), "bulkOperations")
            for node in a_list(part(listed, "nodes", "bulkOperations"), "operations"):
                operation = an_object(node, "operation")
                told = _ASKED_AT.fullmatch(str(operation.get("query")))
                if told is None or told[2] != self._query:
                    continue
                asked_at, status = an_instant(told[1], "asked at"), operation.get("status")
                is_written = status == "COMPLETED" and since is not None and asked_at > since
                if status in _UNDER_WAY or is_written:
                    name = a_text(part(operation, "id", "operation"), "id")
                    return StockFile(name, FileState.WRITING, asked_at)
        except MalformedError as problem:
            raise RetryLaterError(f"the operations of this shop cannot be read: {problem}") from None
        return None

    async def _run(self, asked_at: datetime) -> StockFile:
        query = f"# oneshelf asked at {sortable_instant(asked_at)}\n{self._query}"
        answer = await self._api.write(RUN_BULK, {"query": query})
        errors = user_errors_from(answer, "bulkOperationRunQuery")
        words = "; ".join(error.words for error in errors)
        if any(error.code in _TRY_LATER for error in errors):
            return StockFile("", FileState.BUSY, asked_at, words=words)
        if errors:
            raise RefusedError(f"Shopify runs no bulk operation for us: {words}")
        try:
            operation = _operation_in(an_object(part(answer, "bulkOperationRunQuery", "answer"), "payload"))
            return StockFile(a_text(part(operation, "id", "operation"), "id"), FileState.WRITING, asked_at)
        except MalformedError as problem:
            raise OutcomeUnknownError(f"bulkOperationRunQuery: {problem}") from None

    async def look(self, file: StockFile) -> StockFile:
        """See `sdk.contract.WritesStockFile`."""
        answer = await self._api.read(READ_BULK, {"id": file.name})
        try:
            if part(answer, "bulkOperation", "answer") is None:
                return replace(file, state=FileState.GONE, words="the shop does not know this operation any more")
            operation = _operation_in(answer)
            return _file_of(operation, file, is_safe=self._is_safe)
        except MalformedError as problem:
            raise RetryLaterError(f"the operation cannot be read: {problem}") from None

    def _is_safe(self, address: str) -> bool:
        return may_download(address, is_on_this_machine=self._api.is_on_this_machine)

    async def drop(self, file: StockFile) -> None:
        """See `sdk.contract.WritesStockFile`. One that is over already is told in an error, and is as good."""
        await self._api.write(CANCEL_BULK, {"id": file.name})

    async def read(self, file: StockFile, *, after: int) -> AsyncGenerator[Sequence[StockReading]]:
        """See `sdk.contract.WritesStockFile`."""
        lines, count = Lines(), 0
        async with aclosing(self._api.file(file.address)) as pieces:
            async for piece in pieces:
                found = lines.take(piece)
                fresh = found[max(0, after - count) :]
                count += len(found)
                for start in range(0, len(fresh), READINGS_AT_ONCE):
                    yield self._readings(fresh[start : start + READINGS_AT_ONCE])
        if lines.rest:
            raise RetryLaterError(f"{FILE}: the file ends within line {count + 1}")

    def _readings(self, lines: Sequence[bytes]) -> tuple[StockReading, ...]:
        variants = [variant_in(line, location=self._location) for line in lines]
        self._remember(variants)
        return tuple(variant.reading for variant in variants)


def variant_in(line: bytes, *, location: str) -> Variant:
    """The variant in one line. Raises MalformedError where it is none."""
    return variant_from(decoded(line), location)


def _operation_in(parent: Mapping[str, object]) -> Mapping[str, object]:
    return an_object(part(parent, "bulkOperation", "answer"), "bulkOperation")


def _file_of(operation: Mapping[str, object], file: StockFile, *, is_safe: Callable[[str], bool]) -> StockFile:
    """How far it is. Counts are told as text, since they may be beyond what a program takes for a number."""
    status, error = str(operation.get("status")), operation.get("errorCode")
    if status in _UNDER_WAY:
        return replace(file, state=FileState.WRITING)
    url = operation.get("url") if status == "COMPLETED" else operation.get("partialDataUrl")
    count = str(part(operation, "rootObjectCount", "operation"))
    if not count.isdecimal():
        raise MalformedError(f"rootObjectCount is {count[:40]!r}")
    if status == "EXPIRED" or (status == "COMPLETED" and not url and int(count)):
        return replace(file, state=FileState.GONE, words="the file is not kept any more")
    words = "" if status == "COMPLETED" else f"the operation is {status}{f' ({error})' if error else ''}"
    if not isinstance(url, str) or not url:
        return replace(file, state=FileState.FAILED, words=words or "the operation found no variant")
    if not is_safe(url):
        return replace(file, state=FileState.FAILED, words="the address of the file is not https")
    state = FileState.READY if status == "COMPLETED" else FileState.PARTIAL
    return replace(file, state=state, reading_count=int(count), address=url, words=words)
