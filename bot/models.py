"""What every module may speak of: threads, messages, conversations, runs and their progress.

Frozen data only. `encode` and `decode` are the one way these travel through Redis.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from bot.calls import FunctionCall, FunctionOutput

T = TypeVar("T")

MessageKind = Literal["message", "reset", "stop", "again", "retract", "errand"]
"""`message` is something a person wrote; `reset` ends the conversation at this point of it, `stop`
the answer that is being made; `again` asks for another answer to the last question, and
`retract` removes the message with its ts from the conversation.

An `errand` is a job, work asked for outside of threads: see `bot/jobs`. (The stored name is older.)
"""

FollowUps = Literal["always", "one_person", "mentions"]
"""Which replies in its threads the bot answers without being mentioned: all, those of one person
alone with it, none. `one_person`: the person who mentioned it last, until another one writes."""

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
    "expired",
]
"""Statuses as OpenAI spells them, of Responses and of Assistants runs alike."""

TERMINAL: frozenset[RunStatus] = frozenset(
    {"completed", "incomplete", "failed", "cancelled", "expired"}
)


@dataclass(frozen=True, slots=True)
class Thread:
    """One Slack thread. `team_id` holds the enterprise id where an event has no team."""

    team_id: str
    channel_id: str
    thread_ts: str

    @property
    def key(self) -> str:
        """The thread as one string, `team:channel:thread_ts`; no part may hold a colon."""
        return f"{self.team_id}:{self.channel_id}:{self.thread_ts}"

    @classmethod
    def parse(cls, key: str) -> "Thread":
        """Read what `key` wrote. Raises ValueError for anything else."""
        team_id, channel_id, thread_ts = key.split(":")
        return cls(team_id, channel_id, thread_ts)


@dataclass(frozen=True, slots=True)
class File:
    """A file that hangs on a Slack message; `size` in bytes, `url` needs the bot token."""

    id: str
    name: str
    mimetype: str
    size: int
    url: str
    thumbnail: str = ""
    """The address of Slack's own picture of it, as PNG or JPEG."""
    transcribed: bool = False
    """The text of the message holds what is said in it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a person, as it waits in the inbox. `ts` orders it within its thread."""

    thread: Thread
    ts: str
    user_id: str
    text: str
    event_id: str = ""
    user_team_id: str = ""
    """The person's own team: differs from the thread's in Slack Connect channels."""
    kind: MessageKind = "message"
    files: tuple[File, ...] = ()
    trace: str = ""
    """The trace of its delivery, see `bot.telemetry.trace.current`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of our own record of a conversation, from which a lost one is rebuilt."""

    role: Literal["user", "assistant"]
    text: str
    ts: str
    user_id: str = ""
    files: str = ""
    """What is left of the files of the message: the words of text files, the names of others."""
    outputs: tuple[FunctionOutput, ...] = ()
    """Of an answer: the calls that were made on the way to it, with what the model was told."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the engine keeps for a thread: `id` is `conv_...`, `thread_...` or the like."""

    id: str
    engine: str
    thread: Thread
    user_id: str
    created_at: float
    last_item_id: str = ""
    """The newest item the engine is known to hold: what follows it is of a later turn."""
    messages: int = field(default=0, compare=False)
    """How many messages of people it holds."""
    owed: tuple[Message, ...] = ()
    """Messages of turns that failed or were stopped. A server that takes messages with their run
    may have kept none of them: the next run brings along what is missing."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is to be made; what is empty is as the engine's settings say.

    `user_id` names the asker, for the AI server's protection against abuse.
    """

    model: str = ""
    instructions: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One working of the engine: `id` is `resp_...` or `run_...`; `started_at` in epoch seconds.

    The deadline of a run counts from `started_at`, also for the worker that takes it over.
    """

    id: str
    conversation_id: str
    started_at: float
    status: RunStatus = "queued"
    takes_calls: bool = False
    """Whether it may end with calls. Otherwise the engine handles calls that it was not asked for.
    """


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one run. `input_tokens` includes the cached ones, `output_tokens` the reasoning."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    """How many of these were counted by the length of the texts: the server reported none."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A source of a passage; `start` and `end` are character offsets into the answer's text.

    `text` is the marker to be replaced where the server gives one (Assistants: `【4:0†source】`).
    """

    start: int
    end: int
    title: str
    url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that the model has made: an image, or what its code left in a container."""

    id: str
    name: str
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something the assistant does on its way to the answer: a search, a tool call."""

    id: str
    title: str
    status: Literal["pending", "in_progress", "complete", "error"] = "in_progress"


@dataclass(frozen=True, slots=True)
class Update:
    """Progress of a run. `text` is the whole answer so far, never a delta.

    The last update of a run has a terminal `status`. `usage` is None until then, and afterwards
    where the server does not tell.
    """

    status: RunStatus
    text: str = ""
    steps: tuple[Step, ...] = ()
    citations: tuple[Citation, ...] = ()
    files: tuple[MadeFile, ...] = ()
    usage: Usage | None = None
    last_item_id: str = ""
    model: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[FunctionCall, ...] = ()
    """What the model wants called before it goes on; on the last update of a run only."""


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def encode(value: object, kind: Any = None) -> str:
    """JSON of any of the types above (or of plain JSON data)."""
    adapter = _adapter(kind or type(value))
    try:
        return adapter.dump_json(value).decode()
    except PydanticSerializationError:
        # A lone surrogate, which JSON may escape and UTF-8 cannot encode.
        return well_formed(json.dumps(adapter.dump_python(value, mode="json"), ensure_ascii=False))


def well_formed(text: str) -> str:
    """The text with lone UTF-16 surrogates joined or replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def decode(kind: type[T], text: str | bytes) -> T:
    """Read what `encode` wrote. Raises pydantic.ValidationError where it does not fit `kind`."""
    value: T = _adapter(kind).validate_json(text)
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn came to, kept in its journal: the same text is posted after a crash.

    `outcome` is a run's status, `reset` or `refused`; `reason` says why where it is not
    `completed`.
    """

    text: str
    outcome: str = "completed"
    reason: str = ""
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    last_item_id: str = ""
    model: str = ""
    files: tuple[str, ...] = ()
    """Ids of the files that are shown below it, as Slack knows them."""
    note: str = ""
    """Said below the answer, and no part of the conversation: a warning, a refusal."""
    run_id: str = ""
