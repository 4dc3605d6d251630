"""Gives traces away by OTLP over HTTP. Loaded only where somebody takes them: its packages are the extra `traces`.

The standard variables count (OTEL_EXPORTER_OTLP_HEADERS, …_TIMEOUT, …_CERTIFICATE, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES): https://opentelemetry.io/docs/specs/otel/protocol/exporter/ (1.50.0, 2026).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from oneshelf.domain.journey import Span

PATH = "/v1/traces"
# Spans in one request.
PIECE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {"receive": SpanKind.SERVER, "push": SpanKind.CLIENT, "confirm": SpanKind.CLIENT}


class Exporter:
    """`address`: of the collector, such as http://collector:4318; empty: as the standard variables say."""

    def __init__(self, address: str = "") -> None:
        # It would say at each attempt, with the address, what the step says once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        endpoint = address if not address or address.endswith(PATH) else address.rstrip("/") + PATH
        self._exporter = OTLPSpanExporter(endpoint=endpoint or None)
        named = Resource.create()
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: "oneshelf"}))
        self._resource = named.merge(Resource({"service.version": version("oneshelf")}))
        self._scope = InstrumentationScope("oneshelf", version("oneshelf"))

    async def give(self, spans: Sequence[Span]) -> bool:
        """Whether all of them were taken. It may take as long as OTEL_EXPORTER_OTLP_TIMEOUT says, 10 s."""
        for at in range(0, len(spans), PIECE):
            piece = [self._written(span) for span in spans[at : at + PIECE]]
            if await asyncio.to_thread(self._exporter.export, piece) is not SpanExportResult.SUCCESS:
                return False
        return True

    def close(self) -> None:
        """End what is on its way."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # not annotated

    def _written(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
            resource=self._resource,
            attributes=span.attributes,
            events=[] if span.sent_at is None else [Event("sent", timestamp=_ns(span.sent_at))],
            links=[Link(_context(*other)) for other in span.links],
            kind=_KINDS.get(span.name, SpanKind.INTERNAL),
            status=Status(StatusCode.ERROR, span.failure) if span.failure else Status(StatusCode.UNSET),
            start_time=_ns(span.started_at),
            end_time=_ns(span.ended_at),
            instrumentation_scope=self._scope,
        )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
