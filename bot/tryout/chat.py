"""`bot try --terminal` and `--play`: the bot in this process, without the page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bot.app import Bot, open_bot
from bot.models import Thread
from bot.slack.surfaces.shortcuts import SHORTCUTS
from bot.telemetry import log
from bot.tryout.sandbox import SPEAKER, ReportProgress, open_sandbox
from local_slack.local_slack import LocalSlack
from local_slack.script import Script, read_scripts
from local_slack.transcript import show_thread

CONCURRENT = 8
"""Conversations that `--play` runs at the same time."""


@dataclass(frozen=True, slots=True)
class TrySession:
    """A local Slack with the bot in it."""

    slack: LocalSlack
    bot: Bot

    async def answered(self, channel: str, thread_ts: str) -> None:
        """Return when no message waits in the thread any more, or a person has to decide."""
        thread = Thread(self.slack.workspace.team_id, channel, thread_ts)
        await self.slack.settled()
        while True:
            found = await self.bot.store.inbox.state(thread)
            if found.state == "idle" or (found.state == "later" and found.requester):
                return
            await asyncio.sleep(0.05)


async def chat(*, fresh: bool) -> None:
    """Talk to the bot in the terminal until the person leaves."""
    from local_slack.terminal import Terminal  # needs packages that the web page does not need

    lines: list[str] = []
    async with open_session(report=lines.append, fresh=fresh) as session:
        shortcuts = {shortcut.name: shortcut.callback_id for shortcut in SHORTCUTS}
        banner = "\n".join(lines)
        terminal = Terminal(session.slack, SPEAKER, banner, shortcuts, session.answered)
        await terminal.run()


async def play(file: Path, *, fresh: bool) -> None:
    """Replay the conversations of a file, several at a time, and print their threads in order."""
    scripts = read_scripts(file)
    async with open_session(report=click.echo, fresh=fresh) as session:
        stages = [_Stage(_channel(session.slack, f"stage-{n + 1}")) for n in range(CONCURRENT)]
        tasks = [
            asyncio.create_task(_converse(session, script, stages[number % CONCURRENT]))
            for number, script in enumerate(scripts)
        ]
        try:
            for script, task in zip(scripts, tasks, strict=True):
                channel, ts = await task
                click.echo(show_thread(session.slack, channel, ts, title=script.title))
        finally:
            for task in tasks:
                task.cancel()
        click.echo(f"{len(scripts)} conversations, {sum(len(s.turns) for s in scripts)} messages")


class _Stage:
    """Each channel hosts one conversation at a time: Slack allows about one post a second per
    channel, and the bot respects that."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.free = asyncio.Lock()


def _channel(slack: LocalSlack, name: str) -> str:
    found = slack.workspace.find_channel(f"#{name}") or slack.add_channel(name, [SPEAKER])
    return found.id


async def _converse(session: TrySession, script: Script, stage: _Stage) -> tuple[str, str]:
    """One conversation in one thread; returns its channel and the ts of its root."""
    person = session.slack.user(SPEAKER)
    async with stage.free:
        root = await person.says(stage.channel, f"@bot {script.turns[0]}")
        await session.answered(stage.channel, root)
        for turn in script.turns[1:]:
            await person.says(stage.channel, turn, thread_ts=root)
            await session.answered(stage.channel, root)
    return stage.channel, root


@asynccontextmanager
async def open_session(*, report: ReportProgress, fresh: bool) -> AsyncIterator[TrySession]:
    """The local Slack, Redis and the bot; their state is kept between runs."""
    log.configure("WARNING")  # before the demo server, whose libraries log each of their steps
    async with open_sandbox(report=report, fresh=fresh) as sandbox:
        level = sandbox.settings.bot_log_level
        log.configure("WARNING" if level == "INFO" else level)
        async with open_bot(sandbox.settings) as bot:
            yield TrySession(sandbox.slack, bot)
