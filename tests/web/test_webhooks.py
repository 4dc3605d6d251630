"""What a channel may tell us, and what we answer before and after we believe it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import psycopg
import pytest
from starlette.requests import Request
from starlette.types import Message

from oneshelf.domain.identity import ChannelSku
from oneshelf.flow.interpret import interpret
from oneshelf.sdk.signature import hmac_sha256_base64
from oneshelf.web.bodies import read_capped
from oneshelf.web.problems import ProblemError
from web.paper import SECRET, SIGNATURE, Shop, open_shop

BODY = b'{"order": "7", "placed_at": "2026-11-23T10:00:00+00:00", "lines": {"MUG": 1}}'
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.connect("paper")
        yield shop


def stored(dsn: str) -> list[tuple[str, str, bytes]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("select channel, delivery_key, body from inbox order by inbox_id").fetchall()


async def test_an_authentic_delivery_is_stored_as_it_came_before_it_is_acknowledged(shop: Shop, dsn: str) -> None:
    answer = await shop.deliver("paper", BODY, delivery_id="d1")
    assert (answer.status_code, answer.content) == (200, b"")
    assert stored(dsn) == [("paper", "d1", BODY)]
    assert shop.woken == ["interpret", "order"]


async def test_a_delivery_that_comes_twice_is_stored_once_and_acknowledged_twice(shop: Shop, dsn: str) -> None:
    answers = [await shop.deliver("paper", BODY, delivery_id="d1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(stored(dsn)) == 1


async def test_a_channel_that_is_not_connected_is_not_found(shop: Shop, dsn: str) -> None:
    answer = await shop.client.post("/webhooks/parchment", content=BODY)
    assert answer.status_code == 404
    assert stored(dsn) == []


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(hmac_sha256_base64("another secret", BODY).encode(), id="another secret"),
        pytest.param(hmac_sha256_base64(SECRET, BODY + b" ").encode(), id="another body"),
        pytest.param(hmac_sha256_base64(SECRET, BODY).encode() + b"!junk", id="junk behind it"),
        pytest.param("ÿé".encode("latin-1"), id="latin-1"),
        pytest.param("签名".encode(), id="utf-8"),
        pytest.param(base64.b64encode(b"short"), id="too short"),
    ],
)
async def test_without_the_right_signature_nothing_is_stored_and_nothing_is_told(
    shop: Shop, dsn: str, signature: bytes | None
) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"x-paper-id", b"d1")]
    if signature is not None:
        headers.append((SIGNATURE.encode(), signature))
    answer = await shop.client.post("/webhooks/paper", content=BODY, headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert stored(dsn) == []
    assert shop.woken == []
    metrics = (await shop.client.get("/metrics")).text
    assert 'oneshelf_webhooks_refused_total{channel="paper"}' in metrics


async def test_of_two_signatures_the_first_counts_whatever_the_second_says(shop: Shop, dsn: str) -> None:
    right = hmac_sha256_base64(SECRET, BODY)
    answer = await shop.client.post(
        "/webhooks/paper", content=BODY, headers=[(SIGNATURE, "wrong"), (SIGNATURE, right), ("x-paper-id", "d1")]
    )
    assert answer.status_code == 401
    assert stored(dsn) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b'{"order": NaN}'], ids=["empty", "cut", "bytes", "NaN"])
async def test_an_authentic_delivery_that_cannot_be_read_is_acknowledged_and_parked_with_a_reason(
    shop: Shop, dsn: str, body: bytes
) -> None:
    answer = await shop.deliver("paper", body, delivery_id="d1")
    assert answer.status_code == 200
    assert stored(dsn) == [("paper", "d1", body)]
    await interpret(shop.database, shop.channels)
    (parked,) = (await shop.client.get("/v1/errors")).json()["deliveries"]
    assert parked["channel"] == "paper"
    assert parked["reason"].startswith("not an order")


async def test_a_body_of_just_the_limit_is_taken(shop: Shop, dsn: str) -> None:
    answer = await shop.deliver("paper", b" " * MEBIBYTE, delivery_id="d1")
    assert answer.status_code == 200
    assert len(stored(dsn)[0][2]) == MEBIBYTE


class Sender:
    """Sends parts of a body for ever, as an ASGI server hands them on, and counts them."""

    def __init__(self, part: bytes) -> None:
        self._part = part
        self.parts_sent = 0
        self.statuses: list[int] = []

    async def receive(self) -> Message:
        self.parts_sent += 1
        return {"type": "http.request", "body": self._part, "more_body": True}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


@pytest.mark.parametrize(
    ("announced", "parts_sent"),
    [(None, 17), (b"10", 17), (b"9" * 30, 0), ("٩".encode(), 17)],
    ids=["no length", "a lie", "far too long", "digits of another script"],
)
async def test_a_body_past_the_limit_is_refused_without_reading_it_all(
    shop: Shop, dsn: str, announced: bytes | None, parts_sent: int
) -> None:
    sender = Sender(b"x" * (MEBIBYTE // 16))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/webhooks/paper",
        "raw_path": b"/webhooks/paper",
        "query_string": b"",
        "root_path": "",
        "headers": [] if announced is None else [(b"content-length", announced)],
        "server": ("shelf.localhost", 80),
        "client": ("127.0.0.1", 1),
    }
    await shop.app(scope, sender.receive, sender.send)
    assert sender.statuses == [413]
    assert sender.parts_sent == parts_sent
    assert stored(dsn) == []


async def test_a_sender_that_never_ends_is_not_waited_for() -> None:
    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "headers": []}, silence)
    with pytest.raises(ProblemError) as refused:
        await read_capped(request, bytes_max=10, read_s_max=0)
    assert (refused.value.status, refused.value.headers) == (408, {"Connection": "close"})


async def test_a_webhook_needs_no_token_and_the_api_does(dsn: str) -> None:
    async with open_shop(dsn, api_token="s3cret") as shop:
        await shop.connect("paper")
        assert (await shop.deliver("paper", BODY, delivery_id="d1")).status_code == 200
        assert (await shop.client.get("/v1/skus")).status_code == 401


async def test_an_order_told_by_webhook_lowers_the_figure_of_every_other_channel(shop: Shop) -> None:
    paper = shop.connectors["paper"]
    pulp = await shop.connect("pulp")
    await shop.name_skus("MUG")
    paper.books[ChannelSku("MUG")] = pulp.books[ChannelSku("MUG")] = 0
    await shop.command("first-delivery", type="receive", sku="MUG", units=5)
    await shop.settle()
    assert (paper.books, pulp.books) == ({"MUG": 5}, {"MUG": 5})
    await shop.order("paper", "7", MUG=2)
    await shop.settle()
    assert (paper.books, pulp.books) == ({"MUG": 3}, {"MUG": 3})
