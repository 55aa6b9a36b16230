"""The values of the inbox: deliveries, entries, claims, the state of a thread."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from bot.models import NOTHING, Conversation, Message, Thread, decode
from bot.store.channel_settings import ChannelSettings, newest
from bot.store.corrupt import read_count, read_each
from bot.store.workspace_settings import WorkspaceSettings

InterruptReason = Literal["stop", "reset", "late"]
"""Why a turn is to end. `late`: it is to begin again, because an older message has arrived."""
CLOCK_SKEW = 2.0
"""Seconds by which Slack's clock and Redis's may differ; the scripts know it, too."""

SOURCE = "source:"
"""The prefix of the fields of a conversation that name its sources of external content."""
GRANT = "allow:"
"""The prefix of a conversation's fields that allow a tool in its thread."""

Amendment = Literal["waiting", "taken", "absent"]

NO_VALUES: Mapping[str, str] = MappingProxyType({})
"""One for all: thousands of claims have neither steps nor grants."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of a delivery: whether the message was `new`; how many wait in its thread,
    including itself; whether a turn is under way there."""

    new: bool
    waiting: int
    active: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry read from the stream of ready threads, pending for this worker.

    `begun`: a turn exists already (its worker is gone). `root`: it is ready because of the thread's
    first message. In both cases nothing older can follow, so there is no debounce.
    """

    thread: Thread
    id: str
    begun: bool = False
    root: bool = False

    @property
    def since(self) -> float:
        """When the thread became ready, in epoch seconds of the server."""
        return int(self.id.partition("-")[0]) / 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """The exclusive right to a thread, with the messages to answer.

    `fence` is the fencing token that every write of the holder carries. `attempt` counts the
    failures of this turn so far, `crashes` the workers that died during it. `taken_at` is when the
    turn began, in epoch seconds of the server; it does not change when another worker resumes the
    turn. `steps` holds the results of the finished steps as JSON, `intents` the names of all steps
    that were begun.
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
    steps: Mapping[str, str] = field(default_factory=lambda: NO_VALUES, compare=False)
    intents: frozenset[str] = frozenset()
    conversation: Conversation | None = None
    archived: float = 0.0
    """When the archived conversation of the thread was last used, in epoch seconds."""
    settings: tuple[str, ...] = ()
    """The newest versions of the channel's settings as JSON, newest first."""
    defaults: WorkspaceSettings = WorkspaceSettings()
    """The settings of the thread's workspace."""

    retried: bool = False
    """Whether the messages were a dead letter. An earlier turn may have appended them."""

    grants: Mapping[str, str] = field(default_factory=lambda: NO_VALUES, compare=False)
    """Tools that are allowed in the thread, by who allowed them."""

    interrupt: InterruptReason | None = None
    """The pending interrupt of a resumed turn, if any."""
    restored_at: float = 0.0
    """When an older state of Redis was last noticed, in epoch seconds of the server; 0: never."""

    overheard: int = 0
    """How many messages of the thread are context for this turn."""
    speakers: tuple[str, ...] = ()
    """The known authors of the thread."""
    is_first: bool = False
    """Whether the bot has not answered in this thread before."""
    has_record: bool = True
    """Whether there may be a record of the thread."""

    @property
    def maybe_done(self) -> bool:
        """Whether a step may be done although the journal lacks it: Redis was rolled back to an
        older state after the question was asked."""
        asked_at = min(float(message.ts) for message in self.messages)
        return self.restored_at > 0 and asked_at < self.restored_at + CLOCK_SKEW

    @property
    def channel(self) -> ChannelSettings:
        """The settings of the thread's channel, with those of its workspace behind them."""
        return self.defaults.applied_to(newest(self.settings))

    @property
    def resumed(self) -> bool:
        """Whether this turn was attempted before."""
        return bool(self.intents or self.attempt or self.crashes)


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """The reply to a heartbeat.

    `interrupts`: turns that are to end, by `Thread.key`, of all workers. `late`: our lease had
    expired, so other workers may hold our threads. `data_lost`: Redis lost its data since the last
    heartbeat. `restored`: it came back with an older state, or was replaced by another server.
    `due_soon`: a thread comes back within the next two seconds. `circuits`: by dependency the
    reason of an open circuit ("" if it closed recently) and the seconds until its next probe.
    """

    interrupts: Mapping[str, InterruptReason]
    late: bool = False
    data_lost: bool = False
    restored: bool = False
    due_soon: bool = False
    circuits: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def open_circuits(self) -> dict[str, tuple[str, float]]:
        """The circuits that are open."""
        return {name: state for name, state in self.circuits.items() if state[0]}


@dataclass(frozen=True, slots=True)
class Depth:
    """The backlog: threads in each state, dead letters, live workers.

    `oldest_age` is how long the oldest waiting thread has waited, in seconds.
    """

    waiting: int
    claimed: int
    later: int
    dead: int
    workers: int
    oldest_age: float


Wait = Literal["queued", "orphaned", "retrying", "no_worker"]
"""Why no worker holds a thread: all are busy, its worker died, its next attempt is not due yet, or
no worker is alive."""


@dataclass(frozen=True, slots=True)
class ThreadState:
    """One thread as stored in Redis; `waiting` and `taken` are the ts of its messages."""

    state: Literal["idle", "ready", "claimed", "later"]
    waiting: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    worker: str = ""
    turn_id: str = ""
    attempts: int = 0
    crashes: int = 0
    reason: str = ""
    interrupt: str = ""
    requester: str = ""
    """The requester of a turn that waits for an approval."""


def pairs(flat: list[str]) -> dict[str, str]:
    """Read the flat list of fields and values that a script returns for a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def parse_claim(
    entry: Entry,
    fence: str,
    worker: str,
    reply: Sequence[Any],
    conversation: Conversation | None,
) -> Claim:
    """Read the reply of the script `take`; the caller parses the conversation."""
    messages, settings = reply[0], reply[4]
    turn, thread, kept = map(pairs, reply[1:4])
    steps, intents = parse_journal(turn)
    return Claim(
        thread=entry.thread,
        entry=entry.id,
        worker=worker,
        fence=fence,
        turn_id=turn["id"],
        messages=parse_messages(entry.thread, messages),
        taken_at=float(turn["taken_at"]),
        attempt=read_count(entry.thread.key, thread.get("attempts")),
        crashes=read_count(entry.thread.key, thread.get("crashes")),
        steps=steps,
        intents=intents,
        conversation=conversation,
        archived=float(kept.get("archived", 0)) if conversation is None else 0.0,
        settings=tuple(settings),
        retried="retried" in thread,
        grants={name.removeprefix(GRANT): by for name, by in kept.items() if name.startswith(GRANT)}
        or NO_VALUES,
        restored_at=float(reply[6]),
        interrupt=parse_interrupt(reply[7]),
        overheard=reply[8],
        speakers=tuple(sorted(who for who in reply[9] if not who.startswith("@"))),
        is_first=not kept,
        has_record=bool(reply[10]),
    )


def parse_messages(thread: Thread, texts: Iterable[str]) -> tuple[Message, ...]:
    """Read the messages of a thread. They share its `Thread`, instead of one each."""
    messages = (decode(Message, text) for text in texts)
    return tuple(
        replace(each, thread=thread) if each.thread == thread else each for each in messages
    )


def parse_journal(turn: Mapping[str, str]) -> tuple[Mapping[str, str], frozenset[str]]:
    """The recorded steps of a turn, and the names of all that were begun."""
    steps = {name[1:]: value for name, value in turn.items() if name.startswith("=")}
    return steps or NO_VALUES, frozenset(
        name[1:] for name in turn if name.startswith("?")
    ) or NOTHING


def parse_conversation(thread: Thread, fields: Mapping[str, str]) -> Conversation | None:
    """Read the hash of a conversation; None for a tombstone."""
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
        external=int(fields.get("external", 0)) > 0,
        sources=frozenset(name.removeprefix(SOURCE) for name in fields if name.startswith(SOURCE))
        or NOTHING,
    )


def parse_interrupts(flat: list[str]) -> dict[str, InterruptReason]:
    """Read the hash of interrupts."""
    read = {thread: parse_interrupt(reason) for thread, reason in pairs(flat).items()}
    return {thread: reason for thread, reason in read.items() if reason}


def parse_interrupt(reason: str | None) -> InterruptReason | None:
    """Read one interrupt; None for what another version wrote."""
    return cast(InterruptReason, reason) if reason in get_args(InterruptReason) else None


StreamEntry = tuple[str, dict[str, str]]
"""An entry of a stream: its id and its fields."""


def parse_rows(key: str, rows: Sequence[StreamEntry]) -> tuple[list[Entry], list[str]]:
    """Entries of the stream of ready threads, and the ids of corrupt ones."""
    found = read_each(key, rows, _parse_row)
    sound = {id for (id, _), _ in found}
    return [entry for _, entry in found], [id for id, _ in rows if id not in sound]


def _parse_row(row: StreamEntry) -> Entry:
    id, fields = row
    begun, root = fields.get("begun") == "1", fields.get("root") == "1"
    return Entry(Thread.parse(fields["thread"]), id, begun=begun, root=root)
