"""What counts towards limits, and what does not."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.timing import Timing
from tests.fakes.openai import held, incomplete
from tests.stories.test_ai_faults import RUNS, THROTTLE
from tests.stories.test_usage import priced_world, spent_by
from tests.world import BASE_TIMING, World, open_world, words


def one_minute() -> Timing:
    """All requests of a test fall into one minute."""
    now = time.time()
    return replace(BASE_TIMING, throttle=THROTTLE, clock=lambda: now)


@pytest.fixture(params=["responses", "assistants"])
async def ai_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with priced_world(redis_url, tmp_path, engine=request.param) as world:
        yield world


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_request_that_waits_for_the_server_counts_once(
    redis_url: str, tmp_path: Path, engine: str
) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        engine=engine,
        bot_limit_person_requests=3,
        timing=one_minute(),
        bot_streaming=False,
    ) as world:
        root = await world.ask("#general", "@bot one")
        world.fake.fault("rate_limit", "POST", RUNS[engine], times=4, retry_after=0.05)
        await world.ask("#general", "two", thread_ts=root)
        assert (await world.replies("#general", root, 2))[1].startswith("turn 2")
        await world.ask("#general", "three", thread_ts=root)
        assert (await world.replies("#general", root, 3))[2].startswith("turn 3")
        await world.ask("#general", "four", thread_ts=root)
        assert "limit of 3 requests" in (await world.replies("#general", root, 4))[3]


async def test_simultaneous_requests_do_not_exceed_the_limit(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(
        redis_url, tmp_path, bot_limit_person_requests=3, timing=one_minute()
    ) as world:
        alice = world.slack.user("alice")
        spots = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(8)]
        roots = await asyncio.gather(*(alice.says(spot, "@bot hello") for spot in spots))
        answers = [
            (await world.replies(spot, root))[0] for spot, root in zip(spots, roots, strict=True)
        ]
        assert sum("limit of 3 requests" in answer for answer in answers) == 5
        assert world.fake.created("/responses") == 3


async def test_requests_refused_to_one_person_do_not_count_for_the_channel(
    redis_url: str, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"bot_limit_person_requests": 1, "bot_limit_channel_requests": 2}
    async with open_world(redis_url, tmp_path, timing=one_minute(), **limits) as world:
        root = await world.ask("#general", "@bot one")
        for word in ("two", "three", "four"):
            await world.ask("#general", word, thread_ts=root)
        root = await world.ask("#general", "@bot hello", who="bob")
        assert await world.replies("#general", root) == ["turn 1: hello"]
        root = await world.ask("#general", "@bot hello", who="carol")
        assert "This channel's limit" in (await world.replies("#general", root))[0]


async def test_a_cut_off_answer_is_charged(ai_world: World) -> None:
    ai_world.fake.answer = [incomplete("max_output_tokens", "half an answer")]
    await ai_world.ask("#general", "@bot a long one")
    spent = await spent_by(ai_world, "alice")
    assert spent.turns == 1
    assert spent.input_tokens > 0
    assert spent.microdollars > 0


async def test_runs_under_way_count_towards_a_limit_of_tokens(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_limit_person_tokens=100) as world:
        world.fake.answer = [held("slow")]
        alice = world.slack.user("alice")
        spots = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(8)]
        roots = [await alice.says(spot, "@bot hello") for spot in spots]
        pairs = list(zip(spots, roots, strict=True))

        def refused() -> int:
            shown = [world.slack.replies(spot, root) for spot, root in pairs]
            return sum("limit" in words(messages[0]) for messages in shown if messages)

        await world.slack.wait_for(lambda: refused() == 7 and world.fake.working)
        world.fake.finish()
        for spot, root in pairs:
            await world.rests(spot, root)
        assert world.fake.created("/responses") == 1
        team_id, keys = world.slack.workspace.team_id, world.bot.store.keys
        reserved = keys.reserved(team_id, "person", alice.id)
        assert await world.bot.store.redis.hlen(reserved) == 0


async def test_every_author_of_a_batch_is_checked_and_charged(
    redis_url: str, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"bot_limit_person_requests": 1, "bot_follow_ups": "always"}
    async with priced_world(redis_url, tmp_path, timing=one_minute(), **limits) as world:
        await world.ask("#random", "@bot mine", who="alice")
        world.fake.answer = [held("first")]
        root = await world.slack.user("carol").says("#general", "@bot begin")
        await world.slack.wait_for(lambda: world.fake.working)
        await world.slack.user("alice").says("#general", "@bot over the limit", thread_ts=root)
        await world.slack.user("bob").says("#general", "@bot within it", thread_ts=root)
        await world.slack.settled()
        world.fake.finish()
        second = (await world.replies("#general", root, 2))[1]
        assert "within it" in second
        assert "over the limit" not in second
        assert "Your limit of 1 requests a minute is reached" in second
        assert (await spent_by(world, "alice")).turns == 1
        assert (await spent_by(world, "bob")).turns == 1


async def test_the_authors_of_a_batch_share_its_cost(redis_url: str, tmp_path: Path) -> None:
    async with priced_world(redis_url, tmp_path, bot_follow_ups="always") as world:
        world.fake.answer = [held("first"), "x" * 400]
        root = await world.slack.user("carol").says("#general", "@bot begin")
        await world.slack.wait_for(lambda: world.fake.working)
        for who in ("alice", "alice", "bob"):
            await world.slack.user(who).says("#general", f"{who} asks", thread_ts=root)
        await world.slack.settled()
        world.fake.finish()
        await world.replies("#general", root, 2)
        alice, bob = await spent_by(world, "alice"), await spent_by(world, "bob")
        assert (alice.turns, bob.turns) == (0, 1)
        assert alice.tokens > bob.tokens > 0
        assert abs(alice.tokens - 2 * bob.tokens) <= 4


async def test_a_flood_in_one_thread_is_answered_in_bounded_batches(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_rollover_messages=1000) as world:
        world.fake.answer = [held("first")]
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot begin")
        await world.slack.wait_for(lambda: world.fake.working)
        for number in range(60):
            await alice.says("#general", f"more {number}", thread_ts=root)
        await world.slack.settled()
        world.fake.finish()
        await world.replies("#general", root, 3)
        bodies = [r.body for r in world.fake.requests if r.method == "POST" and "input" in r.body]
        assert [len(body["input"]) for body in bodies] == [1, 50, 10]
