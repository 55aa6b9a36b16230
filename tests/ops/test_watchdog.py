"""A process with a blocked event loop logs it, is unhealthy, and exits."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.ops.processes import Process, Site, open_process, open_site
from tests.world import wait_until


@asynccontextmanager
async def open_blocking(
    redis_url: str, block: str, *, log: str, exit: str
) -> AsyncIterator[tuple[Site, Process]]:
    """A bot that the first question blocks in the way of `block`."""
    async with open_site(redis_url) as site:
        command = (sys.executable, "-m", "tests.ops.blocked", *block.split())
        opened = open_process(site, command=command, BOT_STALL_LOG=log, BOT_STALL_EXIT=exit)
        async with opened as bot:
            await bot.said("ready")
            yield site, bot


async def healthz(bot: Process, patience: float = 60) -> int:
    """The status, or 0 without a response in time."""
    try:
        async with asyncio.timeout(patience):
            return (await bot.get("/healthz"))[0]
    except (TimeoutError, aiohttp.ClientError):
        return 0


async def test_a_blocked_loop_is_logged_once_and_the_process_unhealthy_and_ended(
    redis_url: str,
) -> None:
    async with open_blocking(redis_url, "sleep 60", log="1", exit="6") as (site, bot):
        assert await healthz(bot) == 200
        await site.slack.user("alice").says("#general", "@bot the secret question")

        async def is_told() -> bool:
            return b"blocked.py" in bot.log  # else a slow machine has stopped the loop

        await wait_until(is_told)
        assert await healthz(bot, 0.3) == 0
        async with asyncio.timeout(60):
            assert await bot.process.wait() == 1
        log = bot.log.decode()
    reported = [line for line in log.splitlines() if "event_loop_blocked" in line]
    assert sum("blocked.py" in line for line in reported) == 1  # others are of a slow machine
    assert "secret" not in log


async def test_a_regular_expression_that_holds_the_gil_ends_the_process(
    redis_url: str,
) -> None:
    async with open_blocking(redis_url, "regex 60", log="2", exit="4") as (site, bot):
        await site.slack.user("alice").says("#general", "@bot hi")
        async with asyncio.timeout(60):
            assert await bot.process.wait() == 1
        assert "blocked.py" in bot.log.decode()


async def test_a_loop_that_recovers_is_healthy_again(redis_url: str) -> None:
    async with open_blocking(redis_url, "sleep 4", log="2", exit="60") as (site, bot):
        root = await site.slack.user("alice").says("#general", "@bot hi")
        seen: list[int] = []

        async def healthy_again() -> bool:
            seen.append(await healthz(bot))
            return seen[-1] == 200 and 503 in seen

        await wait_until(healthy_again)
        await site.slack.wait_for(lambda: site.slack.replies("#general", root))
        assert bot.process.returncode is None


BLOCKED = """
import asyncio, time
from bot.telemetry.watchdog import Watchdog

async def main():
    watchdog = Watchdog(0.1, {limit})
    with watchdog.watching():
        time.sleep(1.5 * {limit})
        {start}
        watchdog.started()
    {leave}

asyncio.run(main())
print("ended")
{end}
"""


@pytest.mark.parametrize(
    ("place", "code"), [("", 0), ("start", 1), ("leave", 1), ("end", 1)], ids=str
)
async def test_a_process_that_hangs_when_it_starts_or_ends_is_ended(place: str, code: int) -> None:
    places = dict.fromkeys(("start", "leave", "end"), "pass") | {place: "time.sleep(60)"}
    limit = 0.1 if code else 1
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        BLOCKED.format(limit=limit, **places),
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        assert await process.wait() == code
