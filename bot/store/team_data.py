"""Finds and deletes the data of one workspace after the bot was removed from it."""

from collections.abc import AsyncIterator

from bot.models import Thread
from bot.store.archive import Archive
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.dead import DeadLetters
from bot.store.feedback import FeedbackStore
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.scanning import scan
from bot.store.sealed import KINDS, Sealed
from bot.store.workspace_settings import KEY_KIND


class TeamData:
    """Finds what belongs to a workspace by the names of its keys."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        inbox: Inbox,
        archive: Archive,
        feedback: FeedbackStore,
        dead: DeadLetters,
        sealed: Sealed,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._inbox = inbox
        self._archive = archive
        self._feedback = feedback
        self._dead = dead
        self._sealed = sealed

    async def stop_turns(self, team_id: str) -> int:
        """Stop all turns of a workspace; returns how many were under way."""
        stopped = 0
        async for names in self._scan(f"thread:{team_id}:*"):
            for thread in self._threads("thread", names):
                stopped += await self._inbox.interrupt(thread, "stop")
        return stopped

    async def delete(self, team_id: str) -> int:
        """Delete everything but usage totals in the log, the audit trail, and the workspace's own
        key of the AI server; returns the number of keys. Conversations on the AI server become
        orphans, which the sweep deletes, with that key.

        It may be repeated after a crash.
        """
        for family in ("thread", "inbox", "turn"):  # a thread at work would keep its conversation
            async for names in self._scan(f"{family}:{team_id}:*"):
                await self._connection.execute_many([("DEL", name) for name in names])
        async for names in self._scan(f"conversation:{team_id}:*"):
            await self._archive.discard_threads(self._threads("conversation", names))
        await self._feedback.forget_team(team_id)
        await self._dead.drop_team(team_id)
        for kind in (each for each in KINDS if each != KEY_KIND):
            for name in await self._sealed.names(kind):
                if name == team_id or name.startswith((f"{team_id}:", f"{team_id}|")):
                    await self._sealed.remove(kind, name)
        await self._connection.execute("SREM", self._keys.teams, team_id)
        return await self._delete_keys(team_id)

    async def _delete_keys(self, team_id: str) -> int:
        deleted = 0
        for pattern in (f"*:{team_id}", f"*:{team_id}:*"):
            async for names in self._scan(pattern):
                own = [name for name in names if self._team_of(name) == team_id]
                if own:
                    deleted += await self._connection.execute("DEL", *own)
        return deleted

    def _team_of(self, name: str) -> str:
        """The second part of a key's name, which is a team's in all families that have one."""
        return ":".join(name.removeprefix(self._keys.name("")).split(":")[1:2])

    def _threads(self, family: str, names: list[str]) -> list[Thread]:
        start = self._keys.name(family, "")
        found = read_each(start, [name.removeprefix(start) for name in names], Thread.parse)
        return [thread for _, thread in found]

    async def _scan(self, pattern: str) -> AsyncIterator[list[str]]:
        async for names in scan(self._connection, "SCAN", match=self._keys.escaped(pattern)):
            yield list(names)
