"""What channels tell us, signed and wrong: acknowledged, kept as it came, and parked; unsigned it is nothing at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import pytest

from oneshelf.domain.identity import ChannelSku, instant_from
from oneshelf.errors import MalformedError
from oneshelf.flow.interpret import interpret
from oneshelf.sdk.decoding import an_instant
from oneshelf.sdk.signature import hmac_sha256_base64
from web.bad_input.rows import of_rows
from web.bad_input.shelf import Shelf, open_shelf
from web.bad_input.wrongs import IMPOSSIBLE, ZONELESS
from web.paper import SECRET, SIGNATURE

MUG = ChannelSku("MUG")
ORDER = b'{"order": "7", "placed_at": "2026-11-23T10:00:00+00:00", "lines": {"MUG": 1}}'
# row -> what a channel may say wrongly
TOLD = {
    "1": [b"", b" "],
    "2": [b"{", b"units", ORDER[:-1], b"<order/>"],
    "3": [ORDER + b"{}", ORDER + ORDER],
    "4": [ORDER.replace(b": 1}", b": NaN}"), ORDER.replace(b": 1}", b": 1e400}")],
    "11": [ORDER.replace(b": 1}", b": %s}" % (b"9" * 4301))],
    "15": [b"[" * 33 + b"]" * 33, b"[" * 300_000],
    "20": [gzip.compress(b" " * 20_000_000, 9)],
    "22": [ORDER.decode().encode("utf-16"), b"\xef\xbb\xbf" + ORDER, b"\xff\xfe\x00", ORDER.replace(b"MUG", b"M\xff")],
    "23": [ORDER.replace(b"MUG", b"\\ud800")],
    "24": [ORDER.replace(b"MUG", b"M\\u0000G"), b"\x00" * 100],
}


@pytest.fixture
async def shelf(dsn: str) -> AsyncIterator[Shelf]:
    async with open_shelf(dsn) as opened:
        yield opened


@of_rows(*TOLD)
async def test_what_an_authentic_channel_says_wrongly_is_acknowledged_and_kept_as_it_came(
    shelf: Shelf, row: str
) -> None:
    before = shelf.fingerprint(without=["inbox"])
    for number, body in enumerate(TOLD[row]):
        answer = await shelf.shop.deliver("paper", body, delivery_id=f"d{number}")
        assert (answer.status_code, answer.content) == (200, b"")
    kept = shelf.connection.execute("select body from inbox order by inbox_id").fetchall()
    assert [bytes(body) for (body,) in kept] == TOLD[row]
    assert shelf.fingerprint(without=["inbox"]) == before


@of_rows(39)
async def test_a_signature_is_over_the_bytes_and_not_over_what_they_mean(shelf: Shelf, row: str) -> None:
    before = shelf.fingerprint()
    rewritten = json.dumps(json.loads(ORDER), separators=(",", ":")).encode()
    assert json.loads(rewritten) == json.loads(ORDER)
    headers = {SIGNATURE: hmac_sha256_base64(SECRET, rewritten), "x-paper-id": "d1"}
    answer = await shelf.client.post("/webhooks/paper", content=ORDER, headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert shelf.fingerprint() == before


@pytest.mark.long
@of_rows(45)
async def test_the_same_order_in_another_delivery_takes_no_unit_twice(shelf: Shelf, row: str) -> None:
    paper = shelf.shop.connectors["paper"]
    await shelf.shop.name_skus("MUG")
    paper.books[MUG] = 0
    await shelf.shop.command("first", type="receive", sku="MUG", units=5)
    await shelf.shop.settle()
    for delivery in ("d1", "d2", "d3"):
        assert (await shelf.shop.deliver("paper", ORDER, delivery_id=delivery)).status_code == 200
        await shelf.shop.settle()
    told = (await shelf.client.get("/v1/skus/MUG")).json()
    assert (told["available"], told["committed"]) == (4, 1)


@of_rows(50)
async def test_a_line_of_fewer_than_no_units_is_acknowledged_and_parked(shelf: Shelf, row: str) -> None:
    before = shelf.fingerprint(without=["inbox"])
    answer = await shelf.shop.deliver("paper", ORDER.replace(b": 1}", b": -1}"), delivery_id="d1")
    assert answer.status_code == 200
    await interpret(shelf.shop.database, shelf.shop.channels)
    [parked] = (await shelf.client.get("/v1/errors")).json()["deliveries"]
    assert "negative" in parked["reason"]
    assert shelf.fingerprint(without=["inbox"]) == before


@of_rows(28, 29)
@pytest.mark.parametrize("read", [an_instant, instant_from], ids=["shopify, amazon, ebay", "square, till"])
def test_an_instant_that_is_none_is_read_by_no_connector(read: Callable[..., datetime], row: str) -> None:
    said: tuple[object, ...] = ZONELESS if row == "28" else (*IMPOSSIBLE, 10**18, True, None, [], 1.5)
    for text in said:
        with pytest.raises(MalformedError):
            read(text, what="placed_at")
