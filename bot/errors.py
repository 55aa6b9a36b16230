"""Errors, told apart by what the caller does next.

BotError
|- ConfigError             told at start, exit 78
|- Retry(after)            not now: release the claim, come back
|  |- RateLimited          429: nothing was done; all others who would ask now wait, too
|  '- DependencyDown       5xx, timeout, refused connection: wait until the dependency is back
|     '- CircuitOpen       known to be down: nothing was sent
|- ConversationGone        the engine forgot it: rebuild, once
|- RunFailed               failed, incomplete, expired, refused: tell the person, settle
|- Undeliverable           channel gone, not invited: log, settle
|- Superseded              another worker has this thread now: let go at once, write nothing
'- StoreUnavailable        Redis does not answer or refuses writes: nothing was acknowledged
"""

from bot.models import RunStatus, Usage


class BotError(Exception):
    """The root of everything this program raises on purpose."""


class ConfigError(BotError):
    """A setting is missing or wrong; `variable` is the environment variable to fix."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class Retry(BotError):
    """Come back after `after` seconds (None: at the caller's own pace).

    `counts` is False where waiting is the server's own wish (a rate limit), so that it does not
    bring the message nearer to the dead letters.
    """

    def __init__(self, reason: str, *, after: float | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.counts = counts


class RateLimited(Retry):
    """Refused for being one call too many: nothing was done, and `after` is the server's wish."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason, after=after, counts=False)


class DependencyDown(Retry):
    """A dependency failed: it cannot be reached, does not answer, or says that it is down.

    `certain`: the dependency itself is down, whatever was asked; otherwise the request may be the
    cause. `counts` becomes True where it probably is, because others are answered meanwhile.
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
    """A dependency is known to be down: nothing was sent."""


NOTHING_SENT = (RateLimited, CircuitOpen)
"""Errors of a call that had no effect."""


class ConversationGone(BotError):
    """The engine no longer knows the conversation."""


class RunFailed(BotError):
    """The run ended without a whole answer.

    `reason` is a stable word for what happened (`expired`, `max_output_tokens`, `content_filter`,
    `insufficient_quota`, `context_length_exceeded`, `deadline`, ... or OpenAI's error code);
    `text` what had been written by then, `detail` the server's words for the log, `usage` and
    `model` what it cost nevertheless, where the server reports it.
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
    ) -> None:
        super().__init__(f"{status}: {reason}" + (f" ({detail})" if detail else ""))
        self.status = status
        self.reason = reason
        self.text = text
        self.detail = detail
        self.usage = usage
        self.model = model


class Undeliverable(BotError):
    """Slack will never take this answer; `reason` is Slack's error code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Superseded(BotError):
    """The claim is no longer ours: another worker goes on with the same turn."""


class StoreUnavailable(BotError):
    """Redis cannot be reached or takes no writes."""
