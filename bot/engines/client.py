"""The SDK's client as both network engines need it: bounded, and never repeating itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

from bot.settings import Settings

REQUESTS = 100
"""Connections for requests: enough to poll 2,000 runs every few seconds."""

STREAMS = 100
"""Connections that may be streams at the same time. Further runs are polled."""

LOOK = httpx2.Timeout(15, connect=5, pool=60)
CREATE = httpx2.Timeout(60, connect=5)


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[AsyncOpenAI]:
    """Open the client and close it in the end.

    It repeats nothing by itself: no request of the protocol carries an idempotency key, so that a
    repeated POST after a timeout could be a second message or a second bill.
    """
    key = settings.openai_api_key
    limits = httpx2.Limits(max_connections=REQUESTS + STREAMS, max_keepalive_connections=REQUESTS)
    client = AsyncOpenAI(
        api_key=key.get_secret_value() if key is not None else "none",
        base_url=settings.openai_base_url,
        max_retries=0,
        timeout=CREATE,
        http_client=DefaultAsyncHttpx2Client(limits=limits, timeout=CREATE),
    )
    async with client:
        yield client
