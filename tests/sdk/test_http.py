"""What becomes of a call to a channel: answered, certainly not done, or unknown."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.amazon.harness import TurnedClock, turns
from oneshelf.domain.charge import Charge, Learned
from oneshelf.errors import InvariantError
from oneshelf.sdk.fault import (
    BudgetSpentError,
    ChannelFault,
    MisconfiguredError,
    OutcomeUnknownError,
    ReauthenticateError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.http import PATIENCE_S, ChannelHttp, Reply
from oneshelf.sdk.limits import Limiter, Unlimited
from oneshelf.storage.database import Database

ADDRESS = "http://channel.test/stock"
SECRET = "shpat-9f8e7d6c5b4a"

Call = Callable[[ChannelHttp, str], Awaitable[Reply]]


async def read(http: ChannelHttp, url: str = ADDRESS) -> Reply:
    return await http.read("stock.read", "GET", url)


async def write(http: ChannelHttp, url: str = ADDRESS) -> Reply:
    return await http.write("stock.write", "POST", url, json={"units": 7})


BOTH = pytest.mark.parametrize("call", [read, write])
# What is lost on the way there and back: a read can be asked again, a write may have been applied.
EACH_ITS_FAULT = pytest.mark.parametrize(("call", "fault"), [(read, RetryLaterError), (write, OutcomeUnknownError)])


class Channel:
    """Answers every request the same way and counts them."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await self._response(scope, receive, send)


class Bucket:
    """A limiter that answers with these waits, one after the other, and then grants everything."""

    def __init__(self, *waits_s: float) -> None:
        self._waits_s = list(waits_s)
        self.asked: list[Charge] = []

    async def take(self, charge: Charge) -> float:
        self.asked.append(charge)
        return self._waits_s.pop(0) if self._waits_s else 0.0

    async def learn(self, bucket: str, told: Learned) -> None:
        raise NotImplementedError


def http_to(app: ASGIApp, *, limiter: Limiter | None = None, clock: TurnedClock | None = None) -> ChannelHttp:
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    return ChannelHttp(client, clock=clock or TurnedClock(), limiter=limiter or Unlimited())


async def fault_of(call: Awaitable[object]) -> ChannelFault:
    with pytest.raises(ChannelFault) as caught:
        await call
    return caught.value


@asynccontextmanager
async def served(app: ASGIApp, *, deadline_s: float) -> AsyncIterator[tuple[ChannelHttp, str]]:
    """The app behind a real socket, and a client that has `deadline_s` for each call."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=0)
    )
    async with asyncio.TaskGroup() as group, httpx2.AsyncClient() as client:
        group.create_task(server.serve(sockets=[listener]))
        http = ChannelHttp(client, clock=TurnedClock(), limiter=Unlimited(), deadline_s=deadline_s)
        try:
            yield http, f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            await client.aclose()
            server.should_exit = True


# Answers -------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("status", [200, 201, 302, 400, 404, 409, 422])
async def test_an_answer_that_each_channel_means_in_its_own_way_is_the_connectors_to_read(
    call: Call, status: int
) -> None:
    reply = await call(http_to(Channel(JSONResponse({"a": 1}, status, headers={"X-Request-Id": "r-1"}))), ADDRESS)
    assert (reply.status, reply.document(), reply.headers["x-request-id"]) == (status, {"a": 1}, "r-1")
    assert reply.is_write == (call is write)


@BOTH
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_told_apart_from_everything_that_a_retry_could_mend(
    call: Call, status: int
) -> None:
    fault = await fault_of(call(http_to(Channel(Response("token revoked", status))), ADDRESS))
    assert type(fault) is ReauthenticateError
    assert f"{status} token revoked" in str(fault)


@EACH_ITS_FAULT
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
async def test_a_server_error_leaves_a_write_unknown(call: Call, fault: type[ChannelFault], status: int) -> None:
    assert type(await fault_of(call(http_to(Channel(Response("bad gateway", status))), ADDRESS))) is fault


@BOTH
@pytest.mark.parametrize(
    ("header", "retry_after_s"),
    [
        ("7", 7.0),
        ("2.5", 2.5),
        ("0", 0.1),
        ("-3", 0.1),
        (None, 1.0),
        ("", 1.0),
        ("soon", 1.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0),
        ("nan", 1.0),
        ("inf", 1.0),
        ("-inf", 1.0),
        ("\xff", 1.0),
        ("1e300", 3600.0),
        ("86400", 3600.0),
    ],
)
async def test_a_throttled_call_was_not_done_and_is_due_again_when_the_channel_says(
    call: Call, header: str | None, retry_after_s: float
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    fault = await fault_of(call(http_to(Channel(Response("slow down", 429, headers))), ADDRESS))
    assert type(fault) is RetryLaterError
    assert fault.retry_after_s == retry_after_s


@EACH_ITS_FAULT
@pytest.mark.parametrize("body", [b"<html>Welcome to our proxy</html>", b"", b'{"half":', b"\xff\xfe"])
async def test_a_page_instead_of_json_is_nobodys_answer(call: Call, fault: type[ChannelFault], body: bytes) -> None:
    reply = await call(http_to(Channel(Response(body, 200, media_type="text/html"))), ADDRESS)
    with pytest.raises(ChannelFault) as caught:
        reply.document()
    assert type(caught.value) is fault


async def test_only_the_beginning_of_a_long_page_comes_into_the_fault() -> None:
    fault = await fault_of(read(http_to(Channel(Response("x" * 100_000, 500)))))
    assert "xxx" in str(fault)
    assert len(str(fault)) < 400


@EACH_ITS_FAULT
async def test_a_body_that_does_not_unpack_is_no_answer(call: Call, fault: type[ChannelFault]) -> None:
    packed = Response(b"not gzip at all", 200, headers={"Content-Encoding": "gzip"})
    assert type(await fault_of(call(http_to(Channel(packed)), ADDRESS))) is fault


# The way there and back ------------------------------------------------------------------------------------------


@BOTH
async def test_where_nobody_listens_nothing_was_done(call: Call) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound and not listening: the port is ours, and every connection is refused.
        async with httpx2.AsyncClient() as client:
            http = ChannelHttp(client, clock=TurnedClock(), limiter=Unlimited())
            fault = await fault_of(call(http, f"http://127.0.0.1:{held.getsockname()[1]}/"))
    assert type(fault) is RetryLaterError
    assert "not reached" in str(fault)


@EACH_ITS_FAULT
async def test_a_reply_that_is_cut_leaves_a_write_unknown(call: Call, fault: type[ChannelFault]) -> None:
    async def cut(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b'{"half', "more_body": True})

    async with served(cut, deadline_s=5.0) as (http, url):
        assert type(await fault_of(call(http, url))) is fault


@EACH_ITS_FAULT
async def test_no_answer_in_time_leaves_a_write_unknown(call: Call, fault: type[ChannelFault]) -> None:
    arrived = asyncio.Event()

    async def silent(_scope: Scope, receive: Receive, _send: Send) -> None:
        arrived.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with served(silent, deadline_s=2.0) as (http, url):
        assert type(await fault_of(call(http, url))) is fault
        assert arrived.is_set(), "the request was on the wire"


@EACH_ITS_FAULT
async def test_the_deadline_bounds_the_whole_call_however_slowly_the_answer_drips(
    call: Call, fault: type[ChannelFault]
) -> None:
    dripped = 0

    async def drip(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal dripped
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(_until_gone(receive))
            while not gone.done() and dripped < 200:
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                dripped += 1
                await asyncio.wait([gone], timeout=0.05)
            gone.cancel()

    async with served(drip, deadline_s=2.0) as (http, url):
        assert type(await fault_of(call(http, url))) is fault
        assert 0 < dripped < 200


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# Transactions and budgets ----------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.pg
@BOTH
async def test_a_channel_is_never_called_inside_a_transaction(call: Call, dsn: str) -> None:
    channel, bucket = Channel(JSONResponse({})), Bucket()
    http = http_to(channel, limiter=bucket)
    async with Database.open(dsn) as database:
        async with database.transaction() as tx:
            with pytest.raises(InvariantError, match=r"stock\.(read|write) would call a channel inside"):
                await call(http, ADDRESS)
            await tx.execute("select 1")
        assert (channel.calls, bucket.asked) == (0, [])
        await call(http, ADDRESS)
    assert channel.calls == 1


async def test_a_token_that_is_free_soon_is_waited_for() -> None:
    channel, clock = Channel(JSONResponse({})), TurnedClock()
    bucket = Bucket(PATIENCE_S, 0.5)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(read(http_to(channel, limiter=bucket, clock=clock)))
        await clock.advance(PATIENCE_S - 0.1)
        assert channel.calls == 0
        await clock.advance(0.2)
        assert (channel.calls, len(bucket.asked)) == (0, 2), "somebody else took the token first: wait again"
        await clock.advance(0.5)
        await turns()
    assert (call.result().status, channel.calls) == (200, 1)
    assert bucket.asked == [Charge("stock.read")] * 3


async def test_a_longer_wait_is_given_back() -> None:
    channel, clock = Channel(JSONResponse({})), TurnedClock()
    fault = await fault_of(write(http_to(channel, limiter=Bucket(PATIENCE_S + 0.01), clock=clock)))
    assert isinstance(fault, BudgetSpentError)
    assert fault.retry_after_s == PATIENCE_S + 0.01
    assert channel.calls == 0


async def test_a_call_takes_what_it_is_said_to() -> None:
    bucket, charge = Bucket(), Charge("points", cost=12.0, leaves=5.0)
    await http_to(Channel(JSONResponse({})), limiter=bucket).read(
        "stock.read", "GET", "http://channel.test/", charge=charge
    )
    assert bucket.asked == [charge]


async def test_a_call_takes_one_token_of_its_operation() -> None:
    bucket = Bucket()
    await write(http_to(Channel(JSONResponse({})), limiter=bucket))
    assert bucket.asked == [Charge("stock.write")]


# Secrets -----------------------------------------------------------------------------------------------------------


SECRET_HEADERS: list[Mapping[str, str]] = [
    {"X-Shopify-Access-Token": SECRET},
    {"Authorization": f"Bearer {SECRET}"},
    {"x-api-key": SECRET},
]


@BOTH
@pytest.mark.parametrize("headers", SECRET_HEADERS, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("status", [200, 401, 403, 429, 500])
async def test_a_secret_that_the_channel_echoes_is_in_no_fault(
    call: Call, headers: Mapping[str, str], status: int
) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        said = " ".join(value.removeprefix("Bearer ") for value in request.headers.values())
        # Also where the text is cut off in the middle of it.
        await Response(f"wrong: {said} {'.' * (270 - len(said))} {said}", status)(scope, receive, send)

    http = http_to(echo)
    operation = http.read if call is read else http.write
    with pytest.raises(ChannelFault) as caught:
        (await operation("stock", "POST", ADDRESS, headers=headers)).document()
    told = _everything_told(caught.value)
    assert "wrong:" in told
    assert SECRET[:8] not in told


async def test_a_secret_that_cannot_be_sent_is_in_no_fault() -> None:
    async with served(Channel(JSONResponse({})), deadline_s=5.0) as (http, url):
        fault = await fault_of(http.read("stock", "GET", url, headers={"X-Access-Token": f"{SECRET}\nX-More: 1"}))
    assert SECRET not in _everything_told(fault)


async def test_a_secret_is_in_no_fault_of_the_way_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        async with httpx2.AsyncClient() as client:
            http = ChannelHttp(client, clock=TurnedClock(), limiter=Unlimited())
            url = f"http://127.0.0.1:{held.getsockname()[1]}/"
            fault = await fault_of(http.write("stock", "POST", url, headers={"Authorization": SECRET}))
    assert SECRET not in _everything_told(fault)


def _everything_told(fault: Any) -> str:
    """What a log with the whole chain of causes would hold."""
    return repr(fault) + "".join(traceback.format_exception(fault))


@pytest.mark.parametrize(
    ("shown_s", "ahead_s"), [(0.0, 0.0), (-1.0, 0.0), (-2.0, -1.0), (-61.0, -60.0), (1.0, 1.0), (90.0, 90.0)]
)
async def test_how_far_the_clock_of_a_channel_is_ahead_is_read_off_its_answers(shown_s: float, ahead_s: float) -> None:
    clock = TurnedClock()
    shown_at = clock.now().replace(microsecond=0) + timedelta(seconds=shown_s)
    channel = Channel(JSONResponse({}, headers={"Date": format_datetime(shown_at, usegmt=True)}))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(channel)) as client:
        http = ChannelHttp(client, clock=clock, limiter=Unlimited())
        assert http.clock_ahead_s is None
        await read(http)
    assert http.clock_ahead_s == ahead_s


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 25 Nov 2026 12:00:00 -0000", "Wed, 99 Nov 2026 12:00:00 GMT"])
async def test_a_channel_that_names_no_date_says_nothing_of_its_clock(date: str) -> None:
    channel = Channel(JSONResponse({}, headers={"Date": date}))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(channel)) as client:
        http = ChannelHttp(client, clock=TurnedClock(), limiter=Unlimited())
        await read(http)
    assert http.clock_ahead_s is None


# Files ---------------------------------------------------------------------------------------------------------


async def downloaded(http: ChannelHttp, url: str = f"{ADDRESS}?signature={SECRET}") -> bytes:
    return b"".join([piece async for piece in http.download("stock.file", url)])


def in_pieces(*pieces: bytes, length: int | None = None) -> ASGIApp:
    """A file that comes piece by piece; `length`: as it is announced, where it is announced."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


async def test_a_file_comes_piece_by_piece_and_takes_one_token() -> None:
    bucket = Bucket()
    assert await downloaded(http_to(in_pieces(b"one", b"", b"two"), limiter=bucket)) == b"onetwo"
    assert bucket.asked == [Charge("stock.file")]


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        *((status, RetryLaterError) for status in (429, 500, 503)),
        *((status, RefusedError) for status in (204, 302, 400, 401, 403, 404, 410)),
    ],
)
async def test_a_file_that_is_not_there_says_nothing_of_our_credentials(status: int, fault: type[ChannelFault]) -> None:
    """Its address was signed for a while; that it is refused now is no reason to pause the channel."""
    met = await fault_of(downloaded(http_to(Channel(Response(f"signature={SECRET}", status)))))
    assert type(met) is fault
    assert SECRET not in str(met)


async def test_a_file_that_breaks_off_tells_what_came_and_that_it_broke_off() -> None:
    async with served(in_pieces(b"x" * 100, length=1000), deadline_s=5.0) as (http, url):
        came: list[bytes] = []

        async def read_on() -> None:
            async for piece in http.download("stock.file", f"{url}?signature={SECRET}"):
                came.append(piece)

        met = await fault_of(read_on())
    assert type(met) is RetryLaterError
    assert b"".join(came) == b"x" * 100
    assert SECRET not in "".join(traceback.format_exception(met))


async def test_an_address_that_is_none_is_told_without_repeating_it() -> None:
    async with httpx2.AsyncClient() as client:
        http = ChannelHttp(client, clock=TurnedClock(), limiter=Unlimited())
        for address in (f"nowhere/{SECRET}", f"ftp://channel.test/{SECRET}", f"http:///{SECRET}"):
            met = await fault_of(downloaded(http, address))
            assert type(met) is MisconfiguredError
            assert SECRET not in str(met)


@pytest.mark.pg
async def test_no_file_is_fetched_inside_a_transaction(dsn: str) -> None:
    async with Database.open(dsn) as database, database.transaction():
        with pytest.raises(InvariantError, match="inside a transaction"):
            await downloaded(http_to(in_pieces(b"")))
