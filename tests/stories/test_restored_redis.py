"""Redis comes back with an older state: a restored backup, or a fail-over to a lagging replica.

Each question is answered once, whatever happened since that state.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.engines.conversations import words_of
from bot.timing import StoreTiming, WorkerTiming
from tests.fakes.openai import echo, held
from tests.fakes.openai.answers import slow
from tests.redis_server import RedisServer, run_server
from tests.stories.test_ai_faults import CONVERSATIONS, runs, texts
from tests.stories.test_deliveries import post
from tests.world import BASE_TIMING, World, open_world, wait_until

SCALE = 0.1
"""The time scale of these stories: a second of a deployment takes this many here."""
TIMING = replace(
    BASE_TIMING,
    worker=WorkerTiming(heartbeat=1 * SCALE, stray_after=5 * SCALE),
    store=StoreTiming(settling=10 * SCALE, restore_check=1 * SCALE),
)
"""Leases are as long as in production: no worker loses its turns while the server restarts."""
QUESTIONS = 6
ANSWER = "The first sentence of an answer. " * 20
ANSWERING = 8.0
"""Duration of an answer, in seconds of a deployment."""


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A private server, which is killed and restored."""
    with run_server() as server:
        yield server


@pytest.fixture(params=["responses", "assistants"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["streamed", "polled"])
async def restored_world(
    request: pytest.FixtureRequest, own_server: RedisServer, tmp_path: Path, engine: str
) -> AsyncIterator[World]:
    """A world with slow answers, on a private server."""
    async with open_world(
        own_server.url,
        tmp_path / "state",
        engine=engine,
        socket_mode=False,
        timing=TIMING,
        bot_streaming=request.param,
    ) as world:
        world.fake.answer = slow(ANSWER, ANSWERING * SCALE)
        yield world


def copies(world: World, roots: list[str]) -> list[int]:
    """How many messages of the bot each thread holds."""
    return [len(world.slack.replies("#general", root)) for root in roots]


def asked(world: World) -> list[str]:
    """The last word of each message that the AI server got, in order."""
    return [text.split()[-1] for said in texts(world) for text in said]


async def ask_all(world: World) -> list[str]:
    alice = world.slack.user("alice")
    return [await alice.says("#general", f"@bot question {n}") for n in range(QUESTIONS)]


async def answered_once(world: World, roots: list[str]) -> None:
    """Wait until all threads are idle with one answer each, made by one run."""
    for root in roots:
        await world.replies("#general", root)
    await asyncio.sleep(10 * SCALE)
    for root in roots:
        await world.rests("#general", root)
    assert copies(world, roots) == [1] * len(roots)
    assert runs(world) == len(roots)
    for root in roots:
        [text] = await world.replies("#general", root)
        assert text.strip() == ANSWER.strip()


@pytest.mark.parametrize("age", [0.3, 2.0, 6.0])
async def test_a_rollback_during_answers_to_a_state_during_answers_repeats_nothing(
    restored_world: World, own_server: RedisServer, tmp_path: Path, age: float
) -> None:
    roots = await ask_all(restored_world)
    await restored_world.slack.wait_for(lambda: runs(restored_world) == QUESTIONS)
    await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
    await asyncio.sleep(age * SCALE)
    await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
    await answered_once(restored_world, roots)


@pytest.mark.parametrize("age", [0.3, 2.0, 6.0, 60.0])
async def test_a_rollback_during_answers_to_a_state_before_the_questions_repeats_nothing(
    restored_world: World, own_server: RedisServer, tmp_path: Path, age: float
) -> None:
    await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
    await asyncio.sleep(max(0.0, age - ANSWERING / 2) * SCALE)
    roots = await ask_all(restored_world)
    await restored_world.slack.wait_for(lambda: runs(restored_world) == QUESTIONS)
    await asyncio.sleep(min(age, ANSWERING / 2) * SCALE)
    await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
    await answered_once(restored_world, roots)


async def test_a_rollback_after_answers_to_a_state_during_answers_repeats_nothing(
    restored_world: World, own_server: RedisServer, tmp_path: Path
) -> None:
    world = restored_world
    roots = await ask_all(world)
    await world.slack.wait_for(lambda: runs(world) == QUESTIONS)
    await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
    for root in roots:
        await world.replies("#general", root)
    await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
    await answered_once(world, roots)


async def test_a_rollback_after_answers_to_the_first_state_repeats_nothing(
    restored_world: World, own_server: RedisServer, tmp_path: Path
) -> None:
    """The state contains the questions, but nothing of their turns."""
    world = restored_world
    roots = await ask_all(world)
    await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
    for root in roots:
        await world.replies("#general", root)
    await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
    await answered_once(world, roots)
    await world.ask("#general", "@bot and then?", thread_ts=roots[0])
    assert runs(world) == QUESTIONS + 1
    path = CONVERSATIONS[world.settings.bot_engine]
    assert world.fake.created(path) == QUESTIONS, "the thread has its conversation again"


async def test_a_rollback_loses_no_waiting_questions(
    restored_world: World, own_server: RedisServer, tmp_path: Path
) -> None:
    """They were only in Redis; `web` delivers them again."""
    world = restored_world
    await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot first")
    await world.slack.wait_for(lambda: runs(world) == 1)
    await alice.says("#general", "@bot second", thread_ts=root)
    await alice.says("#general", "@bot third", thread_ts=root)
    await world.slack.settled()
    await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
    await world.replies("#general", root, 2)
    await asyncio.sleep(10 * SCALE)
    await world.rests("#general", root)
    assert (copies(world, [root]), runs(world)) == ([2], 2)
    assert asked(world) == ["first", "second", "third"]


async def test_a_message_answered_since_that_state_does_not_join_the_turn_under_way(
    own_server: RedisServer, tmp_path: Path
) -> None:
    """`web` delivers the answered question after the worker has written its turn back."""
    timing = replace(TIMING, store=replace(TIMING.store, restore_check=5 * SCALE))
    async with open_world(
        own_server.url, tmp_path / "state", engine="assistants", socket_mode=False, timing=timing
    ) as world:
        await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
        first = await world.slack.user("alice").says("#general", "@bot first")
        await world.replies("#general", first)
        await world.rests("#general", first)
        world.fake.answer = lambda prompt: held(echo(prompt))
        second = await world.slack.user("alice").says("#general", "@bot second", thread_ts=first)
        await world.slack.wait_for(lambda: runs(world) == 2)
        await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")

        async def both_are_known() -> bool:
            state = await world.bot.store.inbox.state(world.key("#general", first))
            return state.taken == (second,) and first in state.waiting and state.state == "claimed"

        await wait_until(both_are_known)
        await asyncio.sleep(3 * SCALE)
        world.fake.finish()
        await world.replies("#general", first, 2)
        await world.rests("#general", first)
        assert (copies(world, [first]), runs(world)) == ([2], 2)
        assert asked(world) == ["first", "second"]


async def test_an_answer_is_found_whichever_of_its_messages_comes_first(
    own_server: RedisServer, tmp_path: Path
) -> None:
    """The state lacks them, and the `web` process that delivered them has ended: Slack retries.
    Like all others they can be deleted then."""
    timing = replace(TIMING, worker=replace(TIMING.worker, lifetime=8 * SCALE))
    async with open_world(
        own_server.url, tmp_path / "state", socket_mode=False, timing=timing
    ) as world:
        alice, world.fake.answer = world.slack.user("alice"), lambda prompt: held(echo(prompt))
        first = await alice.says("#general", "@bot first")
        await world.slack.wait_for(lambda: runs(world) == 1)
        await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
        bob = world.slack.user("bob")
        second = await bob.says("#general", "@bot second", thread_ts=first)
        third = await alice.says("#general", "@bot third", thread_ts=first)
        await world.slack.settled()
        world.fake.answer = echo
        world.fake.finish()
        await world.replies("#general", first, 2)

        world = await world.replaced()
        await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")
        for ts in (third, second):
            retried = next(d for d in world.slack.deliveries if d.ts == ts)
            assert (await post(world, json.dumps(retried.payload).encode()))[0] == 200
            await world.rests("#general", first)
        assert (copies(world, [first]), runs(world)) == ([2], 2)
        assert asked(world) == ["first", "second", "third"]

        await bob.deletes("#general", second)
        await world.slack.settled()
        await world.rests("#general", first)
        await alice.says("#general", "@bot fourth", thread_ts=first)
        await world.replies("#general", first, 3)
        found = await world.bot.store.conversations.find(world.key("#general", first))
        assert found is not None
        items = world.fake.conversations[found.id].items
        said = [words_of(item).split()[-1] for item in items if item["role"] == "user"]
        assert said == ["first", "third", "fourth"]


async def test_a_reset_since_that_state_is_repeated_silently(
    own_server: RedisServer, tmp_path: Path
) -> None:
    async with open_world(
        own_server.url, tmp_path / "state", socket_mode=False, timing=TIMING
    ) as world:
        first = await world.ask("#general", "@bot first")
        await world.rests("#general", first)
        await asyncio.to_thread(own_server.copy_data, tmp_path / "copy")
        await world.ask("#general", "reset", thread_ts=first)
        await world.rests("#general", first)
        await asyncio.to_thread(own_server.restore_data, tmp_path / "copy")

        async def is_forgotten() -> bool:
            thread = world.key("#general", first)
            return await world.bot.store.conversations.find(thread) is None

        await wait_until(is_forgotten)
        await world.rests("#general", first)
        assert copies(world, [first]) == [2]
