"""A shelf on which everything that the examples name is there, and a look at whether anything on it has changed."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2
import psycopg
from psycopg import sql

from oneshelf.domain.count_task import CountWish
from oneshelf.domain.identity import Location, Sku
from oneshelf.flow.count import open_task
from oneshelf.storage import catalog
from tables import filled
from web.bad_input.examples import (
    BERLIN,
    BUNDLE,
    COLOGNE,
    CONFLICT,
    COUNT,
    COUNT_TO_RULE,
    DRIFT,
    KIT,
    PART,
    SKU,
    Body,
    Example,
)
from web.paper import Shop, open_shop

PROBLEM = "application/problem+json"
DETAIL_LENGTH_MAX = 600
JSON = {"content-type": "application/json"}


@dataclass
class Shelf:
    """A shop with 500,000 units of two SKUs at one location."""

    shop: Shop
    dsn: str
    connection: psycopg.Connection[tuple[Any, ...]]
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.shop.client

    async def filled(self, example: Example) -> Example:
        """The example with fresh names, after what has to be done before it."""
        told = json.dumps([example.names, example.body, example.before])
        number, now = next(self._numbers), self.shop.clock.now().isoformat()
        hold = await self.hold() if "{hold}" in told else ""
        token = await self.token() if "{token}" in told else ""
        named = {"{number}": f"n{number}", "{hold}": hold, "{token}": token, "{now}": now}

        def fill(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: fill(member) for name, member in value.items()}
            if isinstance(value, list):
                return [fill(item) for item in value]
            if value == "{key}":
                return f"k{next(self._numbers)}"
            return named.get(value, value) if isinstance(value, str) else value

        for command in example.before:
            await self.done("/v1/commands", {"commands": [fill(command)]})
        names = tuple((name, fill(value)) for name, value in example.names)
        return example._replace(body=fill(example.body), before=(), names=names)

    async def token(self) -> str:
        """A count that has begun."""
        return str((await self.done("/v1/counts", {"location": BERLIN, "skus": [SKU]})).json()["token"])

    async def hold(self) -> str:
        """The id of a fresh hold of 3 units."""
        lines = [{"sku": SKU, "location": BERLIN, "units": 3}]
        key = f"h{next(self._numbers)}"
        answer = await self.done("/v1/reservations", {"key": key, "kind": "hold", "ttl_s": 600, "lines": lines})
        return str(answer.json()["figures"]["reservation_id"])

    async def done(self, path: str, body: Body) -> httpx2.Response:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def send(
        self,
        example: Example,
        body: str | bytes | AsyncIterator[bytes],
        headers: Mapping[str, str] | Sequence[tuple[str, str | bytes]] = JSON,
    ) -> httpx2.Response:
        content = body.encode() if isinstance(body, str) else body
        listed: Any = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        return await self.client.request(example.method, example.address, content=content, headers=listed)

    def fingerprint(self, *, without: Sequence[str] = ()) -> str:
        """All that is in the database, in few characters; `without` these tables.

        A balance that never held a unit says no more than none: one is made where a command looks for it.
        """
        look = "select {name} as t, md5(string_agg(t::text, chr(10) order by t::text)) as h from {table} t {kept}"
        looks = [
            sql.SQL(look).format(
                name=sql.Literal(table),
                table=sql.Identifier(table),
                kept=sql.SQL("where t.version > 0" if table == "balances" else ""),
            )
            for table in filled(self.connection).difference(without)
        ]
        # Of many tables the database looks at several at a time, and tells what is ready first.
        rows = self.connection.execute(sql.SQL(" union all ").join(looks)).fetchall()
        # A table that has no row now says no more than one that never had any.
        return str(sorted(row for row in rows if row[1] is not None))


@asynccontextmanager
async def open_shelf(dsn: str, *, api_token: str = "") -> AsyncIterator[Shelf]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        async with open_shop(dsn, api_token=api_token) as shop:
            await shop.connect("paper")
            await shop.name_skus(SKU)
            connection.execute("insert into listings (channel, channel_sku, sku) values ('paper', %s, %s)", (SKU, SKU))
            async with shop.database.transaction() as tx:
                await catalog.add_location(tx, Location(COLOGNE))
            await shop.name_skus(SKU, PART, KIT, BUNDLE)
            shop.client.headers["Authorization"] = f"Bearer {api_token}"
            for sku in (SKU, PART):
                assert (await shop.command(f"first-{sku == PART}", type="receive", sku=sku, units=500_000)).is_success
            connection.execute(
                "insert into listings (channel, channel_sku, sku, base_units) values ('paper', 'drifting', %s, 5)",
                (SKU,),
            )
            connection.execute(
                "insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units) "
                "values (%s, 'paper', 'drifting', %s, 'foreign edit', 5, 9)",
                (DRIFT, SKU),
            )
            connection.execute("insert into sources (source, added_by) values ('erp', 'test')")
            connection.execute(
                "insert into conflicts (sku, conflict_id, location, figure, kind, state, rule, winner, beaten) "
                "values (%s, %s, %s, 'on_hand', 'statement', 'open', 'everything: engine', %s, %s)",
                (
                    SKU,
                    CONFLICT,
                    BERLIN,
                    '{"source": "engine", "document": "", "units": 5, "value": 5}',
                    '{"source": "erp", "document": "S-1", "units": 6, "value": 6}',
                ),
            )
            lines = [{"line_id": "1", "sku": SKU, "units": 50_000}, {"line_id": "2", "sku": PART, "units": 9}]
            for number in ("PO-1", "PO-2"):
                order = {"customer": "acme", "po_number": number, "location": BERLIN, "lines": lines}
                assert (await shop.client.post("/v1/wholesale/orders", json=order)).is_success
            for task in (COUNT, COUNT_TO_RULE):
                wish = CountWish(task=task, location=Location(BERLIN), skus=(Sku(SKU),))
                assert await open_task(shop.database, shop.clock.new_id, wish, by="test") == 1
            connection.execute("insert into endpoints (endpoint, url) values ('erp', 'https://erp.example/stock')")
            yield Shelf(shop, dsn, connection)


def complaints(answer: httpx2.Response, status: int, *, sent: str = "") -> list[str]:
    """What is wrong with the refusal of something wrong; nothing, where it is a right one."""
    if answer.status_code != status:
        return [f"answered {answer.status_code} instead of {status}: {answer.text[:200]}"]
    if answer.headers["content-type"] != PROBLEM:
        return [f"is {answer.headers['content-type']}"]
    told = answer.json()
    detail = str(told["detail"])
    wrong = []
    if told["status"] != status:
        wrong.append("says another status than it has")
    if not 15 <= len(detail) <= DETAIL_LENGTH_MAX:
        wrong.append(f"has {len(detail)} characters of detail: {detail[:100]}")
    if hidden := sorted({character for character in detail if unicodedata.category(character) in {"Cc", "Cf", "Cs"}}):
        wrong.append(f"tells invisible characters {hidden} again")
    if sent and len(sent) > 300 and sent[:300] in answer.text:
        wrong.append("tells what was sent at length again")
    if any(word in answer.text for word in ("Traceback", "psycopg", "pydantic", 'File "')):
        wrong.append("tells of the inside")
    return wrong
