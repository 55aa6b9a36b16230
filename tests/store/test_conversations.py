"""The mapping from threads to conversations, and the record they are rebuilt from."""

import random
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import Superseded
from bot.models import Record, Thread, Usage
from bot.store import Claim, Store
from bot.store.connection import Connection
from tests.store.builders import (
    conversation,
    deliver,
    die,
    keys_of,
    message,
    rescue,
    take_one,
    thread,
)


async def taken(store: Store, ts: str = "1.0", of: Thread | None = None) -> Claim:
    await deliver(store, ts, of=of)
    return await take_one(store)


async def begun(store: Store, of: Thread | None = None) -> None:
    """An idle thread with a conversation."""
    claim = await taken(store, of=of)
    await store.conversations.save(claim, conversation(of=of))
    await store.inbox.settle(claim)


async def test_a_thread_has_no_conversation_at_first(store: Store) -> None:
    assert await store.conversations.find(thread()) is None
    assert (await taken(store)).conversation is None


async def test_a_saved_conversation_comes_with_the_next_claim(store: Store) -> None:
    await begun(store)

    assert await store.conversations.find(thread()) == conversation()
    assert (await taken(store, "2.0")).conversation == conversation()


async def test_a_conversation_moves(store: Store) -> None:
    await begun(store)
    claim = await taken(store, "2.0")
    await store.inbox.release(claim, 0, "gone")
    await store.conversations.save(await take_one(store), conversation("conv_2"))

    assert await store.conversations.find(thread()) == conversation("conv_2")


async def test_conversations_are_written_by_the_holder_of_the_claim_only(store: Store) -> None:
    old = await taken(store)
    await die(store, "anna")
    await rescue(store)
    await take_one(store, "bert")

    with pytest.raises(Superseded):
        await store.conversations.save(old, conversation())
    with pytest.raises(Superseded):
        await store.conversations.forget(old)
    assert await store.conversations.find(thread()) is None


async def test_settling_keeps_the_record_the_counts_and_the_newest_item(store: Store) -> None:
    lines = [Record("user", "hi", "1.0", "U1"), Record("assistant", "Grüße 👋", "1.0")]
    await deliver(store, "1.0", "2.0")
    claim = await take_one(store)
    await store.conversations.save(claim, conversation())
    await store.inbox.settle(claim, records=lines, usage=Usage(10, 2, 5, 1), last_item_id="msg_9")
    await store.inbox.settle(await taken(store, "3.0"), records=lines[:1], usage=Usage(1, 1, 1, 1))

    assert await store.conversations.history(thread()) == [*lines, lines[0]]
    assert await store.conversations.find(thread()) == replace(conversation(), last_item_id="msg_9")
    assert await store.conversations.figures(thread()) == {
        "turns": 2,
        "messages": 3,
        "input_tokens": 11,
        "cached_tokens": 3,
        "output_tokens": 6,
        "reasoning_tokens": 2,
    }


async def test_a_refused_settlement_leaves_no_record(store: Store) -> None:
    claim = await taken(store)
    await store.inbox.release(claim, 60, "429")
    with pytest.raises(Superseded):
        await store.inbox.settle(claim, records=[Record("user", "hi", "1.0")])

    assert await store.conversations.history(thread()) == []


async def test_the_record_keeps_the_newest_two_hundred_lines(store: Store) -> None:
    lines = [Record("user", f"line {number}", f"{number}.0") for number in range(250)]
    await store.inbox.settle(await taken(store), records=lines)

    assert await store.conversations.history(thread()) == lines[-200:]


def noise(length: int) -> str:
    """Text that takes about 0.7 bytes a character, compressed as it is."""
    return random.Random(length).randbytes(length // 2).hex()


async def test_any_number_of_lines_is_recorded_at_once(store: Store) -> None:
    claim = await taken(store)
    lines = [Record("user", "", f"{n}.0") for n in range(10_000)]
    await store.inbox.settle(claim, records=lines)
    assert await store.conversations.history(thread()) == lines[-200:]


async def test_the_record_is_bounded_in_bytes(store: Store) -> None:
    for number in range(1, 8):
        claim = await taken(store, f"{number}.0")
        await store.inbox.settle(claim, records=[Record("user", noise(160_000), f"{number}.0")])
    history = await store.conversations.history(thread())
    assert [line.ts for line in history] == ["5.0", "6.0", "7.0"]

    huge = Record("assistant", noise(800_000), "8.0")
    await store.inbox.settle(await taken(store, "8.0"), records=[huge])
    assert await store.conversations.history(thread()) == [huge]


async def test_forgetting_detaches_the_thread_from_its_conversation(store: Store) -> None:
    await begun(store)
    claim = await taken(store, "2.0")
    await store.inbox.settle(claim, records=[Record("user", "hi", "2.0")])
    claim = await taken(store, "3.0")

    assert await store.conversations.forget(claim) == conversation()
    assert await store.conversations.forget(claim) is None
    assert await store.conversations.find(thread()) is None
    assert await store.conversations.history(thread()) == []
    assert await store.conversations.idle(before=4e9) == []
    await store.inbox.settle(claim)
    assert (await taken(store, "4.0")).conversation is None


async def test_a_thread_is_ours_from_its_first_message_on(store: Store) -> None:
    assert not await store.conversations.is_ours(thread())
    claim = await taken(store)
    assert await store.conversations.is_ours(thread())
    await store.inbox.release(claim, 60, "429")
    assert await store.conversations.is_ours(thread())


async def test_a_thread_stays_ours_when_its_conversation_was_forgotten(store: Store) -> None:
    await begun(store)
    claim = await taken(store, "2.0")
    await store.conversations.forget(claim)
    await store.inbox.settle(claim)

    assert await store.conversations.is_ours(thread())
    [key] = await keys_of(store, "conversation:")
    assert await store.redis.ttl(key) > 80 * 86400


async def test_a_new_conversation_outlives_the_tombstone_of_the_old_one(store: Store) -> None:
    await store.inbox.settle(await taken(store))
    claim = await taken(store, "2.0")
    await store.conversations.save(claim, conversation())
    await store.inbox.settle(claim)

    [key] = await keys_of(store, "conversation:")
    assert await store.redis.ttl(key) == -1


async def test_a_thread_with_dead_letters_stays_ours(store: Store) -> None:
    await store.inbox.dead_letter(await taken(store), "poison")
    assert await store.conversations.is_ours(thread())


async def test_the_conversations_of_a_person_come_newest_first(store: Store) -> None:
    threads = [Thread("T1", "C1", f"{number}.0") for number in (1, 2, 3)]
    for where in threads:
        claim = await taken(store, where.thread_ts, of=where)
        await store.conversations.save(claim, conversation(of=where))
        await store.inbox.settle(claim)
    claim = await taken(store, "9.0", of=threads[0])
    await store.inbox.settle(claim)

    recent = await store.conversations.recent("T1", "U1")
    assert [found.thread for found in recent] == [threads[0], threads[2], threads[1]]
    assert len(await store.conversations.recent("T1", "U1", limit=2)) == 2
    assert await store.conversations.recent("T1", "U2") == []
    assert await store.conversations.recent("T1", "U1", channel_id="C9") == []


async def test_a_person_who_joins_a_conversation_finds_it_among_the_recent_ones(
    store: Store,
) -> None:
    await begun(store)
    await store.inbox.deliver(replace(message("2.0"), user_id="U2"))
    await store.inbox.settle(await take_one(store))

    [found] = await store.conversations.recent("T1", "U2")
    assert found.user_id == "U1"


async def test_a_forgotten_conversation_is_not_among_the_recent_ones(store: Store) -> None:
    await begun(store)
    claim = await taken(store, "2.0")
    await store.conversations.forget(claim)
    await store.inbox.settle(claim)

    assert await store.conversations.recent("T1", "U1") == []


async def test_reading_the_recent_list_removes_forgotten_conversations(store: Store) -> None:
    for number in range(1, 4):
        await begun(store, of=Thread("T1", "C1", f"{number}.0"))
        await store.redis.delete(*await keys_of(store, "seen:"))
    await store.redis.delete(store.keys.conversation(Thread("T1", "C1", "2.0")))

    found = await store.conversations.recent("T1", "U1", limit=None)
    assert [c.thread.thread_ts for c in found] == ["3.0", "1.0"]
    assert await store.redis.zcard(store.keys.recent("T1", "U1")) == 2


async def test_the_recent_list_is_read_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        await begun(store, of=Thread("T1", "C1", f"{number}.0"))
        await store.redis.delete(*await keys_of(store, "seen:"))
    key = store.keys.recent("T1", "U1")
    places = {f"C1:{number}.5": 1e12 + number for number in range(350)}
    await store.redis.zadd(key, places | {f"C2:{number}.5": number for number in range(2_000)})
    execute, read = Connection.execute, []

    async def watched(self: Connection, *command: str | int | float) -> Any:
        reply = await execute(self, *command)
        if command[0] == "ZREVRANGE":
            read.append(len(reply))
        return reply

    monkeypatch.setattr(Connection, "execute", watched)
    found = await store.conversations.recent("T1", "U1", limit=2)
    assert [c.thread.thread_ts for c in found] == ["3.0", "2.0"]
    assert read == [100] * 4  # 350 forgotten conversations, and those behind them
    assert await store.redis.zscore(key, "C1:0.5") is None


async def test_idle_conversations_are_found_by_their_last_use(store: Store) -> None:
    await begun(store)
    server_time = (await store.redis.time())[0]

    assert await store.conversations.idle(before=server_time - 60) == []
    assert await store.conversations.idle(before=server_time + 60) == [thread()]
