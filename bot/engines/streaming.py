"""The transport of streamed responses."""

from collections.abc import AsyncIterator

import httpx2

from bot.engines.connection import HttpConnection
from bot.engines.pool import Pool, Pools, head_of
from bot.engines.transport import STREAMED


class StreamingTransport(httpx2.AsyncBaseTransport):
    """Sends requests for streams over connections of our own, others over `inner`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, pools: Pools) -> None:
        self._inner = inner
        self._pools = pools

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not request.extensions.get(STREAMED) or "transfer-encoding" in request.headers:
            return await self._inner.handle_async_request(request)
        timeout, pool = request.extensions.get("timeout", {}), self._pools.of(request.url)
        content = await request.aread()
        line = f"{request.method} ".encode() + request.url.raw_path + b" HTTP/1.1\r\n"
        connection, response = await pool.open(
            line + head_of(request.url, request.headers) + b"\r\n" + content,
            connect=timeout.get("connect"),
            silence=timeout.get("read"),
        )
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(pool, connection),
            request=request,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, pool: Pool, connection: HttpConnection) -> None:
        self._pool = pool
        self._connection: HttpConnection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (data := await self._connection.read()):
            yield data
            del data

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)
