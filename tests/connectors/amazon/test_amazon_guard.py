"""A quantity never goes to a SKU that the last reading did not show as fulfilled by the seller, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.amazon.harness import Bench, Exchange, bench
from oneshelf.connectors.amazon.connector import AmazonConnector
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import OneshelfError
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import StockFile

SKUS = ("MUG", "A,B")
FAULTS = ("throttle", "server_error", "reply_lost", "partial_page", "stale_read", "token_expired", "page_drift")
ACTS = st.one_of(
    st.tuples(st.just("read"), st.sets(st.sampled_from(SKUS), min_size=1)),
    st.tuples(st.just("walk"), st.just(frozenset())),
    st.tuples(st.just("report"), st.just(frozenset())),
    st.tuples(st.just("push"), st.lists(st.sampled_from(SKUS), min_size=1, unique=True)),
    st.tuples(st.just("feed"), st.lists(st.sampled_from(SKUS), min_size=1, unique=True)),
    st.tuples(st.just("to amazon"), st.sampled_from(SKUS)),
    st.tuples(st.just("to the seller"), st.sampled_from(SKUS)),
    st.tuples(st.just("to both"), st.sampled_from(SKUS)),
    st.tuples(st.just("end"), st.sampled_from(SKUS)),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
    st.tuples(st.just("wait"), st.sampled_from((1, 30, 400))),
    st.tuples(st.just("lose"), st.just("next")),
    st.tuples(st.just("die"), st.just("now")),
)


class Witness:
    """Reads along on the wire, by itself: what each listing was last shown as, and what was written to it."""

    def __init__(self) -> None:
        self.shown: dict[str, set[str] | None] = {}
        self._asked: set[str] = set()
        self.patched: list[tuple[str, bool]] = []

    def see(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method == "PUT":
            skus = [message["sku"] for message in json.loads(exchange.sent)["messages"]]
            self.patched.extend((sku, self.shown.get(sku) == {"DEFAULT"}) for sku in skus)
        request, path = exchange.request, exchange.request.url.raw_path.split(b"?")[0].decode()
        if "/listings/" not in path:
            return
        if request.method == "PATCH":
            sku = unquote(path.split("/")[5])
            self.patched.append((sku, self.shown.get(sku) == {"DEFAULT"}))
        elif exchange.response.status_code == 200:
            self._read(exchange, json.loads(exchange.received))
        elif exchange.response.status_code == 404:
            self.shown[unquote(path.split("/")[5])] = None

    def _read(self, exchange: Exchange, answer: Any) -> None:
        params = exchange.request.url.params
        if "identifiers" in params and "pageToken" not in params:
            self._asked = set(params["identifiers"].split(","))
        for one in answer.get("items", [answer]):
            codes = {row["fulfillmentChannelCode"] for row in one["fulfillmentAvailability"]}
            self.shown[one["sku"]] = codes
            self._asked.discard(one["sku"])
        if "nextToken" not in (answer.get("pagination") or {}):
            self.shown.update(dict.fromkeys(self._asked))
            self._asked = set()


async def act(desk: Bench, connector: AmazonConnector, deed: str, what: Any) -> None:
    """What the engine does."""
    if deed == "read":
        await connector.read_stock([ChannelSku(sku) for sku in sorted(what)])
    elif deed == "walk":
        page = await connector.fetch_stock(None)
        while page.cursor is not None:
            page = await connector.fetch_stock(page.cursor)
    elif deed == "report":
        await read_report(desk, connector)
    elif deed == "feed":
        skus = [ChannelSku(sku) for sku in what]
        await connector.plan_feed(skus)
        await connector.begin_feed([desk.write(sku, 5) for sku in skus])
    elif deed == "push":
        await connector.push([desk.write(sku, 5) for sku in what])
    else:
        await happen(desk, deed, str(what))


async def happen(desk: Bench, deed: str, what: str) -> None:
    """What happens to it."""
    books = desk.simulator.amazon
    if deed == "to amazon":
        books.fulfil_by_amazon(what)
    elif deed == "to the seller":
        books.catalogue[what].channel_code, books.catalogue[what].default_units = "DEFAULT", None
    elif deed == "to both":
        books.fulfil_by_amazon(what)
        books.catalogue[what].default_units = 2
    elif deed == "end":
        books.end(books.catalogue[what])
    elif deed == "fault":
        desk.simulator.switches.set({what: {"next": 1}})
    elif deed == "wait":
        await desk.clock.advance(float(what))
    else:
        lose_next(desk)


async def read_report(desk: Bench, connector: AmazonConnector) -> None:
    file: StockFile = await connector.begin_stock_file(asked_at=desk.clock.now())
    await desk.clock.advance(200)
    file = await connector.stock_file(file)
    if file.address:
        async with aclosing(connector.read_stock_file(file)) as parts:
            async for _ in parts:
                pass


def lose_next(desk: Bench) -> None:
    """The next request of any kind finds nobody."""

    async def lose(request: httpx2.Request) -> None:
        desk.wiretap.before = None
        raise httpx2.ConnectError("nobody", request=request)

    desk.wiretap.before = lose


async def live(acts: list[tuple[str, object]]) -> list[tuple[str, bool]]:
    async with bench(dict.fromkeys(SKUS, 9)) as desk:
        connector = desk.connector
        for deed, what in acts:
            if deed == "die":
                connector = desk.another_connector()
                continue
            assert isinstance(connector, AmazonConnector)
            try:
                await act(desk, connector, deed, what)
            except (ChannelFault, OneshelfError):
                # What the engine does then: it asks again, later.
                await desk.clock.advance(1)
    witness = Witness()
    for exchange in desk.wiretap.exchanges:
        witness.see(exchange)
    return witness.patched


@pytest.mark.long
def test_no_quantity_goes_to_what_was_not_last_shown_as_the_sellers_own() -> None:
    lived: Counter[str] = Counter()

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(acts=st.lists(ACTS, min_size=3, max_size=25))
    @example(acts=[("read", {"MUG"}), ("end", "MUG"), ("read", {"MUG"}), ("push", ["MUG"])])
    @example(acts=[("read", {"MUG"}), ("to amazon", "MUG"), ("read", {"MUG"}), ("feed", ["MUG"])])
    @example(acts=[("walk", ""), ("to both", "MUG"), ("walk", ""), ("push", ["MUG"])])
    @example(acts=[("read", {"A,B"}), ("to amazon", "A,B"), ("die", "now"), ("lose", "next"), ("push", ["A,B"])])
    def days(acts: list[tuple[str, object]]) -> None:
        patched = asyncio.run(live(acts))
        for sku, was_own in patched:
            assert was_own, f"{sku} was written, and was not last shown as fulfilled by the seller alone"
        lived["patched"] += len(patched)
        lived.update({deed for deed, _ in acts} if patched else ())

    days()
    assert lived["patched"] > 50, lived
    assert {"feed", "walk", "report", "to both", "to amazon", "die", "lose", "fault", "end"} <= set(lived), lived


async def test_the_witness_sees_a_quantity_that_must_not_be_sent() -> None:
    async with bench({"MUG": 9}) as desk:
        await desk.connector.read_stock([ChannelSku("MUG")])
        await desk.connector.push([desk.write("MUG", 5)])
        witness = Witness()
        for exchange in desk.wiretap.exchanges:
            witness.see(exchange)
        assert witness.patched == [("MUG", True)]
        witness.shown["MUG"] = {"DEFAULT", "AMAZON_NA"}
        witness.see(desk.wiretap.exchanges[-1])
        assert witness.patched[-1] == ("MUG", False)
