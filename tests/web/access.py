"""A shop in which some are known, and a clock that a test sets forward."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI

from oneshelf.clock import SystemClock
from oneshelf.domain.access import Scope
from oneshelf.domain.command import Command
from oneshelf.flow.post import Answered, post_commands
from oneshelf.storage import api_tokens
from oneshelf.storage.database import Database
from oneshelf.web.server import create_app

HOST = "http://shelf.localhost"


class SetClock(SystemClock):
    """The clock of the machine, and so much later."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@dataclass
class House:
    """An engine without channels, and who asks it."""

    database: Database
    app: FastAPI
    client: httpx2.AsyncClient
    clock: SetClock

    async def token(self, name: str, *scopes: Scope, lives_s: int | None = None, rate_per_s: float = 1e4) -> str:
        """A new token; every node knows of it."""
        async with self.database.transaction() as tx:
            new = api_tokens.NewToken(name, scopes, "a test", lives_s, rate_per_s)
            token = await api_tokens.add(tx, new)
        self.later()
        return token

    async def revoke(self, name: str) -> bool:
        async with self.database.transaction() as tx:
            return await api_tokens.revoke(tx, name)

    async def run(self, statement: bytes) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(statement)

    def later(self, seconds: float = 5.0) -> None:
        """What nodes remember is read again."""
        self.clock.ahead_s += seconds

    async def ask(self, method: str, path: str, *, token: str = "", **named: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self.client.request(method, path, headers={**headers, **named.pop("headers", {})}, **named)


@asynccontextmanager
async def open_house(dsn: str, *, api_token: str = "") -> AsyncIterator[House]:
    clock = SetClock()
    async with Database.open(dsn, connections_max=6) as database:

        async def post(commands: Sequence[Command]) -> list[Answered]:
            return await post_commands(database, clock.new_id, commands)

        app = create_app(
            database=database, channels={}, clock=clock, wake=lambda _names: None, post=post, api_token=api_token
        )
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
            yield House(database, app, client, clock)
