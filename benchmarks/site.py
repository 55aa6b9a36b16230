"""The processes of a measurement: web and workers of one checkout, beside our own stand-ins.

The local Slack is in this process, the fake AI server and Redis are processes of their own. Only
the code of the bot comes from the checkout, so that two of them are compared under the same load.
"""

import asyncio
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.slack.events import EVENTS
from bot.slack.surfaces.commands import COMMANDS
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from local_slack.workspace.changes import Change
from tests.fakes.openai import RemoteFake, start_fake_openai
from tests.redis_server import RedisServer, run_server
from tests.test_cli import environment, healthy
from tests.world import wait_until

HERE = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
Prepare = Callable[[str], Awaitable[None]]
CallKey = tuple[str, str, str]
"""A method of Slack, a channel, and the `ts` of a thread."""
SHORT = "Open the report, choose Share, and pick the folder of your team. " * 3
SHORT_SECONDS = 0.4
LONG = "A sentence of an answer that people read while it is being written. " * 20
TOKEN = 4
"""Characters of one event if a model's tokens come one by one."""
GROUP = 24
"""Characters of one event if a server groups tokens."""
POST, STATUS = "chat.postMessage", "assistant.threads.setStatus"


@dataclass
class Process:
    """One process of the bot."""

    role: str
    process: asyncio.subprocess.Process
    started: float
    """Seconds from its start until it was ready."""

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return cpu_of(self.process.pid)

    @property
    def private(self) -> int:
        """Bytes of memory that it shares with no other process."""
        return private_memory(self.process.pid)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, to the nanosecond if the kernel counts them."""
    with suppress(OSError, ValueError):
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        if nanoseconds := sum(int(each.read_text().split()[0]) for each in threads):
            return nanoseconds / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def private_memory(pid: int) -> int:
    """Bytes of memory that a process shares with no other."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+) kB", text)) * 1024


@dataclass
class Site:
    """Everything that runs; `calls` are the times of calls to Slack by method and thread."""

    slack: LocalSlack
    fake: RemoteFake
    redis: RedisServer
    bots: list[Process] = field(default_factory=list)
    calls: dict[CallKey, list[float]] = field(default_factory=dict)
    _streams: dict[str, str] = field(default_factory=dict)
    """The thread of each channel's last stream."""
    _waits: dict[CallKey, tuple[int, asyncio.Future[None]]] = field(default_factory=dict)

    def note(self, change: Change) -> None:
        """Record when a call came. The end of a stream is the post of its answer."""
        if change.kind == "call":
            args, method = change.data["args"], str(change.data["method"])
            channel = str(args.get("channel") or args.get("channel_id"))
            thread = str(args.get("thread_ts"))
            if method == "chat.startStream":
                self._streams[channel] = thread
            elif method == "chat.stopStream" and channel in self._streams:
                method, thread = POST, self._streams[channel]
            key = (method, channel, thread)
            times = self.calls.setdefault(key, [])
            times.append(time.monotonic())
            count, called = self._waits.get(key, (0, None))
            if called and len(times) >= count and not called.done():
                called.set_result(None)

    async def called(self, key: CallKey, count: int, seconds: float) -> float:
        """When Slack got the call number `count` of this kind; raises TimeoutError.

        `LocalSlack.wait_for` looks after every change: with a thousand waiting people that would
        be most of what the machine does.
        """
        times = self.calls.setdefault(key, [])
        if len(times) < count:
            called = asyncio.get_running_loop().create_future()
            self._waits[key] = count, called
            try:
                await asyncio.wait_for(called, seconds)
            finally:
                del self._waits[key]
        return times[count - 1]

    def cpu(self, role: str) -> float:
        """Seconds of CPU of all processes of a role."""
        return sum(each.cpu for each in self.bots if each.role == role)

    def redis_figures(self) -> dict[str, float]:
        """Redis's own counts: CPU seconds, requests read, commands, bytes of memory."""
        with self.redis.client() as client:
            stats, cpu, memory = client.info("stats"), client.info("cpu"), client.info("memory")
        return {
            "cpu": float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
            "requests": float(stats.get("total_reads_processed", 0)),
            "commands": float(stats["total_commands_processed"]),
            "memory": float(memory["used_memory"]),
        }


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def open_site(
    checkout: Path,
    *roles: str,
    prepare: Prepare | None = None,
    redis_options: Sequence[str] = (),
    **given: str,
) -> AsyncIterator[Site]:
    """Everything running, with a process of `checkout` for each role (web, worker).

    `prepare` fills the Redis server at an address before they start.
    """
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        redis = stack.enter_context(run_server("", *redis_options))
        if prepare:
            await prepare(redis.url)
        fake = await stack.enter_async_context(start_fake_openai())
        await fake.options(strict=False)
        slack = await stack.enter_async_context(
            open_workspace(events=EVENTS, commands=[command.name for command in COMMANDS])
        )
        site = Site(slack, fake, redis)
        slack.workspace.changes.observe(site.note)
        settings = {
            "PYTHONPATH": str(checkout),
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_API_KEY": fake.api_key,
            "OPENAI_BASE_URL": fake.base_url,
            "REDIS_URL": redis.url,
            "BOT_HOST": "127.0.0.1",
            "BOT_LOG_LEVEL": "ERROR",
            **given,
        }
        for role in roles:
            bot = await stack.enter_async_context(_open_process(role, directory, settings))
            site.bots.append(bot)
            if role == "web":
                port = settings["PORT"]
                slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        yield site


@asynccontextmanager
async def _open_process(
    role: str, directory: str, settings: dict[str, Any]
) -> AsyncIterator[Process]:
    port = free_port()
    settings["PORT" if role == "web" else "BOT_HEALTH_PORT"] = str(port)
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", role),
        cwd=directory,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(**settings),
    )
    try:
        await wait_until(lambda: healthy(port), 60)
        yield Process(role, process, time.monotonic() - began)
    finally:
        process.terminate()
        await process.wait()
