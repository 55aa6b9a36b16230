"""Workers: their leases, and the recovery of threads whose worker is gone."""

import secrets
from collections.abc import Collection, Sequence

from bot.models import Thread
from bot.store.claims import Claim, Entry, HeartbeatReply, pairs, parse_interrupts
from bot.store.connection import Connection
from bot.store.corrupt import read_each, read_members
from bot.store.inbox_part import SeenBeats
from bot.store.journal import Turn
from bot.store.keys import GROUP, Keys
from bot.store.places import recover_places
from bot.store.recovery import reinstate
from bot.store.retries import NoGroup
from bot.store.scripts import ScriptCall
from bot.store.taking import read_entries

WAKE_AT_ONCE = 1000
MOVE_AT_ONCE = 500


class Workers:
    """All workers of all processes; a worker is identified by a unique name."""

    def __init__(self, connection: Connection, keys: Keys, seen: SeenBeats) -> None:
        self._connection = connection
        self._keys = keys
        self._seen = seen
        self._states: dict[str, tuple[str, str]] = {}

    async def beat(self, worker: str, ttl: float) -> HeartbeatReply:
        """Renew a worker's lease for `ttl` seconds and wake threads that are due; returns what is
        new.

        Call this before the first `read_ready`, and then well within `ttl`, about once a second.
        """
        keys = self._keys
        (
            late,
            epoch,
            due,
            interrupts,
            lost,
            circuits,
            beats,
            restored_at,
            due_soon,
        ) = await self._connection.run(
            "beat",
            worker=worker,
            seconds=ttl,
            most=WAKE_AT_ONCE,
            new_epoch=secrets.token_hex(8),
            seen_beats=self._seen.count,
        )
        self._seen.count = max(self._seen.count, beats)
        before = self._states.get(worker)
        self._states[worker] = (epoch, restored_at)
        members = await read_members(self._connection, keys.later, due, Thread.parse)
        await self.wake([thread for _, thread in members])
        if lost:
            await recover_places(self._connection, self._keys)
        return HeartbeatReply(
            parse_interrupts(interrupts),
            late=bool(late) and before is not None,
            data_lost=before is not None and before[0] != epoch,
            restored=before is not None and before[1] != restored_at,
            due_soon=bool(due_soon),
            circuits={name: (reason, float(retry)) for name, reason, retry in circuits},
        )

    async def trust_server(self) -> None:
        """Treat the next server as the previous one, which was stopped cleanly and lost
        nothing."""
        await self._connection.execute("HDEL", self._keys.pulse, "run_id")

    async def wake(self, threads: Sequence[Thread]) -> None:
        """Make threads ready that were to come back later."""
        await self._connection.run_many(
            "wake", [ScriptCall(thread, args={"name": thread.key}) for thread in threads]
        )

    async def rescue(self, worker: str, limit: int = MOVE_AT_ONCE) -> int:
        """Requeue up to `limit` threads of workers whose lease has expired.

        `worker` is the caller. No thread is moved until heartbeats have arrived for one `ttl`
        without a gap: otherwise the server itself was down. Returns the number of moved threads.
        """
        moved = 0
        for gone in await self._connection.run("dead", worker=worker):
            moved += await self._requeue(await self._pending(gone, limit - moved), crashed=True)
            if moved >= limit:
                break
            await self._retire(gone)
        return moved

    async def rescue_own(self, worker: str, held: Collection[str], idle: float = 5.0) -> int:
        """Requeue threads that Redis counts as ours but that we do not hold.

        This happens when the reply to a `read_ready` was lost. `held` are the ids of known entries;
        entries younger than `idle` seconds are skipped. Returns the number of moved threads.
        """
        strays = await self._connection.run(
            "strays", worker=worker, ms=int(idle * 1000), known_ids=tuple(held)
        )
        found = read_each(
            self._keys.ready, pairs(strays).items(), lambda row: Entry(Thread.parse(row[1]), row[0])
        )
        entries = [entry for _, entry in found]
        return await self._requeue(entries, crashed=False)

    async def hand_over(self, worker: str, keep: Collection[str] = ()) -> int:
        """Requeue all threads of a leaving worker for the others.

        Counts neither as a failure nor as a crash. The released claims are refused from now on.
        Entries whose ids are in `keep` stay; call it again without `keep` at the end. Returns the
        number of moved threads.
        """
        moved, after = 0, "0"
        while entries := await self._pending(worker, MOVE_AT_ONCE, after):
            after = entries[-1].id
            gone = [entry for entry in entries if entry.id not in keep]
            moved += await self._requeue(gone, crashed=False)
        if not keep:
            await self._retire(worker)
        return moved

    async def held(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims that are still valid."""
        fences = await self._connection.execute_many(
            [("HGET", self._keys.thread(claim.thread), "claim") for claim in claims]
        )
        return [claim for claim, fence in zip(claims, fences, strict=True) if fence == claim.fence]

    async def reinstate(self, turn: Turn) -> bool:
        """Write back a turn that Redis may have lost; returns whether our claim is still valid."""
        return await reinstate(self._connection, self._keys, turn)

    async def _pending(self, worker: str, count: int, after: str = "0") -> list[Entry]:
        command = ("XREADGROUP", "GROUP", GROUP, worker, "COUNT", count)
        try:
            reply = await self._connection.execute(*command, "STREAMS", self._keys.ready, after)
        except NoGroup:
            return []
        return await read_entries(self._connection, self._keys, reply)

    async def _requeue(self, entries: Sequence[Entry], *, crashed: bool) -> int:
        moved = await self._connection.run_many(
            "requeue",
            [
                ScriptCall(
                    entry.thread,
                    args={"entry": entry.id, "name": entry.thread.key, "crashed": int(crashed)},
                )
                for entry in entries
            ],
        )
        return sum(moved)

    async def _retire(self, worker: str) -> None:
        await self._connection.run("retire", worker=worker)
