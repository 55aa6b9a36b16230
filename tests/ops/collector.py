"""A collector of OpenTelemetry traces on loopback."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """One span as it was sent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    pid: int
    service: str
    attributes: dict[str, str]
    links: tuple[str, ...]
    error: str


@dataclass
class Collector:
    """The received spans; `endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.raw += body
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            about = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_read(span, about) for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")


def _read(span: Any, about: dict[str, str]) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        pid=int(about["process.pid"]),
        service=about["service.name"],
        attributes=_attributes(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        error=span.status.message,
    )


def _attributes(pairs: Any) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value"))) for pair in pairs}


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    """Run a collector that accepts everything."""
    collector = Collector()
    site = web.Application()
    site.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
