"""One order's trace at a real collector: from its webhook to the proof at each channel, and no secret in it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from psycopg.types.json import Jsonb
from structlog.testing import capture_logs

from oneshelf.app import is_asked_for, open_traces
from oneshelf.config import Settings, load_settings
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import ConfigurationError
from oneshelf.flow.trace import Give, Tracer
from oneshelf.workers.supervisor import Supervisor
from web.paper import SECRET, Shop, open_shop

CANARY = "whsec_canary-4e1d"


class Collector:
    """Takes OTLP over HTTP, as its protocol says, on a port of this machine. `status`: what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[Any] = []
        self.resource: dict[str, str] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name is the library's
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, dict(self.headers), body)
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert path == "/v1/traces"
        self.headers.append(headers)
        self.raw.append(body)
        if self.status != 200:
            return
        told = ExportTraceServiceRequest.FromString(body)
        for group in told.resource_spans:
            self.resource = {one.key: one.value.string_value for one in group.resource.attributes}
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture
async def give(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Give]:
    monkeypatch.setenv("ONESHELF_TRACES", collector.url)
    async with open_traces(load_settings()) as opened:
        assert opened is not None
        yield opened


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Two shops that show the same ten mugs."""
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        await shop.command("k1", type="receive", sku="MUG", units=10)
        for name in ("left", "right"):
            connector = await shop.connect(name)
            connector.books[ChannelSku("MUG")] = 10
        async with shop.database.transaction() as tx:
            await tx.execute("insert into endpoints (endpoint, url) values ('erp', 'https://erp.example');")
            await tx.execute(
                "insert into endpoint_secrets (endpoint, number, sealed) values ('erp', 1, %s)",
                (Jsonb({"signing": CANARY}),),
            )
        await shop.sweep()
        await shop.settle()
        yield shop


def told(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.mark.pg
async def test_an_order_is_seen_from_its_webhook_to_the_proof_at_every_channel(
    shop: Shop, collector: Collector, give: Give
) -> None:
    tracer = Tracer(shop.database, give)
    assert (await shop.order("left", "o-1", MUG=2)).status_code == 200
    assert await tracer.trace() == 0, "it is not posted yet"
    await shop.settle()
    assert await tracer.trace() == 1
    assert await tracer.trace() == 0, "once is enough"
    spans = collector.spans
    [root] = [span for span in spans if not span.parent_span_id]
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.parent_span_id for span in spans if span is not root} == {root.span_id}
    assert told(root) | {"oneshelf.placed_at": ""} == {
        "oneshelf.channel": "left", "oneshelf.order_id": "o-1", "oneshelf.placed_at": "",
        "oneshelf.brought_by": "webhook",
    }  # fmt: skip
    parts = [(span.name, told(span).get("oneshelf.channel")) for span in spans]
    assert [name for name, _ in parts[:4]] == ["order", "receive", "interpret", "post"]
    at_right = [name for name, channel in parts[4:] if channel == "right"]
    assert at_right == ["plan", "push", "confirm"]
    assert ("push", "left") not in parts, "its own sale has lowered it"
    push = next(span for span in spans if span.name == "push")
    assert (told(push)["oneshelf.units"], told(push)["oneshelf.listing"]) == (8, "MUG")
    assert [event.name for event in push.events] == ["sent"]
    assert all(root.start_time_unix_nano <= s.start_time_unix_nano <= s.end_time_unix_nano for s in spans)
    assert root.end_time_unix_nano == max(span.end_time_unix_nano for span in spans)
    assert collector.resource["service.name"] == "oneshelf"


@pytest.mark.pg
async def test_orders_that_one_write_carried_link_to_each_other(shop: Shop, collector: Collector, give: Give) -> None:
    for number in (1, 2):
        await shop.order("left", f"o-{number}", MUG=1)
    await shop.settle()
    assert await Tracer(shop.database, give).trace() == 2
    first, second = (span for span in collector.spans if span.name == "push")
    assert first.trace_id != second.trace_id
    assert [(link.trace_id, link.span_id) for link in first.links] == [(second.trace_id, second.span_id)]


@pytest.mark.pg
async def test_no_secret_is_in_a_trace(shop: Shop, collector: Collector, give: Give) -> None:
    await shop.order("left", "o-1", MUG=1)
    await shop.settle()
    await Tracer(shop.database, give).trace()
    sent = b"".join(collector.raw) + repr(collector.headers).encode()
    assert b"o-1" in sent
    assert CANARY.encode() not in sent
    assert SECRET.encode() not in sent


@pytest.mark.pg
async def test_a_collector_that_is_away_loses_no_trace_and_is_told_of_once(
    shop: Shop, collector: Collector, give: Give
) -> None:
    tracer = Tracer(shop.database, give)
    collector.status = 400
    await shop.order("left", "o-1", MUG=1)
    await shop.settle()
    with capture_logs() as logs:
        assert await tracer.trace() == 0
        assert await tracer.trace() == 0, "held, so that no other node gives it away meanwhile"
        async with shop.database.transaction() as tx:
            await tx.execute("update traces set held_until = db_now() - interval '1 second'")
        assert await tracer.trace() == 0
        collector.status = 200
        async with shop.database.transaction() as tx:
            await tx.execute("update traces set held_until = db_now() - interval '1 second'")
        assert await tracer.trace() == 1
    assert [line["event"] for line in logs] == ["traces.not_taken", "traces.taken_again"]
    assert len(collector.spans) == len({span.span_id for span in collector.spans})


@pytest.mark.pg
async def test_where_nobody_takes_traces_nothing_is_done_for_them(shop: Shop, give: Give) -> None:
    async def refresh() -> None:
        pass

    supervisor = Supervisor(shop.database, shop.clock, shop.channels, refresh)
    assert supervisor._tracing_steps() == []
    await shop.order("left", "o-1", MUG=1)
    await shop.settle()
    async with shop.database.transaction() as tx:
        assert await (await tx.execute("select from traces")).fetchall() == []
    supervisor.give_traces = give
    assert [step.name for step in supervisor._tracing_steps()] == ["trace"]


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shelf"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_count(environment: dict[str, str], is_on: bool) -> None:
    assert is_asked_for(environment) is is_on


async def test_without_a_word_traces_are_off() -> None:
    async with open_traces(Settings()) as give:
        assert give is None


@pytest.mark.parametrize("address", ["collector:4318", "ftp://collector", "http://me:hush@collector", "http://"])
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_TRACES", address)
    with pytest.raises(ConfigurationError, match="such as http://collector:4318") as refused:
        load_settings()
    assert "hush" not in str(refused.value)
