"""Redis comes back with an older state: a restored copy, or a replica that lagged took over.

Each question is answered once, whatever was asked, run, shown or answered since that state.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.timing import StoreTiming, Timing, WorkerTiming
from tests.fakes.openai.answers import slow
from tests.redis_server import RedisServer, run_server
from tests.stories.test_ai_faults import CONVERSATIONS, runs, texts
from tests.world import Town, open_town

SCALE = 0.1
"""The clock of these stories: a second of a deployment lasts so many here."""
TIMING = Timing(
    worker=WorkerTiming(heartbeat=1 * SCALE, lifetime=8 * SCALE, stray_after=5 * SCALE),
    store=StoreTiming(settling=3 * SCALE, restore_check=1 * SCALE),
)
QUESTIONS = 6
ANSWER = "The first sentence of an answer. " * 20
ANSWERING = 8.0
"""Seconds of a deployment that an answer takes."""


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server of the test's own, to be killed and restored."""
    with run_server() as server:
        yield server


@pytest.fixture(params=["responses", "assistants"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["streamed", "polled"])
async def restored_town(
    request: pytest.FixtureRequest, own_server: RedisServer, tmp_path: Path, engine: str
) -> AsyncIterator[Town]:
    """A town whose answers take some time, on a server of its own."""
    async with open_town(
        own_server.url,
        tmp_path / "state",
        engine=engine,
        socket_mode=False,
        timing=TIMING,
        bot_streaming=request.param,
    ) as town:
        town.fake.answer = slow(ANSWER, ANSWERING * SCALE)
        yield town


def copies(town: Town, roots: list[str]) -> list[int]:
    """How many messages of the bot each thread holds."""
    return [len(town.slack.replies("#general", root)) for root in roots]


async def ask_all(town: Town) -> list[str]:
    alice = town.slack.user("alice")
    return [await alice.says("#general", f"@bot question {n}") for n in range(QUESTIONS)]


async def answered_once(town: Town, roots: list[str]) -> None:
    """All threads come to rest with one answer each, made by one run."""
    for root in roots:
        await town.replies("#general", root)
    await asyncio.sleep(10 * SCALE)
    for root in roots:
        await town.rests("#general", root)
    assert copies(town, roots) == [1] * len(roots)
    assert runs(town) == len(roots)
    for root in roots:
        [text] = await town.replies("#general", root)
        assert text.strip() == ANSWER.strip()


@pytest.mark.parametrize("age", [0.3, 2.0, 6.0])
async def test_a_state_from_the_middle_of_the_answers_comes_back_in_the_middle(
    restored_town: Town, own_server: RedisServer, tmp_path: Path, age: float
) -> None:
    roots = await ask_all(restored_town)
    await restored_town.slack.wait_for(lambda: runs(restored_town) == QUESTIONS)
    own_server.copy_data(tmp_path / "copy")
    await asyncio.sleep(age * SCALE)
    own_server.restore_data(tmp_path / "copy")
    await answered_once(restored_town, roots)


@pytest.mark.parametrize("age", [0.3, 2.0, 6.0, 60.0])
async def test_a_state_from_before_the_questions_comes_back_while_they_are_answered(
    restored_town: Town, own_server: RedisServer, tmp_path: Path, age: float
) -> None:
    own_server.copy_data(tmp_path / "copy")
    await asyncio.sleep(max(0.0, age - ANSWERING / 2) * SCALE)
    roots = await ask_all(restored_town)
    await restored_town.slack.wait_for(lambda: runs(restored_town) == QUESTIONS)
    await asyncio.sleep(min(age, ANSWERING / 2) * SCALE)
    own_server.restore_data(tmp_path / "copy")
    await answered_once(restored_town, roots)


async def test_a_state_from_the_middle_of_the_answers_comes_back_after_them(
    restored_town: Town, own_server: RedisServer, tmp_path: Path
) -> None:
    town = restored_town
    roots = await ask_all(town)
    await town.slack.wait_for(lambda: runs(town) == QUESTIONS)
    own_server.copy_data(tmp_path / "copy")
    for root in roots:
        await town.replies("#general", root)
    own_server.restore_data(tmp_path / "copy")
    await answered_once(town, roots)


async def test_a_state_from_the_first_moment_comes_back_after_the_answers(
    restored_town: Town, own_server: RedisServer, tmp_path: Path
) -> None:
    """The questions wait, and nothing of their turns is known."""
    town = restored_town
    roots = await ask_all(town)
    own_server.copy_data(tmp_path / "copy")
    for root in roots:
        await town.replies("#general", root)
    own_server.restore_data(tmp_path / "copy")
    await answered_once(town, roots)
    await town.ask("#general", "@bot and then?", thread_ts=roots[0])
    assert runs(town) == QUESTIONS + 1
    path = CONVERSATIONS[town.settings.bot_engine]
    assert town.fake.created(path) == QUESTIONS, "the thread has its conversation again"


async def test_questions_that_waited_behind_an_answer_are_not_lost(
    restored_town: Town, own_server: RedisServer, tmp_path: Path
) -> None:
    """They were in Redis only; `web` delivers them again."""
    town = restored_town
    own_server.copy_data(tmp_path / "copy")
    alice = town.slack.user("alice")
    root = await alice.says("#general", "@bot first")
    await town.slack.wait_for(lambda: runs(town) == 1)
    await alice.says("#general", "@bot second", thread_ts=root)
    await alice.says("#general", "@bot third", thread_ts=root)
    await town.slack.settled()
    own_server.restore_data(tmp_path / "copy")
    await town.replies("#general", root, 2)
    await asyncio.sleep(10 * SCALE)
    await town.rests("#general", root)
    assert (copies(town, [root]), runs(town)) == ([2], 2)
    asked = [text for said in texts(town) for text in said]
    assert [text.split()[-1] for text in asked] == ["first", "second", "third"]
