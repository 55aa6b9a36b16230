"""Foreign and corrupt values in Redis affect their own thread, never the process."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from bot.app import Bot
from bot.models import Record
from bot.store import Store
from bot.store.corrupt import read_each
from bot.store.families import FAMILIES
from bot.store.records import decode_line, encode_plain
from bot.telemetry.log import describe
from tests.fakes.openai import held
from tests.store.test_audit import LINE
from tests.world import PATIENCE, World, wait_until

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
    described = describe(error)
    assert described == "ValueError"


def test_causes_in_a_cycle_are_described_once_each() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert describe(first).split("\n") == ["ValueError", "after", "KeyError"]


def test_an_exception_that_was_raised_very_often_is_described_by_its_newest_frames() -> None:
    error = ValueError()
    for _ in range(1000):
        with suppress(ValueError):
            raise error
    assert len(describe(error).split("\n")) == 31


@pytest.mark.parametrize("garbage", ["{", "[" * 100_000, '{"text": []}', '{"z": "0"}', "5", "null"])
def test_a_line_that_cannot_be_read_is_left_out(garbage: str) -> None:
    line = encode_plain(Record("user", "hello", "1.0", "U1"))
    assert [record.text for _, record in read_each("record", [garbage, line], decode_line)] == [
        "hello"
    ]


async def spoil(world: World, family: str, names: Sequence[str]) -> None:
    """Put a value of another type under every key of the family that is in use."""
    redis = world.bot.store.redis
    command, value = OTHER_TYPES[FAMILIES[family].type]
    for name in names:
        await redis.delete(name)
        await redis.execute_command(command, name, value)  # type: ignore[no-untyped-call]


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
    for number in range(70):
        await alice.says("#general", f"line {number}", thread_ts=root)
    await world.slack.settled(PATIENCE)
    thread = world.key("#general", root)
    kept = await world.bot.store.redis.hgetall(world.bot.store.keys.overheard(thread))
    assert len(kept) == 50
    assert "line 69" in json.dumps(kept)
    await alice.says("#general", "@bot sum up", thread_ts=root)
    await world.replies("#general", root)


LOGGED = {
    *("ready", "later", "pulse", "epoch", "dead", "idle", "orphans", "settings", "inbox"),
    *("speakers", "overheard", "edited", "conversation", "record", "feedback", "pace"),
    *("usage", "spent", "audit", "begun"),
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


async def clear(redis: Any, type_: str, name: str) -> None:
    """Remove the garbage, so that later log entries are about the next family."""
    if await redis.type(name) != type_:
        return
    if type_ == "hash":
        found = await redis.hgetall(name)
        if fields := [field for field, value in found.items() if value == GARBAGE]:
            await redis.hdel(name, *fields)
    elif type_ == "list":
        await redis.lrem(name, 0, GARBAGE)
    elif type_ == "set":
        await redis.srem(name, GARBAGE)
    elif type_ == "zset":
        await redis.zrem(name, GARBAGE)
    elif type_ == "stream":
        await _clear_stream(redis, name)
    elif type_ == "string" and await redis.get(name) == GARBAGE:
        await redis.delete(name)


async def _clear_stream(redis: Any, name: str) -> None:
    for entry, fields in await redis.xrange(name):
        if "garbage" in fields:
            await redis.xdel(name, entry)


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
    await store.audit.append(LINE)
    _ = [line async for line in store.audit.read()]
    await store.installations.find(thread.team_id)
    await store.workspaces.newest(thread.team_id)
    await store.hold.is_on()
    await store.sealed.names("credential")
    await store.flags.is_free("flag")
    await world.slack.settled(PATIENCE)


async def beats_after(bot: Bot) -> None:
    """Wait until the worker has sent two more heartbeats."""
    store = bot.store
    seen: set[Any] = set()

    async def has_beaten() -> bool:
        with suppress(ResponseError):
            seen.add(await store.redis.hget(store.keys.pulse, "heard"))
        return len(seen) > 2

    await wait_until(has_beaten)


SINGLE = ("interrupts", "workers", "pulse", "later", "ready", "idle", "orphans", "dead", "feedback")
WORLDS = 4
"""The families are spread over as many workspaces, since opening one takes time."""


async def keys_in_use(world: World, family: str, root: str) -> list[str]:
    keys = world.bot.store.keys
    found = [key async for key in world.bot.store.redis.scan_iter(keys.name(family) + ":*")]
    return sorted({*names_of(world, family, root), *found})


async def is_alive_after(world: World, root: str) -> None:
    """Other threads are answered, every reader still works, and so does the worker."""
    await world.slack.user("alice").says("#general", "and now?", thread_ts=root)
    other = await world.ask("#general", "@bot elsewhere", who="bob")
    await world.ask("#general", "and then?", who="bob", thread_ts=other)
    await use_everything(world, root)
    await beats_after(world.bot)
    assert world.bot.work is not None
    assert not world.bot.work.done()


def broken(logs: Sequence[Any]) -> list[Any]:
    return [log for log in logs if log["event"] in ("heartbeat_broke", "claim_failed")]


@pytest.mark.parametrize("number", range(WORLDS))
async def test_corrupt_content_affects_only_its_own_thread(world: World, number: int) -> None:
    redis = world.bot.store.redis
    for family in [*FAMILIES][number::WORLDS]:
        root = await world.ask("#general", "@bot before")
        names = await keys_in_use(world, family, root)
        with capture_logs() as logs:
            for name in names:
                await fill(redis, FAMILIES[family].type, name)
            await is_alive_after(world, root)
            await world.bot.store.redelivery.look()
        assert broken(logs) == [], family
        noticed = [log for log in logs if log["event"].startswith("redis_")]
        assert bool(noticed) == (family in LOGGED), family
        for name in names:
            await clear(redis, FAMILIES[family].type, name)


@pytest.mark.parametrize("number", range(WORLDS))
async def test_a_key_of_the_wrong_type_affects_only_its_own_thread(
    world: World, number: int
) -> None:
    redis = world.bot.store.redis
    for family in [*FAMILIES][number::WORLDS]:
        root = await world.ask("#general", "@bot before")
        names = await keys_in_use(world, family, root)
        with capture_logs() as logs:
            await spoil(world, family, names)
            await is_alive_after(world, root)
        assert broken(logs) == [], family
        if family in SINGLE:
            (name,) = names
            assert await redis.type(name) in (FAMILIES[family].type, "none", "string"), family
        await redis.delete(*names)


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


async def test_a_key_that_another_call_has_set_aside_is_used_again(store: Store) -> None:
    """Both calls failed at the same key, and the first has written to it since."""
    key, calls = store.keys.name("interrupts"), 0

    async def fail_once(_: object) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return "done"

    await store.redis.hset(key, "thread", "stop")
    assert await store.connection._repaired([key], fail_once) == "done"
    await store.connection.set_aside(key, "hash")
    assert await store.redis.hgetall(key) == {"thread": "stop"}
