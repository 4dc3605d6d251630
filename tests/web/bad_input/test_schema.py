"""What /openapi.json says holds for whatever is sent: statuses, content types, headers, the schemas of all answers.

schemathesis draws the requests: the borders of each parameter and member one by one, then mixtures of what the
description allows and of what it does not. `make schema EXAMPLES=300` draws more of them than `make test` does.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.core.failures import FailureGroup
from starlette.types import ASGIApp, Message

from flow.follower import outgoing
from oneshelf.domain.identity import Channel, Location
from oneshelf.files.exporting import EXPORTS
from oneshelf.flow import measure, plan
from oneshelf.storage import catalog
from web.bad_input.examples import (
    BERLIN,
    BUNDLE,
    COLOGNE,
    CONFLICT,
    COUNT,
    COUNT_TO_RULE,
    DRIFT,
    EXAMPLES,
    PART,
    SKU,
    Example,
)
from web.bad_input.routes import described, document
from web.bad_input.shelf import Shelf, open_shelf
from web.bad_input.test_door import TOKEN

pytestmark = [pytest.mark.pg, pytest.mark.timeout(3600), pytest.mark.long(but_one_in=5)]

# Requests drawn for each route and each kind, allowed and not.
DRAWN = int(os.environ.get("ONESHELF_SCHEMA_EXAMPLES", "3"))
# Of the borders, which are hundreds for a large body, so many are tried; all of them where many are drawn.
BORDERS_MAX = 10 if DRAWN < 50 else 100_000
ADDRESS = "http://shelf.localhost"
# What stands for the names in addresses: all of it is there.
HOLD, FILE = "0199aaaa-0000-7000-8000-000000000002", "0" * 31 + "1"
NAMES = {
    "sku": [SKU, PART], "channel": ["paper", "corner"], "channel_sku": [SKU, "drifting"],
    "task": [COUNT, COUNT_TO_RULE],
    "endpoint": ["erp"], "customer": ["acme"], "po_number": ["PO-1", "PO-2"], "drift_id": [DRIFT],
    "conflict_id": [CONFLICT], "reservation_id": [HOLD], "import_id": [FILE], "kind": list(EXPORTS),
}  # fmt: skip
WORDS = [SKU, PART, BUNDLE, BERLIN, COLOGNE, "paper", "erp", "crockery", "acme", "PO-1", COUNT, "2026-11-26T12:00:00Z"]
# Made-up texts alone would only ever meet "there is no such SKU".
CONFIG = schemathesis.Config.from_dict(
    {
        "dictionaries": {"words": {"values": WORDS}, **{name: {"values": there} for name, there in NAMES.items()}},
        "generation": {
            "deterministic": True,
            "with-security-parameters": False,
            "dictionaries": {"string": {"dictionary": "words", "probability": 0.5}},
        },
        "parameters": {f"path.{name}": {"dictionary": name, "probability": 0.8} for name in NAMES},
    }
)
SCHEMA = schemathesis.openapi.from_dict(document(), config=CONFIG)
LABELS = sorted(f"{one.method} {one.path}" for one in described())
QUESTIONS = [label for label in LABELS if label.startswith("GET ")]

T = TypeVar("T")


WHAT = ("status_code", "content_type", "response_headers", "response_schema")


@cache
def checks() -> list[CheckFunction]:
    load_all_checks()
    names = ["not_a_server_error", *(f"{what}_conformance" for what in WHAT)]
    return [cast("CheckFunction", one) for one in CHECKS.get_by_names(names)]


@dataclass(frozen=True)
class World:
    """The shelf, in an event loop of a thread of its own: what is drawn is sent by plain functions."""

    shelf: Shelf
    loop: asyncio.AbstractEventLoop

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result()

    def judge(self, case: Case[Any]) -> int:
        """Send it as an admin; the status. Raises schemathesis' own failures, with the request as a command of curl."""
        told = case.as_transport_kwargs(base_url=ADDRESS, headers={"Authorization": f"Bearer {TOKEN}"})
        request = requests.Request(**told).prepare()
        answer = self.run(answer_to(self.shelf.shop.app, request))
        case.validate_response(answer, checks=checks())
        return answer.status_code


async def answer_to(app: ASGIApp, request: requests.PreparedRequest) -> Response:
    """What the application answers. Of a stream without an end the first piece, after which the client is gone."""
    address = urlsplit(str(request.url))
    body = cast("str | bytes", request.body or b"")
    heads = [(name.lower().encode("latin-1"), _bytes(value)) for name, value in request.headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": unquote(address.path), "raw_path": address.path.encode(), "query_string": address.query.encode(),
        "root_path": "", "headers": [(b"host", address.netloc.encode()), *heads], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    coming: asyncio.Queue[Message] = asyncio.Queue()
    coming.put_nowait({"type": "http.request", "body": _bytes(body), "more_body": False})
    started: Message = {}
    pieces: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
            return
        pieces.append(message.get("body", b""))
        if pieces[-1]:
            coming.put_nowait({"type": "http.disconnect"})

    await app(scope, coming.get, send)
    headers: dict[str, list[str]] = {}
    for name, value in started["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return Response(started["status"], headers, b"".join(pieces), request, elapsed=0.0, verify=False)


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value


async def _nobody(host: str, port: int) -> list[str]:
    """Where the made-up hosts of endpoints are: nobody listens there."""
    return ["127.0.0.1"]


@asynccontextmanager
async def open_world(dsn: str) -> AsyncIterator[Shelf]:
    """A shelf on which each question of an address has an answer."""
    async with open_shelf(dsn, api_token=TOKEN) as shelf, outgoing(resolve=_nobody) as out:
        shop = shelf.shop
        shop.app.state.engine = replace(shop.app.state.engine, outgoing=out)
        async with shop.database.transaction() as tx:
            new = catalog.NewChannel(Channel("corner"), "till", Location(BERLIN), {}, {}, {}, shows_figures=False)
            await catalog.add_channel(tx, new)
        held = await shelf.hold()
        shelf.connection.execute("update reservations set reservation_id = %s where reservation_id = %s", (HOLD, held))
        answer = await shop.client.post(
            "/v1/imports?kind=skus", content="sku\nCAP\n", headers={"content-type": "text/csv"}
        )
        brought = answer.json()["import_id"]
        shelf.connection.execute("update imports set import_id = %s where import_id = %s", (FILE, brought))
        await plan.plan(shop.database)
        await measure.measure(shop.database, shop.channels)
        yield shelf


@pytest.fixture(scope="module")
def world(module_dsn: str) -> Iterator[World]:
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = stack.enter_async_context(open_world(module_dsn))
    try:
        yield World(asyncio.run_coroutine_threadsafe(opening, loop).result(), loop)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_answer_to_something_right_is_as_it_is_described(world: World, example: Example) -> None:
    filled = world.run(world.shelf.filled(example))
    operation = SCHEMA.find_operation_by_label(f"{example.method} {example.path}")
    assert operation is not None
    case = operation.Case(path_parameters=dict(filled.names), body=filled.body, media_type="application/json")
    assert world.judge(case) == 200


@pytest.mark.parametrize("label", QUESTIONS)
def test_each_question_is_answered_as_it_is_described(world: World, label: str) -> None:
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    for at in range(2):
        names = {name: there[min(at, len(there) - 1)] for name, there in NAMES.items() if f"{{{name}}}" in label}
        if "/tills/" in label:
            names["channel"] = "corner"
        if "/windows" in label or "/explain" in label:
            names["channel"] = "paper"
        assert world.judge(operation.Case(path_parameters=names)) == 200, names


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize("label", LABELS)
def test_whatever_is_asked_the_answer_is_as_it_is_described(world: World, label: str) -> None:
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    generation = SCHEMA.config.generation_for(operation=operation, phase="coverage")
    borders = list(
        SCHEMA.iter_coverage_cases(operation, generation_modes=list(GenerationMode), generation_config=generation)
    )
    for case in borders[:: max(1, len(borders) // BORDERS_MAX)]:
        if case.method == operation.method.upper():
            world.judge(case)
    for mode in GenerationMode:

        @settings(max_examples=DRAWN, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(mode))
        def drawn(case: Case[Any]) -> None:
            world.judge(case)

        # A route that takes no parameter cannot be asked for anything that it does not allow.
        with suppress(*([Unsatisfiable] if mode is GenerationMode.NEGATIVE else [])):
            drawn()


def _without_the_status(told: dict[str, Any]) -> None:
    told["responses"].pop("200")


def _of_another_type(told: dict[str, Any]) -> None:
    told["responses"]["200"]["content"] = {"text/csv": {}}


def _with_a_member_that_is_never_told(told: dict[str, Any]) -> None:
    told["responses"]["200"]["content"]["application/json"]["schema"] = {"type": "object", "required": ["colour"]}


@pytest.mark.parametrize("spoil", [_without_the_status, _of_another_type, _with_a_member_that_is_never_told])
def test_a_description_that_is_not_kept_is_found(world: World, spoil: Callable[[dict[str, Any]], None]) -> None:
    spoilt = copy.deepcopy(document())
    spoil(spoilt["paths"]["/v1/skus"]["get"])
    operation = schemathesis.openapi.from_dict(spoilt, config=CONFIG).find_operation_by_label("GET /v1/skus")
    assert operation is not None
    with pytest.raises(FailureGroup):
        world.judge(operation.Case())
