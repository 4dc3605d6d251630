"""All routes of the application, as it says itself: what it describes in /openapi.json, and what it only serves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from oneshelf.clock import SystemClock
from oneshelf.storage.database import Database
from oneshelf.web.server import create_app
from oneshelf.workers.poster import Poster
from web.bad_input.examples import Example

WRITING = ("POST", "PUT", "PATCH", "DELETE")


class Operation(NamedTuple):
    """One method of one address. `described` is its part of /openapi.json; empty for what is only served."""

    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of its body."""
        content = self.described.get("requestBody", {}).get("content", {})
        return cast("dict[str, Any] | None", content.get("application/json", {}).get("schema"))

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self.described.get("parameters", []))

    @property
    def takes_file(self) -> bool:
        return "text/csv" in self.described.get("requestBody", {}).get("content", {})

    @property
    def takes_key(self) -> bool:
        return any(one["name"] == "Idempotency-Key" for one in self.parameters)


@cache
def application() -> FastAPI:
    """The application as it is built, to be asked for its routes; no request reaches it."""
    database = cast(Database, None)
    post = Poster(database, SystemClock().new_id).post
    return create_app(database=database, channels={}, clock=SystemClock(), wake=lambda _steps: None, post=post)


def document() -> dict[str, Any]:
    """What /openapi.json says."""
    return application().openapi()


def described() -> list[Operation]:
    return [
        Operation(method.upper(), path, told)
        for path, methods in document()["paths"].items()
        for method, told in methods.items()
    ]


def only_served() -> list[Operation]:
    """The routes beside the API: webhooks, pages, what machines ask."""
    return [
        Operation(method, route.path.replace(":path}", "}"), {})
        for route in application().routes
        if isinstance(route, Route) and not isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def operations() -> list[Operation]:
    return [*described(), *only_served()]


# Their address says it all. Done twice they do no more than once, but a test is sent again, and a secret is made anew.
NOTHING_TO_SAY = {
    ("POST", "/v1/imports/{import_id}/stop"),
    ("DELETE", "/v1/kits/{sku}"),
    ("DELETE", "/v1/endpoints/{endpoint}"),
    ("POST", "/v1/endpoints/{endpoint}/pause"),
    ("POST", "/v1/endpoints/{endpoint}/resume"),
    ("POST", "/v1/endpoints/{endpoint}/rotate"),
    ("POST", "/v1/endpoints/{endpoint}/test"),
}


def writing() -> list[Operation]:
    """The routes that change something and say what they want. Files are tried in tests/files/test_damaged.py."""
    written = [one for one in described() if one.method in WRITING and not one.takes_file]
    return [one for one in written if (one.method, one.path) not in NOTHING_TO_SAY]


@cache
def _bodies() -> dict[tuple[str, str], dict[str, Any] | None]:
    return {(one.method, one.path): one.body for one in writing()}


def body_of(example: Example) -> dict[str, Any]:
    """The schema of the body that the route of an example takes."""
    body = _bodies()[example.route]
    assert body is not None, f"{example} does not say in /openapi.json what its body is"
    return body


def undescribed() -> Iterator[str]:
    """Routes that neither /openapi.json nor `only_served` can tell of."""
    told = {(one.method, one.path) for one in operations()}
    for route in application().routes:
        if isinstance(route, Route | Mount):
            continue
        router = getattr(route, "original_router", None)
        if not isinstance(router, APIRouter):
            yield f"{type(route).__name__}: no route that these tests can read"
            continue
        for one in router.routes:
            path = getattr(one, "path", "?").replace(":path}", "}")
            yield from (
                f"{method} {path}" for method in getattr(one, "methods", None) or ("?",) if (method, path) not in told
            )
