"""The log: one line per turn with all its figures, and never a person's text."""

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.models import Message, decode
from bot.settings import Settings
from bot.telemetry import log
from tests.ops.processes import Site, open_process, open_site
from tests.world import PATIENCE, open_world

WORDS = "the launch code is 0451-swordfish"
ANSWER = "never tell anybody about marmalade"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def talk(site: Site) -> None:
    """Two turns, one of them with a fault, and a reset."""
    alice = site.slack.user("alice")
    site.fake.answer = [ANSWER]
    site.fake.fault("server_error", "POST", "/responses", retry_after=0.1)
    root = await alice.says("#general", f"@bot {WORDS}")
    await site.slack.wait_for(lambda: site.slack.replies("#general", root), PATIENCE)
    await alice.says("#general", f"{WORDS}, again", thread_ts=root)
    await site.slack.wait_for(lambda: len(site.slack.replies("#general", root)) == 2, PATIENCE)
    await alice.says("#general", "reset", thread_ts=root)
    await site.slack.wait_for(lambda: len(site.slack.replies("#general", root)) == 3, PATIENCE)
    await site.slack.settled(PATIENCE)


@pytest.mark.parametrize("socket_mode", [True, False], ids=["socket", "http"])
async def test_a_conversation_logged_at_debug_contains_no_text_and_no_secret(
    redis_url: str, socket_mode: bool
) -> None:
    async with (
        open_site(redis_url, socket_mode=socket_mode) as site,
        open_process(site, "run", BOT_LOG_LEVEL="DEBUG") as bot,
    ):
        if not socket_mode:
            site.slack.events_url = f"{bot.url}/slack/events"
        await talk(site)
        await bot.said("turn_answered", times=3)
        code, _ = await bot.end()
    assert code == 0
    reported = bot.log.decode()
    secrets = (
        site.slack.bot_token,
        site.slack.app_token,
        site.slack.signing_secret,
        site.fake.api_key,
    )
    assert not [
        word for word in (*WORDS.split(), ANSWER, *secrets) if len(word) > 6 and word in reported
    ]
    turns = [line for line in bot.lines if line["event"] == "turn_answered"]
    assert [turn["outcome"] for turn in turns] == ["completed", "completed", "reset"]
    first = turns[0]
    assert first["thread"].count(":") == 2
    assert first["input_tokens"] > 0
    assert first["output_tokens"] > 0
    assert first["model"] == "gpt-6-luna"
    assert first["run"].startswith("resp_")
    assert first["attempt"] == 0  # an outage does not count as a failure of the message
    assert [name.partition(":")[0] for name in first["waited_for"]] == ["ai"]
    assert 0 < first["seconds"] < PATIENCE
    assert 0 <= first["waited"] < PATIENCE
    assert {"turn", "messages", "characters", "timestamp", "level"} <= first.keys()
    assert {line["event"] for line in bot.lines} >= {"ready", "message_delivered", "turn_delayed"}
    ready = next(n for n, line in enumerate(bot.lines) if line["event"] == "ready")
    assert {line["level"] for line in bot.lines[:ready]} <= {
        "info",
        "debug",
    }  # no warnings at the start


async def test_a_bug_is_logged_by_place_without_its_message(
    redis_url: str, tmp_path: Path, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.configure("DEBUG", stream=written)

    async def broken(*_: object) -> None:
        raise KeyError(WORDS)

    async with open_world(redis_url, tmp_path, engine="echo", bot_attempts=1) as world:
        with monkeypatch.context() as patch:
            patch.setattr("bot.turn.ask.prepare", broken)
            root = await world.slack.user("alice").says("#general", "@bot hello")
            await world.replies("#general", root)
    (bug,) = [line for line in lines(written) if line["event"] == "turn_failed"]
    assert "test_log.py" in bug["exception"]
    assert bug["exception"].endswith("KeyError")
    assert WORDS not in written.getvalue()


async def test_libraries_log_without_their_data(
    written: io.StringIO,
) -> None:
    log.configure("DEBUG", stream=written)

    async def careless() -> None:
        raise ValueError(WORDS)

    def broken_callback() -> None:
        raise ValueError(WORDS)

    task = asyncio.create_task(careless(), name="careless")
    await asyncio.wait([task])
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "Exception in callback", "exception": task.exception()})
    loop.call_soon(broken_callback)
    await asyncio.sleep(0)
    try:
        raise ValueError(WORDS)
    except ValueError as error:
        logging.getLogger("slack_sdk.web").exception(f"Failed to process a message: {error}")
        logging.getLogger("slack_sdk.web").info(f"The body: {error}")
    found = lines(written)
    assert [line["event"] for line in found] == [
        "Exception in callback",
        "Exception in callback test_libraries_log_without_their_data.",
        "Failed to process a message",
    ]
    assert all(line["exception"].endswith("ValueError") for line in found)
    assert WORDS not in written.getvalue()


def test_invalid_data_is_reported_without_quoting_it(written: io.StringIO) -> None:
    log.configure("DEBUG", stream=written)
    try:
        decode(Message, json.dumps({"thread": WORDS}))
    except ValidationError:
        log.log.exception("unreadable")
    assert lines(written)[0]["exception"].endswith("ValidationError")
    assert WORDS not in written.getvalue()


def test_secrets_are_redacted_wherever_they_come_from(written: io.StringIO) -> None:
    settings = Settings(
        _env_file=None,
        slack_bot_token="xoxb-1234-secret",
        slack_signing_secret="0123456789abcdef",
        openai_api_key="my-own-server-key",
        redis_url="rediss://:pass-word@host:6379",
    )
    log.configure("DEBUG", settings.secrets, written)
    reported = (
        *settings.secrets,
        "xapp-1-A0123-other",
        "sk-proj-abcdefgh",
        "redis://me:hunter2@host/0",
        "Bearer abc.def",
    )
    log.log.info(
        "careless", reported=reported, note="kept: task-1, desk-clerk, ts 1700000000.000100"
    )
    line = written.getvalue()
    for secret in (*settings.secrets, "0123-other", "abcdefgh", "hunter2", "abc.def", "pass-word"):
        assert secret not in line
    assert "task-1, desk-clerk, ts 1700000000.000100" in line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_people_can_read_it() -> None:
    written = Terminal()
    log.configure("INFO", stream=written)
    log.log.info("ready", worker=True)
    log.log.debug("not this")
    line = written.getvalue()
    assert "ready" in line
    assert "worker" in line
    assert not line.startswith("{")
    assert "not this" not in line
