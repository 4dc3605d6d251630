"""The one HTTP client through which a connector calls its channel.

One attempt per call, always with a deadline, never inside a database transaction. Every transport failure and
every status that means the same at all channels is mapped to a fault; the rest is the connector's to read.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2

from oneshelf.clock import Clock
from oneshelf.domain.charge import Charge
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import (
    BudgetSpentError,
    MisconfiguredError,
    OutcomeUnknownError,
    ReauthenticateError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.limits import Limiter
from oneshelf.telemetry import is_inside_transaction

# A token that is free within this time is waited for; a longer wait is given back to the caller as a fault.
PATIENCE_S = 2.0
WORDS_LENGTH_MAX = 300
# A channel that asks for more than this is asked again all the same.
RETRY_AFTER_S_MAX = 3600.0

_SECRET_NAMES = re.compile("auth|token|secret|key|cookie|client_id", re.IGNORECASE)
_SECRET_LENGTH_MIN = 4
_send_before: ContextVar[float | None] = ContextVar("send_before", default=None)


@contextmanager
def sending_before(instant: float) -> Iterator[None]:
    """Let no call of this task leave after this monotonic instant: whoever held the work then holds it no longer.

    A process that was stopped in between wakes up with its decision made and its lease gone to another.
    """
    mark = _send_before.set(instant)
    try:
        yield
    finally:
        _send_before.reset(mark)


@dataclass(frozen=True, slots=True)
class Reply:
    """A channel's answer. Header names are in lower case. `secrets` were sent, and are not repeated in `words`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_write: bool
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def document(self) -> Any:
        """The JSON in the body. Not JSON means that some machine in between answered: the outcome is unknown."""
        try:
            return document_from(self.body, object, what="the answer")
        except MalformedError:
            words = f"answered {self.status} with something that is not JSON: {self.words()}"
            raise no_answer(words, is_write=self.is_write) from None

    def words(self) -> str:
        """The beginning of the body, for an error message. A secret that the channel echoes is left out."""
        words = self.body.decode("utf-8", "replace")
        for secret in self.secrets:
            words = words.replace(secret, "[redacted]")
        return words[:WORDS_LENGTH_MAX]


class ChannelHttp:
    """HTTP to one channel. `deadline_s` bounds each call from the first byte to the last."""

    def __init__(self, client: httpx2.AsyncClient, *, clock: Clock, limiter: Limiter, deadline_s: float = 20.0) -> None:
        self._client = client
        self._clock = clock
        self.limiter = limiter
        self._deadline_s = deadline_s
        # How far the channel's clock was ahead of ours at its newest answer, as far as whole seconds tell; None: it
        # does not say.
        self.clock_ahead_s: float | None = None

    async def read(
        self, operation: str, method: str, url: str, *, charge: Charge | None = None, **request: Any
    ) -> Reply:
        """A call that changes nothing at the channel. `request`: headers, params, json, content, data.

        `charge`: what it takes of which budget; by default one token of that of its operation.

        Raises RetryLaterError, ReauthenticateError.
        """
        return await self._call(operation, method, url, charge, is_write=False, **request)

    async def write(
        self, operation: str, method: str, url: str, *, charge: Charge | None = None, **request: Any
    ) -> Reply:
        """A call that may change something at the channel; after it was sent, no answer means *unknown*.

        Raises RetryLaterError (certainly not done), ReauthenticateError, OutcomeUnknownError.
        """
        return await self._call(operation, method, url, charge, is_write=True, **request)

    async def _call(
        self, operation: str, method: str, url: str, charge: Charge | None, *, is_write: bool, **request: Any
    ) -> Reply:
        invariant(not is_inside_transaction(), f"{operation} would call a channel inside a transaction")
        await self._take(operation, charge or Charge(operation))
        send_before = _send_before.get()
        if send_before is not None and self._clock.monotonic() > send_before:
            raise RetryLaterError(f"{operation}: its time was over before it could be sent")
        # The client's own timeouts bound each part; half for the connection, so that not reached is told as such.
        asked_at = self._clock.now()
        parts = httpx2.Timeout(self._deadline_s, connect=self._deadline_s / 2, pool=self._deadline_s / 2)
        try:
            async with asyncio.timeout(self._deadline_s):
                response = await self._client.request(method, url, timeout=parts, **request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as failure:
            raise RetryLaterError(f"{operation}: not reached ({type(failure).__name__})") from failure
        except (httpx2.InvalidURL, UnicodeError):
            raise MisconfiguredError(f"{operation}: the channel's address cannot be used; set it right") from None
        except (httpx2.RequestError, TimeoutError) as failure:
            words = f"{operation}: no answer ({type(failure).__name__})"
            # Not chained: the text of a protocol error quotes the header that could not be sent.
            raise no_answer(words, is_write=is_write) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.clock_ahead_s = _ahead_s(headers.get("date", ""), asked_at=asked_at, answered_at=self._clock.now())
        reply = Reply(
            status=response.status_code,
            headers=headers,
            body=response.content,
            is_write=is_write,
            secrets=_secrets(request),
        )
        _raise_for_status(operation, reply)
        return reply

    async def download(
        self,
        operation: str,
        url: str,
        *,
        told: Callable[[Mapping[str, str]], None] | None = None,
        headers: Mapping[str, str] | None = None,
        charge: Charge | None = None,
    ) -> AsyncGenerator[bytes]:
        """A file, piece by piece and never all of it in memory.

        `told`: gets the headers of the answer, with names in lower case, before the first piece. `headers`: who asks;
        None: whoever knows its address may read it. `charge`: as for `read`.

        The deadline bounds the wait for each piece. No fault repeats the address, which lets anybody in. Raises
        RetryLaterError (not reached, broken off, 429, 5xx), ReauthenticateError (401 to somebody who said who it is),
        RefusedError (any other answer: it is not there any more) and MisconfiguredError (no such address).
        """
        invariant(not is_inside_transaction(), f"{operation} would call a channel inside a transaction")
        await self._take(operation, charge or Charge(operation))
        parts = httpx2.Timeout(self._deadline_s, connect=self._deadline_s / 2, pool=self._deadline_s / 2)
        try:
            async with self._client.stream("GET", url, timeout=parts, headers=headers) as response:
                if response.status_code == 429 or response.status_code >= 500:
                    raise RetryLaterError(f"{operation}: {response.status_code}")
                if response.status_code == 401 and headers is not None:
                    raise ReauthenticateError(f"{operation}: 401", status=401)
                if response.status_code != 200:
                    raise RefusedError(f"{operation}: {response.status_code}, the file is not there any more")
                if told is not None:
                    told({name.lower(): value for name, value in response.headers.items()})
                async for piece in response.aiter_bytes():
                    yield piece
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError):
            raise MisconfiguredError(f"{operation}: the address of the file cannot be used") from None
        except httpx2.RequestError as failure:
            # Not chained: its text may have the address.
            raise RetryLaterError(f"{operation}: broken off ({type(failure).__name__})") from None

    async def _take(self, operation: str, charge: Charge) -> None:
        wait_s = await self.limiter.take(charge)
        while 0 < wait_s <= PATIENCE_S:
            await self._clock.sleep(wait_s)
            wait_s = await self.limiter.take(charge)
        if wait_s > 0:
            raise BudgetSpentError(f"{operation}: the channel's budget is used up", retry_after_s=wait_s)


def _ahead_s(date: str, *, asked_at: datetime, answered_at: datetime) -> float | None:
    """How far ahead of ours a clock is that showed `date` between these two instants, at the least; None: no date.

    A date is cut to whole seconds, so within that second and the time of the call no difference can be told.
    """
    try:
        shown_at = parsedate_to_datetime(date)
    except ValueError:
        return None
    if shown_at.tzinfo is None:
        return None
    ahead = max(shown_at - answered_at, timedelta()) - max(asked_at - shown_at - timedelta(seconds=1), timedelta())
    return ahead.total_seconds()


def _secrets(request: Mapping[str, Any]) -> tuple[str, ...]:
    """What must not be repeated of a request's headers and form, with and without a scheme such as `Bearer`."""
    form = request.get("data") or {}
    named = [*httpx2.Headers(request.get("headers")).items(), *(form.items() if isinstance(form, Mapping) else ())]
    values = [str(value) for name, value in named if _SECRET_NAMES.search(name)]
    parts = [*values, *(value.rpartition(" ")[2] for value in values), *map(quote, values), *map(quote_plus, values)]
    return tuple(dict.fromkeys(part for part in parts if len(part) >= _SECRET_LENGTH_MIN))


def no_answer(words: str, *, is_write: bool) -> OutcomeUnknownError | RetryLaterError:
    """What is to be done about a call whose answer is none: read back what may be done, ask again for the rest."""
    return OutcomeUnknownError(words) if is_write else RetryLaterError(words)


def _raise_for_status(operation: str, reply: Reply) -> None:
    words = f"{operation}: {reply.status} {reply.words()}"
    if reply.status == 429:
        raise RetryLaterError(words, retry_after_s=_retry_after_s(reply))
    if reply.status in {401, 403}:
        raise ReauthenticateError(words, status=reply.status)
    if reply.status >= 500:
        # A gateway may give up on a request that the channel goes on to apply.
        raise no_answer(words, is_write=reply.is_write)


def _retry_after_s(reply: Reply) -> float:
    try:
        asked_s = float(reply.headers["retry-after"])
    except (KeyError, ValueError):
        return 1.0
    return min(RETRY_AFTER_S_MAX, max(0.1, asked_s)) if math.isfinite(asked_s) else 1.0
