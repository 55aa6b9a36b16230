"""The errors of this program, classified by what the caller does next.

BotError
|- ConfigError             reported at start, exit 78
|- Retry(after)            not now: release the claim, retry later
|  |- RateLimited          429: nothing was done; all other callers wait, too
|  |- OutOfOrder           an older message arrived: begin the turn again with it
|  '- DependencyDown       5xx, timeout, refused connection: wait until the dependency is back
|     '- CircuitOpen       known to be down: nothing was sent
|- ConversationGone        the engine forgot it: rebuild, once
|- RunFailed               failed, incomplete, expired, refused: inform the person, settle
|- Undeliverable           channel gone, not invited: log, settle
|- Suspended               a person has to decide first: give the claim up until then
|- Superseded              another worker has this thread now: let go at once, write nothing
'- StoreUnavailable        Redis does not answer or refuses writes: nothing was acknowledged
"""

import math
import time
from email.utils import parsedate_to_datetime

from bot.calls import HostedCall
from bot.models import RunStatus, Usage


class BotError(Exception):
    """The base class of the program's own errors."""


class ConfigError(BotError):
    """A setting is missing or wrong; `variable` is the environment variable to fix."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
        self.problem = problem


class Retry(BotError):
    """Retry after `after` seconds (None: the caller decides).

    `counts` is False if the server asked for the wait (a rate limit): it does not count as an
    attempt.
    """

    def __init__(self, reason: str, *, after: float | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.counts = counts


NOT_THE_PROTOCOL = "not an answer of the protocol"
"""The reason of a Retry if something else than the expected server answers, such as a web page."""


class RateLimited(Retry):
    """Rate limited: nothing was done, and `after` is what the server asked for."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason, after=after, counts=False)


class OutOfOrder(Retry):
    """An older message arrived before the run ended: the turn begins again with it, at once.

    `usage` and `model` are those of the run that was cancelled for it.
    """

    def __init__(self, usage: Usage | None = None, model: str = "") -> None:
        super().__init__("out_of_order", after=0.0, counts=False)
        self.usage = usage
        self.model = model


class DependencyDown(Retry):
    """A dependency failed: it is unreachable, does not answer, or reports that it is down.

    `certain`: the dependency is down for every request; otherwise this request may be the cause.
    `counts` becomes True if it probably is, because other requests succeed.
    `dependency` is the name of the circuit; `probed`: this call was the probe of an open circuit.
    """

    def __init__(
        self,
        reason: str,
        *,
        dependency: str = "",
        after: float | None = None,
        certain: bool = False,
    ) -> None:
        super().__init__(reason, after=after, counts=False)
        self.dependency = dependency
        self.certain = certain
        self.probed = False


class CircuitOpen(DependencyDown):
    """The circuit of a dependency is open: nothing was sent."""


NOTHING_SENT = (RateLimited, CircuitOpen)
"""Errors that mean that the call had no effect."""


class ConversationGone(BotError):
    """The engine no longer knows the conversation."""


class RunFailed(BotError):
    """The run ended without a complete answer.

    `reason` is a stable code (`expired`, `max_output_tokens`, `content_filter`,
    `insufficient_quota`, `context_length_exceeded`, `deadline`, ... or OpenAI's error code). `text`
    is the answer so far, `detail` the server's message, which may quote what people said, `usage`
    and `model` what the run cost, if reported. `acted`: it used tools, so another run might do
    something twice. `hosted` are the calls that the AI server made itself.
    """

    def __init__(
        self,
        status: RunStatus,
        reason: str,
        *,
        text: str = "",
        detail: str = "",
        usage: Usage | None = None,
        model: str = "",
        acted: bool = False,
        hosted: tuple[HostedCall, ...] = (),
    ) -> None:
        super().__init__(f"{status}: {reason}")  # many places log it
        self.status = status
        self.reason = reason
        self.text = text
        self.detail = detail
        self.usage = usage
        self.model = model
        self.acted = acted
        self.hosted = hosted


class Undeliverable(BotError):
    """Slack will never accept this answer; `reason` is Slack's error code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Suspended(BotError):
    """The turn waits for a person; `suspend` releases its claim."""


class Superseded(BotError):
    """The claim is no longer ours: another worker continues the same turn."""


class StoreUnavailable(BotError):
    """Redis is unreachable or refuses writes."""


def parse_retry_after(header: str) -> float | None:
    """The seconds that a `Retry-After` asks for, as a number or as a date; None if it cannot be
    read."""
    try:
        seconds = float(header)
    except ValueError:
        seconds = _seconds_until(header)
    return seconds if 0 <= seconds < math.inf else None


def _seconds_until(date: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, OverflowError):
        return math.nan
