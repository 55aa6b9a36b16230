"""Conversations that were begun recently, remembered outside Redis.

A conversation's id is only in Redis and in the worker that began it. If Redis comes back with an
older state and the worker is gone, the question would be asked again in another conversation.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bot.models import Thread
from bot.store.claims import StreamEntry, pairs, parse_conversation
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.recent import Recent
from bot.store.scripts import RedisCommand, ScriptCall

MOST = 20_000
"""Conversations in the stream of a shard at most: about 10 MB."""
AT_ONCE = 1_000
OVERHEAD = 300
"""Bytes of a conversation in our memory besides its fields."""

BegunRow = tuple[str, str, str]
"""The thread, the time and the fields of a conversation, as they are stored."""


@dataclass(frozen=True, slots=True)
class BegunConversation:
    """A conversation as it was saved, at `used_at` in epoch seconds of the server."""

    thread: Thread
    used_at: str
    fields: dict[str, str]

    def call(self, keys: Keys) -> ScriptCall:
        """The call of `recall`."""
        thread, fields = self.thread, self.fields
        return ScriptCall(
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
    """The conversations that were begun in the last five minutes, as far as there is room."""

    def __init__(self, connection: Connection, keys: Keys, room: int) -> None:
        self._connection = connection
        self._keys = keys
        self._newest = "-"
        self._known = Recent[BegunRow](room)

    @property
    def command(self) -> RedisCommand:
        """The command that reads those begun since the last reply."""
        return ("XRANGE", self._keys.begun, self._newest, "+", "COUNT", AT_ONCE)

    def read(self, reply: Sequence[StreamEntry] | None) -> None:
        """Remember what the reply to `command` contains."""
        for _, row in read_each(self._keys.begun, reply or (), _row):
            self._known.add(row, OVERHEAD + sys.getsizeof(row[-1]))
        if reply:
            self._newest = f"({reply[-1][0]}"

    async def restore(self) -> int:
        """Give threads back the conversations that an older state lacks; returns how many."""
        self._newest = "-"  # the clock of another server may be behind
        rows, restored = [row for _, row in self._known], 0
        for at in range(0, len(rows), AT_ONCE):
            found = read_each(self._keys.begun, rows[at : at + AT_ONCE], _parse)
            calls = [beginning.call(self._keys) for _, beginning in found]
            restored += sum(await self._connection.run_many("recall", calls))
        return restored


def _parse(row: BegunRow) -> BegunConversation:
    """Raises what `UNREADABLE` names."""
    thread, fields = Thread.parse(row[0]), pairs(json.loads(row[2]))
    parse_conversation(thread, fields)
    return BegunConversation(thread, str(float(row[1])), fields)


def _row(entry: StreamEntry) -> BegunRow:
    """Raises what `UNREADABLE` names."""
    _, values = entry
    return values["thread"], values["used_at"], values["fields"]
