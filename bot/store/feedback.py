"""What people think of answers: one line for each person and answer, and their notes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bot.models import Thread, decode, encode
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys

LATEST_SECONDS = 90 * 86400
SCANNED = 500

Vote = Literal["positive", "negative"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of the answer of one turn. `run_id` is the server's id of the answer:
    `resp_...` or `run_...`; `at` in epoch seconds."""

    turn_id: str
    run_id: str
    thread: Thread
    user_id: str
    vote: Vote
    at: float
    note: str = ""


class FeedbackBook:
    """All that people said, and which answer of a thread is the last one."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def save(self, feedback: Feedback) -> None:
        """Keep it, in the place of what this person said of this answer before."""
        field = f"{feedback.turn_id}:{feedback.user_id}"
        await self._connection.execute("HSET", self._keys.feedback, field, encode(feedback))

    async def list(self) -> list[Feedback]:
        """Everything, in the order of time."""
        return sorted((await self._all()).values(), key=lambda feedback: feedback.at)

    async def expire(self, before: float) -> int:
        """Throw away what was said before this time; returns how much."""
        return await self._drop(lambda feedback: feedback.at < before)

    async def forget(self, team_id: str, user_id: str) -> None:
        """Throw away what a person said, and that the person was ever greeted."""
        await self._drop(lambda f: (f.thread.team_id, f.user_id) == (team_id, user_id))
        await self._connection.execute("SREM", self._keys.greeted(team_id), user_id)

    async def _drop(self, is_meant: Callable[[Feedback], bool]) -> int:
        meant = [field for field, each in (await self._all()).items() if is_meant(each)]
        if meant:
            await self._connection.execute("HDEL", self._keys.feedback, *meant)
        return len(meant)

    async def _all(self) -> dict[str, Feedback]:
        found: dict[str, str] = {}
        cursor = "0"
        while True:
            cursor, page = await self._connection.execute(
                "HSCAN", self._keys.feedback, cursor, "COUNT", SCANNED
            )
            found |= page
            if str(cursor) == "0":
                break
        return {
            field: feedback
            for (field, _), feedback in read_each(self._keys.feedback, found.items(), _parse)
        }

    async def answered(self, thread: Thread, turn_id: str, ts: str = "") -> str:
        """Make this turn's answer the last one of the thread; `ts` is its message with buttons.

        Returns the `ts` of the answer that was the last one until now, or "".
        """
        name, value = self._keys.latest(thread), f"{turn_id} {ts}".rstrip()
        old, _ = await self._connection.execute_many(
            [("GET", name), ("SET", name, value, "EX", LATEST_SECONDS)]
        )
        turn, _, previous = (old or "").partition(" ")
        return "" if turn == turn_id else previous

    async def is_last(self, thread: Thread, turn_id: str) -> bool:
        """Whether no other answer has come after this turn's."""
        found = await self._connection.execute("GET", self._keys.latest(thread))
        return (found or "").partition(" ")[0] == turn_id

    async def greet(self, team_id: str, user_id: str) -> bool:
        """Whether this person has never been greeted; from now on they have."""
        name = self._keys.greeted(team_id)
        return bool(await self._connection.execute("SADD", name, user_id))


def _parse(row: tuple[str, str]) -> Feedback:
    return decode(Feedback, row[1])
