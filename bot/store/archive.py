"""The end of conversations: idle ones become tombstones, orphans are deleted on the server.

`orphans` holds remote conversations that no thread points to, by the time from which they may be
deleted: new ones until they are mapped, archived ones, and replaced ones. A crash at any point
therefore leaks none. All times are those of Redis's clock.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from bot.models import Conversation, Thread
from bot.store.claims import pairs
from bot.store.connection import Connection
from bot.store.corrupt import read_members
from bot.store.inbox_part import TOMBSTONE_SECONDS
from bot.store.keys import Keys
from bot.store.scanning import scan
from bot.store.scripts import ScriptCall

UNMAPPED_SECONDS = 3600
"""Seconds that a turn may take between beginning a conversation and mapping it."""

ArchiveOutcome = Literal["archived", "busy", "used"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A conversation on the server that no thread points to."""

    engine: str
    conversation_id: str

    @property
    def name(self) -> str:
        """As it is stored in Redis."""
        return f"{self.engine}|{self.conversation_id}"

    @classmethod
    def parse(cls, name: str) -> "Orphan":
        """Read what `name` wrote. Raises ValueError."""
        engine, _, conversation_id = name.partition("|")
        if not engine or not conversation_id:
            raise ValueError("no orphan")
        return cls(engine, conversation_id)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """All deletions that a person waited for, by the names of their orphans."""

    team_id: str
    user_id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """A conversation that may be archived; `used_at` in epoch seconds."""

    thread: Thread
    used_at: float
    orphan: Orphan | None
    """Its remote conversation; None if its hash is gone already."""
    people: frozenset[str]
    """Its known authors: it is removed from their lists."""


class Archive:
    """Idle conversations and orphans."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def watch(self, engine: str, conversation_id: str) -> None:
        """Register a new conversation that is not mapped yet: it becomes an orphan unless it is
        mapped."""
        await self.postpone(Orphan(engine, conversation_id), UNMAPPED_SECONDS)

    async def discard(self, engine: str, conversation_id: str) -> None:
        """Mark a conversation that is no longer needed: the sweep deletes it."""
        await self.postpone(Orphan(engine, conversation_id), 0)

    async def postpone(self, orphan: Orphan, seconds: float) -> None:
        """Schedule the deletion of an orphan in `seconds` from now."""
        await self._connection.run("orphan", seconds=seconds, orphan=orphan.name)

    async def orphans(self, limit: int, now: float) -> list[Orphan]:
        """Some of the orphans that are due."""
        names = await self._connection.execute(
            *("ZRANGEBYSCORE", self._keys.orphans, "-inf", repr(now), "LIMIT", 0, limit)
        )
        found = await read_members(self._connection, self._keys.orphans, names, Orphan.parse)
        return [orphan for _, orphan in found]

    async def drop_orphans(self, orphans: Sequence[Orphan]) -> None:
        """Forget orphans that the server has deleted, with their runs."""
        if orphans:
            names, keys = [orphan.name for orphan in orphans], self._keys
            runs = [keys.runs(orphan.conversation_id) for orphan in orphans]
            await self._connection.execute_many([("ZREM", keys.orphans, *names), ("DEL", *runs)])

    async def note_unconfirmed(self, team_id: str, user_id: str, orphans: Sequence[Orphan]) -> None:
        """Remember that a person waits for the deletion of these orphans."""
        fields = [part for each in orphans for part in (each.name, f"{team_id}|{user_id}")]
        if fields:
            await self._connection.execute("HSET", self._keys.unconfirmed, *fields)

    async def waiting_for(self, orphans: Sequence[Orphan]) -> list[Confirmed]:
        """The people who wait for the deletion of these orphans, with their names."""
        waiting = await self._connection.execute("HGETALL", self._keys.unconfirmed)
        names = sorted(orphan.name for orphan in orphans if orphan.name in waiting)
        return _by_person({name: waiting[name] for name in names})

    async def give_up(self, orphans: Sequence[Orphan]) -> None:
        """Forget orphans that cannot be deleted, and that people wait for it: an orphan that is
        gone while a person waits counts as deleted."""
        if orphans:
            names = [orphan.name for orphan in orphans]
            await self._connection.execute("HDEL", self._keys.unconfirmed, *names)
            await self.drop_orphans(orphans)

    async def confirmed(self) -> list[Confirmed]:
        """The people for whom no orphan is left, until `forget_confirmed`."""
        keys = self._keys
        waiting = await self._connection.execute("HGETALL", keys.unconfirmed)
        places = await self._connection.execute_many(
            [("ZSCORE", keys.orphans, name) for name in waiting]
        )
        left = {who for who, place in zip(waiting.values(), places, strict=True) if place}
        return _by_person({name: who for name, who in waiting.items() if who not in left})

    async def forget_confirmed(self, confirmed: Confirmed) -> None:
        """Record that the person was informed."""
        await self._connection.execute("HDEL", self._keys.unconfirmed, *confirmed.names)

    async def runs(self, orphan: Orphan) -> list[str]:
        """The ids of a conversation's runs, oldest first."""
        key = self._keys.runs(orphan.conversation_id)
        found: list[str] = await self._connection.execute("LRANGE", key, 0, -1)
        return found

    async def forget_runs(self, orphan: Orphan, run_ids: Sequence[str]) -> None:
        """Forget runs that the server has deleted."""
        key = self._keys.runs(orphan.conversation_id)
        if run_ids:
            await self._connection.execute_many([("LREM", key, 0, id) for id in run_ids])

    async def has_orphans(self, ending: str) -> bool:
        """Whether there are orphans of an engine whose name has this ending."""
        async with aclosing(
            scan(self._connection, "ZSCAN", self._keys.orphans, match=f"*{ending}|*")
        ) as pages:
            async for found in pages:
                if found:
                    return True
        return False

    async def count(self, now: float) -> int:
        """The number of orphans that are due."""
        return int(await self._connection.execute("ZCOUNT", self._keys.orphans, "-inf", repr(now)))

    async def idle(self, before: float, limit: int, skip: int = 0) -> list[Idle]:
        """Conversations last used before a time, longest idle first, in two round trips."""
        flat = await self._connection.execute(
            *("ZRANGEBYSCORE", self._keys.idle, "-inf", f"({before!r}", "WITHSCORES"),
            *("LIMIT", skip, limit),
        )
        used_at = pairs(flat)
        found = await read_members(self._connection, self._keys.idle, flat[::2], Thread.parse)
        known = await self._look([thread for _, thread in found])
        return [
            Idle(thread, float(used_at[name]), *facts)
            for (name, thread), facts in zip(found, known, strict=True)
        ]

    async def _look(self, threads: Sequence[Thread]) -> list[tuple[Orphan | None, frozenset[str]]]:
        """The remote ids and the authors of some conversations, in one round trip."""
        keys = self._keys
        flat = await self._connection.execute_many(
            [("HMGET", keys.conversation(t), "engine", "id", "user_id") for t in threads]
            + [("HKEYS", keys.speakers(t)) for t in threads]
        )
        known = []
        for (engine, id_, user_id), spoke in zip(
            flat[: len(threads)], flat[len(threads) :], strict=True
        ):
            people = frozenset(who for who in (user_id, *spoke) if who and not who.startswith("@"))
            known.append((Orphan(engine, id_) if id_ else None, people))
        return known

    async def archive(self, due: Sequence[tuple[Idle, float]]) -> list[ArchiveOutcome]:
        """Turn conversations into tombstones unless they are in use again, in one round trip.

        Each comes with the time before which it must have been used last.
        """
        if not due:
            return []
        fates: list[ArchiveOutcome] = await self._connection.run_many(
            "archive", [self._call(idle, repr(before)) for idle, before in due]
        )
        return fates

    async def forget(self, conversations: Sequence[Conversation]) -> list[ArchiveOutcome]:
        """Archive on request, however recently they were used; `busy`: a turn is running."""
        known = await self._look([c.thread for c in conversations])
        found = [Idle(c.thread, 0, *facts) for c, facts in zip(conversations, known, strict=True)]
        fates: list[ArchiveOutcome] = await self._connection.run_many(
            "archive", [self._call(idle, "+inf") for idle in found]
        )
        return fates

    async def discard_threads(self, threads: Sequence[Thread]) -> None:
        """Archive the threads of a workspace without the bot; lists of people are left out."""
        known = await self._look(threads)
        found = [
            Idle(t, 0, orphan, frozenset()) for t, (orphan, _) in zip(threads, known, strict=True)
        ]
        await self._connection.run_many("archive", [self._call(idle, "+inf") for idle in found])

    def _call(self, idle: Idle, before: str) -> ScriptCall:
        thread, people = idle.thread, sorted(idle.people)
        return ScriptCall(
            thread,
            keys={"recent": [self._keys.recent(thread.team_id, user_id) for user_id in people]},
            args={
                "name": thread.key,
                "place": f"{thread.channel_id}:{thread.thread_ts}",
                "before": before,
                "tombstone_seconds": TOMBSTONE_SECONDS,
            },
        )


def _by_person(waiting: Mapping[str, str]) -> list[Confirmed]:
    """The people in rows of `unconfirmed`, each with the names of their orphans."""
    names_of: dict[str, list[str]] = {}
    for name, person in waiting.items():
        names_of.setdefault(person, []).append(name)
    people = ((*person.partition("|"), tuple(names)) for person, names in names_of.items())
    return [Confirmed(team_id, user_id, names) for team_id, _, user_id, names in people]
