"""Foreign and corrupt values in Redis: they affect their own thread, never the process."""

import json
from collections.abc import Sequence

import pytest

from bot.store.keys import FAMILIES
from bot.telemetry.log import tell
from tests.stories.conftest import *  # noqa: F403 - the worlds of the stories
from tests.world import Town

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


def test_causes_in_a_circle_are_described_once_each() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert tell(first).split("\n") == ["ValueError", "after", "KeyError"]


async def spoil(town: Town, family: str, names: Sequence[str]) -> None:
    """Put a value of another type under every key of the family that is in use."""
    redis = town.bot.store.redis
    command, value = OTHER_TYPES[FAMILIES[family].type]
    for name in names:
        await redis.delete(name)
        await redis.execute_command(command, name, value)  # type: ignore[no-untyped-call]


SINGLE = ("interrupts", "workers", "pulse", "later", "ready", "idle", "orphans", "dead", "feedback")


@pytest.mark.parametrize("family", SINGLE)
async def test_a_shared_key_of_another_type_is_set_aside_and_questions_are_answered(
    town: Town, family: str
) -> None:
    await town.ask("#general", "@bot before")
    name = town.bot.store.keys.name(family)
    await spoil(town, family, [name])
    await town.ask("#general", "@bot after")
    assert await town.bot.store.redis.type(name) in (FAMILIES[family].type, "none", "string")


OF_A_THREAD = ("conversation", "record", "speakers", "overheard", "thread", "turn", "inbox")


@pytest.mark.parametrize("family", OF_A_THREAD)
async def test_a_key_of_a_thread_of_another_type_costs_no_other_thread(
    town: Town, family: str
) -> None:
    root = await town.ask("#general", "@bot before")
    name = town.bot.store.keys.name(family, town.key("#general", root).key)
    await spoil(town, family, [name])
    await town.slack.user("alice").says("#general", "and now?", thread_ts=root)
    await town.ask("#general", "@bot elsewhere", who="bob")
    assert town.bot.work is not None
    assert not town.bot.work.done()


async def test_a_message_in_an_inbox_that_is_no_json_costs_no_other_thread(town: Town) -> None:
    root = await town.ask("#general", "@bot before")
    thread = town.key("#general", root)
    await town.bot.store.redis.hset(town.bot.store.keys.inbox(thread), f"{root}1", "{no json")
    await town.slack.user("alice").says("#general", "and now?", thread_ts=root)
    await town.ask("#general", "@bot elsewhere", who="bob")


async def test_a_long_thread_of_others_is_kept_in_part_and_a_mention_at_its_end_is_answered(
    town: Town,
) -> None:
    alice = town.slack.user("alice")
    root = await alice.says("#general", "a talk of others")
    for number in range(120):
        await alice.says("#general", f"line {number}", thread_ts=root)
    await town.slack.settled()
    thread = town.key("#general", root)
    kept = await town.bot.store.redis.hgetall(town.bot.store.keys.overheard(thread))
    assert len(kept) == 50
    assert "line 119" in json.dumps(kept)
    await alice.says("#general", "@bot sum up", thread_ts=root)
    await town.replies("#general", root)
