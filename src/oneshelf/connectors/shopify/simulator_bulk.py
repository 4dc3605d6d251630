"""Bulk operations of the simulated shop: a query that runs on its own, and the file that it writes.

Facts: https://shopify.dev/docs/api/usage/bulk-operations/queries (checked 2026-11-23), and recordings of a real shop.
At most five run at once; a file is kept for seven days. How fast one runs is published nowhere: the pace here is ours.
Nothing is frozen while one runs: it writes each object as that is when its turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from oneshelf.connectors.shopify.simulator_bulk_query import RefusedQueryError, checked, lines_of
from oneshelf.connectors.shopify.simulator_operation import UNDER_WAY, Operation
from oneshelf.connectors.shopify.simulator_payloads import a_page, item_node, stamp, variant_node
from oneshelf.sdk.pieces import pieces_of

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator

FAULTS = ("bulk_busy", "bulk_denied", "bulk_failed", "bulk_misses", "bulk_url_expired", "bulk_truncated")
AT_ONCE_MOST = 5
KEPT_S = 7 * 86_400.0
ROOTS_PER_S = 500
_BEGINS_AFTER_S = 1.0
_STEP_S = 1.0
FILE_PATH = "/_files/bulk/{token}.jsonl"

_EXPIRED = (
    "<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code>"
    "<Message>The provided token has expired.</Message></Error>"
)


class BulkOperations:
    """All operations that were ever begun. `address`: where this shop was reached last, and so where its files are."""

    def __init__(self, simulator: ShopifySimulator) -> None:
        self._simulator = simulator
        self.all: dict[str, Operation] = {}
        self.address = "http://127.0.0.1"

    # The Admin API -------------------------------------------------------------------------------------------

    def by_id(self, _info: object, id: str) -> dict[str, Any] | None:
        found = self.all.get(id)
        return self._node(found) if found else None

    def listed(self, _info: object, first: int = 50, after: str | None = None, **_rest: object) -> dict[str, Any]:
        """The newest first."""
        ranked = [(str(one.number), one) for one in reversed(self.all.values())]
        rest = [entry for entry in ranked if after is None or int(entry[0]) < int(after)]
        return a_page(rest, first, self._node)

    def changed(self, root: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of a mutation of bulk operations."""
        return self._run(asked) if root == "bulkOperationRunQuery" else self._cancel(asked)

    def _run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        simulator = self._simulator
        try:
            document = checked(asked["query"])
        except RefusedQueryError as refused:
            return _refused(*({"code": "INVALID", "field": ["query"], "message": words} for words in refused.words))
        for one in self.all.values():
            if simulator.clock.monotonic() >= one.expires_at:
                one.written.clear()
        running = [one.id for one in self.all.values() if one.status in UNDER_WAY]
        if len(running) >= AT_ONCE_MOST or simulator.switches.strikes("bulk_busy"):
            listed = ", ".join(running) or "gid://shopify/BulkOperation/1"
            words = f"A bulk query operation for this app and shop is already in progress: {listed}."
            return _refused({"code": "OPERATION_IN_PROGRESS", "field": None, "message": words})
        token = str(UUID(int=simulator.chance.getrandbits(128), version=4))
        number = 7_689_772_990_001 + len(self.all)
        operation = Operation(number, asked["query"], document, simulator.channel_now(), token)
        if simulator.switches.strikes("bulk_failed"):
            count = len(simulator.shop.articles)
            operation.fails_at = simulator.chance.randrange(count // 4, max(1, count * 3 // 4) + 1)
        self.all[operation.id] = operation
        simulator.after(_BEGINS_AFTER_S, partial(self._begin, operation))
        return {"bulkOperation": self._node(operation), "userErrors": []}

    def _cancel(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Recorded of the Admin API 2026-04: one that is over is told beside the error."""
        operation = self.all.get(asked["id"])
        if operation is None:
            error = {"field": ["id"], "message": "Bulk operation does not exist"}
            return {"bulkOperation": None, "userErrors": [error]}
        if operation.status not in UNDER_WAY:
            words = f"A bulk operation cannot be canceled when it is {operation.status.lower()}"
            return {"bulkOperation": self._node(operation), "userErrors": [{"field": None, "message": words}]}
        operation.status = "CANCELING"
        return {"bulkOperation": self._node(operation), "userErrors": []}

    def _node(self, operation: Operation) -> dict[str, Any]:
        if operation.status == "COMPLETED" and self._simulator.clock.monotonic() >= operation.expires_at:
            operation.status = "EXPIRED"
        return operation.node(self.address.rstrip("/") + FILE_PATH.replace("{token}", operation.token))

    # Its time ------------------------------------------------------------------------------------------------

    async def _begin(self, operation: Operation) -> None:
        if operation.status == "CREATED":
            operation.status = "RUNNING"
        self._go_on(operation)

    def _go_on(self, operation: Operation) -> None:
        self._simulator.after(_STEP_S, partial(self._step, operation))

    async def _step(self, operation: Operation) -> None:
        """Write what comes next, as it is now."""
        if operation.status == "CANCELING":
            return self._end(operation, "CANCELED")
        if self._simulator.switches.strikes("bulk_denied"):
            operation.written.clear()
            return self._end(operation, "FAILED", error="ACCESS_DENIED")
        end = operation.place + round(ROOTS_PER_S * _STEP_S)
        fails_at = operation.fails_at
        self._write(operation, end if fails_at is None else min(end, fails_at))
        if fails_at is not None and operation.place >= fails_at:
            return self._end(operation, "FAILED", error="INTERNAL_SERVER_ERROR")
        if operation.place >= len(self._simulator.shop.articles):
            return self._end(operation, "COMPLETED")
        return self._go_on(operation)

    def _write(self, operation: Operation, end: int) -> None:
        articles = self._simulator.shop.articles[operation.place : end]
        there = [one for one in articles if not one.is_deleted and not self._simulator.switches.strikes("bulk_misses")]
        roots = {
            "productVariants": lambda _info, **_asked: {"edges": [{"node": variant_node(one)} for one in there]},
            "inventoryItems": lambda _info, **_asked: {"edges": [{"node": item_node(one)} for one in there]},
        }
        for lines in lines_of(operation.document, roots):
            operation.root_count += 1
            operation.object_count += len(lines)
            operation.written += b"".join(lines)
        operation.place = max(operation.place, min(end, len(self._simulator.shop.articles)))

    def _end(self, operation: Operation, status: str, *, error: str | None = None) -> None:
        simulator = self._simulator
        operation.status, operation.error = status, error
        # "When the bulk operation was successfully completed", says the schema; a failed one has none.
        operation.completed_at = simulator.channel_now() if status == "COMPLETED" else None
        operation.expires_at = simulator.clock.monotonic() + KEPT_S / simulator.speed
        payload = {
            "admin_graphql_api_id": operation.id,
            "completed_at": stamp(operation.completed_at) if operation.completed_at else None,
            "created_at": stamp(operation.created_at),
            "error_code": error.lower() if error else None,
            "status": status.lower(),
            "type": "query",
        }
        simulator.webhooks.send("bulk_operations/finish", payload, event_id=simulator.webhooks.new_event())

    # The file ------------------------------------------------------------------------------------------------

    async def file(self, request: Request) -> Response:
        """The lines that were written. No token of the shop is asked for: whoever knows the address may read it."""
        token = request.path_params["token"]
        operation = next((one for one in self.all.values() if one.token == token), None)
        simulator = self._simulator
        if operation is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", status_code=404, media_type="application/xml")
        if simulator.clock.monotonic() >= operation.expires_at or simulator.switches.strikes("bulk_url_expired"):
            return Response(_EXPIRED, status_code=400, media_type="application/xml")
        written = bytes(operation.written)
        if written and simulator.switches.strikes("bulk_truncated"):
            written = written[: simulator.chance.randrange(len(written) // 4, len(written))]
        length = {"Content-Length": str(len(written))}
        return StreamingResponse(pieces_of(written), media_type="application/jsonl", headers=length)


def _refused(*errors: Mapping[str, Any]) -> dict[str, Any]:
    return {"bulkOperation": None, "userErrors": list(errors)}
