"""A rollover is journaled: after a crash it continues where it stopped."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from bot.engines.echo import EchoEngine
from bot.errors import Retry
from bot.models import Conversation, Record, Run, Thread, Update
from bot.store import Store
from bot.turn.batch import Request
from bot.turn.rollover import HEAD, KEPT_LINES, shorten
from tests.store.builders import deliver, take_one


class Interrupted(EchoEngine):
    """An engine that counts what is begun, and fails the first time it is followed."""

    begun = 0
    broken = False

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        self.begun += 1
        return await super().begin(thread, user_id, history)

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        if not self.broken:
            self.broken = True
            raise Retry("broken off")
        async for update in super().follow(run, conversation):
            yield update


async def test_an_interrupted_summary_is_resumed(store: Store) -> None:
    engine = Interrupted(":memory:", first=0, word=0)
    history = [Record("user", f"line {number}", f"{number}.0", "U1") for number in range(20)]
    try:
        await deliver(store, "1.0")
        claim = await take_one(store)
        request = Request(claim.messages, None)
        with pytest.raises(Retry):
            await shorten(store.turns.open(claim), engine, store, request, history)
        await store.inbox.release(claim, 0, "broken off")
        await store.workers.beat("anna", 60)
        again = await take_one(store)
        lines = await shorten(store.turns.open(again), engine, store, request, history)
    finally:
        engine.close()
    assert again.turn_id == claim.turn_id
    assert engine.begun == 1
    assert lines[0].text.startswith(HEAD)
    assert "line 3" in lines[0].text
    assert lines[1:] == history[-KEPT_LINES:]
    (orphan,) = await store.archive.orphans(10, await store.now())
    assert orphan.engine == "echo"
