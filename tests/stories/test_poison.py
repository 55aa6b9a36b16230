"""A message that keeps failing becomes a dead letter and delays no other thread."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.cli import dead
from bot.errors import Retry, StoreUnavailable, Undeliverable
from bot.models import Answer
from bot.store import Turn
from bot.texts.answers import WORDS
from bot.timing import Timing, WorkerTiming
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.turn import take_turn
from bot.worker import attempt
from bot.worker.outcomes import MAX_CRASHES
from tests.fakes.openai.faults import path_matches
from tests.test_cli import run_bot
from tests.world import BASE_TIMING, World, open_world, wait_until

QUICK = WorkerTiming(heartbeat=0.05, stray_after=0.05, retry_first=0.005, retry_longest=0.05)
TIMING = replace(BASE_TIMING, worker=QUICK)
RUNS = {"responses": "/responses", "assistants": "/threads/*/runs"}
one_engine = pytest.mark.parametrize("world", ["responses"], indirect=True)


@pytest.fixture(params=RUNS)
async def world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[World]:
    """A world for each engine that calls a server."""
    async with open_world(
        redis_url, tmp_path, engine=request.param, socket_mode=False, timing=timing
    ) as world:
        yield world


def poison(world: World) -> None:
    """Let the server refuse every run, until `world.fake.faults.clear()`."""
    world.fake.fault("error", "POST", RUNS[world.settings.bot_engine], times=None, status=409)


def attempts(world: World) -> int:
    """Requested runs, including refused ones."""
    asked = RUNS[world.settings.bot_engine]
    return sum(r.method == "POST" and path_matches(asked, r.path) for r in world.fake.requests)


async def dead_letter_one(world: World) -> str:
    """Ask a question that fails; returns the root of its thread."""
    poison(world)
    root = await world.ask("#general", "@bot the secret question")
    await world.replies("#general", root)
    world.fake.faults.clear()
    return root


async def test_after_five_failures_the_person_gets_an_apology_and_a_dead_letter_is_stored(
    world: World,
) -> None:
    root = await dead_letter_one(world)
    assert WORDS["dead"] in (await world.replies("#general", root))[0]
    assert attempts(world) == 5
    [letter] = await world.bot.store.dead.list()
    assert (letter.reason, letter.attempts) == ("status 409", 5)
    assert [message.text for message in letter.messages] == ["the secret question"]
    assert letter.thread == world.key("#general", root)


async def test_messages_that_arrived_meanwhile_are_answered_next(world: World) -> None:
    poison(world)
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot poison")
    await wait_until(lambda: _reached(world, 2))
    await alice.says("#general", "and this?", thread_ts=root)
    await world.slack.wait_for(lambda: world.slack.replies("#general", root))
    world.fake.faults.clear()
    answers = await world.replies("#general", root, 2)
    assert WORDS["dead"] in answers[0]
    assert "and this?" in answers[1]
    assert len(await world.bot.store.dead.list()) == 1


async def _reached(world: World, count: int) -> bool:
    return attempts(world) >= count


async def test_a_deleted_question_leaves_its_dead_letter_and_its_conversation(world: World) -> None:
    root = await dead_letter_one(world)
    await world.slack.user("alice").deletes("#general", root)
    await world.rests("#general", root)
    assert await world.bot.store.dead.list() == ()
    await world.ask("#general", "@bot and now?", thread_ts=root)
    assert "secret" not in (await world.replies("#general", root, 2))[-1]


async def test_a_retried_dead_letter_is_answered_in_its_thread(world: World) -> None:
    root = await dead_letter_one(world)
    [letter] = await dead.list_letters(world.settings)
    assert await dead.retry_letters(world.settings, [letter.id], every=False) == []
    answers = await world.replies("#general", root, 2)
    assert answers[1].endswith("the secret question")
    assert await dead.list_letters(world.settings) == ()
    await world.ask("#general", "thanks", thread_ts=root)
    assert "the secret question | thanks" in (await world.replies("#general", root, 3))[2]


async def test_a_dead_letter_that_fails_again_is_stored_again(world: World) -> None:
    root = await dead_letter_one(world)
    poison(world)
    await dead.retry_letters(world.settings, (), every=True)
    assert len(await world.replies("#general", root, 2)) == 2
    [letter] = await dead.list_letters(world.settings)
    assert letter.attempts == 5
    assert attempts(world) == 10


@one_engine
async def test_the_list_shows_reasons_and_texts_only_on_request(world: World) -> None:
    await dead_letter_one(world)
    letters = await dead.list_letters(world.settings)
    [letter] = letters
    for hidden in (dead.render_table(letters, texts=False), dead.render_json(letters, texts=False)):
        assert letter.id in hidden
        assert "status 409" in hidden
        assert "secret" not in hidden
    assert "the secret question" in dead.render_table(letters, texts=True)
    [reported] = json.loads(dead.render_json(letters, texts=True))
    assert reported["messages"][0]["text"] == "the secret question"
    assert dead.render_table((), texts=True) == "No dead letters."


async def bot_dead(world: World, directory: Path, *arguments: str) -> tuple[int, str]:
    """Run `bot dead ...`; returns the exit code and the output."""
    given = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "BOT_ENGINE": "echo",
        "REDIS_URL": world.settings.redis_url,
        "BOT_REDIS_PREFIX": world.settings.bot_redis_prefix,
    }
    done = await asyncio.to_thread(run_bot, "dead", *arguments, cwd=directory, **given)
    return done.returncode, done.stdout + done.stderr


@one_engine
async def test_the_command_line_lists_and_retries(world: World, tmp_path: Path) -> None:
    root = await dead_letter_one(world)
    [letter] = await dead.list_letters(world.settings)
    code, table = await bot_dead(world, tmp_path, "list")
    assert code == 0
    assert re.search(rf"^{letter.id} .* 1 +5 +status 409$", table, re.MULTILINE)
    assert json.loads((await bot_dead(world, tmp_path, "list", "--json"))[1])[0]["id"] == letter.id
    assert (await bot_dead(world, tmp_path, "retry"))[0] == 2
    assert (await bot_dead(world, tmp_path, "retry", "nonsense"))[0] == 1
    assert await bot_dead(world, tmp_path, "retry", letter.id) == (0, "")
    assert len(await world.replies("#general", root, 2)) == 2
    assert await bot_dead(world, tmp_path, "list") == (0, "No dead letters.\n")


@one_engine
async def test_the_command_line_drops_a_letter_for_good(world: World, tmp_path: Path) -> None:
    root = await dead_letter_one(world)
    [letter] = await dead.list_letters(world.settings)
    assert await bot_dead(world, tmp_path, "drop", letter.id) == (0, "")
    assert await dead.list_letters(world.settings) == ()
    unknown = f"bot: there is no dead letter {letter.id}\n"
    assert await bot_dead(world, tmp_path, "drop", letter.id) == (1, unknown)
    assert attempts(world) == 5
    await world.ask("#general", "and now?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith("and now?")


async def test_a_bug_counts_as_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setattr(attempt, "take_turn", broken)
    root = await world.slack.user("alice").says("#general", "@bot hi")
    assert WORDS["dead"] in (await world.replies("#general", root))[0]
    assert [letter.reason for letter in await world.bot.store.dead.list()] == [
        "bug:ZeroDivisionError"
    ]


@pytest.mark.parametrize("timing", [replace(TIMING, worker=replace(QUICK, retry_first=1000.0))])
async def test_a_message_that_kills_its_workers_is_given_up_and_the_next_one_answered(
    world: World,
) -> None:
    poison(world)
    root = await world.slack.user("alice").says("#general", "@bot deadly")
    thread, store = world.key("#general", root), world.bot.store

    async def waits() -> bool:
        return (await store.inbox.state(thread)).state == "later"

    await wait_until(waits)
    world.fake.faults.clear()
    await store.redis.hset(store.keys.thread(thread), "crashes", str(MAX_CRASHES + 1))
    await store.inbox.interrupt(thread, "stop")
    assert await world.replies("#general", root) == [f"⚠️ {WORDS['dead']}"]
    [letter] = await store.dead.list()
    assert (letter.reason, letter.crashes) == ("crashed", MAX_CRASHES + 1)
    assert [message.text for message in letter.messages] == ["deadly"]
    assert attempts(world) == 1
    await world.ask("#general", "harmless", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith("harmless")


@one_engine
@pytest.mark.parametrize("timing", [replace(TIMING, worker=replace(QUICK, patience=0.5))])
@pytest.mark.parametrize("error", [Retry("slack_500"), Undeliverable("is_archived"), KeyError("x")])
async def test_the_dead_letter_is_stored_if_the_apology_fails_for_good(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(attempt, "give_up", fail)
    poison(world)
    with capture_logs() as logs:
        root = await world.slack.user("alice").says("#general", "@bot hi")

        async def is_dead_letter() -> bool:
            return len(await world.bot.store.dead.list()) == 1

        await wait_until(is_dead_letter)
        await world.rests("#general", root)
    reported = [line["event"] for line in logs if line["log_level"] == "error"]
    assert reported == ["apology_failed", "dead_letter_added"]


async def test_an_apology_that_slack_refuses_now_is_posted_later(world: World) -> None:
    poison(world)
    world.slack.faults.server_error("chat.postMessage", times=2, status=503)
    world.slack.faults.rate_limit("chat.postMessage", retry_after=0.1)
    world.slack.faults.drop("chat.postMessage", after_effect=True)
    with capture_logs() as logs:
        root = await dead_letter_one(world)
    assert await world.replies("#general", root) == [f"⚠️ {WORDS['dead']}"]
    assert world.slack.faults.methods == []
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["dead_letter_added"]
    [letter] = await world.bot.store.dead.list()
    assert (letter.reason, letter.attempts, attempts(world)) == ("status 409", 5, 5)
    await world.ask("#general", "and now?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith("and now?")


@one_engine
async def test_after_an_apology_and_a_crash_only_the_dead_letter_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, failures = world.bot.store.inbox, [StoreUnavailable("away")]
    dead_letter = inbox.dead_letter

    async def dead_letter_later(*given: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        await dead_letter(*given, **named)

    monkeypatch.setattr(inbox, "dead_letter", dead_letter_later)
    root = await dead_letter_one(world)
    assert await world.replies("#general", root) == [f"⚠️ {WORDS['dead']}"]
    assert len(await world.bot.store.dead.list()) == 1
    assert attempts(world) == 5


async def test_bad_threads_do_not_slow_a_good_one(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timing: Timing
) -> None:
    """Thirty threads keep failing; a good one is answered as if it were alone."""
    failures: list[str] = []
    earlier: list[int] = []

    async def fail_the_bad(turn: Turn, services: Services, interrupt: Interrupt) -> Answer:
        if "bad" in turn.claim.messages[-1].text:
            failures.append(turn.id)
            raise Retry("status 409")
        earlier.append(len(failures))
        return await take_turn(turn, services, interrupt)

    monkeypatch.setattr(attempt, "take_turn", fail_the_bad)
    async with open_world(
        redis_url, tmp_path, socket_mode=False, bot_attempts=1000, timing=timing
    ) as world:
        *bad, good = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(31)]
        for spot in bad:
            await world.slack.user("alice").says(spot, "@bot bad")
        await wait_until(lambda: _many(failures, 90))
        before = len(failures)
        root = await world.ask(good, "@bot good")
        assert earlier[0] - before < 10 * len(bad), "the good one is taken after a few rounds"
        assert await world.replies(good, root) == ["turn 1: good"]
        await wait_until(lambda: _many(failures, 180))
        assert len(set(failures)) == 30


async def _many(failures: list[str], count: int) -> bool:
    return len(failures) >= count
