"""Outages of dependencies: every question is answered once, in order, without an apology."""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.app import open_bot
from bot.store import ChannelSettings
from bot.store.scanning import scan
from bot.texts.answers import AI_UNAVAILABLE, WORDS
from bot.timing import CircuitTiming, EngineTiming, SlackTiming, StoreTiming, Timing, WorkerTiming
from tests.fakes.openai import held
from tests.fakes.openai.faults import path_matches
from tests.ops.test_health import sample
from tests.redis_server import PATIENT
from tests.world import BASE_TIMING, World, open_world, wait_until, words

RUNS = {"responses": "/responses", "assistants": "/threads/*/runs"}
SCALE = 0.02
"""The factor by which outages and pauses are shorter than in production."""
CIRCUITS = CircuitTiming(
    first_pause=1.0 * SCALE,
    longest_pause=30.0 * SCALE,
    recent=10.0 * SCALE,
    healthy_after=60.0 * SCALE,
    recheck=60.0 * SCALE,
    notice_after=10.0 * SCALE,
    resumed_per_second=10.0 / SCALE,
)
WORKER = WorkerTiming(
    heartbeat=1.0 * SCALE, retry_first=1.0 * SCALE, retry_longest=30.0 * SCALE, stray_after=5.0
)
TIMING = replace(
    BASE_TIMING,
    worker=WORKER,
    store=replace(PATIENT, circuits=CIRCUITS),
    slack=SlackTiming(),
    engine=EngineTiming(),
)
HANGING = replace(
    TIMING,
    slack=SlackTiming(call=50 * SCALE),
    engine=EngineTiming(read_timeout=15 * SCALE, create_timeout=60 * SCALE, write_timeout=0),
)
"""For outages in which requests hang: calls end as soon as the other times want it."""


@pytest.fixture
def world(ai_world: World) -> World:
    return ai_world


one_engine = pytest.mark.parametrize("ai_world", ["responses"], indirect=True)


async def ask_many(world: World, count: int) -> list[tuple[str, str]]:
    """Questions in as many channels; returns channel and root of each."""
    spots = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(count)]
    return [(spot, await world.slack.user("alice").says(spot, "@bot hi")) for spot in spots]


async def pass_minutes(minutes: float) -> float:
    """Sleep for that many scaled minutes; returns how many have passed, on a slow machine more."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(minutes * 60 * SCALE)
    return (loop.time() - began) / (60 * SCALE)


def asked(world: World, since: int = 0) -> int:
    """Requests that the AI server got, polls included."""
    return len(world.fake.requests) - since


def runs(world: World) -> int:
    path = RUNS[world.settings.bot_engine]
    return sum(
        r.method == "POST" and r.took_effect and path_matches(path, r.path)
        for r in world.fake.requests
    )


def texts(world: World, spot: str, root: str) -> list[str]:
    return [words(message) for message in world.slack.replies(spot, root)]


async def assert_answered_once(world: World, roots: list[tuple[str, str]]) -> None:
    for spot, root in roots:
        assert await world.replies(spot, root) == ["turn 1: hi"]
    assert runs(world) == len(roots)
    assert await world.bot.store.dead.list() == ()


@pytest.mark.parametrize(
    ("kind", "minutes", "timing"),
    [
        *product(
            ["overloaded", "bad_gateway", "server_error", "drop_before"], [1 / 60, 1], [TIMING]
        ),
        *product(["hang_before"], [1 / 60, 1], [HANGING]),
    ],
)
async def test_messages_wait_while_the_ai_server_is_down(
    world: World, kind: str, minutes: float
) -> None:
    world.fake.fault(kind, times=None)  # type: ignore[arg-type]  # one of the kinds
    roots = await ask_many(world, 20)
    minutes = await pass_minutes(minutes)
    # The first calls of twenty turns, and one probe in thirty seconds.
    assert asked(world) <= 20 + 10 + minutes * 4
    world.fake.faults.clear()
    world.fake.end_hanging()
    await assert_answered_once(world, roots)


@one_engine
async def test_a_retry_after_of_the_ai_server_is_honoured(world: World) -> None:
    world.fake.fault("overloaded", times=None, retry_after=1.0)
    [(spot, root)] = await ask_many(world, 1)
    await world.slack.wait_for(lambda: asked(world) == 2)
    refused, probe = world.fake.requests
    assert probe.time - refused.time >= 1.0
    world.fake.faults.clear()
    await assert_answered_once(world, [(spot, root)])


@one_engine
@pytest.mark.parametrize("timing", [HANGING])
async def test_two_hundred_threads_wait_ten_minutes_and_resume_in_order(world: World) -> None:
    """The server answers 503 at first, and hangs later."""
    world.fake.fault("overloaded", times=None)
    roots = await ask_many(world, 200)
    await world.slack.settled()

    async def nearly_all_parked() -> bool:
        store, names = world.bot.store, set[str]()
        async for found in scan(store.connection, "SCAN", match=store.keys.escaped("parked:*")):
            names.update(found)
        counts = await store.connection.execute_many([("ZCARD", name) for name in names])
        return sum(map(int, counts)) > 190  # some are being tried

    await wait_until(nearly_all_parked)
    before = asked(world)
    minutes = await pass_minutes(5)
    world.fake.faults.clear()
    world.fake.fault("hang_before", times=None)
    minutes += await pass_minutes(5)
    assert asked(world, before) <= 6 + 4 * minutes  # one probe in thirty seconds, and some more
    world.fake.faults.clear()
    world.fake.end_hanging()
    await world.slack.wait_for(
        lambda: all("turn 1: hi" in texts(world, spot, root) for spot, root in roots)
    )
    await assert_answered_once(world, roots)


@one_engine
async def test_the_outage_notice_is_posted_once_and_removed_with_the_answer(
    world: World,
) -> None:
    world.fake.fault("overloaded", times=None)
    [(spot, root)] = await ask_many(world, 1)
    await world.slack.wait_for(lambda: world.slack.replies(spot, root))
    await asyncio.sleep(60 * SCALE)
    assert [m.text for m in world.slack.replies(spot, root)] == [AI_UNAVAILABLE]
    world.fake.faults.clear()
    await world.slack.wait_for(lambda: world.slack.replies(spot, root)[-1].text != AI_UNAVAILABLE)
    await assert_answered_once(world, [(spot, root)])


@one_engine
@pytest.mark.parametrize(
    "timing", [replace(TIMING, store=StoreTiming(circuits=replace(CIRCUITS, notice_after=10.0)))]
)
async def test_a_short_outage_is_not_mentioned(world: World) -> None:
    world.fake.fault("overloaded", times=2)
    [(spot, root)] = await ask_many(world, 1)
    await assert_answered_once(world, [(spot, root)])
    assert sum(call.method == "chat.postMessage" for call in world.slack.calls) == 1


@one_engine
async def test_a_flapping_outage_uses_up_no_attempts(world: World) -> None:
    roots = await ask_many(world, 5)
    for _ in range(8):
        world.fake.fault("overloaded", times=None)
        roots += [
            (spot, await world.slack.user("alice").says(spot, "@bot hi")) for spot, _ in roots[:5]
        ]
        await asyncio.sleep(10 * SCALE)
        world.fake.faults.clear()
        await asyncio.sleep(10 * SCALE)
    await assert_answered_once(world, roots)


@one_engine
async def test_one_model_that_is_down_does_not_affect_others(world: World) -> None:
    spot = world.slack.add_channel("other-model", ["alice"]).id
    settings = ChannelSettings(model="slow-to-load")
    team = world.slack.workspace.team_id
    assert await world.bot.store.channels.save(team, spot, settings, user_id="U1", after=0)
    world.fake.fault("overloaded", "POST", "/responses", times=None, containing="slow-to-load")
    root = await world.slack.user("alice").says(spot, "@bot hi")
    await asyncio.sleep(5 * SCALE)
    await assert_answered_once(world, await ask_many(world, 5))
    world.fake.faults.clear()
    assert await world.replies(spot, root) == ["turn 1: hi"]


@one_engine
async def test_only_a_message_that_fails_while_others_succeed_uses_up_attempts(
    world: World,
) -> None:
    world.fake.fault("server_error", "POST", "/responses", times=None, containing="poison")
    bad = await world.slack.user("alice").says("#general", "@bot poison")

    async def others() -> bool:
        await ask_many_once(world)
        return bool(await world.bot.store.dead.list())

    await wait_until(others)
    [letter] = await world.bot.store.dead.list()
    assert (letter.reason, letter.dependency) == ("status 500", "")
    assert WORDS["dead"] in (await world.replies("#general", bad))[0]


async def ask_many_once(world: World) -> None:
    spot = f"n{len(world.slack.calls)}"
    await world.ask(world.slack.add_channel(spot, ["alice"]).id, "@bot hi")


@one_engine
async def test_a_run_under_way_survives_an_outage(world: World) -> None:
    world.fake.answer = [held("the answer")]
    root = await world.slack.user("alice").says("#general", "@bot think")
    await world.slack.wait_for(lambda: world.fake.working)
    world.fake.fault("overloaded", times=None)
    world.fake.finish()
    await asyncio.sleep(60 * SCALE)
    before = asked(world)
    minutes = await pass_minutes(1)
    assert asked(world, before) <= 4 * minutes
    world.fake.faults.clear()
    assert await world.replies("#general", root) == ["the answer"]
    assert runs(world) == 1


Break = Callable[[World], None]
POSTS = "chat.postMessage chat.update chat.startStream chat.appendStream chat.stopStream"
SLACK_OUTAGES: dict[str, Break] = {
    code: (lambda world, code=code: world.slack.faults.refuse(POSTS, code, times=10**9))
    for code in (
        "service_unavailable",
        "internal_error",
        "fatal_error",
        "request_timeout",
        "team_added_to_org",
        "org_login_required",
        "token_expired",
        "external_channel_migrating",
        "invalid_auth",
    )
} | {
    "503": lambda world: world.slack.faults.server_error("*", times=10**9, status=503),
    "500": lambda world: world.slack.faults.server_error("*", times=10**9, status=500),
    "hangs": lambda world: world.slack.faults.hang("*", times=10**9),
    "dropped": lambda world: world.slack.faults.drop("*", times=10**9, after_effect=False),
}


@one_engine
@pytest.mark.parametrize("timing", [HANGING])
@pytest.mark.parametrize("outage", SLACK_OUTAGES)
async def test_an_answer_is_kept_until_slack_accepts_it(world: World, outage: str) -> None:
    SLACK_OUTAGES[outage](world)
    roots = await ask_many(world, 5)
    await asyncio.sleep(60 * SCALE)
    before = len(world.slack.calls)
    minutes = await pass_minutes(1)
    assert len(world.slack.calls) - before <= 40 * minutes
    world.slack.faults.clear()
    await assert_answered_once(world, roots)


@one_engine
async def test_a_finished_answer_survives_an_hour_and_a_restart(
    world: World, timing: Timing
) -> None:
    world.slack.faults.refuse(POSTS, "service_unavailable", times=10**9)
    settings = world.settings.model_copy(update={"bot_outage_patience": 0.1})
    root = await world.slack.user("alice").says("#general", "@bot hi")
    await world.slack.wait_for(lambda: runs(world))
    async with open_bot(settings, web_part=False, timing=timing):
        await asyncio.sleep(20 * SCALE)
    world.slack.faults.clear()
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert runs(world) == 1


async def test_a_process_that_starts_while_slack_is_down_receives_and_waits(
    redis_url: str, tmp_path: Path, timing: Timing
) -> None:
    async with open_world(redis_url, tmp_path, socket_mode=False, timing=timing) as world:
        world.slack.faults.server_error("*", times=10**9, status=503)
        with capture_logs() as logs:
            deployed = await world.replaced()
        assert named("slack_unavailable_at_start", logs)
        root = await world.slack.user("alice").says("#general", "@bot hi")
        await asyncio.sleep(20 * SCALE)
        world.slack.faults.clear()
        assert await deployed.replies("#general", root) == ["turn 1: hi"]
        assert runs(deployed) == 1


@one_engine
@pytest.mark.parametrize("code", ["ekm_access_denied", "missing_scope", "app_access_restricted"])
async def test_a_permanent_refusal_of_slack_is_recognized_at_once(world: World, code: str) -> None:
    world.slack.faults.refuse("chat.postMessage", code, times=10**9)
    with capture_logs() as logs:
        root = await world.slack.user("alice").says("#general", "@bot hi")
        await world.slack.wait_for(lambda: runs(world))
        await world.rests("#general", root)
    reported = [line for line in logs if line["log_level"] in ("warning", "error")]
    assert [(line["event"], line["reason"]) for line in reported] == [("turn_undeliverable", code)]
    assert sum(call.method == "chat.postMessage" for call in world.slack.calls) == 1


async def test_a_dead_letter_of_an_outage_is_retried_after_it(
    redis_url: str, tmp_path: Path, timing: Timing
) -> None:
    async with open_world(
        redis_url, tmp_path, socket_mode=False, timing=timing, bot_outage_patience=1.0
    ) as world:
        world.fake.fault("overloaded", times=None)
        root = await world.slack.user("alice").says("#general", "@bot hi")

        async def is_dead_letter() -> bool:
            return bool(await world.bot.store.dead.list())

        await wait_until(is_dead_letter)
        assert await world.replies("#general", root) == [f"⚠️ {WORDS['unavailable']}"]
        world.fake.faults.clear()
        await ask_many_once(world)
        assert (await world.replies("#general", root, 2))[1] == "turn 1: hi"
        assert await world.bot.store.dead.list() == ()


def named(event: str, logs: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == event]


@one_engine
async def test_a_late_answer_is_explained_by_the_log(world: World) -> None:
    world.fake.fault("overloaded", times=None)
    with capture_logs() as logs:
        roots = await ask_many(world, 1)
        await world.slack.wait_for(lambda: named("circuit_opened", logs))
        await asyncio.sleep(30 * SCALE)
        world.fake.faults.clear()
        await assert_answered_once(world, roots)
        await world.slack.wait_for(lambda: named("turn_answered", logs))
    [answered] = named("turn_answered", logs)
    [dependency] = answered["waited_for"]
    assert dependency == "ai:responses"
    assert 25 * SCALE < answered["waited_for"][dependency] <= answered["total"]
    names = ("waited", "earlier", "ai", "slack", "own")
    parts = sum(answered[name] for name in names) + answered["waited_for"][dependency]
    assert parts == pytest.approx(answered["total"], abs=0.1)


@pytest.mark.parametrize("slow", [0.001, 1000.0])
async def test_an_answer_above_the_threshold_is_a_warning(
    redis_url: str, tmp_path: Path, slow: float
) -> None:
    with capture_logs() as logs:
        async with open_world(redis_url, tmp_path, bot_slow_answer=slow) as world:
            await world.ask("#general", "@bot hi")
    reported = [line["log_level"] for line in logs if line["event"] == "slow_answer"]
    assert reported == (["warning"] if slow < 1 else [])


@one_engine
async def test_an_outage_is_logged_once_and_measured(world: World) -> None:
    dependency = f"ai:responses:{world.settings.openai_model}"
    world.fake.fault("overloaded", "POST", "/responses", times=None)
    before = sample("bot_circuits_opened_total", dependency=dependency)
    with capture_logs() as logs:
        roots = await ask_many(world, 3)
        await world.slack.wait_for(lambda: sample("bot_circuit_open", dependency=dependency) == 1)
        world.fake.faults.clear()
        await assert_answered_once(world, roots)
    reported = [line["event"] for line in logs if line["event"].startswith("circuit_")]
    assert reported == ["circuit_opened", "circuit_closed"]
    assert sample("bot_circuit_open", dependency=dependency) == 0
    assert sample("bot_circuits_opened_total", dependency=dependency) == before + 1
