"""The command line: processes, exit codes, health, and the local Slack in a pipe."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bot.__main__ import INTERRUPTED
from bot.__main__ import main as program
from local_slack.server import open_workspace
from tests.fakes.openai import held, open_fake_openai
from tests.ports import free_port
from tests.world import ACK_SECONDS, wait_until, words

PROGRAM_SECONDS = 120
"""How long a program may take: importing all takes seconds, on a loaded machine many."""

ROOT = Path(__file__).parent.parent


def environment(**given: str) -> dict[str, str]:
    """A clean environment for a process of the bot."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT)} | given


@asynccontextmanager
async def process(
    *arguments: str, cwd: Path, **given: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`bot ...` as a process; killed in the end if it still runs."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=cwd,
        env=environment(**given),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def healthy(port: int) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def run_bot(*arguments: str, cwd: Path, **given: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=cwd,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )


async def test_web_and_worker_share_the_work_and_hand_it_over(
    redis_url: str, tmp_path: Path
) -> None:
    web_port, worker_port = free_port(), free_port()
    async with open_fake_openai() as fake, open_workspace(ack_seconds=ACK_SECONDS) as slack:
        slack.events_url = f"http://127.0.0.1:{web_port}/slack/events"
        common = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_API_KEY": fake.api_key,
            "OPENAI_BASE_URL": fake.base_url,
            "REDIS_URL": redis_url,
            "BOT_REDIS_PREFIX": f"cli-{web_port}",
            "BOT_HOST": "127.0.0.1",
        }
        async with (
            process("web", cwd=tmp_path, PORT=str(web_port), **common),
            process("worker", cwd=tmp_path, BOT_HEALTH_PORT=str(worker_port), **common) as first,
        ):
            await wait_until(lambda: healthy(web_port))
            await wait_until(lambda: healthy(worker_port))
            fake.answer = [held("worth waiting for")]
            root = await slack.user("alice").says("#general", "@bot hi")
            await slack.wait_for(lambda: fake.working)

            def answers() -> list[str]:
                return [words(message) for message in slack.replies("#general", root)]

            first.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(first.wait(), PROGRAM_SECONDS) == 0

            async with process("worker", cwd=tmp_path, **common):
                fake.finish()
                await slack.wait_for(lambda: answers() == ["worth waiting for"])
                assert fake.created("/responses") == 1


@pytest.mark.parametrize(
    ("given", "code", "line"),
    [
        ({}, 78, "SLACK_BOT_TOKEN: is not set"),
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, 78, "SLACK_SIGNING_SECRET: is not set"),
        (
            {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s", "PORT": "x"},
            78,
            "PORT: is not a whole number",
        ),
    ],
)
def test_a_bad_setting_ends_the_start(
    tmp_path: Path, given: dict[str, str], code: int, line: str
) -> None:
    ended = run_bot("run", cwd=tmp_path, **given)
    assert ended.returncode == code
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_a_token_that_slack_refuses_ends_the_start(redis_url: str, tmp_path: Path) -> None:
    async with open_workspace() as slack:
        ended = await asyncio.to_thread(
            run_bot,
            "worker",
            cwd=tmp_path,
            SLACK_BOT_TOKEN="xoxb-of-somebody-else",
            SLACK_SIGNING_SECRET="s",
            SLACK_API_URL=slack.api_url,
            BOT_ENGINE="echo",
            REDIS_URL=redis_url,
        )
    assert ended.returncode == 78
    assert "SLACK_BOT_TOKEN: Slack refuses it: invalid_auth" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "arguments", [["dead", "drop", "\udcff"], ["manifest", "--url=https://a b"]]
)
def test_arguments_that_cannot_be_right_are_a_usage_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    redis_url: str,
    arguments: list[str],
) -> None:
    given = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s", "BOT_ENGINE": "echo"}
    for name, value in {**given, "REDIS_URL": redis_url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bot", *arguments])
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_try_plays_a_file_and_remembers(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text('{"title": "Greeting", "turns": ["hello", "and again"]}\n')
    played = run_bot("try", "--play", str(file), cwd=tmp_path)
    assert played.returncode == 0, played.stderr
    assert "Greeting" in played.stdout
    assert "1. hello\n  2. and again" in played.stdout
    assert played.stdout.endswith("1 conversations, 2 messages\n")
    assert (tmp_path / ".bot" / "slack.json").exists()


def test_try_reports_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text('{"turns": ["fine"]}\n{"turns": "not a list"}\n')
    ended = run_bot("try", "--play", str(file), cwd=tmp_path)
    assert ended.returncode == 2
    assert 'talk.jsonl, line 2: needs "turns"' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_try_talks_over_a_pipe_and_remembers_the_conversation(tmp_path: Path) -> None:
    def talk(text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bot", "try"],
            cwd=tmp_path,
            env=environment(),
            input=text,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=True,
        )
        assert done.stderr == "", "neither the demo server nor a restart of Redis is reported"
        return done.stdout

    assert "hello there" in talk("hello there\n")
    again = talk(":threads\n:open 1\nstill there?\n")
    assert "hello there" in again
    assert again.count("holds 1 message") == 1, "the answer loses its buttons, and is not repeated"
    again = talk(":open 1\nstop\nwhat do you hold?\n")
    assert "There is nothing to stop" in again, "an answer that only this person sees"
    assert "still there?" in again
    assert "3 messages" in again
    asked = talk('call demo__look_up {"topic": "tides"}\n')
    assert "The Moon pulls" in asked, "Redis was restarted before"


def test_an_interrupt_during_the_imports_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bot.cli.main.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == INTERRUPTED
