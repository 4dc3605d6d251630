"""What only the wire can tell: lengths that lie, two requests hidden in one, bodies without an end, on the real server.

Every command here is right but for its framing, so a request that slips through would move units.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
import uvicorn

from oneshelf.cli.serve import _config
from oneshelf.web.bodies import API_BYTES_MAX, WEBHOOK_BYTES_MAX
from web.bad_input.examples import BERLIN, PART
from web.bad_input.rows import of_rows
from web.bad_input.shelf import Shelf

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = json.dumps(
    {"commands": [{"type": "receive", "key": "smuggled", "sku": PART, "location": BERLIN, "units": 1}]}
).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
POST = b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
HIDDEN = POST + LENGTH + b"\r\n" + BODY
TE = b"Transfer-Encoding: chunked\r\n"


@dataclass
class Wire:
    """The engine's own server, and the shelf behind it."""

    shelf: Shelf
    port: int

    async def say(self, sent: bytes, *, hangs_up: bool = False) -> bytes:
        """All that the server answers until it ends the connection. `hangs_up`: the sender ends its side first."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            await writer.drain()
            if hangs_up:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 90)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(shelf: Shelf) -> AsyncIterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(_config(shelf.shop.app))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])
        ticking = asyncio.ensure_future(server.main_loop())
        yield Wire(shelf, listener.getsockname()[1])
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


SMUGGLED = {
    "a length and chunks": POST + LENGTH + TE + b"\r\n" + CHUNKED + HIDDEN,
    "chunks and a length": POST + TE + LENGTH + b"\r\n" + CHUNKED + HIDDEN,
    "a length of nothing and chunks": POST + b"Content-Length: 0\r\n" + TE + b"\r\n" + CHUNKED,
    "two lengths": POST + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY,
    "two lengths in one": POST + b"Content-Length: %d, 0\r\n\r\n" % len(BODY) + BODY,
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length with a sign": POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a length in sixteens": POST + b"Content-Length: 0x%x\r\n\r\n" % len(BODY) + BODY,
    "a length in other digits": POST + "Content-Length: ٩٩\r\n\r\n".encode() + BODY,
    "a length of 2^64": POST + b"Content-Length: 18446744073709551616\r\n\r\n" + BODY,
    "a blank before the colon": POST + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
    "an unknown way to transfer": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "chunked, but not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "chunked with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "a chunk of a wrong size": POST + TE + b"\r\n%x\r\n" % (len(BODY) - 9) + BODY + b"\r\n0\r\n\r\n",
    "a chunk of no size": POST + TE + b"\r\nunits\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk below zero": POST + TE + b"\r\n-1\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk beyond 2^64": POST + TE + b"\r\nfffffffffffffffff\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a folded header": POST + b"X: a\r\n b\r\n" + LENGTH.replace(b": ", b":\r\n ") + b"\r\n" + BODY,
    "a header without a name": POST + b": x\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in a header": POST + b"X: a\x00b\r\n" + LENGTH + b"\r\n" + BODY,
    "no version": b"POST /v1/commands\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + BODY,
    "another version": POST.replace(b"HTTP/1.1", b"HTTP/9.9") + LENGTH + b"\r\n" + BODY,
    "a line break in the key": POST + b"Idempotency-Key: a\rb\r\n" + LENGTH + b"\r\n" + BODY,
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    "a shorter length": POST + b"Content-Length: 10\r\n\r\n" + BODY,
}


@of_rows(19)
@pytest.mark.parametrize("name", SMUGGLED)
async def test_a_request_whose_end_is_doubtful_is_refused_and_nothing_hides_in_it(
    wire: Wire, name: str, row: str
) -> None:
    before = wire.shelf.fingerprint()
    answer = await wire.say(SMUGGLED[name])
    # The server has ended the connection by itself, or `say` would not have come back.
    assert set(statuses(answer)) == {400}, answer
    assert wire.shelf.fingerprint() == before


@of_rows(19)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: %d\r\n" % (len(BODY) + 1), TE + b"X: y\r\n"], ids=["length", "chunks"]
)
async def test_a_body_that_ends_too_early_is_not_done(wire: Wire, framing: bytes, row: str) -> None:
    before = wire.shelf.fingerprint()
    begun = BODY if framing.startswith(b"Content") else b"%x\r\n%s\r\n" % (len(BODY), BODY)
    answer = await wire.say(POST + framing + b"\r\n" + begun, hangs_up=True)
    assert not {200, 500} & set(statuses(answer)), answer
    assert wire.shelf.fingerprint() == before


@of_rows(17, 18)
@pytest.mark.parametrize(("path", "most"), [("/v1/commands", API_BYTES_MAX), ("/webhooks/paper", WEBHOOK_BYTES_MAX)])
async def test_a_body_that_is_too_long_is_answered_before_it_has_come(
    wire: Wire, path: str, most: int, row: str
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % path.encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    if row == "17":
        writer.write(head + b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")
    else:
        # No end ever comes: only so much is sent that the limit is passed.
        writer.write(head + TE + b"\r\n" + b"10000\r\n%s\r\n" % (b" " * 65_536) * (most // 65_536 + 1))
    answer = await asyncio.wait_for(reader.read(65_536), 90)
    assert statuses(answer) == [413]
    writer.close()


@of_rows(35)
async def test_a_key_with_a_line_break_is_another_header_and_no_key(wire: Wire, row: str) -> None:
    before = wire.shelf.fingerprint()
    bare = BODY.replace(b'"key": "smuggled", ', b"")
    length = b"Content-Length: %d\r\n" % len(bare)
    answer = await wire.say(POST + b"Connection: close\r\n" + length + b"Idempotency-Key: \r\nX-Evil: 1\r\n\r\n" + bare)
    assert statuses(answer) == [400]
    assert wire.shelf.fingerprint() == before


async def test_the_right_request_is_taken_on_this_wire(wire: Wire) -> None:
    """Else nothing above would prove anything."""
    last = POST + b"Connection: close\r\n"
    for number, framed in enumerate((last + LENGTH + b"\r\n" + BODY, last + TE + b"\r\n" + CHUNKED)):
        key = b"right-%02d" % number
        assert statuses(await wire.say(framed.replace(b"smuggled", key))) == [200]
