"""Mentions that this process has just stored: Slack delivers each of them twice."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from bot.models import Message

R = TypeVar("R")

MOST = 100
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Stored:
    message: Message
    at: float
    done: "asyncio.Future[bool]"


class DuplicateMentions:
    """The newest messages of this process, each with whether it was stored.

    Slack sends a mention as `message` and as `app_mention`, often at the same moment. The second is
    acknowledged once the first of the two is stored, without another call of Redis.
    """

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], _Stored] = {}

    async def was_stored(self, message: Message) -> bool:
        """Whether the same message was stored a moment ago; waits for one that is being stored."""
        found = self._stored.get(_key(message))
        if found is None or found.message != _content(message):
            return False
        return time.monotonic() - found.at < SECONDS and await asyncio.shield(found.done)

    async def store(
        self, message: Message, work: Callable[[], Awaitable[R]], is_stored: Callable[[R], bool]
    ) -> R:
        """The result of `work`, which stores a message; `is_stored` says whether it did."""
        done = asyncio.get_running_loop().create_future()
        self._stored.pop(_key(message), None)
        self._stored[_key(message)] = _Stored(_content(message), time.monotonic(), done)
        if len(self._stored) > MOST:
            del self._stored[next(iter(self._stored))]
        try:
            result = await work()
            done.set_result(is_stored(result))
        finally:
            if not done.done():
                done.set_result(False)
        return result


def _key(message: Message) -> tuple[str, str]:
    return message.thread.key, message.ts


def _content(message: Message) -> Message:
    return replace(message, event_id="", trace="", action_token="")
