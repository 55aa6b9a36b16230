"""Conversations on the AI server that no key can delete any more."""

import pytest

from bot.errors import StoreUnavailable
from bot.store import Store, jobs
from bot.store.archive import Orphan
from bot.upkeep.keyless import Keyless

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
