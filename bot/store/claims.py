"""What the inbox speaks of: deliveries, entries, claims, the state of a thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from bot.models import Conversation, Message, Thread, decode
from bot.store.channel_settings import ChannelSettings, newest

Interrupt = Literal["stop", "reset"]
Amendment = Literal["waiting", "taken", "absent"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message: `new` or seen before; how many wait in its thread, itself
    included; whether a turn is under way there."""

    new: bool
    waiting: int
    active: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A thread that was read from the stream of ready threads, and is ours to take.

    `begun`: a worker that is gone had its turn, so that there is nothing to gather.
    """

    thread: Thread
    id: str
    begun: bool = False

    @property
    def since(self) -> float:
        """When the thread became ready, in epoch seconds of the server."""
        return int(self.id.partition("-")[0]) / 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a thread, and what there is to work on.

    `fence` is the word that every write of the holder carries. `attempt` counts the failures of
    this turn so far, `crashes` the workers that died over it. `taken_at` is when the turn was
    begun, in epoch seconds of the server; it stays when another worker goes on with it. `steps`
    holds what the steps done so far gave, as JSON, `intents` the names of all that were begun.
    """

    thread: Thread
    entry: str
    worker: str
    fence: str
    turn_id: str
    messages: tuple[Message, ...]
    taken_at: float
    attempt: int = 0
    crashes: int = 0
    steps: Mapping[str, str] = field(default_factory=dict, compare=False)
    intents: frozenset[str] = frozenset()
    conversation: Conversation | None = None
    archived: float = 0.0
    """When a conversation that was archived meanwhile was last used, in epoch seconds."""
    settings: tuple[str, ...] = ()
    """The newest version of what was set for the channel, if there is any, as JSON."""

    @property
    def channel(self) -> ChannelSettings:
        """What holds in the thread's channel."""
        return newest(self.settings)

    @property
    def resumed(self) -> bool:
        """Whether somebody worked on this turn before."""
        return bool(self.intents or self.attempt or self.crashes)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker hears once a second.

    `interrupts`: turns that are to end, by `Thread.key`, of all workers. `late`: we were given up
    for dead since the last beat, so others may hold our threads. `data_lost`: Redis came back
    without what it held at the last beat.
    """

    interrupts: Mapping[str, Interrupt]
    late: bool = False
    data_lost: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """How much there is to do: threads in each state, dead letters, living workers.

    `oldest_age` is how long the first of the waiting threads has been waiting, in seconds.
    """

    waiting: int
    claimed: int
    later: int
    dead: int
    workers: int
    oldest_age: float


@dataclass(frozen=True, slots=True)
class ThreadState:
    """One thread as it stands in Redis; `waiting` and `taken` are the ts of its messages."""

    state: Literal["idle", "ready", "claimed", "later"]
    waiting: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    worker: str = ""
    turn_id: str = ""
    attempts: int = 0
    crashes: int = 0
    reason: str = ""
    interrupt: str = ""


def pairs(flat: list[str]) -> dict[str, str]:
    """Read the flat list of fields and values that a script gives for a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def parse_claim(entry: Entry, fence: str, worker: str, reply: Sequence[list[str]]) -> Claim:
    """Read what the script `take` gave."""
    messages, settings = reply[0], reply[4]
    turn, thread, conversation = map(pairs, reply[1:4])
    return Claim(
        thread=entry.thread,
        entry=entry.id,
        worker=worker,
        fence=fence,
        turn_id=turn["id"],
        messages=tuple(decode(Message, message) for message in messages),
        taken_at=float(turn["taken_at"]),
        attempt=int(thread.get("attempts", 0)),
        crashes=int(thread.get("crashes", 0)),
        steps={name[1:]: value for name, value in turn.items() if name.startswith("=")},
        intents=frozenset(name[1:] for name in turn if name.startswith("?")),
        conversation=parse_conversation(entry.thread, conversation),
        archived=float(conversation.get("archived", 0)),
        settings=tuple(settings),
    )


def parse_conversation(thread: Thread, fields: Mapping[str, str]) -> Conversation | None:
    """Read the hash of a conversation; None where only a tombstone is left."""
    if "id" not in fields:
        return None
    return Conversation(
        id=fields["id"],
        engine=fields["engine"],
        thread=thread,
        user_id=fields["user_id"],
        created_at=float(fields["created_at"]),
        last_item_id=fields.get("last_item_id", ""),
        messages=int(fields.get("messages", 0)),
        owed=decode(tuple[Message, ...], fields.get("owed") or "[]"),
    )


def parse_interrupts(flat: list[str]) -> dict[str, Interrupt]:
    """Read the hash of interrupts."""
    return {thread: cast(Interrupt, reason) for thread, reason in pairs(flat).items()}


def parse_entries(
    reply: list[tuple[str, list[tuple[str, dict[str, str] | None]]]] | None,
) -> list[Entry]:
    """Read the reply to XREADGROUP on one stream. Entries that were deleted are left out."""
    if not reply:
        return []
    return [
        Entry(Thread.parse(fields["thread"]), entry, begun=fields.get("begun") == "1")
        for entry, fields in reply[0][1]
        if fields
    ]
