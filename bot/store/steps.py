"""The journal steps of a turn: their stored names, and the type of each step's value.

The names and the values are stored in Redis and outlive a deploy: never rename one, and give a new
field of a value a default. A family of steps is a function of what distinguishes its members.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.models import (
    Answer,
    Card,
    Conversation,
    Run,
    Usage,
)
from bot.store.step_values import (
    Admission,
    Asked,
    Called,
    Draft,
    EngineInput,
    FailedRun,
    GivenUp,
    Hosted,
    Reordered,
    Waits,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One step: the name it is stored under and the type of its value."""

    name: str
    type: type[T]


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
