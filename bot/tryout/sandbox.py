"""A local Slack and a Redis for `bot try`; the state of both is kept between runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.settings import Settings
from bot.slack.events import EVENTS
from bot.slack.manifest import manifest
from bot.slack.scopes import SCOPES
from bot.slack.surfaces.commands import all_commands
from bot.store.server import open_server
from bot.store.shards import open_shards
from bot.tryout.config import configure, describe_engine, has_own_tools, state_directory
from bot.tryout.state_dir import ADDED, REDIS, WORKSPACE, open_state_dir
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from local_slack.state_file import load_state, save_state

SAVE_EVERY = 2.0
SPEAKER = "alice"
ReportProgress = Callable[[str], None]
"""Prints a progress line for the person."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A local Slack, and the settings that point a bot to it. `directory` holds its state."""

    slack: LocalSlack
    settings: Settings
    directory: Path


@asynccontextmanager
async def open_sandbox(
    *, report: ReportProgress, fresh: bool = False, port: int = 0, installable: bool = False
) -> AsyncIterator[Sandbox]:
    """The local Slack on this port (0: a free one) and a Redis. `installable`: people can add
    workspaces and install the bot there.

    Raises ConfigError if the state cannot be used, OSError if the port cannot.
    """
    with open_state_dir(state_directory(), fresh=fresh) as directory:
        report(f"State: {directory} (the workspace, Redis's data); `--fresh` starts without it")
        async with (
            _open_slack(directory / WORKSPACE, port) as slack,
            _open_added(slack, directory / ADDED if installable else None) as of_app,
            _open_redis(directory / REDIS, report) as redis_url,
            _open_tools(directory, report) as tools,
        ):
            config = await configure(slack, redis_url, tools, of_app)
            async with open_shards(config.settings) as shards:
                # Nothing was restored: without this, no turn would be taken for some seconds.
                await shards.home.workers.trust_server()
            for note in config.notes:
                report(note)
            report(describe_engine(config.settings))
            yield Sandbox(slack, config.settings, directory)


@asynccontextmanager
async def _open_slack(file: Path, port: int) -> AsyncIterator[LocalSlack]:
    """The workspace of the file; changes are saved to it."""
    async with AsyncExitStack() as stack:
        try:
            opening = open_workspace(
                port=port,
                state=load_state(file),
                events=EVENTS,
                scopes=SCOPES,
                commands=[command.name for command in all_commands()],
            )
            slack = await stack.enter_async_context(opening)
        except ValueError as error:
            raise ConfigError("BOT_STATE_DIR", f"{error}; start with --fresh") from None
        slack.workspace.get_user(SPEAKER).is_admin = True
        slack.manifest = manifest()
        saving = asyncio.create_task(_keep_saving(slack, file))
        stack.callback(saving.cancel)
        yield slack
    save_state(file, slack.snapshot())


@asynccontextmanager
async def _open_added(slack: LocalSlack, file: Path | None) -> AsyncIterator[dict[str, Any]]:
    """The added workspaces; yields settings of the bot."""
    if file is None:
        yield {}
        return
    from bot.tryout.workspaces import open_added  # imports the pages of the installation

    async with open_added(slack, file) as settings:
        yield settings


@asynccontextmanager
async def _open_redis(directory: Path, report: ReportProgress) -> AsyncIterator[str]:
    report("Starting Redis…")
    async with open_server(directory) as url:
        yield url


@asynccontextmanager
async def _open_tools(directory: Path, report: ReportProgress) -> AsyncIterator[Path | None]:
    """The demo server, unless the person has set BOT_TOOLS."""
    if has_own_tools():
        yield None
        return
    from bot.tryout.demo_tools import HINT, open_demo  # takes a second to import

    async with open_demo(directory) as file:
        report(HINT)
        yield file


async def _keep_saving(slack: LocalSlack, file: Path) -> None:
    seen = -1
    while True:
        if slack.workspace.changes.last_number != seen:
            seen = slack.workspace.changes.last_number
            with suppress(OSError):  # a full disk; the save at the end reports it
                save_state(file, slack.snapshot())
        await asyncio.sleep(SAVE_EVERY)
