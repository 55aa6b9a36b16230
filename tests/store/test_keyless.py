"""Conversations on the AI server that no key can delete any more."""

import asyncio
from contextlib import closing

import pytest

from bot.engines import Engine
from bot.engines.echo import EchoEngine
from bot.engines.keyed import KEY_UNREADABLE
from bot.errors import Retry, StoreUnavailable
from bot.store import Store, jobs
from bot.store.archive import Orphan
from bot.upkeep.keyless import Keyless
from bot.upkeep.sweeper import DELETES_AT_ONCE, Sweeper

ORPHAN = Orphan("responses@former", "conv-1")


async def test_after_a_crash_a_person_still_learns_what_was_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.archive.discard(ORPHAN.engine, ORPHAN.conversation_id)
    await store.archive.note_unconfirmed("T1", "U1", [ORPHAN])

    async def crash(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "ask", crash)
        with pytest.raises(StoreUnavailable):
            await Keyless(store).give_up([ORPHAN])
    assert await store.archive.confirmed() == []
    for _ in range(2):
        await Keyless(store).give_up([ORPHAN])
    assert (await store.inbox.depth()).waiting == 1
    assert await store.redis.exists(store.keys.orphans, store.keys.unconfirmed) == 0
    assert await store.archive.confirmed() == []


async def test_a_sweep_searches_for_a_missing_key_once(store: Store) -> None:
    searches = []

    async def find(name: str) -> Engine | None:
        searches.append(name)
        return None

    with closing(EchoEngine(":memory:")) as engine:
        sweeper = Sweeper(store, engine, 0, find_engine=find, pause=0)
        for sweeps in (1, 2):
            for number in range(3 * DELETES_AT_ONCE):
                await store.archive.discard(ORPHAN.engine, f"conv-{number}")
            assert (await sweeper.sweep()).kept == 3 * DELETES_AT_ONCE
            assert sweeps <= len(searches) <= sweeps * DELETES_AT_ONCE


async def test_orphans_whose_key_cannot_be_read_end_no_sweep(store: Store) -> None:
    async def find(name: str) -> Engine | None:
        if name != engine.name:
            raise Retry(KEY_UNREADABLE)
        return engine

    with closing(EchoEngine(":memory:")) as engine:
        sweeper = Sweeper(store, engine, 0, find_engine=find, pause=0)
        for number in range(DELETES_AT_ONCE):
            await store.archive.discard(ORPHAN.engine, f"conv-{number}")
        await asyncio.sleep(0.01)  # these are the oldest, and one group
        await store.archive.discard(engine.name, "conv-last")
        swept = await sweeper.sweep()
        assert (swept.deleted, swept.kept) == (1, DELETES_AT_ONCE)


async def test_a_sweep_ends_when_a_legal_hold_begins(store: Store) -> None:
    async def find(name: str) -> Engine | None:
        await store.hold.begin()
        return engine

    with closing(EchoEngine(":memory:")) as engine:
        sweeper = Sweeper(store, engine, 0, find_engine=find, pause=0)
        for number in range(3 * DELETES_AT_ONCE):
            await store.archive.discard(engine.name, f"conv-{number}")
        swept = await sweeper.sweep()
        assert (swept.deleted, swept.held) == (DELETES_AT_ONCE, True)
        assert await store.redis.zcard(store.keys.orphans) == 2 * DELETES_AT_ONCE
        await store.hold.end()
