"""Calls to Square: the token and the version on each, one renewal where the token is rejected, and Square's errors.

Square documents no limits of calls, only that there are some (RATE_LIMITED, status 429), so we keep a pace of our own
(https://developer.squareup.com/docs/build-basics/general-considerations/handling-errors; "Square does have rate limits
but we don't document the limits", https://developer.squareup.com/forums/t/3338, where six calls in a second were too
many for one endpoint; checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from oneshelf import __version__
from oneshelf.connectors.square.account import Account
from oneshelf.connectors.square.documents import Error, Errors, read_as
from oneshelf.domain.charge import Charge
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.tokens import FixedToken, Tokens, called_with_token

CALLS = "square.calls"
LIMITS = (Limit(CALLS, rate_per_s=5.0, burst=20),)
# What a call leaves in the bucket: orders always find some, and a cut finds enough however much is read.
_LEAVES = {"orders": 0.0, "write": 2.0, "read": 6.0}
VERSION_HEADER = "square-version"
BACK_OFF_S = 2.0
# Codes that say of a request that it was not carried out now, whatever the status.
_LATER = frozenset({"RATE_LIMITED", "SERVICE_UNAVAILABLE", "TEMPORARY_ERROR", "CONFLICT"})

Document = TypeVar("Document")


class NoSuchThingError(RefusedError):
    """Square knows nothing under this name."""


class SquareApi:
    """One seller's API. Its `repr` shows no token."""

    def __init__(self, account: Account, *, http: ChannelHttp, tokens: Tokens | FixedToken) -> None:
        self.account = account
        self._http = http
        self._tokens = tokens
        # The version that answered last.
        self.answered_version = ""

    @property
    def clock_ahead_s(self) -> float:
        """How far Square's clock is ahead of ours, as far as its answers tell; below zero: behind."""
        return self._http.clock_ahead_s or 0.0

    async def read(
        self,
        kind: type[Document],
        method: str,
        path: str,
        asked: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        leaves: str = "read",
    ) -> Document:
        """The answer to a call that changes nothing, as a `kind`.

        Raises RetryLaterError (also where nobody can read the answer), ReauthenticateError, RefusedError.
        """
        reply = await self._called(self._http.read, method, path, asked, params=params, leaves=leaves)
        try:
            return self._answer(reply, kind, path)
        except MalformedError as problem:
            raise RetryLaterError(f"{path}: {problem}") from None

    async def write(self, kind: type[Document], path: str, asked: Mapping[str, object]) -> Document:
        """The answer to a call that may change something. Raises as `read`, and OutcomeUnknownError."""
        reply = await self._called(self._http.write, "POST", path, asked, params=None, leaves="write")
        try:
            return self._answer(reply, kind, path)
        except MalformedError as problem:
            raise OutcomeUnknownError(f"{path}: {problem}") from None

    async def _called(
        self,
        call: Callable[..., Awaitable[Reply]],
        method: str,
        path: str,
        asked: Mapping[str, object] | None,
        *,
        params: Mapping[str, str] | None,
        leaves: str,
    ) -> Reply:
        request: dict[str, Any] = {"params": params} if params else {}
        if asked is not None:
            request["content"] = msgspec.json.encode(asked)

        async def call_with(token: str) -> Reply:
            headers = {
                "Authorization": f"Bearer {token}",
                "Square-Version": self.account.api_version,
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": f"oneshelf/{__version__}",
            }
            url = f"{self.account.base_url}{path}"
            return await call(path, method, url, charge=Charge(CALLS, 1.0, _LEAVES[leaves]), headers=headers, **request)

        # 403 is about a right that we lack, and no other token has it.
        return await called_with_token(self._tokens, call_with, is_about_token=lambda refusal: refusal.status == 401)

    def _answer(self, reply: Reply, kind: type[Document], path: str) -> Document:
        """Raises MalformedError where no such document is in it, and what an answer of errors means."""
        if reply.status == 408:
            raise (OutcomeUnknownError if reply.is_write else RetryLaterError)(f"{path}: 408 {reply.words()}")
        if reply.status != 200:
            raise _fault(path, reply.status, _errors(reply), reply.words())
        # Square leaves out what is empty, so `{}` may be an empty list: "Successful API responses include the
        # Square-Version header" (https://developer.squareup.com/docs/build-basics/versioning-overview, checked
        # 2026-11-26). Without it, it was not Square that answered.
        if not reply.headers.get(VERSION_HEADER):
            raise MalformedError("the answer lacks Square's own header, so it is not Square's")
        self.answered_version = reply.headers[VERSION_HEADER]
        if errors := _errors(reply):
            raise _fault(path, reply.status, errors, "")
        return read_as(reply.body, kind, f"the answer to {path}")


def _errors(reply: Reply) -> list[Error]:
    try:
        return read_as(reply.body, Errors, "the answer").errors or []
    except MalformedError:
        if reply.status == 200:
            raise
        return []


def _fault(path: str, status: int, errors: list[Error], words: str) -> RefusedError | RetryLaterError:
    said = "; ".join(error.words for error in errors)[:300] or words
    codes = {error.code for error in errors}
    if any(error.category == "AUTHENTICATION_ERROR" for error in errors):
        raise ReauthenticateError(f"{path}: {status} {said}", status=status)
    if codes & _LATER:
        return RetryLaterError(f"{path}: {status} {said}", retry_after_s=BACK_OFF_S)
    if status == 404:
        return NoSuchThingError(f"{path}: 404 {said}")
    return RefusedError(f"{path}: {status} {said}")
