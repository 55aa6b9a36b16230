"""The values shared by all modules: threads, messages, conversations, runs and their progress.

Frozen data only. `encode` and `decode` are the only way in which they are stored in Redis.
"""

import json
from dataclasses import astuple, dataclass, field
from typing import Any, Final, Literal, TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from bot.calls import FunctionCall, FunctionOutput, HostedCall

T = TypeVar("T")

Json = dict[str, Any]
"""A JSON object of an API, as we build or parse it."""

MessageKind = Literal["message", "reset", "stop", "again", "retract", "errand"]
"""`message` was written by a person. `reset` ends the conversation at this point, `stop` ends the
answer in progress, `again` asks for another answer to the last question, `retract` removes the
message with its ts from the conversation, `JOB` asks for work outside of threads.
"""

JOB: Final = "errand"
"""The kind of a message that asks for a job: see `bot/jobs`. The stored name is older."""

FollowUps = Literal["always", "one_person", "mentions"]
"""Which replies in its threads the bot answers without a mention: `always` all, `mentions` none,
`one_person` those of the person who mentioned it last, until another person writes."""

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
"""Statuses of Responses and of Assistants runs, as OpenAI spells them."""

TERMINAL: frozenset[RunStatus] = frozenset(
    {"completed", "incomplete", "failed", "cancelled", "expired"}
)


NOTHING: frozenset[str] = frozenset()
"""One for all: each empty set takes 216 bytes."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One Slack thread. `team_id` holds the enterprise id if an event has no team."""

    team_id: str
    channel_id: str
    thread_ts: str

    @property
    def key(self) -> str:
        """The thread as one string, `team:channel:thread_ts`; no part may contain a colon."""
        return f"{self.team_id}:{self.channel_id}:{self.thread_ts}"

    @classmethod
    def parse(cls, key: str) -> "Thread":
        """Read what `key` wrote. Raises ValueError for anything else."""
        team_id, channel_id, thread_ts = key.split(":")
        return cls(team_id, channel_id, thread_ts)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a Slack message; `size` in bytes, `url` needs the bot token."""

    id: str
    name: str
    mimetype: str
    size: int
    url: str
    thumbnail: str = ""
    """The address of Slack's own rendering of it, as PNG or JPEG."""
    transcribed: bool = False
    """The text of the message includes its transcript."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a person, as stored in the inbox. `ts` orders it within its thread."""

    thread: Thread
    ts: str
    user_id: str
    text: str
    event_id: str = ""
    user_team_id: str = ""
    """The person's own team, which differs from the thread's in Slack Connect channels."""
    kind: MessageKind = "message"
    files: tuple[File, ...] = ()
    trace: str = ""
    """The trace of its delivery, see `bot.telemetry.trace.current`."""
    action_token: str = field(default="", repr=False)
    """Slack's permission to search for the author, valid for minutes."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of our record of a conversation, from which a lost one is rebuilt."""

    role: Literal["user", "assistant"]
    text: str
    ts: str
    user_id: str = ""
    files: str = ""
    """The text kept of the message's files: the content of text files, the names of others."""
    outputs: tuple[FunctionOutput, ...] = ()
    """For an answer: the calls that were made for it, with their outputs for the model."""
    evicted: bool = False
    """Its text was deleted to free memory; the author and the time remain."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The engine's conversation of a thread: `id` is `conv_...`, `thread_...` or similar."""

    id: str
    engine: str
    thread: Thread
    user_id: str
    created_at: float
    last_item_id: str = ""
    """The newest item that the engine is known to hold: later items belong to a later turn."""
    messages: int = field(default=0, compare=False)
    """The number of people's messages in it."""
    owed: tuple[Message, ...] = ()
    """Messages of turns that failed or were stopped. A server that gets messages with the run may
    have stored none of them: the next run sends the missing ones again."""
    external: bool = field(default=False, compare=False)
    """Whether it holds content that may contain instructions of others: see `bot.turn.external`."""
    sources: frozenset[str] = field(default=NOTHING, compare=False)
    """The tools (keys of grants) whose results of that kind it holds."""

    def __post_init__(self) -> None:
        if not self.sources:
            object.__setattr__(self, "sources", NOTHING)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run; an empty value means the engine's default.

    `user_id` is the asker, for the AI server's abuse detection.
    """

    model: str = ""
    instructions: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the engine: `id` is `resp_...` or `run_...`; `started_at` in epoch seconds.

    The deadline of a run counts from `started_at`, also for a worker that takes it over.
    """

    id: str
    conversation_id: str
    started_at: float
    status: RunStatus = "queued"
    doubtful: bool = False
    """Whether the server was down since it began, and may have lost the run."""
    takes_calls: bool = False
    """Whether it may end with calls. If not, the engine itself handles calls that the model makes
    anyway.
    """
    after: str = ""
    """For a run that was given the outputs of its calls: the newest item before them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one run. `input_tokens` includes the cached ones, `output_tokens` the reasoning."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    """How many of these are estimated from the length of the texts, because the server reported
    none."""


def add_usage(first: Usage | None, second: Usage | None) -> Usage | None:
    """The sum of two usages; None if neither is known."""
    if first is None or second is None:
        return first or second
    return Usage(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))


@dataclass(frozen=True, slots=True)
class Citation:
    """The source of a passage; `start` and `end` are character offsets in the answer's text.

    `text` is the marker to replace, if the server sends one (Assistants: `【4:0†source】`).
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
    """A file that the model made: an image, or an output of its code in a container."""

    id: str
    name: str
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A step of the assistant on the way to the answer, shown as a card: a search, a tool call."""

    id: str
    title: str
    status: Literal["pending", "in_progress", "complete", "error"] = "in_progress"
    details: str = ""
    """The text of the expanded card."""


@dataclass(frozen=True, slots=True)
class Update:
    """Progress of a run. `text` is the whole answer so far, never a delta.

    The last update of a run has a terminal `status`. `usage` is None until then, and if the server
    reports none.
    """

    status: RunStatus
    text: str = ""
    cards: tuple[Card, ...] = ()
    citations: tuple[Citation, ...] = ()
    files: tuple[MadeFile, ...] = ()
    usage: Usage | None = None
    last_item_id: str = ""
    model: str = ""
    calls: tuple[FunctionCall, ...] = ()
    """The calls that the model needs before it continues; only on the last update of a run."""
    hosted: tuple[HostedCall, ...] = ()
    """The calls that the AI server made itself; only on the last update of a run."""


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
    """The text with surrogate pairs joined and lone surrogates replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def decode(kind: type[T], text: str | bytes) -> T:
    """Read what `encode` wrote. Raises pydantic.ValidationError if it does not fit `kind`."""
    value: T = _adapter(kind).validate_json(text)
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a turn, kept in its journal: the same text is posted after a crash.

    `outcome` is a run's status, `reset` or `refused`; `reason` says why it is not `completed`.
    """

    text: str
    outcome: str = "completed"
    reason: str = ""
    citations: tuple[Citation, ...] = ()
    usage: Usage | None = None
    last_item_id: str = ""
    model: str = ""
    files: tuple[str, ...] = ()
    """Slack's ids of the files that are shown below it."""
    note: str = ""
    """Shown below the answer, but not part of the conversation: a warning, a refusal."""
    run_id: str = ""
