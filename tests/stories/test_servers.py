"""Servers of other vendors: the texts for people, and that no needless request is sent."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.texts.answers import STOPPED, WORDS
from bot.timing import ThrottleTiming, WorkerTiming
from tests.engines.test_wire import answering, response
from tests.fakes.openai import held
from tests.world import BASE_TIMING, World, network_engine, open_world

PATHS = {"no_conversations": "/responses", "chat_completions": "/chat/completions"}
QUICK = replace(
    BASE_TIMING,
    worker=WorkerTiming(heartbeat=0.05, retry_first=0.01, retry_longest=0.05),
    throttle=ThrottleTiming(pause=0.1, rate_after_pause=100.0),
)


def asked(world: World, path: str) -> int:
    """The number of requests for an answer, including refused ones."""
    return sum(r.method == "POST" and r.path == path for r in world.fake.requests)


@pytest.mark.parametrize("variant", PATHS)
async def test_a_rate_limit_pauses_all_threads_and_rebuilds_nothing(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    fake = {"variant": variant}
    with capture_logs() as logs:
        async with open_world(redis_url, tmp_path, fake=fake, timing=QUICK) as world:
            world.fake.fault("rate_limit", "POST", PATHS[variant], times=2, retry_after=0.5)
            alice = world.slack.user("alice")
            roots = [await alice.says("#general", f"@bot {word}") for word in ("one", "two")]
            for root, word in zip(roots, ("one", "two"), strict=True):
                assert await world.replies("#general", root) == [f"turn 1: {word}"]
            assert asked(world, PATHS[variant]) <= 4
    assert not [entry for entry in logs if entry["event"] == "conversation_rebuilt"]


@pytest.mark.parametrize("variant", ["openai", *PATHS])
async def test_an_unknown_model_is_reported_to_the_person(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    fake = {"variant": variant, "models": {"tiny": None}}
    with capture_logs() as logs:
        async with open_world(redis_url, tmp_path, fake=fake, timing=QUICK) as world:
            answer = await said(world, "@bot hello")
    assert WORDS["model_not_found"] in answer
    (refusal,) = [entry for entry in logs if entry["event"] == "ai_server_refuses"]
    assert refusal["reason"] == "model_not_found"
    assert "gpt-6-luna" in refusal["detail"]


async def test_a_web_page_at_the_address_is_reported(redis_url: str, tmp_path: Path) -> None:
    page = response("<html>", "Content-Type: text/html")
    async with answering(page) as settings:
        url = settings.openai_base_url
        async with open_world(redis_url, tmp_path, timing=QUICK, openai_base_url=url) as world:
            assert WORDS["no_ai_server"] in await said(world, "@bot hello")


async def test_an_address_without_v1_is_reported(redis_url: str, tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with open_world(redis_url, tmp_path, timing=QUICK) as world:
            direct = network_engine(world).native._api._direct
            direct._base = world.fake.base_url.removesuffix("/v1")
            answer = await said(world, "@bot hello")
    assert WORDS["endpoint_not_found"] in answer
    assert [e["reason"] for e in logs if e["event"] == "ai_server_refuses"] == [
        "endpoint_not_found"
    ]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("content_filter", 400, "content_filter"),
        ("invalid_prompt", 400, "invalid_prompt"),
        ("unsupported_parameter", 400, "unsupported_parameter"),
    ],
)
@pytest.mark.parametrize("variant", ["openai", *PATHS])
async def test_a_refused_question_has_its_own_error_and_keeps_its_files(
    redis_url: str, tmp_path: Path, variant: str, code: str, status: int, reason: str
) -> None:
    path = PATHS.get(variant, "/responses")
    async with open_world(redis_url, tmp_path, fake={"variant": variant}, timing=QUICK) as world:
        world.fake.fault("error", "POST", path, status=status, code=code, message="No.", times=None)
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot look", files={"cat.png": b"\x89PNG"})
        (answer,) = await world.replies("#general", root)
        assert WORDS[reason] in answer
        assert "could not read" not in answer
        assert asked(world, path) == 1


@pytest.mark.parametrize("variant", PATHS)
async def test_stop_and_the_next_question(redis_url: str, tmp_path: Path, variant: str) -> None:
    async with open_world(redis_url, tmp_path, fake={"variant": variant}, timing=QUICK) as world:
        world.fake.answer = [held("one two three four", after=1), "Here."]
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot count")
        await world.slack.wait_for(lambda: world.fake.working)
        await alice.says("#general", "stop", thread_ts=root)
        assert (await world.replies("#general", root))[0].endswith(STOPPED)
        await world.ask("#general", "go on", thread_ts=root)
        last = world.fake.prompts[-1]
        assert ["count" in words for words in last.user_messages].count(True) == 1


@pytest.mark.parametrize("variant", PATHS)
async def test_a_restarted_worker_knows_the_thread(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    async with open_world(redis_url, tmp_path, fake={"variant": variant}, timing=QUICK) as world:
        root = await world.ask("#general", "@bot my name is Ada")
        network_engine(world).replay._memories.clear()
        await world.ask("#general", "who am I?", thread_ts=root)
        assert "my name is Ada" in str(world.fake.prompts[-1].user_messages)


async def said(world: World, text: str) -> Any:
    root = await world.slack.user("alice").says("#general", text)
    return (await world.replies("#general", root))[0]
