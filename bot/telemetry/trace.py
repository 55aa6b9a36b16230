"""One trace from Slack's event to the posted answer, across all processes.

Without an endpoint nothing is imported, and a span costs one call. The trace context is stored in
the message (`Message.trace`). Spans contain ids, counts and times, never texts.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Literal

from bot import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

SERVICE = "threadbot"
EXPORT_SECONDS = 3.0
"""Timeout of one export; the process does not wait longer for the collector when it ends."""

SpanKind = Literal["server", "internal", "consumer"]
AttributeValue = str | int | float

_tracer: "Tracer | None" = None


class _NoSpan:
    """A block without a span. Its methods are static, because a bound method would be an object in
    each of thousands of blocks that wait."""

    @staticmethod
    def __enter__() -> None:
        pass

    @staticmethod
    def __exit__(*_: object) -> None:
        pass


_nothing = _NoSpan()


@asynccontextmanager
async def open_tracing(endpoint: str | None) -> AsyncIterator[None]:
    """Send spans to an OTLP endpoint (`http://host:4318`) until the end of the block.

    The other OTEL_* variables (headers, sampler, resource attributes) are read by the SDK.
    """
    global _tracer
    if endpoint is None:
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes: dict[str, str | int] = {"service.version": __version__, "process.pid": os.getpid()}
    if "OTEL_SERVICE_NAME" not in os.environ:
        attributes["service.name"] = SERVICE
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    before, _tracer = _tracer, provider.get_tracer("bot", __version__)
    try:
        yield
    finally:
        _tracer = before
        await asyncio.to_thread(provider.shutdown)


def span(
    name: str,
    *,
    parent: str = "",
    links: Collection[str] = (),
    kind: SpanKind = "internal",
    **attributes: AttributeValue,
) -> AbstractContextManager[object]:
    """A span around a block; underscores in the names of attributes become dots.

    `parent` and `links` are values of `current`, possibly from another process; without a parent
    the enclosing span is the parent.
    """
    if _tracer is None:
        return _nothing
    return _span(_tracer, name, parent, links, kind, attributes)


def current() -> str:
    """The current span as a W3C `traceparent`, or ""."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def _span(
    tracer: "Tracer",
    name: str,
    parent: str,
    links: Collection[str],
    kind: SpanKind,
    attributes: dict[str, AttributeValue],
) -> "Iterator[Span]":
    from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    def context(traceparent: str) -> "Context":
        return TraceContextTextMapPropagator().extract({"traceparent": traceparent})

    with tracer.start_as_current_span(
        name,
        context=context(parent) if parent else None,
        links=[Link(get_current_span(context(link)).get_span_context()) for link in links],
        kind=SpanKind[kind.upper()],
        attributes={key.replace("_", "."): value for key, value in attributes.items()},
        # The message of an exception may contain a text.
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        try:
            yield started
        except BaseException as error:
            started.set_status(StatusCode.ERROR, type(error).__name__)
            raise
