"""Slack delivers a mention twice: in the same process, the second event needs no call of Redis."""

import asyncio
from dataclasses import replace

import pytest

from bot.errors import StoreUnavailable
from bot.models import File, Message
from bot.store import Store, duplicate_mentions
from tests.store.builders import message, take_one

MENTION = message("1.0")
TWIN = replace(MENTION, event_id="Ev2", action_token="token")


async def route(store: Store, said: Message) -> str:
    return (await store.routing.route(said, "mention", "one_person")).verdict


async def calls_of_scripts(store: Store) -> int:
    stats = await store.redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


async def test_two_events_at_the_same_moment_are_one_message(store: Store) -> None:
    await route(store, message("0.5"))  # loads the script
    before = await calls_of_scripts(store)
    verdicts = await asyncio.gather(*(route(store, said) for said in (MENTION, TWIN)))
    assert verdicts == ["new", "seen"]
    assert await calls_of_scripts(store) == before + 1


async def test_a_second_event_with_files_adds_them(store: Store) -> None:
    assert await route(store, MENTION) == "new"
    file = File("F1", "a.txt", "text/plain", 5, "http://slack.test/a")
    assert await route(store, replace(TWIN, files=(file,))) == "seen"
    assert (await take_one(store)).messages[0].files == (file,)


async def test_the_second_event_is_stored_where_the_first_was_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failed = store.connection.run, asyncio.Event()

    async def fail_once(*args: object, **options: object) -> object:
        if failed.is_set():
            return await run(*args, **options)  # type: ignore[arg-type]
        failed.set()
        await asyncio.sleep(0)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store.connection, "run", fail_once)
    first, second = await asyncio.gather(
        route(store, MENTION), route(store, TWIN), return_exceptions=True
    )
    assert isinstance(first, StoreUnavailable)
    assert second == "new"


async def test_what_was_stored_some_time_ago_is_looked_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await route(store, MENTION) == "new"
    monkeypatch.setattr(duplicate_mentions, "SECONDS", 0.0)
    await store.redis.flushdb()
    assert await route(store, TWIN) == "new"
    monkeypatch.undo()
    for number in range(2, 2 + duplicate_mentions.MOST):
        assert await route(store, message(f"{number}.0")) == "new"
    await store.redis.flushdb()
    assert await route(store, MENTION) == "new"


async def test_a_repeated_delivery_is_stored_again(store: Store) -> None:
    assert await route(store, MENTION) == "new"
    await store.redis.flushdb()
    assert store.redelivery is not None
    await store.redelivery.redeliver()
    assert (await take_one(store)).messages == (MENTION,)
