"""Foreign and corrupt values in Redis affect their own thread, never the process."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from bot.app import Bot
from bot.store.keys import FAMILIES
from bot.telemetry.log import tell
from tests.fakes.openai import held
from tests.stories.conftest import *  # noqa: F403 - the worlds of the stories
from tests.world import World, wait_until

OTHER_TYPES = {
    "string": ("RPUSH", "x"),
    "hash": ("SET", "x"),
    "list": ("SET", "x"),
    "set": ("SET", "x"),
    "zset": ("SET", "x"),
    "stream": ("SET", "x"),
}


def test_an_exception_that_is_its_own_cause_is_described_once() -> None:
    error = ValueError("secret")
    error.__cause__ = error
    described = tell(error)
    assert described == "ValueError"


def test_causes_in_a_cycle_are_described_once_each() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert tell(first).split("\n") == ["ValueError", "after", "KeyError"]


async def spoil(world: World, family: str, names: Sequence[str]) -> None:
    """Put a value of another type under every key of the family that is in use."""
    redis = world.bot.store.redis
    command, value = OTHER_TYPES[FAMILIES[family].type]
    for name in names:
        await redis.delete(name)
        await redis.execute_command(command, name, value)  # type: ignore[no-untyped-call]


SINGLE = ("interrupts", "workers", "pulse", "later", "ready", "idle", "orphans", "dead", "feedback")


@pytest.mark.parametrize("family", SINGLE)
async def test_a_shared_key_of_the_wrong_type_is_set_aside_and_questions_are_answered(
    world: World, family: str
) -> None:
    await world.ask("#general", "@bot before")
    name = world.bot.store.keys.name(family)
    await spoil(world, family, [name])
    await world.ask("#general", "@bot after")
    assert await world.bot.store.redis.type(name) in (FAMILIES[family].type, "none", "string")


OF_A_THREAD = ("conversation", "record", "speakers", "overheard", "thread", "turn", "inbox")


@pytest.mark.parametrize("family", OF_A_THREAD)
async def test_a_thread_key_of_the_wrong_type_affects_no_other_thread(
    world: World, family: str
) -> None:
    root = await world.ask("#general", "@bot before")
    name = world.bot.store.keys.name(family, world.key("#general", root).key)
    await spoil(world, family, [name])
    await world.slack.user("alice").says("#general", "and now?", thread_ts=root)
    await world.ask("#general", "@bot elsewhere", who="bob")
    assert world.bot.work is not None
    assert not world.bot.work.done()


async def test_an_inbox_message_that_is_not_json_affects_no_other_thread(world: World) -> None:
    root = await world.ask("#general", "@bot before")
    thread = world.key("#general", root)
    await world.bot.store.redis.hset(world.bot.store.keys.inbox(thread), f"{root}1", "{no json")
    await world.slack.user("alice").says("#general", "and now?", thread_ts=root)
    await world.ask("#general", "@bot elsewhere", who="bob")


async def test_a_long_thread_of_others_is_kept_in_part_and_a_mention_at_its_end_is_answered(
    world: World,
) -> None:
    alice = world.slack.user("alice")
    root = await alice.says("#general", "a talk of others")
    for number in range(120):
        await alice.says("#general", f"line {number}", thread_ts=root)
    await world.slack.settled()
    thread = world.key("#general", root)
    kept = await world.bot.store.redis.hgetall(world.bot.store.keys.overheard(thread))
    assert len(kept) == 50
    assert "line 119" in json.dumps(kept)
    await alice.says("#general", "@bot sum up", thread_ts=root)
    await world.replies("#general", root)


LOGGED = {
    *("ready", "later", "pulse", "epoch", "dead", "idle", "orphans", "settings", "inbox"),
    *("speakers", "overheard", "edited", "conversation", "record", "feedback", "pace"),
    *("usage", "spent"),
}
"""Families with structured content. In the others any text is valid, or they do not exist while a
thread is idle."""

GARBAGE = "{garbage: \u2028"


def names_of(world: World, family: str, root: str) -> list[str]:
    """Keys of a family as the conversation of alice in a thread uses them."""
    keys, thread = world.bot.store.keys, world.key("#general", root)
    alice = world.slack.user("alice").id
    team, channel = thread.team_id, thread.channel_id
    named = {
        "settings": [keys.settings(team, channel)],
        "channel": [keys.channel(team, channel)],
        "channels": [keys.channels(team)],
        "recent": [keys.recent(team, alice)],
        "greeted": [keys.greeted(team)],
        "edited": [keys.edited(thread, root)],
        "lease": [keys.lease("sweep")],
        "corrupt": [keys.set_aside(keys.ready)],
        "used": [keys.used(team, alice)],
        **{
            name: [keys.name(name, thread.key)]
            for name in ("inbox", "speakers", "adopted", "overheard", "thread", "turn", "latest")
        },
    }
    return named.get(family, [keys.name(family)])


async def fill(redis: Any, type_: str, name: str) -> None:
    """Corrupt a key: replace its values, and add others."""
    if type_ == "string":
        await redis.set(name, GARBAGE)
    elif type_ == "hash":
        fields = await redis.hkeys(name)
        await redis.hset(name, mapping=dict.fromkeys([*fields, "1.5", "garbage"], GARBAGE))
    elif type_ == "list":
        for at in range(await redis.llen(name)):
            await redis.lset(name, at, GARBAGE)
        await redis.lpush(name, GARBAGE)
    elif type_ == "set":
        await redis.sadd(name, GARBAGE)
    elif type_ == "zset":
        await redis.zadd(name, {GARBAGE: 1.0})
    else:
        await redis.xadd(name, {"garbage": GARBAGE})


async def use_everything(world: World, root: str) -> None:
    """Call every reader of the store except the turns."""
    store, thread = world.bot.store, world.key("#general", root)
    alice, now = world.slack.user("alice"), await store.now()
    for command in ("/usage", "/conversations", "/reset"):
        await alice.slash(command)
    await alice.opens_home()
    await store.dead.list()
    await store.feedback.list()
    await store.inbox.unattended(0)
    await store.inbox.depth()
    await store.inbox.state(thread)
    await store.channels.find(thread.team_id, thread.channel_id)
    await store.conversations.figures(thread)
    assert await store.spending.rows([]) == []
    await store.routing.edited(thread, root)
    await store.archive.orphans(100, now)
    await store.archive.idle(2.0, 100)
    await world.slack.settled()


async def beats_after(bot: Bot) -> None:
    """Wait until the worker has sent two more heartbeats."""
    store = bot.store
    seen: set[Any] = set()

    async def has_beaten() -> bool:
        with suppress(ResponseError):
            seen.add(await store.redis.hget(store.keys.pulse, "heard"))
        return len(seen) > 2

    await wait_until(has_beaten)


@pytest.mark.parametrize("family", FAMILIES)
async def test_corrupt_content_affects_only_its_own_thread(world: World, family: str) -> None:
    root = await world.ask("#general", "@bot before")
    store = world.bot.store
    names = names_of(world, family, root)
    names += [key async for key in store.redis.scan_iter(store.keys.name(family) + ":*")]
    with capture_logs() as logs:
        for name in set(names):
            await fill(store.redis, FAMILIES[family].type, name)
        alice = world.slack.user("alice")
        await alice.says("#general", "and now?", thread_ts=root)
        other = await world.ask("#general", "@bot elsewhere", who="bob")
        await world.ask("#general", "and then?", who="bob", thread_ts=other)
        await use_everything(world, root)
        await beats_after(world.bot)
    assert world.bot.work is not None
    assert not world.bot.work.done()
    broken = [log for log in logs if log["event"] in ("heartbeat_broke", "claim_failed")]
    assert broken == []
    noticed = [log for log in logs if log["event"].startswith("redis_")]
    assert bool(noticed) == (family in LOGGED)


@pytest.mark.parametrize("family", FAMILIES)
async def test_any_key_of_the_wrong_type_affects_only_its_own_thread(
    world: World, family: str
) -> None:
    root = await world.ask("#general", "@bot before")
    store = world.bot.store
    names = names_of(world, family, root)
    names += [key async for key in store.redis.scan_iter(store.keys.name(family) + ":*")]
    with capture_logs() as logs:
        await spoil(world, family, names)
        await world.slack.user("alice").says("#general", "and now?", thread_ts=root)
        other = await world.ask("#general", "@bot elsewhere", who="bob")
        await world.ask("#general", "and then?", who="bob", thread_ts=other)
        await use_everything(world, root)
        await beats_after(world.bot)
    assert world.bot.work is not None
    assert not world.bot.work.done()
    assert not [log for log in logs if log["event"] in ("heartbeat_broke", "claim_failed")]


@pytest.mark.parametrize("corrupt", [True, False], ids=["corrupt", "wrong type"])
@pytest.mark.parametrize("family", ["thread", "turn", "inbox", "interrupts", "ready"])
async def test_a_running_turn_that_loses_its_state_blocks_no_other_thread(
    world: World, family: str, corrupt: bool
) -> None:
    world.fake.answer = [held("an answer")]
    alice, store = world.slack.user("alice"), world.bot.store
    root = await alice.says("#general", "@bot think")
    await world.slack.wait_for(lambda: world.fake.working)
    names = names_of(world, family, root)
    if corrupt:
        for name in names:
            await fill(store.redis, FAMILIES[family].type, name)
    else:
        await spoil(world, family, names)
    await alice.says("#general", "and this?", thread_ts=root)
    await world.ask("#general", "@bot elsewhere", who="bob")
    world.fake.finish()
    await beats_after(world.bot)
    await world.replies("#general", root)
    await world.ask("#general", "@bot again", thread_ts=root)
