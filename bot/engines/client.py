"""The SDK's client for both network engines: bounded, and without its own retries."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import aiohttp
import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient

from bot.engines.connection import Response as LeanResponse
from bot.engines.pool import Pool, Pools
from bot.engines.streaming import StreamingTransport
from bot.engines.transport import (
    EXTRA_SECONDS,
    STREAMED,
    BoundedTransport,
    read_whole,
    whole_timeout,
)
from bot.settings import Settings
from bot.telemetry.log import log
from bot.timing import EngineTiming

READS = 128
"""Concurrent GET requests: enough to poll 1,000 runs that were handed over within two seconds,
at 200 ms each."""

WRITES = 32
"""Concurrent requests of other methods, so that new runs do not queue behind the polls."""

STREAMS = 100
"""Connections that may be streams at the same time. Further runs are polled."""

KEPT_SECONDS = 3.0
"""Seconds for which an idle connection is kept; common servers close theirs after five."""

POOL_SECONDS = 60.0
ASSISTANTS = {"OpenAI-Beta": "assistants=v2"}
"""The header that the Assistants protocol requires."""


def read_timeout(timing: EngineTiming) -> httpx2.Timeout:
    """The timeout of requests that read."""
    return httpx2.Timeout(timing.read_timeout, connect=timing.connect_timeout, pool=POOL_SECONDS)


def create_timeout(timing: EngineTiming) -> httpx2.Timeout:
    """The timeout of requests that begin a run."""
    return httpx2.Timeout(timing.create_timeout, connect=timing.connect_timeout)


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients of the process: loading the certificates takes 20 ms."""
    return httpx2.create_ssl_context()


class GatedClient(DefaultAioHttpClient):
    """Limits concurrent requests to `READS` and `WRITES`; a stream counts only until it begins.

    Uses aiohttp, because the SDK's own pool walks all its connections for every request: with a
    hundred of them a poll takes 0.8 ms of CPU instead of 2.0. At DEBUG each request is logged with
    its outcome.
    """

    def __init__(self, timing: EngineTiming, **options: Any) -> None:
        self._pools = Pools(_ssl_context(), KEPT_SECONDS)
        super().__init__(**options)
        self._timing = timing
        self._reads = asyncio.Semaphore(READS)
        self._writes = asyncio.Semaphore(WRITES)

    def _init_transport(self, *args: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        inner = super()._init_transport(*args, **options)
        return BoundedTransport(StreamingTransport(inner, self._pools))

    def _init_proxy_transport(self, *args: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return BoundedTransport(super()._init_proxy_transport(*args, **options))

    async def send(self, request: httpx2.Request, *args: Any, **options: Any) -> httpx2.Response:
        async with self._gated(request, streamed=bool(options.get("stream"))) as outcome:
            response = await super().send(request, *args, **options)
            outcome.status = str(response.status_code)
        return response

    def pool_of(self, url: httpx2.URL) -> Pool | None:
        """Our own connections to the server of a URL; None if a proxy is in between."""
        direct = self._transport_for_url(url) is self._transport
        return self._pools.of(url) if direct else None

    async def read_lean(
        self, pool: Pool, head: bytes, path: str, timeout: httpx2.Timeout
    ) -> LeanResponse:
        """Send a GET request on one of our own connections."""
        outcome, silence = _Outcome(), timeout.read
        async with self._reads:
            began = time.monotonic()
            try:
                response = await pool.get(
                    head,
                    connect=timeout.connect,
                    silence=silence,
                    whole=None if silence is None else silence + self._timing.write_timeout,
                )
                outcome.status = str(response.status)
            finally:
                outcome.log(f"GET {path}", began)
        return response

    async def aclose(self) -> None:
        self._pools.close()
        await super().aclose()

    async def read(self, request: httpx2.Request) -> tuple[httpx2.Response, bytearray]:
        """Send a request without the SDK's layers; returns the response with its body.

        Follows no redirects.
        """
        async with self._gated(request, streamed=False) as outcome:
            response = await self._sent(request, outcome)
            stream = response.stream
            assert isinstance(stream, httpx2.AsyncByteStream)
            return response, await read_whole(stream)

    async def open(self, request: httpx2.Request) -> httpx2.Response:
        """Like `read`, without reading the body; the caller closes the response."""
        async with self._gated(request, streamed=True) as outcome:
            return await self._sent(request, outcome)

    async def _sent(self, request: httpx2.Request, outcome: "_Outcome") -> httpx2.Response:
        response = await self._transport_for_url(request.url).handle_async_request(request)
        response.request = request
        if "set-cookie" in response.headers:
            self.cookies.extract_cookies(response)
        outcome.status = str(response.status_code)
        return response

    @asynccontextmanager
    async def _gated(self, request: httpx2.Request, *, streamed: bool) -> AsyncIterator["_Outcome"]:
        outcome = _Outcome()
        async with self._reads if request.method == "GET" else self._writes:
            began = time.monotonic()
            request.extensions = {
                **request.extensions,
                STREAMED: streamed,
                EXTRA_SECONDS: self._timing.write_timeout,
            }
            try:
                async with asyncio.timeout(whole_timeout(request)):
                    yield outcome
            except TimeoutError as error:
                raise httpx2.WriteTimeout("the request took too long", request=request) from error
            except aiohttp.ClientError as error:
                raise httpx2.RemoteProtocolError(str(error), request=request) from error
            finally:
                outcome.log(f"{request.method} {request.url.path}", began)


@dataclass(slots=True)
class _Outcome:
    """The status of a request, once it has one."""

    status: str = "no answer"

    def log(self, request: str, began: float) -> None:
        ms = round((time.monotonic() - began) * 1000, 1)
        log.debug("ai_request", request=request, status=self.status, ms=ms)


@asynccontextmanager
async def open_client(
    settings: Settings,
    timing: EngineTiming = EngineTiming(),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[AsyncOpenAI]:
    """Open the client and close it at the end. All requests have the `headers`.

    It never retries a POST: the protocol has no idempotency keys, so a retry after a timeout could
    be a second message or be billed twice. (aiohttp retries a GET or DELETE once if its connection
    broke before the answer began.) Idle connections are closed earlier than common servers close
    them, so that no POST uses a closed one.
    """
    key = settings.openai_api_key
    limits = httpx2.Limits(
        max_connections=READS + WRITES + STREAMS,
        max_keepalive_connections=READS,
        keepalive_expiry=KEPT_SECONDS,
    )
    timeout = create_timeout(timing)
    client = AsyncOpenAI(
        api_key=key.get_secret_value() if key is not None else "none",
        base_url=settings.openai_base_url,
        max_retries=0,
        timeout=timeout,
        default_headers={"Accept-Encoding": "gzip, deflate"} | dict(headers),
        http_client=GatedClient(
            timing, limits=limits, timeout=timeout, follow_redirects=True, verify=_ssl_context()
        ),
    )
    async with client:
        yield client
