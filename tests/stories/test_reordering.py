"""Messages that Slack delivers after their successors, at every moment of a turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.errors import Retry
from bot.models import Message, Thread
from bot.store import current_turn
from bot.store.retries import Retries
from bot.store.usage import UsageScope, day_of
from bot.timing import AnswerTiming, EngineTiming
from bot.turn.reordering import begin_again
from tests.fakes.openai import Answer, Prompt, held
from tests.fakes.openai.answers import Tokens
from tests.world import BASE_TIMING, World, now_ts, open_world, wait_until

ENGINES = ("responses", "assistants")
QUICK = replace(
    BASE_TIMING,
    engine=EngineTiming(poll_first=0.02),
    answer=AnswerTiming(posts_per_second=1000),
)


@dataclass
class Moments:
    """Counts the round trips of a turn to Redis, and calls `act` right before one of them."""

    at: int = 0
    act: Callable[[], Awaitable[object]] | None = None
    turn_id: str = ""
    count: int = 0
    _inside: bool = field(default=False, repr=False)

    async def pass_by(self) -> None:
        if not current_turn.get() or self._inside or self.act is None:
            return
        self.count += 1
        if self.count == self.at:
            self._inside = True
            await self.act()
            self._inside = False


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    found = Moments()
    timed = Retries._timed

    async def watched(self: Retries, call: Callable[[Redis], Awaitable[Any]]) -> Any:
        await found.pass_by()
        return await timed(self, call)

    monkeypatch.setattr(Retries, "_timed", watched)
    return found


async def route(world: World, thread: Thread, text: str, ts: str) -> None:
    """Deliver a reply by Alice, as `web` does."""
    alice = world.slack.user("alice").id
    await world.bot.store.routing.route(Message(thread, ts, alice, text), "", "always")


async def has_prompts(world: World, count: int) -> bool:
    return len(world.fake.prompts) == count


async def settled(world: World, thread: Thread) -> None:
    async def idle() -> bool:
        return (await world.bot.store.inbox.state(thread)).state == "idle"

    await wait_until(idle)


def two_tokens(prompt: Prompt) -> Answer:
    return Answer(" | ".join(prompt.user_messages), tokens=Tokens(input=1, output=1))


@asynccontextmanager
async def started(
    redis_url: str, directory: Path, engine: str, **given: Any
) -> AsyncIterator[World]:
    async with open_world(
        redis_url,
        directory,
        engine=engine,
        timing=QUICK,
        bot_gather_seconds=0,
        bot_streaming=False,
        bot_feedback=False,  # nothing calls Redis after the turn
        **given,
    ) as world:
        world.fake.answer = two_tokens
        yield world


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_older_message_is_answered_in_order_at_whatever_moment_it_arrives(
    engine: str, redis_url: str, tmp_path: Path, moments: Moments
) -> None:
    async with started(redis_url, tmp_path, engine) as world:
        outcomes = []
        root = await world.ask("#general", "@bot root")
        thread = world.key("#general", root)
        for at in range(1, 100):
            older, newer = now_ts(), f"{time.time() + 0.001:.6f}"
            runs = len(world.fake.prompts)

            async def bring_older(at: int = at, ts: str = older) -> None:
                await route(world, thread, f"older{at}", ts)

            moments.at, moments.count, moments.act = at, 0, bring_older
            await route(world, thread, f"newer{at}", newer)
            await settled(world, thread)
            passed, moments.act = moments.count, None
            if passed < at:
                break
            said = [prompt.user_messages[-2:] for prompt in world.fake.prompts[runs:]]
            assert len(said) <= 2
            in_order = said[-1] == (f"older{at}", f"newer{at}")
            assert in_order or said[-1] == (f"newer{at}", f"older{at}")
            outcomes.append(in_order)
        assert len(outcomes) >= 4
        assert outcomes[0]  # before the run
        assert not outcomes[-1]  # after the answer
        assert sorted(outcomes, reverse=True) == outcomes


@pytest.mark.parametrize("leaves", ["nothing", "input"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_run_under_way_is_cancelled_and_both_runs_are_charged(
    engine: str, leaves: str, redis_url: str, tmp_path: Path
) -> None:
    fake = {"leaves": leaves, "usage": True}
    async with started(redis_url, tmp_path, engine, fake=fake) as world:
        root = await world.ask("#general", "@bot root")
        thread = world.key("#general", root)
        before = await spent(world)
        world.fake.answer = [held(Answer("never shown", tokens=Tokens(input=5, output=7)))]
        older = now_ts()
        await route(world, thread, "newer", f"{time.time() + 0.001:.6f}")
        await world.slack.wait_for(lambda: bool(world.fake.working))
        world.fake.answer = two_tokens
        await route(world, thread, "older", older)
        assert await world.replies("#general", root, 2) == ["root", "root | older | newer"]
        assert len(world.fake.prompts) == 3
        assert world.fake.prompts[-1].user_messages == ("root", "older", "newer")
        after = await spent(world)
        assert after.turns - before.turns == 1
        assert after.tokens - before.tokens > 2  # more than the run that answered


async def spent(world: World) -> Any:
    scope: tuple[UsageScope, str, str] = (
        "person",
        world.slack.user("alice").id,
        day_of(time.time()),
    )
    [found] = await world.bot.store.spending.sums(world.slack.workspace.team_id, [scope])
    return found


async def test_a_stop_is_stronger_than_a_late_message(redis_url: str, tmp_path: Path) -> None:
    async with started(redis_url, tmp_path, "responses") as world:
        root = await world.ask("#general", "@bot root")
        thread = world.key("#general", root)
        world.fake.answer = [held("never shown")]
        older = now_ts()
        await route(world, thread, "newer", f"{time.time() + 0.001:.6f}")
        await world.slack.wait_for(lambda: bool(world.fake.working))
        world.fake.answer = two_tokens
        stop = world.bot.store.inbox.interrupt(thread, "stop")
        await asyncio.gather(stop, route(world, thread, "older", older))
        await settled(world, thread)
        texts = await world.replies("#general", root, 3)
        assert "Stopped" in texts[1]
        assert texts[2].endswith("older")


async def test_a_late_message_of_who_may_not_ask_is_left_out(
    redis_url: str, tmp_path: Path
) -> None:
    async with started(redis_url, tmp_path, "responses", bot_limit_person_requests=2) as world:
        root = await world.ask("#general", "@bot root")
        thread = world.key("#general", root)
        guest = world.slack.user("bob")
        world.fake.answer = [held("never shown")]
        older = now_ts()
        await route(world, thread, "newer", f"{time.time() + 0.001:.6f}")
        await world.slack.wait_for(lambda: bool(world.fake.working))
        world.fake.answer = two_tokens
        for _ in range(3):  # bob's minute is used up
            await world.bot.store.spending.count_request(
                thread.team_id, "person", guest.id, int(time.time() // 60)
            )
        message = Message(thread, older, guest.id, "older")
        await world.bot.store.routing.route(message, "mention", "always")
        texts = await world.replies("#general", root, 2)
        assert texts[1].startswith("root | newer")
        assert "older" not in texts[1]


async def test_a_turn_begins_again_five_times_at_most(redis_url: str, tmp_path: Path) -> None:
    async with started(redis_url, tmp_path, "responses") as world:
        root = await world.ask("#general", "@bot root")
        thread = world.key("#general", root)
        base = time.time()
        world.fake.answer = [held("never shown")] * 6
        await route(world, thread, "m0", f"{base + 10:.6f}")
        for number in range(1, 7):
            await world.slack.wait_for(lambda: bool(world.fake.working))
            await route(world, thread, f"m{number}", f"{base + 10 - number:.6f}")
            if number < 6:
                await wait_until(partial(has_prompts, world, number + 2))
        world.fake.answer = two_tokens
        world.fake.finish()
        await settled(world, thread)
        final = [prompt.user_messages for prompt in world.fake.prompts[-2:]]
        assert final[0] == ("root", "m5", "m4", "m3", "m2", "m1", "m0")
        assert final[1] == (*final[0], "m6")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_turn_that_is_cut_off_before_it_begins_again_keeps_its_message(
    engine: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server did not end the run in time, so the turn has abandoned its conversation. By the
    time that the turn is resumed, the run has ended."""
    async with started(redis_url, tmp_path, engine) as world:
        root = await world.ask("#general", "@bot root")
        thread, fake = world.key("#general", root), world.fake
        fake.options.cancels = False
        fake.answer = lambda prompt: held(two_tokens(prompt))
        early, late = now_ts(), now_ts()

        async def cut_off(*given: Any) -> Any:
            if fake.answer is two_tokens:
                return await begin_again(*given)
            fake.answer = two_tokens
            fake.finish()
            raise Retry("cut off")

        monkeypatch.setattr("bot.worker.attempt.begin_again", cut_off)
        await route(world, thread, "late", late)
        await wait_until(partial(has_prompts, world, 2))
        await route(world, thread, "early", early)
        await settled(world, thread)
        await route(world, thread, "last", now_ts())
        await settled(world, thread)
        known = await world.bot.store.conversations.find(thread)
        assert known is not None
        kept = fake.threads[known.id].messages if engine == "assistants" else []
        kept = kept or fake.conversations[known.id].items
        said = [str(item["content"]) for item in kept if item["role"] == "user"]
        for word in ("root", "late", "early", "last"):
            assert sum(word in text for text in said) == 1, said
