"""The messages of a claim, sorted once by kind."""

from dataclasses import dataclass, field, replace

from bot.models import JOB, Conversation, Message, RunOptions
from bot.store import Claim
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

    `conversation` is the thread's conversation as the turn found it, or None.
    """

    messages: tuple[Message, ...]
    conversation: Conversation | None
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def questions(self) -> tuple[Message, ...]:
        """The messages for the engine.

        A request for another answer becomes a question only if there is no other question.
        """
        if self.last.kind != "again":
            return self.messages
        asked = tuple(message for message in self.messages if message.kind == "message")
        return asked or (replace(self.last, text=AGAIN_PLEASE),)

    @property
    def last(self) -> Message:
        """The message that decides what is done."""
        return self.messages[-1]


def sort_claim(claim: Claim) -> Batch:
    """Sort the messages of a claim by kind."""

    def of_kind(kind: str) -> tuple[Message, ...]:
        return tuple(message for message in claim.messages if message.kind == kind)

    requests = tuple(m for m in claim.messages if m.kind not in (JOB, "retract"))
    return Batch(of_kind(JOB), of_kind("retract"), requests)


def account_owner(request: Request) -> tuple[str, str] | None:
    """The person whose own accounts a turn may use (workspace and person): its only author."""
    authors = {message.user_id for message in request.messages}
    last = request.last
    return (last.thread.team_id, last.user_id) if authors == {last.user_id} else None
