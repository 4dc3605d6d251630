"""Bodies of requests: read with a cap while they arrive, and JSON read without mercy.

What a lenient reader would guess at (a name that occurs twice, NaN, a lone surrogate) is refused: 400 where it cannot
be read, 422 where it can be read and means nothing acceptable.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, BinaryIO, NoReturn

from starlette.requests import ClientDisconnect, Request

from oneshelf.errors import MalformedError
from oneshelf.web.problems import ProblemError, UnreadableError

WEBHOOK_BYTES_MAX = 1024 * 1024
API_BYTES_MAX = 5 * 1024 * 1024
READ_S_MAX = 30.0
# Of a body that is too long, so much is thrown away before the answer: a client that still writes when the connection
# ends is told of a reset, and never of the 413.
DRAINED_BYTES_MAX = 16 * 1024 * 1024
DRAIN_S_MAX = 2.0
DEPTH_MAX = 32
ITEMS_MAX = 10_000
TEXT_LENGTH_MAX = 4_000
DIGITS_MAX = 15
# Beyond this a number is an attack on the reader, not a mistake.
DIGITS_READ_MAX = 300


async def read_capped(
    request: Request, *, bytes_max: int, read_s_max: float = READ_S_MAX, drained_bytes_max: int = 0
) -> bytes:
    """The raw body. Raises ProblemError 413 as soon as it is known to be longer, whatever its headers say.

    Up to `drained_bytes_max` of the rest are read and thrown away before that, so that the sender sees the answer.
    One that has not come whole after `read_s_max` is refused with 408.
    """
    announced = request.headers.get("content-length", "")
    stream = request.stream()
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > bytes_max:
        # Who asks first whether to send has not sent anything yet.
        if "expect" not in request.headers:
            await _drain(stream, drained_bytes_max)
        raise _too_large(bytes_max)
    try:
        async with asyncio.timeout(read_s_max):
            body = await _parts(stream, bytes_max)
    except TimeoutError:
        detail = f"the body did not come within {read_s_max:g} s"
        raise ProblemError(408, detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise UnreadableError("the sender hung up before the body ended") from None
    if body is None:
        await _drain(stream, drained_bytes_max)
        raise _too_large(bytes_max)
    return body


async def spool(request: Request, into: BinaryIO, *, bytes_max: int, read_s_max: float) -> None:
    """Write the raw body into a file as it arrives. Raises ProblemError as `read_capped` does."""
    announced = request.headers.get("content-length", "")
    stream = request.stream()
    total = int(announced[:20]) if announced.isascii() and announced.isdigit() else 0
    try:
        async with asyncio.timeout(read_s_max):
            if total <= bytes_max:
                total = 0
                async for part in stream:
                    total += len(part)
                    if total > bytes_max:
                        break
                    into.write(part)
    except TimeoutError:
        detail = f"the body did not come within {read_s_max:g} s"
        raise ProblemError(408, detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise UnreadableError("the sender hung up before the body ended") from None
    if total > bytes_max:
        if "expect" not in request.headers:
            await _drain(stream, DRAINED_BYTES_MAX)
        raise _too_large(bytes_max)
    into.seek(0)


async def read_json(request: Request, *, bytes_max: int = API_BYTES_MAX) -> object:
    """The JSON body of an API request. Raises ProblemError (400, 413, 415) and MalformedError (422)."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or parameters.strip().lower() not in {"", "charset=utf-8"}:
        raise ProblemError(415, "send the body as Content-Type: application/json, in UTF-8")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError(415, "send the body without Content-Encoding")
    return strict_json(await read_capped(request, bytes_max=bytes_max, drained_bytes_max=DRAINED_BYTES_MAX))


def strict_json(body: bytes) -> object:
    """The JSON in `body`. Raises UnreadableError, or MalformedError for what can be read and is not acceptable."""
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise UnreadableError("the body is not UTF-8") from None
    except RecursionError:
        raise UnreadableError(f"the body is nested deeper than {DEPTH_MAX}") from None
    except ValueError as failure:
        raise UnreadableError(f"the body is not JSON: {str(failure)[:120]}") from None
    _check(document)
    return document


async def _parts(stream: AsyncIterator[bytes], bytes_max: int) -> bytes | None:
    """The body, or None as soon as it is longer."""
    parts: list[bytes] = []
    total = 0
    async for part in stream:
        total += len(part)
        if total > bytes_max:
            return None
        parts.append(part)
    return b"".join(parts)


async def _drain(stream: AsyncIterator[bytes], bytes_max: int) -> None:
    """Read on and throw away, until the end, for so many bytes, or for two seconds."""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DRAIN_S_MAX):
            while bytes_max > 0 and (part := await anext(stream, None)) is not None:
                bytes_max -= len(part)


def _too_large(bytes_max: int) -> ProblemError:
    # The rest is not read: the connection ends with this answer.
    return ProblemError(413, f"the body is longer than {bytes_max} bytes", headers={"Connection": "close"})


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        twice, _count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise UnreadableError(f"the name {_shown(twice)} occurs twice in one object")
    return names


def _whole_number(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > DIGITS_READ_MAX:
        raise UnreadableError(f"a number has {digits} digits")
    if digits > DIGITS_MAX:
        raise MalformedError(f"a number has {digits} digits, at most {DIGITS_MAX} are allowed")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise UnreadableError("a number is too large to be read")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_int=_whole_number,
    parse_float=_number,
    parse_constant=_refuse_constant,
)


def _check(document: object) -> None:
    """Depth, lengths and characters of all that was read. Goes level by level, so no depth can exhaust the stack."""
    level: list[Any] = [document]
    depth = 0
    while level:
        depth += 1
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                if len(value) > TEXT_LENGTH_MAX or not value.isascii():
                    _check_text(value)
            elif kind is dict:
                _check_length(len(value))
                below += value.keys()
                below += value.values()
            elif kind is list:
                _check_length(len(value))
                below += value
        if depth > DEPTH_MAX and any(type(value) in {dict, list} for value in level):
            raise UnreadableError(f"the body is nested deeper than {DEPTH_MAX}")
        level = below


def _check_length(items: int) -> None:
    if items > ITEMS_MAX:
        raise MalformedError(f"a list or object has {items} members, at most {ITEMS_MAX} are allowed")


def _check_text(text: str) -> None:
    if len(text) > TEXT_LENGTH_MAX:
        raise MalformedError(f"a text has {len(text)} characters, at most {TEXT_LENGTH_MAX} are allowed")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise UnreadableError("a text holds half of a surrogate pair, which is no character")


def _shown(text: str) -> str:
    return ascii(text[:40])
