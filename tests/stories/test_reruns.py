"""A run that fails because of the server is repeated before the person gets an apology."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_bot
from bot.texts.answers import STOPPED, WORDS
from bot.texts.status import TRYING_AGAIN
from bot.timing import AnswerTiming, Timing
from bot.turn.reruns import LITTLE
from tests.fakes.openai import Answer, expired, failed, held
from tests.fakes.openai.answers import Tokens
from tests.fakes.openai.run_work import RunWork
from tests.stories.test_ai_faults import ENGINE, runs, texts
from tests.stories.test_ai_faults import TIMING as QUICK
from tests.world import World, open_world, wait_until

TIMING = replace(
    QUICK,
    answer=AnswerTiming(posts_per_second=50.0, short=0.0, append_every=0.02, edit_every=0.02),
)
SLOW = replace(TIMING, engine=replace(ENGINE, rerun_pause=600.0))
"""No second run is due during the test."""
WEB_SEARCH: dict[str, Any] = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "it"},
}


@pytest.fixture(
    params=[("responses", True), ("responses", False), ("assistants", True), ("assistants", False)],
    ids=["responses-streamed", "responses-polled", "assistants-streamed", "assistants-polled"],
)
async def each_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[World]:
    """A world for each protocol, streamed and polled."""
    engine, streams = request.param
    async with open_world(
        redis_url,
        tmp_path,
        engine=engine,
        socket_mode=False,
        bot_streaming=streams,
        timing=timing,
    ) as world:
        yield world


async def is_repeated(world: World) -> bool:
    """Whether the journal of a turn has a failed run."""
    redis, keys = world.bot.store.redis, world.bot.store.keys
    async for key in redis.scan_iter(match=keys.escaped("turn:*")):
        if await redis.hexists(key, "=failed_runs"):
            return True
    return False


@pytest.mark.parametrize(
    "failure",
    [failed(), failed("rate_limit_exceeded"), expired()],
    ids=["error", "rate", "expired"],
)
async def test_a_run_that_fails_twice_is_answered_by_the_third(
    each_world: World, failure: Answer
) -> None:
    world = each_world
    failure = replace(failure, text="Let me", tokens=Tokens(input=10, output=5))
    world.fake.answer = [failure, failure, Answer("fine", tokens=Tokens(input=10, output=5))]
    root = await world.ask("#general", "@bot one")
    assert await world.replies("#general", root) == ["fine"]
    assert runs(world) == 3
    await world.ask("#general", "two", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith(": one | two")
    assert texts(world) == [["one", "two"]]


@pytest.mark.parametrize("each_world", [("assistants", False)], indirect=True)
async def test_the_usage_of_every_run_is_charged(each_world: World) -> None:
    world, tokens = each_world, Tokens(input=10, output=5)
    world.fake.answer = [replace(failed(), tokens=tokens), Answer("fine", tokens=tokens)]
    await world.ask("#general", "@bot one")
    [row] = await world.bot.store.spending.rows([datetime.now(UTC).date()])
    assert row.spent.tokens == 30


async def test_after_three_failures_the_person_gets_an_apology(each_world: World) -> None:
    world = each_world
    world.fake.answer = [failed()] * 3
    root = await world.ask("#general", "@bot one")
    assert await world.replies("#general", root) == [f"⚠️ {WORDS['server_error']}"]
    assert runs(world) == 3
    assert (await world.bot.store.dead.list()) == ()
    await world.ask("#general", "two", thread_ts=root)
    assert texts(world) == [["one", "two"]]


@pytest.mark.parametrize("each_world", [("responses", True), ("assistants", True)], indirect=True)
async def test_an_answer_that_was_largely_shown_is_not_restarted(each_world: World) -> None:
    world = each_world
    text = "Some words." * (LITTLE // 10)
    world.fake.answer = [failed(text=text)]
    root = await world.ask("#general", "@bot one")
    [reported] = await world.replies("#general", root)
    assert reported == f"{text}\n\n⚠️ {WORDS['server_error']}"
    assert runs(world) == 1


@pytest.mark.parametrize("each_world", [("responses", True), ("responses", False)], indirect=True)
async def test_a_run_that_used_a_tool_is_not_repeated(each_world: World) -> None:
    world = each_world
    world.fake.answer = [replace(failed(), items=(WEB_SEARCH,))]
    root = await world.ask("#general", "@bot one")
    assert await world.replies("#general", root) == [f"⚠️ {WORDS['server_error']}"]
    assert runs(world) == 1


@pytest.mark.parametrize("reason", ["invalid_prompt", "context_length_exceeded", "unheard_of"])
async def test_other_failures_are_not_repeated(world: World, reason: str) -> None:
    world.fake.answer = failed(reason)
    await world.ask("#general", "@bot one")
    assert runs(world) <= (3 if reason == "context_length_exceeded" else 1)
    assert not any(call.args.get("status") == TRYING_AGAIN for call in world.slack.calls)


@pytest.mark.parametrize("timing", [SLOW])
async def test_the_status_shows_the_wait_and_a_stop_ends_it(world: World) -> None:
    world.fake.answer = [failed()]
    root = await world.slack.user("alice").says("#general", "@bot one")
    await world.slack.wait_for(
        lambda: any(call.args.get("status") == TRYING_AGAIN for call in world.slack.calls)
    )
    await world.slack.user("alice").says("#general", "stop", thread_ts=root)
    assert await world.replies("#general", root) == [STOPPED]
    assert runs(world) == 1


async def test_a_crash_adds_no_runs(redis_url: str, tmp_path: Path) -> None:
    """Each worker leaves once it has noted a failure; the next one continues to count."""
    async with open_world(
        redis_url, tmp_path, socket_mode=False, work_part=False, timing=TIMING
    ) as world:
        world.fake.answer = [failed()] * 3
        root = await world.slack.user("alice").says("#general", "@bot one")
        async with open_bot(world.settings, web_part=False, timing=SLOW):
            await wait_until(lambda: is_repeated(world))
        async with open_bot(world.settings, web_part=False, timing=SLOW):
            await world.slack.wait_for(
                lambda: any(call.args.get("status") for call in world.slack.calls)
            )
        assert runs(world) == 1
        async with open_bot(world.settings, web_part=False, timing=TIMING):
            assert await world.replies("#general", root) == [f"⚠️ {WORDS['server_error']}"]
        assert runs(world) == 3


@pytest.mark.parametrize("variant", ["no_conversations", "chat_completions"])
async def test_a_stream_cut_by_the_server_is_restarted(
    redis_url: str, tmp_path: Path, variant: str
) -> None:
    path, cut = {
        "no_conversations": ("/responses", 5),
        "chat_completions": ("/chat/completions", 1),
    }[variant]
    async with open_world(
        redis_url, tmp_path, socket_mode=False, fake={"variant": variant}, timing=TIMING
    ) as world:
        world.fake.fault("drop_stream", "POST", path, events=cut, times=2)
        root = await world.ask("#general", "@bot one")
        assert await world.replies("#general", root) == ["turn 1: one"]
        assert len(world.fake.prompts) == 3
        world.fake.fault("drop_stream", "POST", path, events=cut, times=3)
        await world.ask("#general", "two", thread_ts=root)
        reported = (await world.replies("#general", root, 2))[1]
        assert reported.endswith(f"⚠️ {WORDS['stream_cut']}")
        assert len(world.fake.prompts) == 6
        await world.ask("#general", "three", thread_ts=root)
        answer = (await world.replies("#general", root, 3))[2]
        assert all(word in answer for word in ("one", "two", "three"))


LOST = replace(
    TIMING, engine=replace(TIMING.engine, lost_after=0.3, silence=0.1, reopen_patience=0.1)
)


PATIENT = replace(LOST, engine=replace(LOST.engine, lost_after=2.0))
"""A loaded machine does not use up the patience between the server's recovery and the answer."""


def lose_runs(world: World) -> None:
    """The server restarts: it breaks all streams, and shows what it worked on as in progress."""
    for work in world.fake.working:
        work.lose()
    # A poll meets the restart, too; the client itself repeats a GET once.
    for path in ("/responses/*", "/threads/*/runs/*"):
        world.fake.fault("drop_before", "GET", path, times=3)


@pytest.mark.parametrize("timing", [LOST])
async def test_a_run_that_the_server_has_lost_is_repeated(each_world: World) -> None:
    world = each_world
    root = await world.ask("#general", "@bot one")
    world.fake.answer = [held("never to be seen"), "fine"]
    await world.slack.user("alice").says("#general", "two", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    lose_runs(world)
    assert (await world.replies("#general", root, 2))[1] == "fine"
    assert runs(world) == 3
    await world.ask("#general", "three", thread_ts=root)
    assert (await world.replies("#general", root, 3))[2].endswith(": one | two | three")


async def shown_as_404(world: World) -> None:
    """The server restarts: it knows the conversation, and no runs."""
    for works in (world.fake.responses, world.fake.runs):
        for work in list(works.values()):
            await work.aclose()
        works.clear()


@pytest.mark.parametrize("timing", [replace(TIMING, engine=replace(ENGINE, silence=1.0))])
@pytest.mark.parametrize("all_is_gone", [False, True], ids=["the_run", "everything"])
async def test_a_run_that_the_server_does_not_know_any_more_is_repeated(
    each_world: World, all_is_gone: bool
) -> None:
    world = each_world
    root = await world.ask("#general", "@bot one")
    world.fake.answer = [held("never to be seen"), "fine"]
    await world.slack.user("alice").says("#general", "two", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    if all_is_gone:
        for found in [*world.fake.conversations, *world.fake.threads]:
            world.fake.vanish(found)
    await shown_as_404(world)
    assert (await world.replies("#general", root, 2))[1] == "fine"
    await world.ask("#general", "three", thread_ts=root)
    assert (await world.replies("#general", root, 3))[2].endswith(": one | two | three")


@pytest.mark.parametrize("timing", [PATIENT])
@pytest.mark.parametrize("each_world", [("responses", False), ("assistants", False)], indirect=True)
async def test_a_failed_poll_of_a_silent_run_is_no_sign_that_it_is_lost(each_world: World) -> None:
    """The run was silent before the failure: its patience begins when the server answers again."""
    world = each_world
    world.fake.answer = [held("fine")]
    root = await world.slack.user("alice").says("#general", "@bot one")
    await world.slack.wait_for(lambda: world.fake.working)
    await asyncio.sleep(1.1 * PATIENT.engine.lost_after)
    for path in ("/responses/*", "/threads/*/runs/*"):
        world.fake.fault("overloaded", "GET", path, times=2)
    await world.slack.wait_for(lambda: not all(fault.times for fault in world.fake.faults.active))
    world.fake.finish()
    assert await world.replies("#general", root) == ["fine"]
    assert runs(world) == 1


@pytest.mark.parametrize("timing", [LOST])
async def test_a_run_that_is_silent_for_long_is_not_lost(each_world: World) -> None:
    """Models think for long: without a failure of the server a silent run is not lost."""
    world = each_world
    world.fake.answer = [held("fine")]
    root = await world.slack.user("alice").says("#general", "@bot one")
    await world.slack.wait_for(lambda: world.fake.working)
    await asyncio.sleep(4 * LOST.engine.lost_after)
    world.fake.finish()
    assert await world.replies("#general", root) == ["fine"]
    assert runs(world) == 1


@pytest.mark.parametrize("timing", [LOST])
@pytest.mark.parametrize("each_world", [("assistants", False)], indirect=True)
async def test_the_answer_of_a_lost_run_is_found_in_its_thread(each_world: World) -> None:
    world = each_world
    world.fake.answer = [held("fine")]
    root = await world.slack.user("alice").says("#general", "@bot one")
    await world.slack.wait_for(lambda: world.fake.working)
    [work] = world.fake.working
    lose_runs(world)
    assert isinstance(work, RunWork)
    work.write("fine")
    assert await world.replies("#general", root) == ["fine"]
    assert runs(world) == 1
