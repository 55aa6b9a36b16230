"""How often a turn calls Redis: each round trip adds to the wait for an answer."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_bot
from bot.timing import AnswerTiming, StoreTiming, Timing, WorkerTiming
from tests.redis_server import RedisServer
from tests.redis_traffic import Traffic, open_traffic
from tests.world import World, open_world

TURNS = {
    "responses": {
        "root": ["take", "save begin", "record", "begin pace", "settle"],
        "follow-up": ["take", "begin", "record", "begin pace", "settle"],
    },
    "assistants": {
        "root": ["take", "save begin", "begin", "record", "begin pace", "settle"],
        "follow-up": ["take", "begin", "begin", "record", "begin pace", "settle"],
    },
}
"""The round trips of a worker for one turn. Besides these it reads the message, and `web`
stores it."""
BESIDES = 2
MOST_ROUND_TRIPS = 8
MOST_IDLE_COMMANDS = 6.0
"""Of one web process and two workers per second."""
MOST_COMMANDS = {
    "responses": {"root": 84, "follow-up": 73},
    "assistants": {"root": 88, "follow-up": 77},
}
"""Commands inside of scripts, those of `web` included."""
OF_TURNS = frozenset(
    {
        *("take", "begin", "record", "save", "settle", "catch_up", "account", "orphan", "pace"),
        *("GET", "LRANGE", "PTTL"),
    }
)
NO_BEATS = Timing(worker=WorkerTiming(heartbeat=600.0, lifetime=1200.0))


async def count(world: World, traffic: Traffic, root: str) -> tuple[list[str], int]:
    """The round trips of a turn, and the commands inside of its scripts."""
    traffic.reset()
    await world.ask("#general", "and this?" if root else "@bot hello", thread_ts=root)
    trips = [" ".join(name for name in trip if name in OF_TURNS) for trip in traffic.trips]
    return [trip for trip in trips if trip], traffic.inner_commands


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_turn_takes_few_round_trips(
    engine: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"engine": engine, "timing": NO_BEATS, "bot_feedback": False}
    async with (
        open_traffic(redis_server, tmp_path) as traffic,
        open_world(traffic.url, tmp_path, **given) as world,
    ):
        root = await world.ask("#general", "@bot hello")  # loads the scripts
        for kind, thread_ts in (("follow-up", root), ("root", "")):
            trips, commands = await count(world, traffic, thread_ts)
            assert trips == TURNS[engine][kind]
            assert len(trips) + BESIDES <= MOST_ROUND_TRIPS
            assert commands <= MOST_COMMANDS[engine][kind]


async def test_idle_processes_hardly_call_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    worker = WorkerTiming(heartbeat=0.1, claim_block=0.4)
    store, answer = StoreTiming(restore_check=0.1), AnswerTiming(waiting_check=0.3)
    timing = Timing(worker=worker, store=store, answer=answer)  # a tenth of production's
    async with (
        open_traffic(redis_server, tmp_path) as traffic,
        open_world(traffic.url, tmp_path, timing=timing) as world,
        open_bot(world.settings, web_part=False, timing=timing),
    ):
        await world.ask("#general", "@bot hello")
        await asyncio.sleep(0.3)
        traffic.reset()
        began = time.monotonic()
        await asyncio.sleep(0.8)
        seconds = 10 * (time.monotonic() - began)
        assert sum(map(len, traffic.trips)) / seconds <= MOST_IDLE_COMMANDS
        names = {name for trip in traffic.trips for name in trip}
        assert {"beat", "XREADGROUP"} <= names
