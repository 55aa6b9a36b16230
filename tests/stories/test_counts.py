"""Counts that decide how many turns a process can hold and how fast it is. No times."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

import pytest

import bot
from bot.models import Thread
from bot.slack.answer.live import LiveAnswer
from bot.store import Entry
from bot.worker.active import ActiveThread, ActiveThreads
from tests.fakes.openai import held
from tests.world import BASE_TIMING, ENGINE, open_world, wait_until

RUNS = 20
FOLDER = Path(bot.__file__).parent


def bot_tasks() -> int:
    """The unfinished tasks that run code of the bot."""
    paths = (task.get_coro().cr_code.co_filename for task in asyncio.all_tasks())  # type: ignore[union-attr]
    return sum(path.startswith(f"{FOLDER}/") for path in paths)


async def test_a_run_that_is_waited_for_is_one_task(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_streaming=False) as world:
        await world.ask("#general", "@bot hello")
        before = bot_tasks()
        world.fake.answer = held("done")
        alice = world.slack.user("alice")
        roots = [await alice.says("#general", f"@bot {number}") for number in range(RUNS)]
        await world.slack.wait_for(lambda: len(world.fake.responses) > RUNS)

        async def are_few() -> bool:
            return bot_tasks() <= before + RUNS

        await wait_until(are_few)
        assert bot_tasks() >= RUNS
        world.fake.finish()
        for root in roots:
            await world.replies("#general", root)


CODE = {
    AsyncGeneratorType: "ag_code",
    CoroutineType: "cr_code",
    GeneratorType: "gi_code",
    FrameType: "f_code",
}
MOST = {"coroutine": 10, "async_generator": 1, "generator": 0, "frame": 0, "LiveAnswer": 0}.items()
"""What a run may need, on average."""
NEVER = 3600.0


@pytest.fixture
def own_objects() -> Iterator[None]:
    """Only objects of the test are collected and listed: all those of a process that has run
    thousands of tests take seconds, in which its event loop stands still."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def suspended() -> Counter[str]:
    """How many coroutines and generators of the bot are suspended, how many of them have a frame
    object besides, and how many growing answers there are."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if _is_counted(each))


def _is_counted(found: object) -> bool:
    if (attribute := CODE.get(type(found))) is not None:
        return bool(getattr(found, attribute).co_filename.startswith(f"{FOLDER}/"))
    return isinstance(found, LiveAnswer)


@pytest.mark.usefixtures("own_objects")
async def test_a_run_that_is_waited_for_is_small(redis_url: str, tmp_path: Path) -> None:
    """Each suspended coroutine or generator needs 300 to 700 bytes of each run in flight, a frame
    object about as much."""
    timing = replace(BASE_TIMING, engine=replace(ENGINE, poll_first=NEVER, poll_longest=NEVER))
    async with open_world(redis_url, tmp_path, bot_streaming=False, timing=timing) as world:
        alice = world.slack.user("alice")
        world.fake.answer = held("done")
        await alice.says("#general", "@bot first")
        await world.slack.wait_for(lambda: len(world.fake.responses) == 1)
        before, tasks = suspended(), bot_tasks()
        for number in range(RUNS):
            await alice.says("#general", f"@bot {number}")
        await world.slack.wait_for(lambda: len(world.fake.responses) > RUNS)

        async def only_wait() -> bool:
            if bot_tasks() - tasks != RUNS:
                return False
            began = time.monotonic()
            more = suspended() - before
            await asyncio.sleep(time.monotonic() - began)  # nothing else ran meanwhile
            return all(more[kind] <= most * RUNS for kind, most in MOST)

        await wait_until(only_wait)


def test_a_claim_looks_only_at_turns_without_a_run() -> None:
    looked: list[str] = []

    class Watched(ActiveThread):
        @property
        def is_starting(self) -> bool:
            looked.append(self.entry.id)
            return super().is_starting

    active = ActiveThreads()
    for number in range(1_000):
        thread = Watched(Entry(Thread("T1", "C1", f"{number}.0"), str(number)))
        thread.interrupt.begun = number >= 10
        active[str(number)] = thread
    assert active.starting == 10
    active["3"].interrupt.begun = True
    del active["4"]
    looked.clear()
    assert active.starting == 8
    assert len(looked) == 8
