"""The messages of a turn: all of its claim by kind, and the requests that are answered."""

from dataclasses import dataclass, field, replace

from bot.models import Conversation, Message, RunOptions
from bot.texts.answers import AGAIN_PLEASE


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one turn.

    `jobs` run outside of threads, `retractions` delete messages; `requests` are questions and the
    commands `reset`, `stop` and `again`, in Slack's order: the last one decides what is done.
    """

    jobs: tuple[Message, ...] = ()
    retractions: tuple[Message, ...] = ()
    requests: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """The admitted requests of a turn.

    `conversation` is the thread's conversation as the turn found it, or None. `note` is shown below
    the answer.
    """

    messages: tuple[Message, ...]
    conversation: Conversation | None
    options: RunOptions = field(default_factory=RunOptions)
    note: str = ""
    last: Message = field(init=False)
    """The message that decides what is done."""
    questions: tuple[Message, ...] = field(init=False)
    """The messages for the engine."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", self.messages[-1])
        object.__setattr__(self, "questions", _questions(self.messages))


def _questions(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A request for another answer becomes a question only if there is no other question."""
    last = messages[-1]
    if last.kind != "again":
        return messages
    asked = tuple(message for message in messages if message.kind == "message")
    return asked or (replace(last, text=AGAIN_PLEASE),)
