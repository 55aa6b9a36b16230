"""Counts what passes between the bot and Redis: round trips, and the commands of scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.store.scripts import FOLDER, load
from tests.redis_server import RedisServer

WAITS = ("XREADGROUP", "beat", "strays", "dead", "unattended", "rescue")
CHUNK = 1 << 20


@dataclass
class Traffic:
    """The round trips since the last `reset`, each with the names of its commands or scripts."""

    server: RedisServer
    url: str = ""
    trips: list[list[str]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _calls_before: int = 0

    def __post_init__(self) -> None:
        scripts = [load(path.stem) for path in FOLDER.glob("*.lua") if path.stem != "prelude"]
        self._names = {script.sha: script.name for script in scripts}

    def reset(self) -> None:
        """Count from here on."""
        self.trips.clear()
        self._calls_before = self._calls()

    @property
    def inner_commands(self) -> int:
        """Commands that scripts have run."""
        return self._calls() - self._calls_before - sum(map(len, self.trips))

    def _calls(self) -> int:
        """All commands so far, except those of this method."""
        with self.server.client() as client:
            stats = client.info("commandstats")
        ignored = ("cmdstat_info", "cmdstat_hello", "cmdstat_client", "cmdstat_select")
        return sum(
            int(each["calls"]) for name, each in stats.items() if not name.startswith(ignored)
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the bot."""
        server, to_server = await asyncio.open_unix_connection(self.server.socket, limit=CHUNK)
        back = asyncio.create_task(self._copy(server, writer))
        with suppress(OSError, EOFError):
            while chunk := await reader.read(CHUNK):
                self.trips.append(self._read(chunk))
                to_server.write(chunk)
        back.cancel()
        to_server.close()
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)

    def _read(self, chunk: bytes) -> list[str]:
        """The commands in a request, which are complete unless one is longer than a chunk."""
        found, at = [], 0
        while at < len(chunk):
            words, at = _command(chunk, at)
            name = words[0].decode().upper()
            found.append(self._names[words[1].decode()] if name == "EVALSHA" else name)
        return found


def _command(chunk: bytes, at: int) -> tuple[list[bytes], int]:
    """The words of the command at a position, and where it ends."""
    end = chunk.index(b"\r\n", at)
    count, at, words = int(chunk[at + 1 : end]), end + 2, []
    for _ in range(count):
        end = chunk.index(b"\r\n", at)
        size = int(chunk[at + 1 : end])
        words.append(chunk[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return words, at


@asynccontextmanager
async def open_traffic(server: RedisServer, directory: Path) -> AsyncIterator[Traffic]:
    """A relay in front of a Redis server, at its own address."""
    traffic = Traffic(server)
    socket = directory / "traffic.sock"
    listening = await asyncio.start_unix_server(traffic.serve, socket, limit=CHUNK)
    traffic.url = f"unix://{socket}"
    async with listening:
        yield traffic
