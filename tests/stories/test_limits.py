"""What counts towards limits, and what does not."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.turn.limits import Limits
from tests.fakes.openai import incomplete
from tests.stories.test_ai_faults import RUNS
from tests.stories.test_usage import priced_town, spent_by
from tests.world import Town, open_town


@pytest.fixture(autouse=True)
def _one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests of a test fall into one minute."""
    now = time.time()
    monkeypatch.setattr(Limits.__init__, "__defaults__", (lambda: now,))


@pytest.fixture(params=["responses", "assistants"])
async def ai_town(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[Town]:
    async with priced_town(redis_url, tmp_path, engine=request.param) as town:
        yield town


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_request_that_waits_for_the_server_counts_once(
    redis_url: str, tmp_path: Path, engine: str
) -> None:
    async with open_town(
        redis_url, tmp_path, engine=engine, bot_limit_person_requests=3, bot_streaming=False
    ) as town:
        root = await town.ask("#general", "@bot one")
        town.fake.fault("rate_limit", "POST", RUNS[engine], times=4, retry_after=0.05)
        await town.ask("#general", "two", thread_ts=root)
        assert (await town.replies("#general", root, 2))[1].startswith("turn 2")
        await town.ask("#general", "three", thread_ts=root)
        assert (await town.replies("#general", root, 3))[2].startswith("turn 3")
        await town.ask("#general", "four", thread_ts=root)
        assert "limit of 3 requests" in (await town.replies("#general", root, 4))[3]


async def test_of_requests_at_the_same_moment_no_more_run_than_the_limit(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_town(redis_url, tmp_path, bot_limit_person_requests=3) as town:
        alice = town.slack.user("alice")
        spots = [town.slack.add_channel(f"c{n}", ["alice"]).id for n in range(8)]
        roots = await asyncio.gather(*(alice.says(spot, "@bot hello") for spot in spots))
        answers = [
            (await town.replies(spot, root))[0] for spot, root in zip(spots, roots, strict=True)
        ]
        assert sum("limit of 3 requests" in answer for answer in answers) == 5
        assert town.fake.created("/responses") == 3


async def test_what_one_person_is_refused_leaves_the_channel_to_the_others(
    redis_url: str, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"bot_limit_person_requests": 1, "bot_limit_channel_requests": 2}
    async with open_town(redis_url, tmp_path, **limits) as town:
        root = await town.ask("#general", "@bot one")
        for word in ("two", "three", "four"):
            await town.ask("#general", word, thread_ts=root)
        root = await town.ask("#general", "@bot hello", who="bob")
        assert await town.replies("#general", root) == ["turn 1: hello"]
        root = await town.ask("#general", "@bot hello", who="carol")
        assert "This channel's limit" in (await town.replies("#general", root))[0]


async def test_an_answer_that_was_cut_off_costs_what_it_took(ai_town: Town) -> None:
    ai_town.fake.answer = [incomplete("max_output_tokens", "half an answer")]
    await ai_town.ask("#general", "@bot a long one")
    spent = await spent_by(ai_town, "alice")
    assert spent.turns == 1
    assert spent.input_tokens > 0
    assert spent.microdollars > 0
