"""Dead letters: turns that were given up, with the reason, to be retried or dropped."""

import time
from dataclasses import dataclass, replace

from bot.models import Message, Thread, decode, encode
from bot.store.claims import Claim
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The messages of one turn that failed for good; `id` is the turn's, `at` in epoch seconds."""

    id: str
    thread: Thread
    reason: str
    at: float
    attempts: int
    crashes: int
    messages: tuple[Message, ...]
    dependency: str = ""
    """The dependency that was down; such a letter is retried automatically once it recovers."""

    @classmethod
    def of(cls, claim: Claim, reason: str, dependency: str = "") -> "DeadLetter":
        """The dead letter of a claim."""
        return cls(
            id=claim.turn_id,
            thread=claim.thread,
            reason=reason,
            at=time.time(),
            attempts=claim.attempt + 1,
            crashes=claim.crashes,
            messages=tuple(replace(each, action_token="") for each in claim.messages),
            dependency=dependency,
        )


class DeadLetters:
    """All dead letters. They do not expire."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def list(self) -> tuple[DeadLetter, ...]:
        """All letters, oldest first."""
        key = self._keys.dead
        texts = (await self._connection.execute("HGETALL", key)).values()
        letters = [letter for _, letter in read_each(key, texts, _parse)]
        return tuple(sorted(letters, key=lambda letter: letter.at))

    async def find(self, id: str) -> DeadLetter | None:
        """One letter."""
        text = await self._connection.execute("HGET", self._keys.dead, id)
        found = read_each(self._keys.dead, [text] if text else [], _parse)
        return found[0][1] if found else None

    async def retry(self, id: str) -> bool:
        """Put the letter's messages back into their thread; False if there is no such letter."""
        letter = await self.find(id)
        if letter is None:
            return False
        thread = letter.thread
        messages = [part for m in letter.messages for part in (m.ts, encode(m))]
        return bool(
            await self._connection.run("retry", thread, id=id, name=thread.key, messages=messages)
        )

    async def save(self, letter: DeadLetter) -> None:
        """Replace a letter."""
        await self._connection.execute("HSET", self._keys.dead, letter.id, encode(letter))

    async def with_message(self, thread: Thread, ts: str) -> tuple[DeadLetter, ...]:
        """The letters of the last 90 days that hold a message."""
        texts = await self._connection.run("dead_of", thread, text=ts)
        letters = [letter for _, letter in read_each(self._keys.dead, texts, _parse)]
        return tuple(
            letter
            for letter in letters
            if letter.thread == thread and any(m.ts == ts for m in letter.messages)
        )

    async def withdraw(self, thread: Thread, ts: str) -> None:
        """Remove a deleted message."""
        for letter in await self.with_message(thread, ts):
            await self.keep_only(letter, tuple(m for m in letter.messages if m.ts != ts))

    async def keep_only(self, letter: DeadLetter, messages: tuple[Message, ...]) -> None:
        """Remove the other messages from a letter; without any left, the letter too."""
        if messages:
            await self.save(replace(letter, messages=messages))
        else:
            await self.drop(letter.id)

    async def drop(self, id: str) -> bool:
        """Delete a letter; False if there is no such letter."""
        return bool(await self._connection.execute("HDEL", self._keys.dead, id))

    async def drop_team(self, team_id: str) -> None:
        """Delete all letters of a workspace."""
        for letter in await self.list():
            if letter.thread.team_id == team_id:
                await self.drop(letter.id)


def _parse(text: str) -> DeadLetter:
    return decode(DeadLetter, text)
