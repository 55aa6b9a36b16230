"""The SDK's client as both network engines need it: bounded, and never repeating itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient

from bot.settings import Settings
from bot.telemetry.log import log

LOOKS = 128
"""Reading requests at once: enough to look at 1,000 runs that were handed over within two seconds,
at 200 ms each."""

ACTS = 32
"""Other requests at once: what begins does not queue behind all the polls."""

STREAMS = 100
"""Connections that may be streams at the same time. Further runs are polled."""

KEPT_SECONDS = 3.0
"""How long an idle connection is kept; common servers close theirs after five."""

WRITE_SECONDS = 60.0
"""What a request with a body may take beyond its read timeout: aiohttp sets no limit to sending."""

LOOK = httpx2.Timeout(15, connect=5, pool=60)
CREATE = httpx2.Timeout(60, connect=5)


class _GatedClient(DefaultAioHttpClient):
    """Lets `LOOKS` and `ACTS` through at a time, a stream only until it begins.

    Over aiohttp, because the SDK's own pool goes through all its connections for every single
    request: with a hundred of them a poll takes 0.8 ms of CPU instead of 2.0. At DEBUG each request
    is logged with its outcome.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._looks = asyncio.Semaphore(LOOKS)
        self._acts = asyncio.Semaphore(ACTS)

    async def send(self, request: httpx2.Request, *args: Any, **options: Any) -> httpx2.Response:
        async with self._looks if request.method == "GET" else self._acts:
            began, status = time.monotonic(), "no answer"
            try:
                async with asyncio.timeout(_limit(request)):
                    response = await super().send(request, *args, **options)
                status = str(response.status_code)
            except TimeoutError as error:
                raise httpx2.WriteTimeout("the request was not taken", request=request) from error
            except aiohttp.ClientError as error:
                raise httpx2.RemoteProtocolError(str(error), request=request) from error
            finally:
                ms = round((time.monotonic() - began) * 1000, 1)
                path = f"{request.method} {request.url.path}"
                log.debug("ai_request", request=path, status=status, ms=ms)
            return response


def _limit(request: httpx2.Request) -> float | None:
    """Seconds for the whole of a request that has a body."""
    read = request.extensions.get("timeout", {}).get("read")
    return None if request.method == "GET" or read is None else read + WRITE_SECONDS


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[AsyncOpenAI]:
    """Open the client and close it in the end.

    It repeats no POST by itself: no request of the protocol carries an idempotency key, so that a
    repeated one after a timeout could be a second message or a second bill. (aiohttp repeats a GET
    or DELETE once whose connection broke before the answer began.) Kept connections are closed
    sooner than common servers close them, so that a POST does not run into a closed one.
    """
    key = settings.openai_api_key
    limits = httpx2.Limits(
        max_connections=LOOKS + ACTS + STREAMS,
        max_keepalive_connections=LOOKS,
        keepalive_expiry=KEPT_SECONDS,
    )
    client = AsyncOpenAI(
        api_key=key.get_secret_value() if key is not None else "none",
        base_url=settings.openai_base_url,
        max_retries=0,
        timeout=CREATE,
        http_client=_GatedClient(limits=limits, timeout=CREATE, follow_redirects=True),
    )
    async with client:
        yield client
