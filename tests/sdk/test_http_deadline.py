"""What must never leave, and what must never come back out of a channel's answer."""

from __future__ import annotations

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from oneshelf.clock import SystemClock
from oneshelf.sdk.fault import MisconfiguredError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp, sending_before
from oneshelf.sdk.limits import Unlimited

CLOCK = SystemClock()
SECRET = "Atzr|very-secret"


def http(app: Starlette) -> ChannelHttp:
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://channel")
    return ChannelHttp(client, clock=CLOCK, limiter=Unlimited())


async def test_a_call_whose_time_is_over_is_certainly_not_sent() -> None:
    calls: list[str] = []

    async def respond(request: Request) -> Response:
        calls.append(request.url.path)
        return Response()

    asking = http(Starlette(routes=[Route("/", respond, methods=["POST"])]))
    with sending_before(CLOCK.monotonic() - 0.001), pytest.raises(RetryLaterError, match="time was over"):
        await asking.write("push", "POST", "/")
    assert calls == []
    with sending_before(CLOCK.monotonic() + 60):
        await asking.write("push", "POST", "/")
    assert calls == ["/"]


async def test_a_secret_of_a_form_that_the_channel_echoes_is_not_repeated() -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(b"no: " + await request.body(), status_code=500)

    asking = http(Starlette(routes=[Route("/", echo, methods=["POST"])]))
    with pytest.raises(RetryLaterError) as refusal:
        await asking.read("token", "POST", "/", data={"refresh_token": SECRET, "grant_type": "refresh_token"})
    assert "very-secret" not in str(refusal.value)
    assert "redacted" in str(refusal.value)


async def test_json_that_is_nested_without_end_is_no_answer() -> None:
    async def respond(_request: Request) -> Response:
        return PlainTextResponse("[" * 200_000)

    reply = await http(Starlette(routes=[Route("/", respond)])).read("orders", "GET", "/")
    with pytest.raises(RetryLaterError, match="not JSON"):
        reply.document()


async def test_an_address_that_cannot_be_used_is_said_so() -> None:
    with pytest.raises(MisconfiguredError, match="address"):
        await http(Starlette()).read("orders", "GET", "https://h\u200b.example/")
