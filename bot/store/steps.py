"""The journal steps of a turn: their stored names, and the type of each step's value.

The names and the values are stored in Redis and outlive a deploy: never rename one, and give a new
field of a value a default. A family of steps is a function of what distinguishes its members.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from bot.calls import FunctionCall, HostedCall
from bot.models import (
    Answer,
    Card,
    Citation,
    Conversation,
    MadeFile,
    Message,
    Record,
    Run,
    RunOptions,
    Usage,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One step: the name it is stored under and the type of its value."""

    name: str
    type: type[T]


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision which messages of a turn are answered.

    `admitted` holds their ts, `note` is shown besides the answer, `reason` why messages
    were refused.
    """

    admitted: tuple[str, ...]
    note: str = ""
    reason: str = ""
    options: RunOptions = field(default_factory=RunOptions)
    """The channel's options for the run. Read again on each attempt; the stored ones are unused."""


@dataclass(frozen=True, slots=True)
class EngineInput:
    """The input of the engine.

    `before`: lines of the thread from before the bot joined. `messages`: the questions and the
    messages between them.
    """

    before: tuple[Record, ...] = ()
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Reordered:
    """The state kept of a turn that was begun again because older messages arrived.

    `times` counts that. `admitted` and `note` are those of its `Admission`, `usage` and `model` of
    the runs that were cancelled. `attempt` is the number of the generation that uses the thread's
    own conversation; later ones begin new ones. `restarted`: a run on that conversation was
    cancelled.
    """

    times: int = 0
    admitted: tuple[str, ...] = ()
    note: str = ""
    usage: Usage | None = None
    model: str = ""
    attempt: int = 0
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A message of an answer that was posted before the answer was complete.

    `ts` is "" if Slack refused it. `end` is the offset in the rendered answer at which the
    message ends, or -1 while it is open; `mark` identifies the text up to there.
    """

    ts: str
    streamed: bool = True
    end: int = -1
    mark: str = ""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why and when (epoch seconds) a turn was given up, and which dependency was down, if any."""

    reason: str
    at: float
    dependency: str = ""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that failed and is followed by another one; when (epoch seconds), in which generation
    (`attempt`), and what it used, if the server says so."""

    reason: str
    at: float
    attempt: int
    run: Run | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a turn has waited for dependencies that were down.

    `totals` in seconds by dependency, without the current wait, which began at `since` (epoch
    seconds). `dependency` is "" if the turn waits for none.
    """

    totals: dict[str, float] = field(default_factory=dict)
    dependency: str = ""
    since: float = 0.0

    def total(self, until: float) -> dict[str, float]:
        """Seconds by dependency, the current wait up to `until` included."""
        if not self.dependency:
            return self.totals
        waited = self.totals.get(self.dependency, 0.0) + max(0.0, until - self.since)
        return self.totals | {self.dependency: round(waited, 3)}


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that ended with calls: what it asks for, and what it had written and used by then."""

    run: Run
    calls: tuple[FunctionCall, ...]
    text: str = ""
    citations: tuple[Citation, ...] = ()
    files: tuple[MadeFile, ...] = ()
    cards: tuple[Card, ...] = ()
    usage: Usage | None = None
    last_item_id: str = ""


CallOutcome = Literal["done", "not_run", "unknown", "input_required"]


@dataclass(frozen=True, slots=True)
class Called:
    """The result of a call: `text` is for the model, `label` for people.

    `outcome` is `unknown` if it may have taken effect and no result came back, and
    `input_required` if the tool asks the person for something first; `request` is what it asks.
    `open_world`: the result may hold what anyone wrote.
    """

    text: str
    outcome: CallOutcome = "done"
    is_error: bool = False
    label: str = ""
    open_world: bool = False
    milliseconds: int = 0
    request: Mapping[str, Any] = field(default_factory=dict)
    approved: bool = False
    """For a call that the AI server makes itself: it is allowed; its result is not known here."""
    source: str = ""
    """The key of the tool's grant ("Allow in this thread")."""
    unkept: bool = False
    """The result may not be kept: `text` only says so."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """The calls that the AI server made itself during a run."""

    calls: tuple[HostedCall, ...]


ADMISSION = Step("admission", Admission)
ENGINE_INPUT = Step("heard", EngineInput)
GENERATION = Step("rebuild", int)
"""The number of the current `Generation`."""
REORDERED = Step("reordered", Reordered)
OVERFULL = Step("overfull", bool)
"""The conversation must be shortened."""
ARCHIVED = Step("archived", float)
"""When the conversation that was archived meanwhile was last used."""
ANSWER = Step("answer", Answer)
FORGOTTEN = Step("forgotten", str)
"""The id of the conversation that a reset deletes."""
UNREAD = Step("unread", list[str])
"""Names of attached files that the model did not get."""
KEPT_FILES = Step("kept_files", dict[str, str])
"""The text that our record keeps of a message's files, by its ts."""
UNATTACHED = Step("unattached", list[str])
"""Names of files of the model that could not be attached."""
CUT = Step("cut", int)
"""The number of posted parts of an answer whose posting was stopped."""
WHOLE_ANSWER = Step("file:answer", str)
"""Slack's id of the file with an answer that is too long; "" if it was not uploaded."""
CARDS = Step("steps", tuple[Card, ...])
"""The task cards of the first streamed message."""
GIVEN_UP = Step("given_up", GivenUp)
"""The turn is given up: only the apology remains to be posted."""
WAITS = Step("waits", Waits)
BUSY_NOTICE = Step("busy_notice", bool)
"""The person was informed that a deletion waits for running answers."""
FAILED_RUNS: Step[tuple[FailedRun, ...]] = Step("failed_runs", tuple[FailedRun, ...])
NOTICE = Step("notice", str)
"""The `ts` of the outage notice; "" once it is deleted."""

SUMMARY = Step("summary", str)
SUMMARY_USAGE = Step("summary:usage", Usage)
SUMMARY_CONVERSATION = Step("summary:conversation", Conversation)
SUMMARY_APPEND = Step("summary:append", str)
SUMMARY_RUN = Step("summary:run", Run)


@dataclass(frozen=True, slots=True)
class Generation:
    """The steps of a turn on one conversation: a turn may rebuild its conversation.

    The first generation uses the thread's conversation. Each further one continues in a new
    conversation, rebuilt from our record, because the engine lost the old one or it was too long
    (but see `Reordered`).
    """

    number: int

    @property
    def conversation(self) -> Step[Conversation]:
        """The conversation, if the generation begins with a new one."""
        return Step(f"conversation:{self.number}", Conversation)

    def append(self, ts: str) -> Step[str]:
        """The id that the AI server gave to the message `ts`."""
        return Step(f"append:{self.number}:{ts}", str)

    @property
    def run(self) -> Step[Run]:
        """The first run."""
        return self.run_of(0)

    def run_of(self, round_number: int) -> Step[Run]:
        """The run of a round. Each run that ends with calls is followed by one more round."""
        suffix = f":{round_number}" if round_number else ""
        return Step(f"run:{self.number}{suffix}", Run)

    def repeated_run(self, failed: int) -> Step[Run]:
        """The first run, or the one that repeats it after this number of failures."""
        return Step(f"run:{self.number}:again{failed}", Run) if failed else self.run

    def asked(self, round_number: int) -> Step[Asked]:
        """The calls that the run of a round ended with."""
        return Step(f"asked:{self.number}:{round_number}", Asked)

    def hosted(self, round_number: int) -> Step[Hosted]:
        """The calls that the AI server made itself during the run of a round."""
        return Step(f"hosted:{self.number}:{round_number}", Hosted)

    def call_key(self, round_number: int, index: int) -> str:
        """Identifies a call within its turn; the ids of some servers are not unique."""
        return f"{self.number}.{round_number}.{index}"


def call(key: str, number: int = 0) -> Step[Called]:
    """A call, by its `Generation.call_key`. Each input that its tool asks for is one more step."""
    return Step(f"call:{key}:{number}" if number else f"call:{key}", Called)


def approval_step(id: str) -> Step[dict[str, Any]]:
    """The question to people (`bot.store.approvals.Approval`)."""
    return Step(f"approval:{id}", dict[str, Any])


def decision_step(id: str) -> Step[dict[str, Any]]:
    """The decision on it (`bot.store.approvals.Decision`)."""
    return Step(f"decision:{id}", dict[str, Any])


def card_step(id: str) -> Step[str]:
    """The `ts` of the message that asks for it."""
    return Step(f"card:{id}", str)


def closed_card(id: str) -> Step[bool]:
    """Whether the message shows the outcome."""
    return Step(f"card_closed:{id}", bool)


def retraction(ts: str) -> Step[bool]:
    """The deletion that the command `ts` asks for."""
    return Step(f"retract:{ts}", bool)


def job(ts: str) -> Step[bool]:
    """The job that the command `ts` asks for."""
    return Step(f"errand:{ts}", bool)


def forgotten_conversations(user_id: str) -> Step[int]:
    """How many conversations of a person were deleted so far."""
    return Step(f"forgotten:{user_id}", int)


def unconfirmed_deletions(user_id: str) -> Step[int]:
    """The number of those whose deletion the AI server has not confirmed."""
    return Step(f"unconfirmed:{user_id}", int)


def made_file(number: int) -> Step[str]:
    """Slack's id of a file that the model made; "" if it could not be uploaded."""
    return Step(f"file:{number}", str)


def code_file(number: int) -> Step[str]:
    """Slack's id of a file that holds long code of the answer; "" if it was not uploaded."""
    return Step(f"code:{number}", str)


def shared_file(file_id: str) -> Step[bool]:
    """Whether a file was shown in the thread."""
    return Step(f"share:{file_id}", bool)


def part(number: int) -> Step[str]:
    """The `ts` of a message that was posted after the answer was complete."""
    return Step(f"part:{number}", str)


def part_limit(number: int) -> Step[int]:
    """Maximum size of this part and of later ones, since Slack refused a longer one."""
    return Step(f"limit:{number}", int)


def draft(number: int) -> Step[Draft]:
    """A message that was posted while the answer was growing."""
    return Step(f"draft:{number}", Draft)


def stopped_stream(ts: str) -> Step[bool]:
    """Whether the stream of an earlier worker was stopped."""
    return Step(f"stopped:{ts}", bool)
