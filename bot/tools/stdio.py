"""The stdio transport of MCP: a server as a child process that reads and writes lines of JSON.

It replaces the SDK's, which keeps lines of any length and passes the error output of the process to
ours.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from bot.telemetry.log import log
from bot.tools.bounds import JsonCounter
from bot.tools.config import ServerConfig

Incoming = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]

CHUNK = 65_536
GRACE = 2.0
"""Seconds for a process to end after its input was closed, and again after SIGTERM."""


class LineTooLong(ValueError):
    """A process wrote a line beyond the limits."""


@asynccontextmanager
async def open_process(config: ServerConfig) -> AsyncIterator[Streams]:
    """Start a server and connect to it. Of our environment it gets only `PATH`, `HOME` and a few
    more.

    Raises OSError if it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        config.command or "",
        *config.args,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=get_default_environment() | config.env,
        cwd=config.cwd,
        start_new_session=True,  # a process group, to be ended as a whole
    )
    received, incoming = anyio.create_memory_object_stream[Incoming](0)
    outgoing, sent = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = (
        asyncio.create_task(_read(process, received)),
        asyncio.create_task(_write(process, sent)),
    )
    try:
        yield incoming, outgoing
    finally:
        with anyio.CancelScope(shield=True):
            incoming.close()
            outgoing.close()
            await _end(process)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _read(process: Process, received: MemoryObjectSendStream[Incoming]) -> None:
    """Pass on what the process writes, then read the rest so that it can end."""
    assert process.stdout is not None
    with received, suppress(anyio.BrokenResourceError):
        try:
            async for line in _lines(process.stdout):
                if message := _parse(line):
                    await received.send(message)
        except LineTooLong as error:
            log.warning("tool_server_line_too_long", reason=str(error))
            _send_signal(process, signal.SIGKILL)
    async for _ in _chunks(process.stdout):
        pass


async def _chunks(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The next data. Yields to other tasks first: `read` itself returns data that has arrived
    without waiting."""
    while chunk := await stream.read(CHUNK):
        yield chunk
        await asyncio.sleep(0)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream. Raises LineTooLong."""
    line, counter = bytearray(), JsonCounter()
    async for chunk in _chunks(stream):
        for number, part in enumerate(chunk.split(b"\n")):
            if number:
                yield bytes(line)
                await asyncio.sleep(0)
                line, counter = bytearray(), JsonCounter()
            if problem := counter.add(part):
                raise LineTooLong(problem)
            line += part


def _parse(line: bytes) -> SessionMessage | None:
    """The message on a line; None for anything else, such as what a program prints."""
    if not line.lstrip().startswith(b"{"):
        return None
    for text in (line, line.decode(errors="replace")):
        with suppress(ValueError):
            return SessionMessage(jsonrpc_message_adapter.validate_json(text, by_name=False))
    return None


async def _write(process: Process, sent: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    with sent, suppress(OSError):
        async for each in sent:
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode())
            await process.stdin.drain()


async def _end(process: Process) -> None:
    """Close its input, and end it with its children if it does not end by itself."""
    assert process.stdin is not None
    process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _has_ended(process):
            break
        _send_signal(process, number)
    await _has_ended(process)
    _send_signal(process, signal.SIGKILL)  # to children that it left


def _send_signal(process: Process, number: signal.Signals) -> None:
    """To the process and its children."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _has_ended(process: Process) -> bool:
    """Whether it ends in time, with each child that shares its output."""
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE)
    return process.returncode is not None
