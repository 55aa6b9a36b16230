"""Servers with special configurations: Redis with options, Redis over TLS, a foreign web server."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from bot.store.server import find_executable, server_command
from tests.ports import free_port
from tests.redis_topologies import accepts

PATIENCE = 180.0


@contextmanager
def run_redis(*options: str) -> Iterator[str]:
    """A server with these options after the durable ones; yields its address."""
    with TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "redis.sock"
        with _run(Path(directory), "--port", "0", "--unixsocket", str(path), *options):
            _wait_for(lambda: _connect(str(path)))
            yield f"unix://{path}"


@contextmanager
def run_tls_redis(directory: Path, *more: str) -> Iterator[int]:
    """A server with TLS only and a self-signed certificate; yields its port."""
    key, certificate = make_certificate(directory)
    port = free_port()
    options = (
        *("--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
        *more,
    )
    with _run(directory, *options) as process:
        try:
            _wait_for(lambda: accepts(port), process)
        except TimeoutError:
            pytest.skip("this Redis server was built without TLS")
        yield port


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A key and its self-signed certificate."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate


@asynccontextmanager
async def open_tls_port(directory: Path) -> AsyncIterator[int]:
    """A port with TLS and a self-signed certificate, and no protocol on top."""
    key, certificate = make_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def open_page() -> AsyncIterator[str]:
    """A foreign web server without our paths; yields its address."""
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def _run(directory: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        server_command(find_executable(), directory, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)


def _wait_for(connect: object, process: subprocess.Popen[bytes] | None = None) -> None:
    assert callable(connect)
    deadline = time.monotonic() + PATIENCE
    while not connect():
        if time.monotonic() > deadline or (process and process.poll() is not None):
            raise TimeoutError
        time.sleep(0.01)


def _connect(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(path)
        return True
    return False
