"""The common base of the parts of the inbox: connections, and maximum sizes."""

from dataclasses import dataclass

from bot.models import Message
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.store.records import RecordWriter
from bot.store.redelivery import Redelivery

SEEN_SECONDS = 26 * 3600
"""Slack delivers again up to 25 hours later."""
TOMBSTONE_SECONDS = 90 * 86400
RECORDS = 200
RUNS = 1000
RECORD_BYTES = 400_000


@dataclass(slots=True)
class SeenBeats:
    """The highest count of heartbeats that this process saw in Redis. A lower count in Redis means
    that it came back with an older state."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class InboxBounds:
    """Maximum sizes: messages in one thread's inbox, spare room there for commands (a stop, a
    reset), and dead letters."""

    messages: int = 1_000
    spare: int = 100
    dead_letters: int = 10_000

    def room_for(self, message: Message) -> int:
        """The size of the thread's inbox up to which this message is accepted."""
        return self.messages if message.kind == "message" else self.messages + self.spare


class InboxPart:
    """One part of the inbox."""

    def __init__(
        self,
        connection: Connection,
        pulse: Connection,
        keys: Keys,
        bounds: InboxBounds = InboxBounds(),
        seen: SeenBeats | None = None,
        redelivery: Redelivery | None = None,
    ) -> None:
        self._connection = connection
        self._seen = seen or SeenBeats()
        self._redelivery = redelivery
        self._bounds = bounds
        self._pulse = pulse
        self._keys = keys
        self._records = RecordWriter(connection, keys)
