"""The way between the connector and the simulated channel: it writes down all that passes, and breaks where it is told.

What is broken here is broken for every channel alike; a channel's own faults are switches of its simulator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx2

from oneshelf.clock import Clock
from oneshelf.domain.charge import Charge, Learned
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.http import ChannelHttp, Reply
from oneshelf.sdk.message import Request

LATENCY_S = 0.02
FOR_EVER_S = 1_000_000.0
# Two buckets that count the same differ in their last digits.
ROUNDING_S = 0.001

_is_write: ContextVar[bool] = ContextVar("is_write", default=False)


@dataclass(slots=True)
class Sent:
    """One request. `status` is None where no answer came back."""

    at_s: float
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    is_write: bool
    status: int | None = None

    @property
    def bytes_sent(self) -> bytes:
        """All of it, in one piece, to be compared and searched."""
        lines = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in sorted(self.headers.items()))]
        return "\n".join(lines).encode() + b"\n\n" + self.body


Answer = Callable[[httpx2.Request, bytes], httpx2.Response]


@dataclass(frozen=True, slots=True)
class Break:
    """What happens to a request. `arrives`: the channel gets it, and does what it is asked.

    Then comes `answer`, or else `error` is raised, or else nothing comes, ever.
    """

    name: str
    arrives: bool
    answer: Answer | None = None
    error: type[httpx2.RequestError] | None = None


def answered(
    status: int, body: bytes = b"", *, name: str = "", arrives: bool = False, headers: Mapping[str, str] | None = None
) -> Break:
    """Something on the way answers instead of the channel."""

    def answer(request: httpx2.Request, _body: bytes) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers=headers, request=request)

    return Break(name or f"status {status}", arrives=arrives, answer=answer)


def _echo(request: httpx2.Request, body: bytes) -> httpx2.Response:
    lines = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return httpx2.Response(400, content=lines.encode() + b"\n" + body, request=request)


ECHO = Break("an answer that repeats the request", arrives=False, answer=_echo)
NOT_REACHED = Break("not reached", arrives=False, error=httpx2.ConnectError)
BROKEN_BEFORE = Break("the connection broke before it arrived", arrives=False, error=httpx2.WriteError)
REPLY_LOST = Break("the reply is lost after it was done", arrives=True, error=httpx2.ReadError)
REPLY_CUT = Break("the connection closes without an answer", arrives=True, error=httpx2.RemoteProtocolError)
HANGS = Break("no answer, ever, after it was done", arrives=True)
HANGS_BEFORE = Break("no answer, ever, and not done", arrives=False)


class Wire(httpx2.AsyncBaseTransport):
    """`sent`: all requests, the oldest first. `before`: what somebody does as a request arrives."""

    def __init__(self, app: Any, clock: Clock) -> None:
        self._channel = httpx2.ASGITransport(app)
        self._clock = clock
        self._break: Break | None = None
        self._times = 0
        self._writes_only = False
        self.sent: list[Sent] = []
        self.open_count = 0
        self.before: Callable[[Sent], None] | None = None

    def strike(self, how: Break, *, times: int = 1, writes_only: bool = False) -> None:
        """Break the next `times` requests like this; `writes_only`: of those that change something."""
        self._break, self._times, self._writes_only = how, times, writes_only

    def mend(self) -> None:
        """Nothing breaks any more."""
        self._times = 0

    def writes(self) -> list[Sent]:
        """The requests that the connector sent as writes."""
        return [one for one in self.sent if one.is_write]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        sent = Sent(
            self._clock.monotonic(),
            request.method,
            str(request.url),
            dict(request.headers.items()),
            body,
            _is_write.get(),
        )
        self.sent.append(sent)
        self.open_count += 1
        try:
            await asyncio.sleep(LATENCY_S)
            response = await self._passed(request, sent)
        finally:
            self.open_count -= 1
        sent.status = response.status_code
        return response

    async def _passed(self, request: httpx2.Request, sent: Sent) -> httpx2.Response:
        how = self._due(sent)
        response = None
        if how is None or how.arrives:
            if self.before is not None:
                self.before(sent)
            response = await self._arrived(request, sent.body)
        if how is None:
            assert response is not None
            return response
        if how.answer is not None:
            return how.answer(request, sent.body)
        if how.error is not None:
            raise how.error(how.name, request=request)
        await asyncio.sleep(FOR_EVER_S)
        raise httpx2.ReadTimeout(how.name, request=request)

    def _due(self, sent: Sent) -> Break | None:
        if self._break is None or self._times < 1 or (self._writes_only and not sent.is_write):
            return None
        self._times -= 1
        return self._break

    async def _arrived(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        """The channel does what it was asked, whether somebody still waits for its answer or not."""
        copy = httpx2.Request(request.method, request.url, headers=request.headers, content=body)

        async def whole() -> httpx2.Response:
            response = await self._channel.handle_async_request(copy)
            await response.aread()
            return response

        return await asyncio.shield(asyncio.get_running_loop().create_task(whole()))


class Hooks(httpx2.AsyncBaseTransport):
    """Where the channel sends its webhooks to: it takes all of them."""

    def __init__(self) -> None:
        self.got: list[Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        self.got.append(Request({name.lower(): value for name, value in request.headers.items()}, body))
        return httpx2.Response(200, request=request)


class WatchedHttp(ChannelHttp):
    """Tells the wire which requests the connector calls a write."""

    async def write(
        self, operation: str, method: str, url: str, *, charge: Charge | None = None, **request: Any
    ) -> Reply:
        mark = _is_write.set(True)
        try:
            return await super().write(operation, method, url, charge=charge, **request)
        finally:
            _is_write.reset(mark)


@dataclass(slots=True)
class Buckets:
    """The declared limits, kept to the token. `taken`: bucket -> how often; `spent`: bucket -> tokens.

    `has_granted`: the last time.
    """

    limits: tuple[Limit, ...]
    clock: Clock
    taken: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    learned: dict[str, Learned] = field(default_factory=dict)
    has_granted: bool = True
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def take(self, charge: Charge) -> float:
        bucket = charge.bucket
        self.taken[bucket] = self.taken.get(bucket, 0) + 1
        left, burst, rate_per_s = self._now(bucket)
        if not burst:
            return 0.0
        needed = min(burst, charge.cost + charge.leaves)
        self.has_granted = left >= needed
        self.spent[bucket] = self.spent.get(bucket, 0.0) + (charge.cost if self.has_granted else 0.0)
        self._left[bucket] = (left - charge.cost if self.has_granted else left, self.clock.monotonic())
        return 0.0 if self.has_granted else (needed - left) / rate_per_s + ROUNDING_S

    async def learn(self, bucket: str, told: Learned) -> None:
        left, burst, _ = self._now(bucket)
        if told.rate_per_s is not None:
            self.learned[bucket] = told
        self.spent[bucket] = self.spent.get(bucket, 0.0) - told.back
        if burst:
            left = min(told.burst or burst, left + told.back)
            self._left[bucket] = (left if told.left is None else min(left, told.left), self.clock.monotonic())

    def _now(self, bucket: str) -> tuple[float, float, float]:
        """Tokens in a bucket, how many it may hold, and how many come back in a second. Without a limit it has none."""
        limit = next((one for one in self.limits if one.operation == bucket), None)
        if limit is None:
            return 0.0, 0.0, 0.0
        told = self.learned.get(bucket, Learned())
        now, burst = self.clock.monotonic(), told.burst or float(limit.burst)
        rate_per_s = told.rate_per_s or limit.rate_per_s
        left, at = self._left.get(bucket, (burst, now))
        return min(burst, left + (now - at) * rate_per_s), burst, rate_per_s
