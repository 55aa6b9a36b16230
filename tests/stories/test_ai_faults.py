"""Faults of the AI server: people get one answer or one honest error, and are charged once."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.app import open_bot
from bot.engines import polling
from bot.models import Answer as Said
from bot.models import Record
from bot.store import Turn
from bot.texts.answers import STOPPED, WORDS
from bot.timing import EngineTiming, ThrottleTiming, Timing, WorkerTiming
from bot.turn import throttle
from bot.turn.interrupt import Interrupt
from bot.turn.reruns import TRANSIENT
from bot.turn.services import Services
from bot.turn.turn import take_turn
from bot.worker import attempt
from tests.fakes.openai import (
    Answer,
    Call,
    FaultKind,
    Prompt,
    calling,
    expired,
    failed,
    held,
    incomplete,
    never,
)
from tests.world import BASE_TIMING, World, open_world, wait_until

RUNS = {"responses": "/responses", "assistants": "/threads/*/runs"}
CONVERSATIONS = {"responses": "/conversations", "assistants": "/threads"}
MESSAGES = {"assistants": "/threads/*/messages"}


WORKER = WorkerTiming(heartbeat=0.05, retry_first=0.005, retry_longest=0.05)
THROTTLE = ThrottleTiming(pause=0.1, rate_after_pause=200.0)
ENGINE = EngineTiming(
    poll_first=0.02, poll_longest=0.02, error_first=0.02, lock_pause=0.1, rerun_pause=0.02
)
TIMING = replace(BASE_TIMING, worker=WORKER, throttle=THROTTLE, engine=ENGINE)
IMPATIENT = replace(TIMING, worker=replace(WORKER, patience=0.5))
SHORT_REQUESTS = replace(TIMING, engine=replace(ENGINE, create_timeout=1.0))
"""Calls without a response within a second are looked up."""


def runs(world: World) -> int:
    """Runs that took effect: what is billed."""
    return world.fake.created(RUNS[world.settings.bot_engine])


def attempts(world: World) -> int:
    """Requested runs, including refused ones."""
    return sum(
        request.method == "POST"
        and request.path.endswith("/runs" if world.settings.bot_engine == "assistants" else "onses")
        for request in world.fake.requests
    )


def dialogues(world: World) -> list[list[tuple[str, str]]]:
    """Roles and texts of each conversation on the server."""
    if world.settings.bot_engine == "responses":
        return [
            [(i["role"], "".join(p["text"] for p in i["content"])) for i in c.items if "role" in i]
            for c in world.fake.conversations.values()
        ]
    return [
        [(m["role"], "".join(p["text"]["value"] for p in m["content"])) for m in t.messages]
        for t in world.fake.threads.values()
    ]


def texts(world: World) -> list[list[str]]:
    """People's messages of each conversation on the server."""
    return [[text for role, text in said if role == "user"] for said in dialogues(world)]


@pytest.mark.parametrize("retry_after", [None, 0.3])
async def test_a_rate_limited_call_is_retried_without_a_look_up(
    ai_world: World, retry_after: float | None
) -> None:
    world = ai_world
    world.fake.fault("rate_limit", "POST", RUNS[world.settings.bot_engine], retry_after=retry_after)
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert (runs(world), attempts(world)) == (1, 2)
    made = [r.path for r in world.fake.requests if r.method == "POST"][-1]
    refused, taken = (i for i, r in enumerate(world.fake.requests) if r.path == made and r.body)
    assert taken == refused + 1
    waited = world.fake.requests[taken].time - world.fake.requests[refused].time
    assert waited >= (retry_after or THROTTLE.pause)
    assert await world.bot.store.dead.list() == ()


async def test_one_rate_limit_pauses_the_runs_of_all_threads(ai_world: World) -> None:
    world = ai_world
    path = RUNS[world.settings.bot_engine]
    world.fake.fault("rate_limit", "POST", path, retry_after=1.5)
    alice = world.slack.user("alice")
    first = await alice.says("#general", "@bot first")
    await wait_until(lambda: _true(attempts(world) == 1))
    spots = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(20)]
    roots = [await alice.says(spot, "@bot hi") for spot in spots]
    await world.slack.settled()
    for spot, root in zip(spots, roots, strict=True):
        assert await world.replies(spot, root) == ["turn 1: hi"]
    await world.replies("#general", first)
    assert (runs(world), attempts(world)) == (21, 22)


@pytest.mark.parametrize("timing", [IMPATIENT])
async def test_a_server_that_asks_to_wait_endlessly_is_given_up(ai_world: World) -> None:
    world = ai_world
    path = RUNS[world.settings.bot_engine]
    world.fake.fault("rate_limit", "POST", path, times=None, retry_after=0.05)
    root = await world.ask("#general", "@bot hi")
    assert WORDS["dead"] in (await world.replies("#general", root))[0]
    [letter] = await world.bot.store.dead.list()
    assert letter.reason == "rate_limit_exceeded"
    assert attempts(world) >= world.settings.bot_attempts
    assert runs(world) == 0


@pytest.mark.parametrize("timing", [IMPATIENT])
async def test_a_lock_of_a_lost_run_ends(ai_world: World) -> None:
    world = ai_world
    path = RUNS[world.settings.bot_engine]
    code = "conversation_locked"
    world.fake.fault("error", "POST", path, times=None, code=code, message="Locked.")
    root = await world.ask("#general", "@bot hi")
    assert WORDS["dead"] in (await world.replies("#general", root))[0]
    assert [letter.reason for letter in await world.bot.store.dead.list()] == [code]


async def test_without_quota_each_person_and_the_log_are_informed_once_and_no_runs_start(
    ai_world: World,
) -> None:
    world = ai_world
    world.fake.fault("quota", "POST", RUNS[world.settings.bot_engine], times=None)
    with capture_logs() as logs:
        roots = [await world.ask("#general", f"@bot {number}") for number in range(4)]
        for root in roots:
            assert await world.replies("#general", root) == [f"⚠️ {WORDS['insufficient_quota']}"]
    assert attempts(world) == 1
    refused = [line for line in logs if line["event"] == "ai_server_refuses"]
    assert [(line["log_level"], line["reason"]) for line in refused] == [
        ("error", "insufficient_quota")
    ]
    assert await world.bot.store.dead.list() == ()


async def test_two_workers_without_quota_send_one_request_and_log_once(
    ai_world: World, monkeypatch: pytest.MonkeyPatch, timing: Timing
) -> None:
    world, workers = ai_world, set[str]()

    async def noting(turn: Turn, services: Services, interrupt: Interrupt) -> Said:
        workers.add(turn.claim.worker)
        return await take_turn(turn, services, interrupt)

    monkeypatch.setattr(attempt, "take_turn", noting)
    world.fake.fault("quota", "POST", RUNS[world.settings.bot_engine], times=None)
    with capture_logs() as logs:
        async with open_bot(world.settings, web_part=False, timing=timing):
            roots = [await world.ask("#general", f"@bot {number}") for number in range(8)]
    for root in roots:
        assert await world.replies("#general", root) == [f"⚠️ {WORDS['insufficient_quota']}"]
    assert len(workers) == 2
    assert attempts(world) == 1
    assert [line["event"] for line in logs].count("ai_server_refuses") == 1
    assert await world.bot.store.dead.list() == ()


@pytest.mark.parametrize("timing", [replace(TIMING, throttle=replace(THROTTLE, quota_pause=0.3))])
async def test_the_conversation_continues_once_there_is_quota_again(ai_world: World) -> None:
    world = ai_world
    world.fake.fault("quota", "POST", RUNS[world.settings.bot_engine])
    root = await world.ask("#general", "@bot one")
    await asyncio.sleep(0.3)
    await world.ask("#general", "two", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith("two")


CALLS = [(engine, path) for engine in RUNS for path in ("run", "conversation")]
CALLS.append(("assistants", "message"))  # elsewhere, messages travel with the run
LOOKS = [(engine, "look") for engine in RUNS]


@pytest.mark.parametrize("kind", ["server_error", "overloaded", "bad_gateway", "drop_before"])
@pytest.mark.parametrize(("ai_world", "path"), CALLS + LOOKS, indirect=["ai_world"])
async def test_a_fault_before_the_effect_of_any_call_is_recovered(
    ai_world: World, kind: FaultKind, path: str
) -> None:
    world = ai_world
    engine = world.settings.bot_engine
    world.fake.answer = [held("the answer")]
    if path == "look":
        world.fake.fault(kind, "GET", times=3)
    else:
        where = {"run": RUNS, "message": MESSAGES, "conversation": CONVERSATIONS}[path][engine]
        world.fake.fault(kind, "POST", where, times=2)
    root = await world.slack.user("alice").says("#general", "@bot hi")
    await world.slack.wait_for(lambda: world.fake.working)
    if path == "look":
        await wait_until(lambda: _true(sum(r.fault is not None for r in world.fake.requests) == 3))
    world.fake.finish()
    assert await world.replies("#general", root) == ["the answer"]
    assert runs(world) == 1
    assert texts(world) == [["hi"]]


@pytest.mark.parametrize("timing", [SHORT_REQUESTS])
@pytest.mark.parametrize("kind", ["drop_after", "hang_after"])
@pytest.mark.parametrize(("ai_world", "path"), CALLS, indirect=["ai_world"])
async def test_a_fault_after_the_effect_of_any_call_repeats_nothing(
    ai_world: World, path: str, kind: FaultKind
) -> None:
    """The server does what it was asked, but the response is lost: the effect is looked up."""
    world = ai_world
    engine = world.settings.bot_engine
    where = {"run": RUNS, "message": MESSAGES, "conversation": CONVERSATIONS}[path][engine]
    world.fake.answer = [held("the answer")]
    world.fake.fault(kind, "POST", where)
    root = await world.slack.user("alice").says("#general", "@bot hi")
    await world.slack.wait_for(lambda: world.fake.working)
    world.fake.finish()
    assert await world.replies("#general", root) == ["the answer"]
    assert runs(world) == 1
    assert [said for said in texts(world) if said] == [["hi"]]


async def test_the_message_waits_while_another_run_locks_the_conversation(ai_world: World) -> None:
    world = ai_world
    engine = world.settings.bot_engine
    root = await world.ask("#general", "@bot one")
    message = (
        "Another process is currently operating on this conversation."
        if engine == "responses"
        else "Thread thread_1 already has an active run run_1."
    )
    code = "conversation_locked" if engine == "responses" else None
    world.fake.fault("error", "POST", RUNS[engine], times=3, code=code, message=message)
    await world.ask("#general", "two", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1] == "turn 2: one | two"
    assert runs(world) == 2


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (failed("server_error"), "server_error"),
        (failed("rate_limit_exceeded"), "rate_limit_exceeded"),
        (incomplete("max_output_tokens"), "max_output_tokens"),
        (incomplete("content_filter"), "content_filter"),
        (incomplete("max_output_tokens", "This much and"), "max_output_tokens"),
    ],
)
async def test_a_failed_run_is_reported_with_its_text_and_the_thread_continues(
    ai_world: World, answer: Answer, shown: str
) -> None:
    world = ai_world
    made = 3 if shown in TRANSIENT else 1
    world.fake.answer = [answer] * made
    root = await world.ask("#general", "@bot one")
    [reported] = await world.replies("#general", root)
    assert reported == "\n\n".join(filter(None, [answer.text, f"⚠️ {WORDS[shown]}"]))
    assert runs(world) == made
    await world.ask("#general", "two", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith(": one | two")
    assert texts(world) == [["one", "two"]]


async def test_a_run_that_expires_or_is_cancelled_elsewhere_is_reported(ai_world: World) -> None:
    world = ai_world
    world.fake.answer = [expired(), expired(), expired(), held("never to be seen")]
    root = await world.ask("#general", "@bot one")
    await world.slack.user("alice").says("#general", "two", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    for work in world.fake.working:
        work.cancel()
    await world.replies("#general", root, 2)
    assert runs(world) == 4
    await world.ask("#general", "three", thread_ts=root)
    gave_up = "expired" if world.settings.bot_engine == "assistants" else "server_error"
    assert await world.replies("#general", root, 3) == [
        f"⚠️ {WORDS[gave_up]}",
        STOPPED,
        "turn 1: one | two | three",
    ]
    assert texts(world) == [["one", "two", "three"]]


async def test_a_run_that_never_ends_is_cancelled_at_its_deadline(
    redis_url: str, tmp_path: Path
) -> None:
    for engine in RUNS:
        async with open_world(redis_url, tmp_path, engine=engine, bot_run_deadline=0.6) as world:
            world.fake.answer = [never()]
            root = await world.ask("#general", "@bot one")
            assert WORDS["deadline"] in (await world.replies("#general", root))[0]
            assert world.fake.working == []
            await world.ask("#general", "two", thread_ts=root)
            assert len(await world.replies("#general", root, 2)) == 2


async def _conversation_id(world: World, root: str, channel: str = "#general") -> str:
    conversation = await world.bot.store.conversations.find(world.key(channel, root))
    assert conversation is not None
    return conversation.id


async def test_a_vanished_conversation_is_rebuilt_from_our_record_silently(
    ai_world: World,
) -> None:
    world = ai_world
    root = await world.ask("#general", "@bot 0")
    for number in range(1, 12):
        await world.ask("#general", f"{number}", thread_ts=root)
    before = await _conversation_id(world, root)
    world.fake.vanish(before)
    await world.ask("#general", "and now?", thread_ts=root)
    answers = await world.replies("#general", root, 13)
    said = [*map(str, range(12)), "and now?"]
    assert answers[-1] == f"turn 13: {' | '.join(said)}"
    assert texts(world) == [said]  # 24 lines: more than go into one call
    assert await _conversation_id(world, root) != before
    reads = [call for call in world.slack.calls if call.method == "conversations.replies"]
    assert [call for call in reads if "latest" not in call.args] == []  # Slack's history
    await world.ask("#general", "on", thread_ts=root)
    assert (await world.replies("#general", root, 14))[-1].startswith("turn 14")


@pytest.mark.parametrize("trouble", ["none", "5xx", "429 twice", "429 for long"])
async def test_without_a_record_a_vanished_conversation_is_rebuilt_from_slack(
    ai_world: World, trouble: str
) -> None:
    """If Slack cannot return the thread now, the rebuild waits: it is complete or not done yet."""
    world = ai_world
    dm = world.slack.user("alice").dm()
    root = await world.ask(dm, "0")
    for number in range(1, 12):
        await world.ask(dm, f"{number}", thread_ts=root)
    before, thread = await _conversation_id(world, root, dm), world.key(dm, root)
    await world.bot.store.redis.delete(world.bot.store.keys.record(thread))
    world.fake.vanish(before)
    match trouble:
        case "5xx":
            world.slack.faults.server_error("conversations.replies", status=503)
        case "429 twice":
            world.slack.faults.rate_limit("conversations.replies", times=2, retry_after=0.05)
        case "429 for long":
            world.slack.faults.rate_limit("conversations.replies", times=6, retry_after=0.05)
    await world.ask(dm, "and now?", thread_ts=root)
    asked = [*map(str, range(12)), "and now?"]
    expected = [f"turn {n}: {' | '.join(asked[:n])}" for n in range(1, 14)]
    assert await world.replies(dm, root, 13) == expected
    lines = [[("user", a), ("assistant", b)] for a, b in zip(asked, expected, strict=True)]
    assert dialogues(world) == [[line for pair in lines for line in pair]]
    assert await _conversation_id(world, root, dm) != before
    assert runs(world) == 13
    assert world.slack.faults.methods == []


async def test_a_conversation_that_vanishes_under_a_run_is_rebuilt_once(ai_world: World) -> None:
    world = ai_world
    root = await world.ask("#general", "@bot one")
    world.fake.answer = [held("never to be seen")]
    await world.slack.user("alice").says("#general", "two", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    world.fake.vanish(await _conversation_id(world, root))
    world.fake.runs.clear()
    world.fake.responses.clear()
    expected = ["turn 1: one", "turn 2: one | two", "turn 3: one | two | three"]
    assert await world.replies("#general", root, 2) == expected[:2]
    assert world.fake.created(CONVERSATIONS[world.settings.bot_engine]) == 2
    assert await world.bot.store.dead.list() == ()
    await world.ask("#general", "three", thread_ts=root)
    assert await world.replies("#general", root, 3) == expected
    assert texts(world) == [["one", "two", "three"]]


async def test_an_unanswered_tool_call_does_not_block_the_thread(ai_world: World) -> None:
    world = ai_world

    def said(prompt: Prompt) -> str:
        return " | ".join(prompt.user_messages)

    world.fake.answer = [calling(Call("weather", '{"deployment": "Rome"}')), said, said]
    root = await world.ask("#general", "@bot one")
    await world.ask("#general", "two", thread_ts=root)
    reported = "one" if world.settings.bot_engine == "assistants" else f"⚠️ {WORDS['empty']}"
    assert await world.replies("#general", root, 2) == [reported, "one | two"]
    assert texts(world) == [["one", "two"]]
    assert await world.bot.store.dead.list() == ()


async def test_a_rebuilt_conversation_keeps_its_record(ai_world: World) -> None:
    world = ai_world
    root = await world.ask("#general", "@bot one")
    world.fake.vanish(await _conversation_id(world, root))
    await world.ask("#general", "two", thread_ts=root)
    record: list[Record] = await world.bot.store.conversations.history(world.key("#general", root))
    assert [(line.role, line.text) for line in record] == [
        ("user", "one"),
        ("assistant", "turn 1: one"),
        ("user", "two"),
        ("assistant", "turn 2: one | two"),
    ]


def test_rate_and_burst_stay_within_the_limit_of_any_minute() -> None:
    for per_minute in (1, 2, 10, 60, 500, 10_000):
        rate, burst = throttle.rate_and_burst(per_minute)
        assert rate > 0
        assert rate * 60 + burst <= per_minute or per_minute == 1
    assert next(polling.Cadence()) > 0


async def _true(value: bool) -> bool:
    return value
