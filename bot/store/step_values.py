"""The values that the journal's steps record.

They are stored in Redis and outlive a deploy: give a new field a default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.calls import CallOutcome, FunctionCall, HostedCall
from bot.models import (
    Card,
    Citation,
    MadeFile,
    Message,
    Record,
    Run,
    RunOptions,
    Usage,
)


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
