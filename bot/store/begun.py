"""Conversations that were begun recently, remembered outside Redis.

A conversation's id is only in Redis and in the worker that began it. If Redis comes back with an
older state and the worker is gone, the question would be asked again in another conversation.
"""

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.models import Thread
from bot.store.claims import pairs, parse_conversation
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.scripts import Call, Command

REMEMBERED = 1_000
REMEMBERED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Beginning:
    """A conversation as it was saved, at `used_at` in epoch seconds of the server."""

    thread: Thread
    used_at: str
    fields: dict[str, str]

    def call(self, keys: Keys) -> Call:
        """The call of `recall`."""
        thread, fields = self.thread, self.fields
        return Call(
            thread,
            {"recent": keys.recent(thread.team_id, fields["user_id"])},
            {
                "name": thread.key,
                "place": f"{thread.channel_id}:{thread.thread_ts}",
                "used_at": self.used_at,
                "orphan": f"{fields['engine']}|{fields['id']}",
                "fields": [part for field in fields.items() for part in field],
            },
        )


class Begun:
    """The conversations that were begun in the last five minutes, at most 1,000."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._newest = "-"
        self._known: deque[tuple[float, Beginning]] = deque(maxlen=REMEMBERED)

    @property
    def command(self) -> Command:
        """The command that reads those begun since the last reply."""
        return ("XRANGE", self._keys.begun, self._newest, "+", "COUNT", REMEMBERED)

    def read(self, reply: Sequence[tuple[str, dict[str, str]]] | None) -> None:
        """Remember what the reply to `command` contains."""
        now, rows = time.monotonic(), reply or ()
        for _, beginning in read_each(self._keys.begun, rows, _parse):
            self._known.append((now, beginning))
        if rows:
            self._newest = f"({rows[-1][0]}"
        while self._known and self._known[0][0] < now - REMEMBERED_SECONDS:
            self._known.popleft()

    async def restore(self) -> int:
        """Give threads back the conversations that an older state lacks; returns how many."""
        calls = [beginning.call(self._keys) for _, beginning in self._known]
        return sum(await self._connection.run_many("recall", calls))


def _parse(row: Any) -> Beginning:
    """Raises what `UNREADABLE` names."""
    _, values = row
    thread, fields = Thread.parse(values["thread"]), pairs(json.loads(values["fields"]))
    parse_conversation(thread, fields)
    return Beginning(thread, str(float(values["used_at"])), fields)
