"""Our own connections, against servers that control each byte of a response."""

import asyncio
import gc
import gzip
import socket
import ssl
import warnings
import weakref
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from bot.engines.api import Api
from bot.engines.batching import can_release
from bot.engines.connection import UNREAD_BYTES, HttpConnection, Response
from bot.engines.pool import Pool, body_of
from bot.engines.size import MIB
from bot.engines.transport import BODY_BYTES
from bot.errors import BotError, DependencyDown, RunFailed
from bot.timing import EngineTiming
from tests.engines.test_client import open_server
from tests.world import wait_until

HELLO = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id": "a"}'
MEGABYTES = [b"x" * 1_000_000] * (BODY_BYTES // 1_000_000 + 1)
IMPATIENT = EngineTiming(read_timeout=1.5, write_timeout=0.1)


class Server:
    """Answers each request with the next pieces of a script, and counts."""

    def __init__(self, *script: list[bytes]) -> None:
        self._script = list(script)
        self.connections = self.requests = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                pieces = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not pieces or b"close" in pieces[0]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def reading(server: Server, timing: EngineTiming = EngineTiming()) -> AsyncIterator[Api]:
    async with open_server(server.speak, timing) as client:
        yield Api(client, timing)
        for writer in server.open:
            writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [HELLO[:9], HELLO[9:40], HELLO[40:]],
        [HELLO[n : n + 1] for n in range(len(HELLO))],
        [
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{"id": "a"}\r\n',
            b"0\r\n\r\n",
        ],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", HELLO],
        [b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"id": ', b'"a"}'],
        [b'HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\n{"id": "a"}'],
    ],
)
async def test_a_response_is_read_however_it_is_sent(pieces: list[bytes]) -> None:
    async with reading(Server(pieces)) as api:
        for _ in range(3):
            assert await api.get("responses", "a") == {"id": "a"}


@pytest.mark.parametrize(
    ("pieces", "expected", "reason"),
    [
        ([b"this is no HTTP\r\n\r\n"], DependencyDown, "connection_lost"),
        (
            [b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\nb"],
            DependencyDown,
            "connection_lost",
        ),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000], DependencyDown, "connection_lost"),
        ([], DependencyDown, "unreachable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX: close\r\n\r\n{"], DependencyDown, "lost"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], DependencyDown, "timeout"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nX: close\r\n\r\n{"],
            DependencyDown,
            "lost",
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n", *MEGABYTES], RunFailed, "large"),
    ],
)
async def test_a_broken_response_is_an_error(
    pieces: list[bytes], expected: type[BotError], reason: str
) -> None:
    server = Server(pieces, [HELLO])
    async with reading(server, IMPATIENT) as api:
        with pytest.raises(expected, match=reason):
            await api.get("responses", "a")
        assert await api.get("responses", "a") == {"id": "a"}  # on another connection
    assert server.connections == 2


async def test_a_body_that_comes_too_slowly_times_out() -> None:
    over = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.is_set() and not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        writer.close()

    async with open_server(drip, IMPATIENT) as client:
        with pytest.raises(DependencyDown, match="timeout"):
            await Api(client, IMPATIENT).get("responses", "a")
        over.set()


async def test_polls_share_connections_and_need_no_tasks() -> None:
    server = Server([HELLO])
    async with reading(server) as api:
        await api.get("responses", "a")
        tasks = len(asyncio.all_tasks())
        for _ in range(20):
            await api.get("responses", "a")
            assert len(asyncio.all_tasks()) == tasks
        assert (server.connections, server.requests) == (1, 21)
        await asyncio.gather(*(api.get("responses", "a") for _ in range(5)))
    assert server.connections <= 5


@pytest.mark.parametrize("extra", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"garbage"])
async def test_a_connection_that_the_server_closed_costs_no_poll(extra: bytes) -> None:
    server = Server([HELLO + extra])
    async with reading(server) as api:
        for _ in range(3):
            assert await api.get("responses", "a") == {"id": "a"}
            for writer in server.open:
                writer.close()


async def test_a_cancelled_read_leaves_no_response_for_the_next_one() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n"], [HELLO])
    async with reading(server) as api:
        first = asyncio.create_task(api.get("responses", "a"))

        async def is_asked() -> bool:
            return server.requests == 1

        await wait_until(is_asked)
        first.cancel()
        await asyncio.wait([first])
        assert await api.get("responses", "b") == {"id": "a"}
    assert server.connections == 2


async def test_idle_connections_are_closed_in_time() -> None:
    server = Server([HELLO])
    async with open_server(server.speak) as client:
        url = httpx2.URL(str(client.base_url))
        pool = Pool(url, ssl.create_default_context(), kept=0.05)
        request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
        await pool.get(request, connect=60, silence=60, whole=60)
        (writer,) = server.open
        async with asyncio.timeout(60):
            await writer.wait_closed()
        await pool.get(request, connect=60, silence=60, whole=60)
        pool.close()
    assert server.connections == 2


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def event(name: str) -> bytes:
    """An event as a chunk of its own."""
    data = f'data: {{"type": "response.{name}"}}\n\n'.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def streaming(server: Server) -> AsyncIterator[HttpConnection]:
    """A connection whose response has begun."""
    async with open_server(server.speak) as client:
        pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=1)
        connection, response = await pool.open(REQUEST, connect=60, silence=60)
        assert response.status == 200
        yield connection
        pool.release(connection)
        pool.close()


async def test_events_that_come_one_by_one_are_read_together() -> None:
    pieces = [event("delta")] * 300
    parts = []
    async with streaming(Server([HEAD, *pieces, b"0\r\n\r\n"])) as connection:
        while part := await connection.read():
            parts.append(part)
    assert b"".join(parts).count(b"response.delta") == 300
    assert len(parts) < 100


async def test_the_end_of_a_run_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.engines.connection.GATHERED", 3600.0)
    pieces = [event("created"), event("delta"), event("completed")]
    read = b""
    async with streaming(Server([HEAD, *pieces])) as connection, asyncio.timeout(60):
        while b"response.completed" not in read:
            read += await connection.read()


LARGE = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"


async def test_a_large_event_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image: while the buffer is full, nothing more can be collected."""
    monkeypatch.setattr("bot.engines.connection.GATHERED", 3600.0)
    read = 0
    async with streaming(Server([HEAD, LARGE])) as connection:
        async with asyncio.timeout(60):
            while read < 3 * UNREAD_BYTES:
                read += len(await connection.read())


@pytest.mark.parametrize(
    ("system", "release", "is_used"),
    [
        ("Linux", "6.8.0-45-generic", True),
        ("Linux", "4.18.0-513.el8", True),
        ("Linux", "5.15-rc1", True),
        ("Linux", "4.4.0", False),
        ("Linux", "3.10.0-1160.el7", False),
        ("Linux", "", False),
        ("Darwin", "24.1.0", False),
        ("FreeBSD", "14.1-RELEASE", False),
        ("Windows", "11", False),
    ],
)
def test_pieces_are_held_back_only_if_the_kernel_signals_them_later(
    system: str, release: str, is_used: bool
) -> None:
    assert can_release(system, release) is is_used


@pytest.fixture
def held_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel holds small pieces back until many have come, or a request ends the hold."""
    monkeypatch.setattr("bot.engines.batching.HELD_SECONDS", 3600.0)


@pytest.mark.usefixtures("held_for_long")
async def test_the_kernel_collects_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []
    receive = HttpConnection.data_received

    def note(connection: HttpConnection, data: bytes) -> None:
        received.append(data)
        receive(connection, data)

    monkeypatch.setattr(HttpConnection, "data_received", note)
    pieces = [event("delta")] * 100
    async with streaming(Server([HEAD, *pieces, event("completed" + "!" * 3000)])) as connection:
        read = b""
        async with asyncio.timeout(60):
            while b"response.completed" not in read:
                read += await connection.read()
    assert read.count(b"response.delta") == 100
    assert len(received) < 50


@pytest.mark.usefixtures("held_for_long")
async def test_a_held_connection_is_released_for_the_next_request() -> None:
    server = Server([HEAD, event("delta"), event("x" * 3000), b"0\r\n\r\n"], [HELLO])
    async with open_server(server.speak) as client:
        pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=60)
        connection, _ = await pool.open(REQUEST, connect=60, silence=60)
        while await connection.read():
            pass
        pool.release(connection)
        response = await pool.get(REQUEST, connect=60, silence=60, whole=60)
        pool.close()
    assert (response.status, server.connections) == (200, 1)


async def test_a_body_that_was_not_read_leaves_no_paused_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.engines.connection.UNREAD_BYTES", 10)
    server = Server([HELLO])
    async with open_server(server.speak) as client:
        pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=60)
        connection, _ = await pool.open(REQUEST, connect=60, silence=60)
        pool.release(connection)
        await pool.get(REQUEST, connect=60, silence=60, whole=60)
        pool.close()
    assert server.connections == 2


async def until_all_are_closed(server: Server) -> None:
    async def are_closed() -> bool:
        return all(writer.is_closing() for writer in server.open)

    await wait_until(are_closed)


async def test_a_silent_stream_that_no_one_reads_is_closed() -> None:
    server = Server([HEAD])
    async with open_server(server.speak) as client:
        pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=60)
        await pool.open(REQUEST, connect=60, silence=0.05)
        await until_all_are_closed(server)


async def test_a_connection_that_is_closed_early_is_freed_at_once() -> None:
    """Thousands of streams give their places to others; each connection takes two kilobytes."""
    server = Server([HEAD, event("delta")])
    async with open_server(server.speak) as client:
        pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=60)
        connection, _ = await pool.open(REQUEST, connect=60, silence=60)
        assert await connection.read()
        assert connection._link is not None
        kept: list[weakref.ref[Any]] = [weakref.ref(connection), weakref.ref(connection._link)]
        connection.close()
        del connection

        async def are_freed() -> bool:
            return all(each() is None for each in kept)

        gc.disable()
        try:
            await wait_until(are_freed)
        finally:
            gc.enable()


async def test_a_stream_in_an_encoding_that_was_not_offered_is_closed() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Type: text/event-stream\r\n\r\n"
    server = Server([head])
    async with reading(server) as api:
        with pytest.raises(DependencyDown, match="lost"):
            await api.stream("responses", body={"model": "m"})
        await until_all_are_closed(server)


async def test_an_address_that_does_not_answer_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, server = asyncio.get_running_loop(), Server([HELLO])
    connect = loop.sock_connect

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

    async def connect_or_hang(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await connect(sock, address)

    async with open_server(server.speak) as client:
        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr(loop, "sock_connect", connect_or_hang)
        url = httpx2.URL(f"http://server.test:{client.base_url.port}")
        pool = Pool(url, ssl.create_default_context(), kept=60)
        response = await pool.get(REQUEST, connect=60, silence=60, whole=60)
        pool.close()
    assert response.status == 200


async def test_a_request_that_is_cancelled_while_it_connects_leaves_no_socket_open() -> None:
    with warnings.catch_warnings(record=True, action="always") as left_open:
        async with open_server(Server([HELLO]).speak) as client:
            pool = Pool(httpx2.URL(str(client.base_url)), ssl.create_default_context(), kept=60)
            for turns in range(20):
                getting = asyncio.create_task(pool.get(REQUEST, connect=60, silence=60, whole=60))
                for _ in range(turns):
                    await asyncio.sleep(0)
                getting.cancel()
                await asyncio.wait([getting])
            pool.close()
        del getting
        gc.collect()
    assert left_open == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_error_is_classified(encoding: str) -> None:
    body = b'{"error": {"message": "no such response", "code": "not_found"}}'
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    head = (
        f"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    async with reading(Server([head.encode() + packed])) as api:
        with pytest.raises(RunFailed, match="run_not_found"):
            await api.get("responses", "a", missing="run")


@pytest.mark.parametrize("left", [0, 1, 100, 258])
def test_the_last_bytes_of_a_body_without_checksum_are_decompressed(left: int) -> None:
    """zlib holds them back if its output was full as it read the last byte."""
    body = b"a" * (MIB + left)
    response = Response(status=200, headers=[(b"Content-Encoding", b"deflate")])
    response.body = bytearray(zlib.compress(body)[2:-4])
    assert body_of(response) == body
