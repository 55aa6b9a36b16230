"""The bot's own processes, as a server runs them, beside a local Slack and a fake AI server."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from bot.slack.events import EVENTS
from bot.slack.scopes import SCOPES
from bot.slack.surfaces.commands import COMMANDS
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.ports import free_port
from tests.world import ACK_SECONDS, PATIENCE, wait_until

ROOT = Path(__file__).parent.parent.parent
STOP_SECONDS = 30.0
"""What Heroku and Kubernetes give a process after SIGTERM."""


@dataclass
class Process:
    """One process of the bot; `log` is its standard error."""

    process: asyncio.subprocess.Process
    url: str
    log: bytearray = field(default_factory=bytearray)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log, line by line, as far as lines are complete; fails if one is not JSON."""
        return [json.loads(line) for line in self.log.rpartition(b"\n")[0].splitlines()]

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Send it a request over HTTP."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers=headers) as response,
        ):
            return response.status, await response.text()

    async def ready(self) -> float:
        """Wait until `/healthz` answers 200; returns the seconds it took."""
        began = time.monotonic()
        while True:
            with suppress(aiohttp.ClientError):
                if (await self.get("/healthz"))[0] == 200:
                    return time.monotonic() - began
            assert self.process.returncode is None, self.log.decode()
            assert time.monotonic() - began < PATIENCE, self.log.decode()
            await asyncio.sleep(0.02)

    async def said(self, event: str, times: int = 1) -> None:
        """Wait until its log has `count` lines of an event."""
        wanted = f'"event": "{event}"'.encode()

        async def reported() -> bool:
            return self.log.count(wanted) >= times

        await wait_until(reported, PATIENCE)

    async def end(self) -> tuple[int, float]:
        """Send SIGTERM; returns the exit code and the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        return code, time.monotonic() - began


@dataclass(frozen=True)
class Site:
    """A local Slack and a fake AI server, and the environment that points a bot to them."""

    slack: LocalSlack
    fake: FakeOpenAI
    environment: dict[str, str]


@asynccontextmanager
async def open_site(redis_url: str, *, socket_mode: bool = True) -> AsyncIterator[Site]:
    """All that the bot needs around it."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(open_fake_openai())
        slack = await stack.enter_async_context(
            open_workspace(
                patience=PATIENCE,
                events=EVENTS,
                scopes=SCOPES,
                commands=[command.name for command in COMMANDS],
                time_factor=0.02,
                ack_seconds=ACK_SECONDS,
            )
        )
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_API_KEY": fake.api_key,
            "OPENAI_BASE_URL": fake.base_url,
            "REDIS_URL": redis_url,
            "BOT_REDIS_PREFIX": f"site-{uuid4().hex[:8]}",
            "BOT_HOST": "127.0.0.1",
            "BOT_GATHER_SECONDS": "0.05",
        }
        if socket_mode:
            environment["SLACK_APP_TOKEN"] = slack.app_token
        yield Site(slack, fake, environment)


@asynccontextmanager
async def open_process(
    site: Site, *words: str, directory: Path = ROOT, command: tuple[str, ...] = (), **given: str
) -> AsyncIterator[Process]:
    """`bot WORDS` (or another `command`), ready; killed at the end if it still runs."""
    port = free_port()
    name = "BOT_HEALTH_PORT" if "worker" in words else "PORT"
    process = await asyncio.create_subprocess_exec(
        *(command or (sys.executable, "-m", "bot", *words)),
        cwd=directory,
        env={**site.environment, name: str(port), **given},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Process(process, f"http://127.0.0.1:{port}")
    reading = asyncio.create_task(_read(process, running.log))
    try:
        await running.ready()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, log: bytearray) -> None:
    assert process.stderr is not None
    while chunk := await process.stderr.read(65536):
        log += chunk
