"""What HTTP and the database alone cost here: a server without our code in front of the tables.

`/empty` reads a body and gives an answer of the same size; `/rows` also writes the rows of a reservation, in shared
transactions, with nothing read, locked, checked or decided. `python -m benchmarks.http_floor PORT DSN` serves both.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

from benchmarks.designs import Reserving, floor
from oneshelf.demo.children import HOST
from oneshelf.domain.identity import Sku
from oneshelf.storage.database import Database

# As long as the answer to a reservation.
ANSWER = b'{"outcome":"reserved","detail":"' + b"1 unit is set aside until further notice" * 6 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


class Floor:
    """A plain ASGI application."""

    def __init__(self, reserve: Reserving) -> None:
        self._reserve = reserve

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body, is_more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/rows":
            asked = msgspec.json.decode(body)
            await self._reserve(Sku(asked["lines"][0]["sku"]), asked["key"])
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


async def serve(port: int, dsn: str) -> None:
    """Until the process is ended."""
    async with Database.open(dsn, application_name="floor") as database, floor(database) as reserve:
        config = uvicorn.Config(
            Floor(reserve),
            host=HOST,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
