"""Events over HTTP: a stream that goes on where it broke off, and endpoints without their secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from flow.follower import listening, outgoing
from oneshelf.domain.event import EventType, Wanted
from oneshelf.flow import tell
from oneshelf.web import event_stream
from oneshelf.web.event_feed import EventFeed
from oneshelf.web.event_stream import _stream
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

ALL = Wanted()


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        yield shop


async def receive(shop: Shop, sku: str, key: str, *, units: int = 1) -> None:
    await shop.command(key, type="receive", sku=sku, units=units)
    await tell_all(shop)


async def tell_all(shop: Shop) -> None:
    while await tell.tell(shop.database, shop.clock.new_id):
        pass


def feed_of(shop: Shop, **named: Any) -> EventFeed:
    return EventFeed(shop.database, shop.clock, **named)


async def let_in() -> bool:
    return True


async def next_of(shop: Shop, feed: EventFeed, wanted: Wanted, cursor: int) -> list[dict[str, Any]]:
    """What a reader gets next after this position: the events of one piece."""
    engine = replace(shop.app.state.engine, feed=feed)
    async with aclosing(_stream(engine, feed, wanted, await feed.start(cursor), let_in)) as stream:
        assert (await anext(stream)).startswith(b"retry: ")
        piece = (await anext(stream)).decode()
    return [json.loads(line.removeprefix("data: ")) for line in piece.splitlines() if line.startswith("data: ")]


async def test_a_reader_goes_on_after_the_last_event_that_it_has_seen(shop: Shop) -> None:
    await receive(shop, "MUG", "k1", units=5)
    await receive(shop, "CAP", "k2", units=7)
    feed = feed_of(shop)
    first, second = await next_of(shop, feed, ALL, 0)
    assert [one["data"]["sku"] for one in (first, second)] == ["MUG", "CAP"]
    assert await next_of(shop, feed, ALL, first["position"]) == [second]
    assert await next_of(shop, feed, ALL, 999) == [first, second], "the log of before a restore is another one"
    assert (feed.reader_count, await feed.start(None)) == (0, second["position"])


async def test_a_reader_gets_only_what_it_follows(shop: Shop) -> None:
    await receive(shop, "MUG", "k1")
    await receive(shop, "CAP", "k2")
    for feed, starts in ((feed_of(shop), 0), (feed_of(shop, kept_max=1), 0)):
        [cap] = await next_of(shop, feed, Wanted(skus=frozenset({"CAP"})), starts)
        assert cap["data"]["sku"] == "CAP"


async def test_many_readers_look_into_the_database_once(shop: Shop) -> None:
    feed = feed_of(shop)
    start = await feed.start(None)
    looked = feed.look_count
    await receive(shop, "MUG", "k1")
    feed._looked_at = float("-inf")
    found = await asyncio.gather(*(feed.read(ALL, start) for _ in range(50)))
    assert {len(events) for events, _ in found} == {1}
    assert feed.look_count == looked + 1


async def test_who_reads_slowly_costs_no_memory_and_misses_no_level(shop: Shop) -> None:
    """More happens than is kept: the slow one reads pages of the newest figures from the database instead."""
    feed = feed_of(shop, kept_max=3)
    start = await feed.start(None)
    for number in range(8):
        await receive(shop, "MUG" if number % 2 else "CAP", f"k{number}")
        await feed._look(at_once=True)
    assert len(feed._kept) == 3
    found, cursor = await feed.read(ALL, start)
    assert [(event.figures["sku"], event.figures["available"]) for event in found] == [("CAP", 4), ("MUG", 4)]
    assert await feed.read(ALL, cursor) == ((), cursor)


class Reader:
    """Asks for the stream over ASGI, and hangs up when it is told to."""

    def __init__(self, shop: Shop) -> None:
        self._app = shop.app
        self.status = asyncio.get_running_loop().create_future()
        self.hangs_up = asyncio.Event()

    async def ask(self) -> None:
        host = (b"host", b"localhost")
        scope = {"type": "http", "method": "GET", "path": "/v1/events", "query_string": b"", "headers": [host]}
        served = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "scheme": "http", "http_version": "1.1"}
        await self._app(
            {**scope, **served, "client": ("127.0.0.1", 1), "server": ("localhost", 80)}, self._in, self._out
        )

    async def _in(self) -> dict[str, Any]:
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}

    async def _out(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status.set_result(message["status"])


async def test_no_more_readers_than_there_are_places_for_however_many_ask_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "READERS_MAX", 3)
    readers = [Reader(shop) for _ in range(8)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader.ask())
        assert sorted([await reader.status for reader in readers]) == [200] * 3 + [503] * 5
        for reader in readers:
            reader.hangs_up.set()
    assert shop.app.state.engine.feed.reader_count == 0


async def test_who_hangs_up_before_the_stream_begins_keeps_no_place(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "READERS_MAX", 1)
    for _ in range(3):
        reader = Reader(shop)
        reader.hangs_up.set()
        async with asyncio.timeout(60):
            await reader.ask()
        assert not reader.status.done() or reader.status.result() == 200
    assert shop.app.state.engine.feed.reader_count == 0


@pytest.mark.long
async def test_the_stream_is_described_and_asks_for_names_that_there_are(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    told = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert json.loads(told["example"].split("data: ")[1])["type"] == EventType.STOCK_CHANGED
    for wrong in ({"types": "stock"}, {"after": "yesterday"}, {"type": "stock.changed"}):
        assert (await shop.client.get("/v1/events", params=wrong)).status_code == 422


async def test_an_endpoint_from_its_definition_to_its_end(shop: Shop) -> None:
    address = "/v1/endpoints/erp"
    async with listening() as receiver, outgoing() as out:
        shop.app.state.engine = replace(shop.app.state.engine, outgoing=out)
        wish = {"url": receiver.url, "event_types": ["stock.changed"], "allow_http": True}
        assert (await shop.client.put(address, json={"url": receiver.url})).status_code == 422, "http has to be said"
        secret = (await shop.client.put(address, json=wish)).json()["secret"]
        assert secret.startswith("whsec_")
        assert (await shop.client.put(address, json=wish)).json()["secret"] is None
        receiver.secrets = [secret]
        tried = (await shop.client.post(f"{address}/test")).json()
        assert (tried["is_delivered"], tried["status"], len(receiver.taken)) == (True, 204, 1)
        await receive(shop, "MUG", "k1")
        listed = await shop.client.get("/v1/endpoints")
        assert secret not in listed.text
        [told] = listed.json()["endpoints"]
        assert (told["endpoint"], told["state"], told["waiting_count"]) == ("erp", "active", 1)
        metrics = (await shop.client.get("/metrics")).text
        assert 'oneshelf_endpoint_waiting_events{endpoint="erp"} 1.0' in metrics
        assert secret not in metrics
        assert (await shop.client.post(f"{address}/pause")).json()["state"] == "paused"
        assert (await shop.client.post(f"{address}/resume")).json()["state"] == "active"
        replayed = await shop.client.post(f"{address}/replay", json={"since": "2026-01-01T00:00:00Z"})
        assert replayed.json()["event_count"] == 1
        rotated = (await shop.client.post(f"{address}/rotate")).json()["secret"]
        assert rotated not in {secret, None}
        assert (await shop.client.delete(address)).status_code == 204
        assert (await shop.client.post(f"{address}/test")).status_code == 404
