"""Relays between a bot and its servers. Each request stops at a gate before it reaches the server,
and again when the server has handled it but its response is not delivered yet.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import aiohttp
from aiohttp import web

from bot.store.scripts import FOLDER, load

Moment = Literal["before", "after"]

Gate = Callable[[Moment, str, frozenset[str]], Awaitable[None]]
"""Called with the moment, the name of the step, and its channels.

It may wait, and it may raise Dropped: then the connection is cut.
"""

CHANNEL = re.compile(rb"[CDG]\d{9}X")
SERVER_ID = re.compile(r"\b(?:conv|resp|thread|run|msg)_[0-9a-f]{8,}")
TS = re.compile(r":\d{10}\.\d{6}$")
JOURNAL = frozenset({"begin", "record"})
JOURNAL_STEP = 4
"""The position of the step: after the script, the number of keys, the keys, fence and name."""
LONGEST = 12
"""Words of a call of such a script up to its step."""
MORE_THAN_ALL = 1 << 20


class Dropped(Exception):
    """Cuts the connection without a response."""


async def open_gate(moment: Moment, step: str, channels: frozenset[str]) -> None:
    """The gate that lets everything pass."""


class RedisRelay:
    """A relay to a Redis server at its own port; `delay` delays every reply, in seconds."""

    def __init__(self, socket: Path, gate: Gate) -> None:
        self.gate = gate
        self.delay = 0.0
        self.port = 0
        self._socket = socket
        self._scripts = {_sha(name): name for name in _script_names()}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Without a short timeout: a held reply must not look like a dead server."""
        return f"redis://127.0.0.1:{self.port}/0?socket_timeout=60"

    async def lead_to(self, socket: Path) -> None:
        """Switch to this server; connections to the other one are cut."""
        self._socket = socket
        await self.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a bot."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._relay(reader, writer)
        except (OSError, EOFError, Dropped, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._socket, limit=MORE_THAN_ALL)
        asked: asyncio.Queue[tuple[str, frozenset[str]]] = asyncio.Queue()

        async def forth() -> None:
            while True:
                raw = await read_value(reader)
                step, channels = self._name(raw), find_channels(raw)
                await self.gate("before", step, channels)
                asked.put_nowait((step, channels))
                to_server.write(raw)
                await to_server.drain()

        async def back() -> None:
            while True:
                raw = await read_value(server)
                step, channels = await asked.get()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if step == "XREADGROUP":
                    channels = find_channels(raw)
                await self.gate("after", step, channels)
                writer.write(raw)
                await writer.drain()

        ways = {asyncio.create_task(forth()), asyncio.create_task(back())}
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            to_server.close()
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for way in ways:
                _ = way.cancelled() or way.exception()

    def _name(self, raw: bytes) -> str:
        """The command or the script, with its step of the journal, if any: "record run:0"."""
        command, *arguments = raw.split(b"\r\n", 2 * LONGEST)[2::2]
        if command.upper() != b"EVALSHA":
            return command.decode().upper()
        script = self._scripts.get(arguments[0].decode(), "EVALSHA")
        if script not in JOURNAL:
            return script
        at = JOURNAL_STEP + int(arguments[1])
        return f"{script} {TS.sub('', arguments[at].decode())}"

    async def close(self) -> None:
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)


async def read_value(reader: asyncio.StreamReader) -> bytes:
    """One raw value of Redis's protocol (RESP2). Raises EOFError at the end of the connection."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    kind, count = line[:1], int(line[1:]) if line[:1] in b"*$" else 0
    if kind == b"$" and count >= 0:
        return line + await reader.readexactly(count + 2)
    if kind == b"*":
        return line + b"".join([await read_value(reader) for _ in range(max(count, 0))])
    return line


def find_channels(raw: bytes) -> frozenset[str]:
    """The Slack channels in a request."""
    return frozenset(found.decode() for found in CHANNEL.findall(raw))


def _script_names() -> Iterator[str]:
    return (path.stem for path in FOLDER.glob("*.lua") if path.stem != "prelude")


def _sha(script: str) -> str:
    return hashlib.sha1(load(script).source.encode()).hexdigest()


class HttpRelay:
    """A relay to an HTTP server at its own port. `server` names its steps: "slack
    chat.postMessage"."""

    def __init__(self, name: str, target: str, gate: Gate, session: aiohttp.ClientSession) -> None:
        self.gate = gate
        self.port = 0
        self._name = name
        self._target = target
        self._session = session
        self._owners: dict[str, frozenset[str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request of a bot."""
        try:
            return await self._relay(request)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        step = f"{self._name} {request.method} {SERVER_ID.sub('*', request.path)}"
        channels = self._channels(request.path_qs, body)
        await self.gate("before", step, channels)
        kept = ("authorization", "content-type", "accept", "openai-beta", "mcp-")
        headers = {k: v for k, v in request.headers.items() if k.lower().startswith(kept)}
        async with self._session.request(
            request.method, self._target + request.path_qs, data=body or None, headers=headers
        ) as answer:
            first = await answer.content.readany()
            if answer.content_type != "text/event-stream":
                first += await answer.read()
            for found in SERVER_ID.findall(first.decode(errors="replace")):
                self._owners.setdefault(found, channels)
            await self.gate("after", step, channels)
            reported = ("content-type", "retry-after", "mcp-")
            relayed = web.StreamResponse(
                status=answer.status,
                headers={k: v for k, v in answer.headers.items() if k.lower().startswith(reported)},
            )
            with suppress(ConnectionError):
                await relayed.prepare(request)
                await relayed.write(first)
                async for piece in answer.content.iter_any():
                    await relayed.write(piece)
                await relayed.write_eof()
            return relayed

    def _channels(self, path: str, body: bytes) -> frozenset[str]:
        found = set(find_channels(path.encode() + body))
        for name in SERVER_ID.findall(path):
            found |= self._owners.get(name, frozenset())
        return frozenset(found)


@asynccontextmanager
async def open_redis_relay(socket: Path, gate: Gate = open_gate) -> AsyncIterator[RedisRelay]:
    """A relay in front of the Redis server at a Unix socket."""
    relay = RedisRelay(socket, gate)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=MORE_THAN_ALL)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()


@asynccontextmanager
async def open_http_relay(
    name: str, target: str, gate: Gate = open_gate
) -> AsyncIterator[HttpRelay]:
    """A relay in front of an HTTP server, `http://host:port`."""
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        relay = HttpRelay(name, target, gate, session)
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", relay.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            relay.port = runner.addresses[0][1]
            yield relay
        finally:
            await runner.cleanup()
