"""The backlog: how many threads wait, which of them no worker holds, and the state of one."""

from typing import Literal

from bot.models import Thread, decode
from bot.store.claims import Depth, ThreadState, Wait
from bot.store.corrupt import read_count, read_each
from bot.store.inbox_part import InboxPart


class Backlog(InboxPart):
    """The state of the inbox, for diagnosis, alerts and waiting notices."""

    async def depth(self) -> Depth:
        """The backlog."""
        waiting, claimed, later, dead, workers, age = await self._connection.run("depth")
        return Depth(waiting, claimed, later, dead, workers, age / 1000)

    async def unattended(self, seconds: float, most: int = 200) -> dict[Thread, Wait]:
        """Threads that no live worker has held for `seconds`, and why; at most `most` of each
        kind. Threads that wait for a person's approval are not among them.
        """
        found = await self._connection.run("unattended", seconds=seconds, most=most)
        pairs = zip(found[::2], found[1::2], strict=True)
        rows = read_each(self._keys.ready, pairs, lambda pair: Thread.parse(pair[1]))
        if not rows:
            return {}
        asking = await self._connection.execute_many(
            [("HMGET", self._keys.thread(thread), "requester", "entry") for _, thread in rows]
        )
        return {
            thread: why
            for ((why, _), thread), (requester, entry) in zip(rows, asking, strict=True)
            if entry or not requester
        }

    async def state(self, thread: Thread) -> ThreadState:
        """The state of one thread, for diagnosis and tests."""
        keys = self._keys
        busy, messages, turn, due, interrupt = await self._connection.execute_many(
            [
                ("HGETALL", keys.thread(thread)),
                ("HKEYS", keys.inbox(thread)),
                ("HGETALL", keys.turn(thread)),
                ("ZSCORE", keys.later, thread.key),
                ("HGET", keys.interrupts, thread.key),
            ]
        )
        found = read_each(keys.turn(thread), [turn.get("taken", "[]")], _parse_taken)
        taken = found[0][1] if found else ()
        return ThreadState(
            state=_state(busy, due),
            waiting=tuple(sorted(set(messages) - set(taken))),
            taken=taken,
            worker=busy.get("worker", ""),
            turn_id=turn.get("id", ""),
            attempts=read_count(keys.thread(thread), busy.get("attempts")),
            crashes=read_count(keys.thread(thread), busy.get("crashes")),
            reason=busy.get("reason", ""),
            interrupt=interrupt or "",
            requester=busy.get("requester", ""),
        )


def _parse_taken(text: str) -> tuple[str, ...]:
    return decode(tuple[str, ...], text)


def _state(busy: dict[str, str], due: str | None) -> Literal["idle", "ready", "claimed", "later"]:
    if due is not None:
        return "later"
    if not busy:
        return "idle"
    return "claimed" if "claim" in busy else "ready"
