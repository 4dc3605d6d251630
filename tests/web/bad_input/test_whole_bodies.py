"""Bodies that are wrong as a whole: for every route that reads one, whatever it is for."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import NamedTuple

import pytest

from oneshelf.web.bodies import API_BYTES_MAX, DRAINED_BYTES_MAX
from web.bad_input.examples import EXAMPLES
from web.bad_input.rows import of_rows
from web.bad_input.shelf import JSON, Shelf, complaints

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long(but_one_in=5)]

# One example for each route.
ROUTES = {f"{one.method} {one.path}": one for one in reversed(EXAMPLES)}
TEN_MEGABYTES = b" " * 10_000_000
TYPES = (
    "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/xml",
    "application/json; charset=utf-16", "application/json; charset=latin-1", "application/json, text/plain", "json", "",
    "application/merge-patch+json", "text/json",
)  # fmt: skip


class Whole(NamedTuple):
    """A body that is wrong, with its headers."""

    name: str
    body: bytes
    status: int
    headers: dict[str, str] = JSON


@cache
def _bomb() -> bytes:
    """48 kB that unpack to 50 MB."""
    return gzip.compress(b" " * 50_000_000, 9)


def _wrong(right: bytes) -> dict[str, list[Whole]]:
    """row -> bodies made of a right one"""
    bom = b"\xef\xbb\xbf"
    text = right.decode()
    return {
        "1": [Whole("nothing", b"", 400), Whole("blanks", b" \n\t ", 400)],
        "3": [Whole(repr(more), right + more, 400) for more in (b"{}", right, b",", b"]", b"x", b"\x00", b"//")],
        "17": [Whole("10 MB", TEN_MEGABYTES, 413)],
        "20": [
            Whole("unpacks to 50 MB", _bomb(), 415, {**JSON, "content-encoding": "gzip"}),
            *(
                Whole(f"said to be {name}", right, 415, {**JSON, "content-encoding": name})
                for name in ("gzip", "deflate", "br", "zstd", "gzip, identity", "x")
            ),
            Whole("compressed, and not said", gzip.compress(right), 400),
        ],
        "21": [
            *(Whole(f"type {kind!r}", right, 415, {"content-type": kind}) for kind in TYPES),
            Whole("no type", right, 415, {}),
        ],
        "22": [
            *(
                Whole(name, text.encode(name), 400)
                for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig")
            ),
            Whole("two marks", bom + bom + right, 400),
            Whole("latin-1", text.replace("CAF", "\xe9").encode("latin-1") + b"\xe9", 400),
            Whole("a byte too many", right.replace(b'"', b'"\xff', 1), 400),
            Whole("too long a spelling", right.replace(b'"', b'"\xc0\xaf', 1), 400),
            Whole("half a pair in bytes", right.replace(b'"', b'"\xed\xa0\x80', 1), 400),
            Whole("cut in a character", right[:-1] + b"\xc3", 400),
        ],
    }


@of_rows(1, 3, 17, 20, 21, 22)
@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_that_is_wrong_as_a_whole_is_refused(shelf: Shelf, route: str, row: str) -> None:
    example = await shelf.filled(ROUTES[route])
    before, failed = shelf.fingerprint(), []
    for whole in _wrong(json.dumps(example.body).encode())[row]:
        answer = await shelf.send(example, whole.body, whole.headers)
        failed += [f"{whole.name}: {words}" for words in complaints(answer, whole.status)]
    assert failed == []
    assert shelf.fingerprint() == before


async def _without_an_end(sent: list[int]) -> AsyncIterator[bytes]:
    """Far more than anybody may send; counts what was asked for."""
    for _ in range(2_000):
        sent.append(65_536)
        yield b" " * 65_536


@of_rows(17, 18)
@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_without_an_end_is_given_up(shelf: Shelf, route: str, row: str) -> None:
    example = await shelf.filled(ROUTES[route])
    before, sent = shelf.fingerprint(), list[int]()
    headers = JSON if row == "18" else {**JSON, "content-length": str(2**63)}
    answer = await shelf.send(example, _without_an_end(sent), headers)
    assert complaints(answer, 413) == []
    assert answer.headers["connection"] == "close"
    # What may be thrown away so that the sender sees the answer, and the limit itself.
    assert sum(sent) <= API_BYTES_MAX + DRAINED_BYTES_MAX + 65_536
    assert shelf.fingerprint() == before
