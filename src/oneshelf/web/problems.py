"""Errors as HTTP tells them: `application/problem+json` (RFC 9457), made here and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oneshelf.domain.identity import printable
from oneshelf.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    MalformedError,
    OneshelfError,
    OverloadedError,
    StillPostingError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
COMPLAINTS_MAX = 3
COMPLAINT_LENGTH_MAX = 150
NAME_SHOWN_MAX = 40


class Problem(BaseModel):
    """What went wrong. `detail` says what, which, the numbers and the way out; a refusal brings its `figures`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


_SAID = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# For the `responses` of routes that can refuse. Given as a `model`, it would be told to come as application/json too.
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused; nothing was changed.", "content": _SAID},
    503: {"description": "Not now; try again.", "content": _SAID},
}


class ProblemError(OneshelfError):
    """This request is refused. `kind` is a word for programs; without one the status says it all."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class UnreadableError(ProblemError):
    """The request cannot be read at all: 400."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail, kind="unreadable")


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "",
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as an answer."""
    document = {
        "type": f"urn:oneshelf:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(members or {}),
    }
    return JSONResponse(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every expected failure with a problem."""
    for kind, handler in _ANSWERS.items():
        app.add_exception_handler(kind, handler)


async def answer_to(request: Request, failure: Exception) -> Response | None:
    """The problem that tells of an expected failure; None for any other."""
    for kind in type(failure).__mro__:
        if handler := _ANSWERS.get(kind):
            return await handler(request, failure)
    return None


async def _refused(_request: Request, failure: Exception) -> Response:
    refusal = cast(ProblemError, failure)
    return problem(refusal.status, str(refusal), kind=refusal.kind, members=refusal.members, headers=refusal.headers)


async def _malformed(_request: Request, failure: Exception) -> Response:
    return problem(422, str(failure), kind="unacceptable")


async def _unavailable(_request: Request, _failure: Exception) -> Response:
    return problem(
        503,
        "the database does not answer now; try again, a command with the same key",
        kind="unavailable",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _overloaded(_request: Request, failure: Exception) -> Response:
    return problem(503, str(failure), kind="overloaded", headers={"Retry-After": str(RETRY_AFTER_S)})


async def _still_posting(_request: Request, failure: Exception) -> Response:
    return problem(409, str(failure), kind="still-posting", headers={"Retry-After": str(RETRY_AFTER_S)})


async def _invalid(_request: Request, failure: Exception) -> Response:
    return problem(422, in_words(cast(RequestValidationError, failure).errors()), kind="unacceptable")


async def nothing_here(_request: Request, failure: Exception) -> Response:
    """The problem of an address that is none, or is not asked so."""
    answer = cast(HTTPException, failure)
    detail = answer.detail
    if answer.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address; /openapi.json names all there is"
    elif answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (answer.headers or {}).get("Allow", "another method")
        detail = f"this address takes {allowed}; /openapi.json says what for"
    return problem(answer.status_code, detail, headers=answer.headers)


_ANSWERS: dict[type, Callable[[Request, Exception], Awaitable[Response]]] = {
    ProblemError: _refused,
    MalformedError: _malformed,
    DatabaseUnavailableError: _unavailable,
    DatabaseRefusedError: _malformed,
    OverloadedError: _overloaded,
    StillPostingError: _still_posting,
    RequestValidationError: _invalid,
    HTTPException: nothing_here,
}


def in_words(errors: Sequence[Any], *, where: str = "") -> str:
    """The first complaints of pydantic as one sentence each, without the values that were sent.

    Names of members come from outside too, so they are cut and made printable.
    """
    said = [f"{where}{_place(error)}{_complaint(error)}" for error in errors[:COMPLAINTS_MAX]]
    if len(errors) > COMPLAINTS_MAX:
        said.append(f"and {len(errors) - COMPLAINTS_MAX} more")
    return "; ".join(said)


def _place(error: Any) -> str:
    path = ".".join(printable(str(part), length_max=NAME_SHOWN_MAX) for part in error["loc"])
    return f"{path}: " if path else ""


def _complaint(error: Any) -> str:
    if error["type"] == "union_tag_invalid":
        # Pydantic's own words tell the value again.
        return f"{error['ctx']['discriminator']} must be one of {error['ctx']['expected_tags']}"
    # A refusal of our own comes with a word of pydantic's before it.
    return printable(error["msg"].removeprefix("Value error, "), length_max=COMPLAINT_LENGTH_MAX)
