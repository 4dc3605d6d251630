"""An endpoint that follows the engine: a real HTTP server on this machine, which verifies with somebody else's code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from flow.shelf_world import CLOCK, Ledger
from oneshelf.domain.destination import networks_from
from oneshelf.domain.event import EventType, secret_of
from oneshelf.flow import deliver, tell
from oneshelf.flow.outgoing import Outgoing
from oneshelf.storage import endpoints
from oneshelf.storage.database import Database

SECRET = secret_of(b"a key of thirty-two bytes, only!")
LOOPBACK = networks_from("127.0.0.0/8")


@dataclass
class Receiver:
    """What came in. `answers`: the next statuses, then 204; 0: hang, and never answer."""

    secrets: Sequence[str] = (SECRET,)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0
    url: str = ""
    has_request: asyncio.Event = field(default_factory=asyncio.Event)

    def verify(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        for secret in self.secrets:
            try:
                document: dict[str, Any] = Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
            return document
        raise WebhookVerificationError("none of the secrets fits")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append({"request": head[0], **headers, "body": body.decode()})
            self.has_request.set()
            status = self.answers.pop(0) if self.answers else 204
            if status == 0:
                await asyncio.Event().wait()
            if status < 300:
                self.taken.append(self.verify(body, headers))
            more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            writer.write(f"HTTP/1.1 {status} said\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        except WebhookVerificationError:
            self.refused_count += 1
        finally:
            writer.close()

    def of(self, kind: EventType) -> list[dict[str, Any]]:
        return [event for event in self.taken if event["type"] == kind]


@asynccontextmanager
async def listening(*, kind: type[Receiver] = Receiver, **named: Any) -> AsyncIterator[Receiver]:
    receiver = kind(**named)
    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(receiver.serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?shop=1"
    try:
        yield receiver
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def outgoing(**named: Any) -> AsyncIterator[Outgoing]:
    named = {"allowed": LOOPBACK, **named}
    async with httpx2.AsyncClient(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)) as client:
        yield Outgoing(client, **named)


async def follow(
    database: Database, receiver: Receiver, *kinds: EventType, name: str = "erp", secret: str = SECRET
) -> None:
    """Have the receiver told of what happens from now on."""
    async with database.transaction() as tx:
        await endpoints.define(tx, name, receiver.url, event_types=kinds, allows_http=True)
        await endpoints.add_secret(tx, database.keyring, name, secret, overlap_s=0)


async def tell_all(ledger: Ledger) -> None:
    """Tell until there is nothing more to tell."""
    while await tell.tell(ledger.database, CLOCK.new_id):
        pass


async def deliver_all(ledger: Ledger, out: Outgoing) -> None:
    """Deliver until nothing is due."""
    while await deliver.deliver(ledger.database, CLOCK, out):
        pass


async def row_of(database: Database, name: str = "erp") -> endpoints.EndpointRow:
    async with database.transaction() as tx:
        [row] = await endpoints.listed(tx, only=name)
    return row


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    """All attempts, taken or not."""
    return [json.loads(request["body"]) for request in receiver.requests]
