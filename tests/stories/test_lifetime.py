"""The end of conversations: archived when idle, rolled over when long."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import settings
from bot.engines.echo import EchoEngine
from bot.errors import ConfigError, Retry, RunFailed
from bot.models import Thread
from bot.settings.retention import Retention
from bot.store import Feedback, Store
from bot.timing import SweepTiming
from bot.upkeep.sweeper import Sweeper
from tests.fakes.openai import failed
from tests.store.builders import conversation, deliver, take_one
from tests.test_cli import run_bot
from tests.world import World, open_world

DAY = 86400.0


def test_the_retention_of_a_channel_counts_before_that_of_its_workspace() -> None:
    kept = Retention(30, {"T1": 7, "C1": 90, "C2": 0})
    now = 1000 * DAY
    days = {"T1:C9:1.5": 7, "T1:C1:1.5": 90, "T1:C2:1.5": 1000, "T2:C9:1.5": 30}
    for key, expected in days.items():
        assert kept.before(Thread.parse(key), now) == now - expected * DAY
    assert kept.latest(now) == now - 7 * DAY
    assert Retention(0).latest(now) == 0.0


@pytest.mark.parametrize("text", ["T1", "U1=7", "T1=x", "T1=-1", "C1=", "=7", "C1=7=8"])
def test_a_wrong_retention_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="BOT_RETENTION_PLACES"):
        settings.read(None, slack_bot_token="xoxb-1", bot_retention_places=text)


async def test_places_have_a_retention_of_their_own(world: World) -> None:
    store = world.bot.store
    short, general = world.slack.channel("#random").id, world.slack.channel("#general").id
    roots = {
        (name, days): await world.ask(name, "@bot hello")
        for name in ("#random", "#general")
        for days in (3, 10)
    }
    for (name, days), root in roots.items():
        await age(store, world.key(name, root), days)
    assert world.bot.engine is not None
    given = settings.read(
        None, slack_bot_token="xoxb-1", bot_retention_places=f"{short}=7, {general}=0"
    )
    sweeper = Sweeper(store, world.bot.engine, 1, places=given.bot_retention_places, pause=0)
    assert (await sweeper.preview()).archived == 1
    assert (await sweeper.sweep_now()).archived == 1
    left = {place for place, root in roots.items() if await is_kept(world, place[0], root)}
    assert left == roots.keys() - {("#random", 10)}


async def is_kept(world: World, channel: str, root: str) -> bool:
    return await world.bot.store.conversations.find(world.key(channel, root)) is not None


@asynccontextmanager
async def closing_echo() -> AsyncIterator[EchoEngine]:
    engine = EchoEngine(":memory:")
    try:
        yield engine
    finally:
        engine.close()


async def age(store: Store, thread: Thread, days: float) -> None:
    """Make a conversation idle for a time."""
    await store.redis.zadd(store.keys.idle, {thread.key: time.time() - days * DAY})


def sweeper(world: World, timing: SweepTiming = SweepTiming()) -> Sweeper:
    assert world.bot.engine is not None
    return Sweeper(world.bot.store, world.bot.engine, 30, pause=0, timing=timing)


async def test_an_idle_conversation_is_archived_and_its_thread_starts_a_new_one(
    any_world: World,
) -> None:
    world = any_world
    root = await world.ask("#general", "@bot the word is swordfish")
    other = await world.ask("#random", "@bot hello")
    store, thread = world.bot.store, world.key("#general", root)
    known = await store.conversations.find(thread)
    assert known is not None
    await age(store, thread, 31)
    assert (await sweeper(world).preview()).archived == 1

    swept = await sweeper(world).sweep_now()
    assert (swept.archived, swept.deleted, swept.kept) == (1, 1, 0)
    assert known.id not in {**world.fake.conversations, **world.fake.threads}
    assert await store.conversations.find(thread) is None
    assert await store.conversations.history(thread) == []
    assert await store.conversations.find(world.key("#random", other)) is not None

    await world.ask("#general", "what is the word?", thread_ts=root)
    answer = (await world.replies("#general", root, 2))[1]
    assert "swordfish" not in answer
    assert "I no longer have the conversation here up to" in answer
    await world.ask("#general", "sure?", thread_ts=root)
    assert "I no longer have" not in (await world.replies("#general", root, 3))[2]


async def test_a_second_sweep_finds_nothing_and_the_daily_one_waits_a_day(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    await age(world.bot.store, world.key("#general", root), 31)
    first = await sweeper(world).sweep_in_turn()
    assert first is not None
    assert first.archived == 1
    again = await sweeper(world).sweep_now()
    assert (again.archived, again.deleted) == (0, 0)
    root = await world.ask("#general", "@bot hello")
    await age(world.bot.store, world.key("#general", root), 31)
    later = await sweeper(world).sweep_in_turn()
    assert later is not None
    assert later.archived == 0


async def test_feedback_expires_like_conversations(store: Store) -> None:
    now = await store.now()
    thread = Thread("T1", "C1", "1.0")
    old = Feedback("t1", "resp_1", thread, "U1", "negative", now - 31 * DAY, "my words")
    new = replace(old, turn_id="t2", at=now - 29 * DAY)
    await store.feedback.save(old)
    await store.feedback.save(new)
    async with closing_echo() as engine:
        for_ever = await Sweeper(store, engine, 0).sweep_now()
        assert (for_ever.feedback, await store.feedback.list()) == (0, [old, new])
        sweeper = Sweeper(store, engine, 30)
        assert (await sweeper.preview()).feedback == 1
        assert (await sweeper.sweep_now()).feedback == 1
        assert await store.feedback.list() == [new]


async def test_one_process_sweeps_at_a_time(store: Store) -> None:
    async with closing_echo() as engine:
        await store.leases.take("sweep", "another", 60)
        assert await Sweeper(store, engine, 30).sweep_in_turn() is None
        with pytest.raises(Retry):
            await Sweeper(store, engine, 30).sweep_now()
        await store.leases.give_back("sweep", "another process")
        assert await Sweeper(store, engine, 30).sweep_in_turn() is None
        await store.leases.give_back("sweep", "another")
        assert await Sweeper(store, engine, 30).sweep_in_turn() is not None


async def test_a_busy_thread_is_not_archived(store: Store) -> None:
    async with closing_echo() as engine:
        await deliver(store, "1.0")
        claim = await take_one(store)
        await store.conversations.save(claim, conversation())
        await age(store, claim.thread, 31)
        assert (await Sweeper(store, engine, 30, pause=0).sweep_now()).archived == 0
        await store.inbox.settle(claim)
        await age(store, claim.thread, 31)
        assert (await Sweeper(store, engine, 30, pause=0).sweep_now()).archived == 1


async def test_unmapped_conversations_are_deleted_later(store: Store) -> None:
    async with closing_echo() as engine:
        orphan = await engine.begin(Thread("T1", "C1", "1.0"), "U1")
        await store.archive.watch("echo", orphan)
        assert (await Sweeper(store, engine, 30, pause=0).sweep_now()).deleted == 0
        await store.redis.zadd(store.keys.orphans, {f"echo|{orphan}": time.time() - 1})
        assert (await Sweeper(store, engine, 30, pause=0).sweep_now()).deleted == 1
        assert await store.redis.zcard(store.keys.orphans) == 0


async def test_failed_deletions_are_retried_later(store: Store) -> None:
    class Refusing(EchoEngine):
        async def delete(self, conversation_id: str) -> None:
            raise RunFailed("failed", "server_error")

    with closing(Refusing(":memory:")) as engine:
        await store.archive.discard("echo", "one")
        await store.archive.discard("assistants", "of another engine")
        swept = await Sweeper(store, engine, 30, pause=0).sweep_now()
        assert (swept.deleted, swept.kept) == (0, 2)
        assert await store.redis.zcard(store.keys.orphans) == 2
        assert await store.archive.orphans(10, await store.now()) == []


async def test_a_long_conversation_is_summarized_in_a_new_one(
    redis_url: str, tmp_path: Path, engine_name: str
) -> None:
    given: dict[str, Any] = {"engine": engine_name, "bot_rollover_messages": 12}
    async with open_world(redis_url, tmp_path, **given) as world:
        root = await world.ask("#general", "@bot number 0")
        for number in range(1, 12):
            await world.ask("#general", f"number {number}", thread_ts=root)
        store, thread = world.bot.store, world.key("#general", root)
        before = await store.conversations.find(thread)
        assert before is not None
        assert before.messages == 12
        await world.ask("#general", "and now?", thread_ts=root)
        after = await store.conversations.find(thread)
        assert after is not None
        assert (after.id != before.id, after.messages) == (True, 1)
        assert (after.created_at, after.user_id) == (before.created_at, before.user_id)
        answer = (await world.replies("#general", root, 13))[12]
        assert "and now?" in answer
        assert "number 11" in answer
        record = await store.conversations.history(thread)
        assert record[0].text.startswith("Summary of our conversation")
        assert "number 1" in record[0].text
        assert len(record) == 1 + 10 + 2

        swept = await sweeper(world).sweep_now()
        assert swept.deleted == 2  # the old one, and the one of the summary
        assert before.id not in {**world.fake.conversations, **world.fake.threads}
        await world.ask("#general", "still there?", thread_ts=root)
        assert "and now?" in (await world.replies("#general", root, 14))[13]


@pytest.fixture(params=["responses", "assistants", "echo"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_without_a_summary_the_newest_lines_are_kept(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_rollover_messages=6) as world:
        root = await world.ask("#general", "@bot number 0")
        for number in range(1, 6):
            await world.ask("#general", f"number {number}", thread_ts=root)
        world.fake.answer = [failed("server_error"), "fine"]
        await world.ask("#general", "and now?", thread_ts=root)
        assert (await world.replies("#general", root, 7))[6] == "fine"
        record = await world.bot.store.conversations.history(world.key("#general", root))
        assert [line.text for line in record][-2:] == ["and now?", "fine"]
        assert not record[0].text.startswith("Summary")


async def test_a_context_overflow_causes_a_rollover(world: World) -> None:
    root = await world.ask("#general", "@bot number 0")
    for number in range(1, 6):
        await world.ask("#general", f"number {number}", thread_ts=root)
    (before,) = world.fake.conversations
    world.fake.answer = [failed("context_length_exceeded"), "many numbers", "fine"]
    await world.ask("#general", "and now?", thread_ts=root)
    assert (await world.replies("#general", root, 7))[6] == "fine"
    record = await world.bot.store.conversations.history(world.key("#general", root))
    assert record[0].text.endswith("many numbers")
    assert [line.text for line in record][-2:] == ["and now?", "fine"]
    assert (await sweeper(world).sweep_now()).deleted == 2
    assert before not in world.fake.conversations


async def test_the_commands_sweep_and_count(world: World, tmp_path: Path) -> None:
    root = await world.ask("#general", "@bot hello")
    await age(world.bot.store, world.key("#general", root), 31)
    given = {
        "SLACK_BOT_TOKEN": world.slack.bot_token,
        "SLACK_SIGNING_SECRET": world.slack.signing_secret,
        "OPENAI_API_KEY": world.fake.api_key,
        "OPENAI_BASE_URL": world.fake.base_url,
        "REDIS_URL": world.settings.redis_url,
        "BOT_REDIS_PREFIX": world.settings.bot_redis_prefix,
        "BOT_LOG_LEVEL": "ERROR",
    }

    async def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(run_bot, *arguments, cwd=tmp_path, **given)

    reported = await run("sweep", "--dry-run")
    assert reported.stdout.startswith("1 idle conversations would be archived")
    reported = await run("sweep")
    assert reported.stdout == ("1 archived, 1 deleted, 0 kept\n0 feedback entries deleted\n")
    assert world.fake.conversations == {}
    reported = await run("usage", "--csv", "--days", "2")
    header, row = reported.stdout.splitlines()
    assert header.startswith("day,team_id,channel_id,user_id,turns")
    assert world.slack.user("alice").id in row
