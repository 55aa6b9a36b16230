"""`python -m local_slack` as another program starts it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack.__main__ import main


class Program:
    """The running process and the settings that it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.settings: dict[str, str] = {}

    async def read_settings(self) -> None:
        assert self.process.stdout is not None
        while "LOCAL_SLACK_PAGE" not in self.settings:
            line = (await self.process.stdout.readline()).decode()
            assert line, "the process ended"
            name, _, value = line.strip().partition("=")
            self.settings[name] = value

    async def act(self, user: str, act: str, **args: str) -> object:
        headers = {"Authorization": f"Bearer {self.settings['LOCAL_SLACK_CONTROL_TOKEN']}"}
        url = f"{self.settings['LOCAL_SLACK_CONTROL_URL']}/acts"
        body = {"user": user, "act": act, "args": args}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, json=body) as response,
        ):
            return (await response.json())["result"]

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


async def start(state: Path, *options: str) -> Program:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_slack", "--state", str(state), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    program = Program(process)
    await program.read_settings()
    return program


@pytest.fixture
async def programs() -> AsyncIterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        if program.process.returncode is None:
            await program.stop()


async def test_it_keeps_its_state_across_a_restart(tmp_path: Path, programs: list[Program]) -> None:
    state = tmp_path / "workspace.json"
    first = await start(state)
    programs.append(first)
    client = AsyncWebClient(
        token=first.settings["SLACK_BOT_TOKEN"], base_url=first.settings["SLACK_API_URL"]
    )
    team = (await client.auth_test())["team_id"]
    ts = await first.act("alice", "says", channel="#general", text="remember me")
    assert await first.stop() == 0
    assert json.loads(state.read_text())["team_id"] == team

    second = await start(state)
    programs.append(second)
    reply = await second.act("bob", "says", channel="#general", text="I do", thread_ts=str(ts))
    assert float(str(reply)) > float(str(ts))
    assert await second.stop() == 0


async def test_it_serves_the_page_and_what_the_manifest_offers(
    tmp_path: Path, programs: list[Program]
) -> None:
    manifest = tmp_path / "manifest.yml"
    manifest.write_text("features: {slash_commands: [{command: /parrot, description: Say it}]}")
    program = await start(tmp_path / "workspace.json", "--manifest", str(manifest))
    programs.append(program)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(program.settings["LOCAL_SLACK_PAGE"]) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        async with session.get(f"{program.settings['LOCAL_SLACK_CONTROL_URL']}/state") as response:
            features = (await response.json())["manifest"]["features"]
    assert features["slash_commands"][0]["command"] == "/parrot"


async def test_both_names_of_the_request_url_are_known(
    tmp_path: Path, programs: list[Program]
) -> None:
    for name in ("--events", "--events-url"):
        program = await start(tmp_path / name, name, "http://127.0.0.1:9/slack/events")
        programs.append(program)
        assert program.settings["SLACK_APP_TOKEN"] == "", "HTTP instead of Socket Mode"


@pytest.mark.parametrize("way", ["quit", "end of input", "signal"])
async def test_the_terminal_ends_when_it_is_left(way: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_slack", "--terminal"),
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async for line in process.stdout:
        if b"A local Slack." in line:
            break
    if way == "quit":
        process.stdin.write(b":threads \xe4\n:quit\n")
    elif way == "end of input":
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        await process.stdout.read()
        assert await process.wait() == 0
    process.stdin.close()


def test_unusable_options_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (not_json := tmp_path / "text.json").write_text("hello")
    (list_ := tmp_path / "list.json").write_text("[]")
    (other := tmp_path / "other.json").write_text('{"version": 99}')
    (damaged := tmp_path / "damaged.json").write_text('{"version": 1, "users": 7}')
    (manifest := tmp_path / "manifest.yml").write_text("a: [")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options, expected in (
            (["--port", port], f"port {port} cannot be used: "),
            (["--port", "99999"], "must be between 0 and 65535"),
            (["--port", "abc"], "'abc' is not a number"),
            (["--events", "localhost:3000"], "'localhost:3000' is not an http(s) URL"),
            (["--state", str(not_json)], "it holds no JSON"),
            (["--state", str(list_)], "is not a saved workspace"),
            (["--state", str(other)], "a snapshot of version 1 is expected"),
            (["--state", str(damaged)], "the snapshot is damaged"),
            (["--state", str(tmp_path)], "cannot be read: Is a directory"),
            (["--state", str(tmp_path / "no" / "file")], "cannot be written: No such file"),
            (["--manifest", str(manifest)], "cannot be read"),
            (["--manifest", str(tmp_path / "none.yml")], "cannot be read"),
        ):
            with pytest.raises(SystemExit) as ended:
                main(options)
            assert ended.value.code == 2
            assert expected in capsys.readouterr().err.splitlines()[-1], options
