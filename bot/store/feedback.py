"""Feedback on answers: one entry for each person and answer, with an optional note."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bot.models import Thread, decode, encode
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.scanning import scan

LATEST_SECONDS = 90 * 86400

Vote = Literal["positive", "negative"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One person's feedback on the answer of one turn. `run_id` is the server's id of the answer:
    `resp_...` or `run_...`; `at` is in epoch seconds."""

    turn_id: str
    run_id: str
    thread: Thread
    user_id: str
    vote: Vote
    at: float
    note: str = ""


class FeedbackStore:
    """All feedback, and which answer of a thread is the last one."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def save(self, feedback: Feedback) -> None:
        """Save it; it replaces the person's earlier feedback on this answer."""
        field = f"{feedback.turn_id}:{feedback.user_id}"
        await self._connection.execute("HSET", self._keys.feedback, field, encode(feedback))

    async def list(self) -> list[Feedback]:
        """All feedback, oldest first."""
        return sorted((await self._all()).values(), key=lambda feedback: feedback.at)

    async def expire(self, before: Callable[[Thread], float]) -> int:
        """Delete feedback older than the time for its thread; returns how many entries."""
        return await self._drop(lambda feedback: feedback.at < before(feedback.thread))

    async def forget(self, team_id: str, user_id: str) -> None:
        """Delete a person's feedback, and the note that the person was greeted."""
        await self._drop(lambda f: (f.thread.team_id, f.user_id) == (team_id, user_id))
        await self._connection.execute("SREM", self._keys.greeted(team_id), user_id)

    async def forget_team(self, team_id: str) -> None:
        """Delete all feedback of a workspace."""
        await self._drop(lambda feedback: feedback.thread.team_id == team_id)

    async def _drop(self, is_meant: Callable[[Feedback], bool]) -> int:
        meant = [field for field, each in (await self._all()).items() if is_meant(each)]
        if meant:
            await self._connection.execute("HDEL", self._keys.feedback, *meant)
        return len(meant)

    async def _all(self) -> dict[str, Feedback]:
        found: dict[str, str] = {}
        async for page in scan(self._connection, "HSCAN", self._keys.feedback):
            found |= page
        return {
            field: feedback
            for (field, _), feedback in read_each(self._keys.feedback, found.items(), _parse)
        }

    async def is_last(self, thread: Thread, turn_id: str) -> bool:
        """Whether this turn's answer is still the last one."""
        found = await self._connection.execute("GET", self._keys.latest(thread))
        return (found or "").partition(" ")[0] == turn_id

    async def greet(self, team_id: str, user_id: str) -> bool:
        """Mark a person as greeted; True if they were not before."""
        name = self._keys.greeted(team_id)
        return bool(await self._connection.execute("SADD", name, user_id))


def _parse(row: tuple[str, str]) -> Feedback:
    return decode(Feedback, row[1])
