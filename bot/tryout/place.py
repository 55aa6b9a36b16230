"""`bot try`: the whole bot, unmodified, in a local Slack on this machine.

Its state lives in BOT_STATE_DIR: Redis's data and the workspace, so that a restart remembers.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.app import Bot, open_bot
from bot.models import Thread
from bot.settings import Settings, load, read
from bot.slack.events import EVENTS
from bot.slack.manifest import SCOPES
from bot.slack.surfaces.commands import COMMANDS
from bot.slack.surfaces.shortcuts import SHORTCUTS
from bot.store.server import open_server
from bot.telemetry import log
from local_slack.local_slack import LocalSlack
from local_slack.script import Script, read_scripts
from local_slack.server import open_workspace
from local_slack.transcript import show_thread

SIDE_BY_SIDE = 8
"""Conversations that `--play` has going at the same time."""
SAVE_EVERY = 2.0
SPEAKER = "alice"


@dataclass(frozen=True, slots=True)
class Try:
    """A local Slack with the bot in it."""

    slack: LocalSlack
    bot: Bot
    settings: Settings

    async def answered(self, channel: str, thread_ts: str) -> None:
        """Return when nothing waits in a thread any more."""
        thread = Thread(self.slack.workspace.team_id, channel, thread_ts)
        await self.slack.settled()
        while True:
            if (await self.bot.store.inbox.state(thread)).state == "idle":
                return
            await asyncio.sleep(0.05)


async def chat(*, fresh: bool) -> None:
    """Talk to the bot in the terminal until the person has enough."""
    from local_slack.terminal import Terminal  # needs packages that the page does not

    async with open_try(fresh=fresh) as town:
        shortcuts = {shortcut.name: shortcut.callback_id for shortcut in SHORTCUTS}
        terminal = Terminal(town.slack, SPEAKER, engine_line(town.settings), shortcuts)
        await terminal.run()


async def play(file: Path, *, fresh: bool) -> None:
    """Have the conversations of a file, several at a time, and print their threads in order."""
    scripts = read_scripts(file)
    async with open_try(fresh=fresh) as town:
        print(engine_line(town.settings))
        stages = [_Stage(_channel(town.slack, f"stage-{n + 1}")) for n in range(SIDE_BY_SIDE)]
        tasks = [
            asyncio.create_task(_converse(town, script, stages[number % SIDE_BY_SIDE]))
            for number, script in enumerate(scripts)
        ]
        try:
            for script, task in zip(scripts, tasks, strict=True):
                channel, ts = await task
                print(show_thread(town.slack, channel, ts, title=script.title))
        finally:
            for task in tasks:
                task.cancel()
        print(f"{len(scripts)} conversations, {sum(len(s.turns) for s in scripts)} messages")


class _Stage:
    """A channel in which one conversation after the other is had: Slack takes about one post a
    second in a channel, and the bot keeps to that."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.free = asyncio.Lock()


def _channel(slack: LocalSlack, name: str) -> str:
    found = slack.workspace.find_channel(f"#{name}") or slack.add_channel(name, [SPEAKER])
    return found.id


async def _converse(town: Try, script: Script, stage: _Stage) -> tuple[str, str]:
    """One conversation in one thread; returns its channel and the ts of its root."""
    person = town.slack.user(SPEAKER)
    async with stage.free:
        root = await person.says(stage.channel, f"@bot {script.turns[0]}")
        await town.answered(stage.channel, root)
        for turn in script.turns[1:]:
            await person.says(stage.channel, turn, thread_ts=root)
            await town.answered(stage.channel, root)
    return stage.channel, root


@asynccontextmanager
async def open_try(*, fresh: bool = False) -> AsyncIterator[Try]:
    """The local Slack, Redis and the bot; what they hold is kept for the next time."""
    async with open_place(fresh=fresh) as place:
        settings = place.settings
        log.configure("WARNING" if settings.bot_log_level == "INFO" else settings.bot_log_level)
        async with open_bot(settings) as bot:
            yield Try(place.slack, bot, settings)


@dataclass(frozen=True, slots=True)
class Place:
    """A local Slack and a Redis for a bot. `given` are the settings that lead it there."""

    slack: LocalSlack
    settings: Settings
    given: dict[str, Any]
    directory: Path


@asynccontextmanager
async def open_place(*, fresh: bool = False, port: int = 0) -> AsyncIterator[Place]:
    """What a bot needs to be tried; kept for the next time, unless that begins `fresh`."""
    directory = state_directory()
    if fresh:
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    memory = directory / "slack.json"
    state = json.loads(memory.read_text()) if memory.exists() else None
    async with open_workspace(
        port=port,
        state=state,
        events=EVENTS,
        scopes=SCOPES,
        commands=[command.name for command in COMMANDS],
    ) as slack:
        async with _given(slack, directory) as given:
            saving = asyncio.create_task(_keep_saving(slack, memory))
            try:
                yield Place(slack, load(**given), given, directory)
            finally:
                saving.cancel()
        _save(slack, memory)


def state_directory() -> Path:
    """Where everything is kept: BOT_STATE_DIR."""
    return read(slack_bot_token="xoxb-local-slack").bot_state_dir


@asynccontextmanager
async def _given(slack: LocalSlack, directory: Path) -> AsyncIterator[dict[str, Any]]:
    """The local Slack in Slack's place, the echo engine and a Redis where the person has none."""
    given: dict[str, Any] = {
        "slack_bot_token": slack.bot_token,
        "slack_app_token": slack.app_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api_url": slack.api_url,
        "bot_host": "127.0.0.1",
        "port": 0,
    }
    own = read(**given)
    has_server = own.openai_api_key is not None or own.openai_base_url is not None
    if "bot_engine" not in own.model_fields_set and not has_server:
        given["bot_engine"] = "echo"
    if "redis_url" in own.model_fields_set:
        yield given
        return
    async with open_server(directory / "redis") as url:
        yield given | {"redis_url": url}


def engine_line(settings: Settings) -> str:
    """What answers, in one line."""
    if settings.bot_engine == "echo":
        return (
            "The echo engine answers: no AI is behind it. Set OPENAI_API_KEY, or OPENAI_BASE_URL "
            "for a server of your own, to talk to a model."
        )
    server = settings.openai_base_url or "OpenAI"
    return f"{settings.openai_model} answers, by the {settings.bot_engine} engine at {server}."


async def _keep_saving(slack: LocalSlack, memory: Path) -> None:
    seen = -1
    while True:
        if slack.workspace.changes.last_number != seen:
            seen = slack.workspace.changes.last_number
            _save(slack, memory)
        await asyncio.sleep(SAVE_EVERY)


def _save(slack: LocalSlack, memory: Path) -> None:
    """Never leave half a file behind."""
    new = memory.with_suffix(".new")
    new.write_text(json.dumps(slack.snapshot()))
    new.replace(memory)
