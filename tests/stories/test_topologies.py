"""The bot on a Redis Cluster and on a primary with Sentinels, while servers fail and slots move."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.store.shards import shard_of
from bot.telemetry.log import log
from bot.timing import AnswerTiming, StoreTiming, Timing, WorkerTiming
from tests.fakes.openai import Prompt
from tests.redis_topologies import RedisCluster, SentinelGroup
from tests.world import World, open_world

TIMING = Timing(
    worker=WorkerTiming(heartbeat=0.2, lifetime=2.0, stray_after=1.0),
    store=StoreTiming(settling=0.6, restore_check=0.2),
    answer=AnswerTiming(posts_per_second=1000, posts_burst=1000),
)
THREADS = 6
SHARDS = 5

Group = RedisCluster | SentinelGroup


@pytest.fixture(params=["redis_cluster", "sentinels"])
def group(request: pytest.FixtureRequest) -> Group:
    found: Group = request.getfixturevalue(request.param)
    return found


def answer(prompt: Prompt) -> str:
    return f"turn {prompt.turn}: {' | '.join(prompt.user_messages)}"


async def test_a_dialogue(group: Group, tmp_path: Path) -> None:
    async with open_world(group.url, tmp_path, timing=TIMING) as world:
        world.fake.answer = answer
        root = await world.ask("#general", "@bot one")
        await world.ask("#general", "@bot two", thread_ts=root)
        assert [text.strip() for text in await world.replies("#general", root, 2)] == [
            "turn 1: one",
            "turn 2: one | two",
        ]


async def test_a_killed_primary_loses_and_doubles_nothing(group: Group, tmp_path: Path) -> None:
    """Messages arrive all the time, and are acknowledged once a replica has them. On the cluster
    there are several shards; the workspace is in the first one."""
    given = {
        "bot_redis_confirm": "replica",
        "bot_shards": SHARDS if isinstance(group, RedisCluster) else 1,
    }
    assert shard_of("T0PLAYGRND", SHARDS) == 0
    async with open_busy_world(group, tmp_path, **given) as (world, talk):
        key = world.bot.store.keys.ready
        killed, began = group.owner(key), time.monotonic()
        await asyncio.to_thread(killed.server.kill)
        await world.slack.wait_for(lambda: group.owner(key) is not killed)
        took_over, before = time.monotonic() - began, count_answers(world)
        await world.slack.wait_for(lambda: count_answers(world) > before + THREADS)
        log.info("recovered", new_primary=took_over, answers=time.monotonic() - began)
        await answered_once(world, await talk.ended())


async def test_a_slot_that_moves_loses_and_doubles_nothing(
    redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    async with open_busy_world(redis_cluster, tmp_path) as (world, talk):
        key = world.bot.store.keys.ready
        home = redis_cluster.owner(key)
        for target in (redis_cluster.nodes[1], home):
            await asyncio.to_thread(redis_cluster.move_slot, key, target, pause=0.3)
        await answered_once(world, await talk.ended())


class Talk:
    """Several people who talk to the bot, each in a thread, until the test has seen enough."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._enough = asyncio.Event()
        self._threads = [asyncio.create_task(self._thread(n)) for n in range(THREADS)]

    async def ended(self) -> dict[str, list[str]]:
        """End it; returns the `ts` of what was said, by the roots of the threads."""
        self._enough.set()
        threads = await asyncio.gather(*self._threads)
        return {stamps[0]: stamps for stamps in threads}

    async def _thread(self, number: int) -> list[str]:
        alice = self._world.slack.user("alice")
        stamps = [await alice.says("#general", f"@bot {number}.0")]
        while not self._enough.is_set():
            await asyncio.sleep(0.2)
            text = f"@bot {number}.{len(stamps)}"
            stamps += [await alice.says("#general", text, thread_ts=stamps[0])]
        return stamps


@asynccontextmanager
async def open_busy_world(
    group: Group, directory: Path, **given: Any
) -> AsyncIterator[tuple[World, Talk]]:
    """A world in which each thread has an answer, and people keep talking."""
    async with open_world(
        group.url,
        directory,
        timing=TIMING,
        socket_mode=False,
        slack_time=0.005,
        bot_rollover_messages=10_000,
        **given,
    ) as world:
        world.fake.answer = answer
        talk = Talk(world)
        try:
            await world.slack.wait_for(lambda: count_answers(world) > THREADS)
            yield world, talk
        finally:
            await talk.ended()


def count_answers(world: World) -> int:
    messages = world.slack.workspace.messages.values()
    return sum(m.user_id == world.slack.bot.id for each in messages for m in each.values())


async def answered_once(world: World, said: dict[str, list[str]]) -> None:
    """Wait until all threads are idle; what was acknowledged is in one turn, with one answer."""
    await world.slack.settled()
    acknowledged = {d.ts for d in world.slack.deliveries if d.state == "acknowledged"}
    for number, (root, stamps) in enumerate(said.items()):
        texts = await world.replies("#general", root)
        prompt = texts[-1].partition(": ")[2].strip()
        wanted = {f"{number}.{n}" for n, ts in enumerate(stamps) if ts in acknowledged}
        assert wanted <= set(re.findall(r"\d+\.\d+", prompt))
        # Those that arrived after a later one are in its context, too, which is no question.
        questions = [part for part in prompt.split(" | ") if re.fullmatch(r"\d+\.\d+", part)]
        assert len(questions) == len(set(questions))
        turns = [text.partition(":")[0] for text in texts]
        assert turns == [f"turn {turn}" for turn in range(1, len(texts) + 1)]
