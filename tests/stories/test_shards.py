"""Workspaces on several Redis servers: each has its shard, and workers share the shards."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot.app import open_bot
from bot.store.shards import Shards, shard_of
from bot.telemetry import metrics
from tests.deployment import AT_ONCE, Deployment, open_deployment
from tests.fakes.openai import echo, held
from tests.redis_server import RedisServer, run_server
from tests.world import PATIENCE, wait_until, words

TEAMS = ("T1", "T2", "T4")
SHARDS = 4
TIMING = replace(AT_ONCE, worker=replace(AT_ONCE.worker, heartbeat=0.1, lifetime=8.0))
GENERAL = "#general"


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(run_server()) for _ in range(2)]


@pytest.fixture
async def deployment(servers: list[RedisServer], tmp_path: Path) -> AsyncIterator[Deployment]:
    urls = " ".join(server.url for server in servers)
    opening = open_deployment(urls, tmp_path, teams=TEAMS, timing=TIMING, bot_shards=SHARDS)
    async with opening as deployment:
        deployment.fake.answer = echo
        await deployment.install(*TEAMS)
        yield deployment


def on(server: int, deployment: Deployment) -> list[str]:
    """The workspaces on one of the two servers."""
    return [team for team in TEAMS if shard_of(team, SHARDS) % 2 == server]


async def answered(deployment: Deployment, team: str, root: str) -> list[str]:
    """The answers in a thread, once there is one."""
    slack = deployment.slack(team)
    await slack.wait_for(lambda: slack.replies(GENERAL, root), PATIENCE)
    return [words(reply) for reply in slack.replies(GENERAL, root)]


async def is_ready(deployment: Deployment, shown: str = "ok") -> None:
    """Wait until `/readyz` answers 200 and shows this about Redis."""

    async def shows() -> bool:
        url = f"{deployment.url}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            return (reply.status, (await reply.json())["redis"]) == (200, shown)

    await wait_until(shows)


async def test_a_server_that_is_down_stops_only_its_own_workspaces(
    deployment: Deployment, servers: list[RedisServer]
) -> None:
    (first, *_), (second, *_) = on(0, deployment), on(1, deployment)
    answers = await asyncio.gather(*(deployment.ask(team, f"in {team}") for team in TEAMS))
    assert all(f"in {team}" in each for team, each in zip(TEAMS, answers, strict=True))
    await is_ready(deployment)
    servers[1].kill()
    down = [str(number) for number in range(SHARDS) if number % 2]
    await is_ready(deployment, f"shards {', '.join(down)} are down")
    slack = deployment.slack(second)
    root = await slack.user("alice").says(GENERAL, "@bot while it is down")
    assert "meanwhile" in await deployment.ask(first, "meanwhile")
    assert slack.replies(GENERAL, root) == []
    servers[1].start()
    # Slack delivers again what was not acknowledged.
    [answer] = await answered(deployment, second, root)
    assert "while it is down" in answer
    await is_ready(deployment)
    assert len(slack.replies(GENERAL, root)) == 1


async def test_a_shard_that_others_serve_is_left_after_its_last_turn(
    deployment: Deployment,
) -> None:
    deployment.fake.answer = held("done")
    roots = {}
    for team in TEAMS:
        roots[team] = await deployment.slack(team).user("alice").says(GENERAL, "@bot think")
    slack, shards = deployment.slack("T1"), deployment.bot.shards
    await slack.wait_for(lambda: len(deployment.fake.working) == len(TEAMS), PATIENCE)

    async def alone() -> bool:
        return sorted(await served(shards)) == [0, 0, 1, 1]

    for group in shards.groups:  # with five others, each of two shards has three of six workers
        for number in range(5):
            await group.stores[0].roster.check_in(f"other-{number}", 60)

    async def has_left() -> bool:
        return metrics.REGISTRY.get_sample_value("bot_shards_served") == 2

    await wait_until(has_left)
    counts = await served(shards)
    assert [counts[shard_of(team, SHARDS)] for team in TEAMS] == [1, 1, 1]
    deployment.fake.finish()
    for team, root in roots.items():
        await answered(deployment, team, root)
    await wait_until(alone)
    for group in shards.groups:
        for number in range(5):
            await group.stores[0].roster.leave(f"other-{number}")

    async def all_served() -> bool:
        return await served(shards) == [1] * SHARDS

    await wait_until(all_served)


async def served(shards: Shards) -> list[int]:
    """How many workers each shard has."""
    return [(await store.inbox.depth()).workers for store in shards]


async def test_workers_share_the_shards_as_they_come_and_go(deployment: Deployment) -> None:
    shards, settings = deployment.bot.shards, deployment.settings

    async def has(count: int) -> bool:
        return await served(shards) == [count] * SHARDS

    async with AsyncExitStack() as others:
        await wait_until(lambda: has(1))
        for _ in range(2):
            opening = open_bot(settings, web_part=False, timing=TIMING)
            await others.enter_async_context(opening)
        await wait_until(lambda: has(2))
        assert all([f"in {team}" in await deployment.ask(team, f"in {team}") for team in TEAMS])
    await wait_until(lambda: has(1))
    assert all([f"again {team}" in await deployment.ask(team, f"again {team}") for team in TEAMS])
