"""The status line, session and title that Slack shows around an answer in progress.

All of it is best effort: refusals are ignored, permanent ones remembered. Slack shows the status
text and its own session row in the same place, so a turn starts with the text and leaves the row
alone once it is there. A stream has its own session and needs neither.
https://docs.slack.dev/reference/methods/agents.sessions.setStatus
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Undeliverable
from bot.models import Message, Thread
from bot.slack.answer.alarm import Alarm
from bot.slack.answer.rate_limits import SESSIONS, RateLimits
from bot.slack.client import error_code, slack_errors
from bot.telemetry.log import log
from bot.texts.status import THINKING
from bot.timing import AnswerTiming

RESUMED_AFTER = (5.0, 20.0)
"""Minimum and maximum seconds before a resumed turn sets its status again. The old status is still
shown, and a worker that resumes a thousand turns checks their runs first."""
TITLE_LENGTH = 60

IN_WORKSPACE = frozenset(
    {
        *("unknown_method", "method_deprecated", "feature_not_enabled", "feature_disabled"),
        *("missing_scope", "not_allowed_token_type", "access_denied", "team_not_eligible"),
        "not_agent_app",
    }
)
"""Permanent refusals of a method in a workspace."""
IN_CHANNEL = frozenset({"channel_type_not_supported", "not_authorized", "not_in_channel"})
"""Permanent refusals of a method in a channel, for example because the bot is not in it."""
MOST_REFUSALS = 10_000


class PermanentRefusals:
    """Slack's permanent refusals, remembered for the life of the process."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], None] = {}

    def note(self, method: str, code: str, thread: Thread) -> None:
        """Remember a refusal of a method, in the thread's workspace or in its channel only."""
        if code in IN_WORKSPACE:
            self._places[method, thread.team_id] = None
        elif code in IN_CHANNEL:
            self._places[method, thread.channel_id] = None
        if len(self._places) > MOST_REFUSALS:
            del self._places[next(iter(self._places))]

    def knows(self, method: str, thread: Thread) -> bool:
        """Whether the method was refused permanently."""
        places = self._places
        return (method, thread.team_id) in places or (method, thread.channel_id) in places


class Status:
    """The status line, session and title of one answer."""

    __slots__ = (
        *("_alarm", "_begun", "_changed", "_client", "_coming", "_in_session", "_late", "_message"),
        *("_refused", "_resumed", "_session_at", "_session_since", "_shown", "_streams", "_thread"),
        *("_timing", "_words", "limits"),
    )

    def __init__(
        self,
        client: AsyncWebClient,
        limits: RateLimits,
        refused: PermanentRefusals,
        message: Message,
        *,
        resumed: bool,
        timing: AnswerTiming,
        streams: bool = False,
        maybe_done: bool = False,
    ) -> None:
        """`resumed`: an earlier worker has begun the turn. `maybe_done`: one may have, in a state
        that Redis has lost."""
        self._timing = timing
        self._client = client
        self.limits = limits
        self._refused = refused
        self._message = message
        self._thread = message.thread
        self._words = THINKING
        self._alarm = Alarm()
        self._begun = False
        self._changed = False
        self._session_at: float | None = None
        self._coming = False
        self._shown = False
        self._late = False
        self._resumed = resumed
        self._streams = streams
        self._session_since: float | None = None
        self._in_session = resumed or maybe_done  # another process may have begun it

    def keep(self) -> None:
        """Keep the status shown until `rest`."""
        # The old status of a resumed turn is still shown.
        self._alarm.set(random.uniform(*RESUMED_AFTER) if self._resumed else 0, self._begin)

    async def rest(self) -> None:
        """Change nothing more on our own; waits for a call in flight."""
        self._begun = False
        await self._alarm.end()

    def abandon(self) -> list[asyncio.Task[None]]:
        """The tasks to cancel when the turn is interrupted."""
        self._begun = False
        self._alarm.off()
        return [self._alarm.task] if self._alarm.task else []

    async def _begin(self) -> None:
        self._begun, self._changed = True, False
        await self._say()
        await self._set_title()
        self._session_at = time.monotonic() + self._timing.session_after
        self._plan()

    def _plan(self) -> None:
        """Set the time of the next change: at once if there are new words."""
        pause = 0.0 if self._changed else self._timing.status_refresh
        if self._session_at is not None:
            pause = min(pause, self._session_at - time.monotonic())
        self._alarm.set(pause, self._go_on)

    async def _go_on(self) -> None:
        is_due = self._session_at is not None and time.monotonic() >= self._session_at
        try:
            if is_due and not self._changed:
                self._session_at = None
                await self._begin_session()
            else:
                self._changed = False
                await self._say()
        except BotError as error:
            log.info("status_not_set", what="grant", error=str(error)[:100])
        self._plan()

    async def _say(self) -> None:
        """Set the status text, unless Slack's session row or a message is shown.

        A status that is sent while a message is posted may reach Slack after it, and would stay.
        """
        if self._session_since is not None:
            if time.monotonic() - self._session_since > self._timing.session_refresh:
                await self._begin_session()
        elif not self._shown:
            self._late = True
            await self._set(self._words)
            self._late = self._coming

    def say(self, words: str) -> None:
        """Set the current activity."""
        if words and words != self._words:
            self._words, self._changed = words, True
            if self._begun and not self._alarm.is_at_work:
                self._plan()

    def session_began(self) -> None:
        """Note that a stream has begun the session. Slack ends it with the stream, but not if a
        person stops the stream."""
        self._in_session = True

    def coming(self) -> None:
        """Note that a message is being posted, which may appear before the call returns."""
        self._coming = True

    def shown(self) -> None:
        """Note that a message was posted: Slack has cleared the status; it is not set again."""
        self._shown = True

    async def clear(self, *, session_ended: bool) -> None:
        """End. Slack clears the status when we post; without a post it is cleared here."""
        # An edit does not clear a status that an earlier worker or the waiting notice has set.
        if self._resumed or self._late or not self._shown:
            await self._set("")
        if self._in_session and not session_ended:
            await self._session("active")

    async def suspend(self) -> None:
        """A person has to decide something: the session says so, and the status is cleared."""
        await self._set("")
        if not self._refused.knows("session", self._thread) and await self.limits.grant(SESSIONS):
            await self._session("suspended")

    async def _set(self, status: str) -> None:
        await self._attempt(
            "setStatus",
            lambda: self._client.assistant_threads_setStatus(
                channel_id=self._thread.channel_id,
                thread_ts=self._thread.thread_ts,
                status=status,
            ),
        )

    async def _set_title(self) -> None:
        """A thread of the agent view gets its first words as title."""
        message = self._message
        direct = self._thread.channel_id.startswith("D")
        title = " ".join(message.text.split())
        if not direct or not title or message.ts != self._thread.thread_ts:
            return
        if len(title) > TITLE_LENGTH:
            title = title[: TITLE_LENGTH - 1].rstrip() + "…"
        await self._attempt(
            "setTitle",
            lambda: self._client.assistant_threads_setTitle(
                channel_id=self._thread.channel_id, thread_ts=self._thread.thread_ts, title=title
            ),
        )

    async def _begin_session(self) -> None:
        if self._streams and not self._refused.knows("stream", self._thread):
            return
        if self._refused.knows("session", self._thread) or not await self.limits.grant(SESSIONS):
            return
        self._in_session = True  # even if Slack's response is lost
        if await self._session("processing"):
            self._session_since = time.monotonic()

    async def _session(self, status: str) -> bool:
        return await self._attempt(
            "session",
            lambda: self._client.agents_sessions_setStatus(
                channel_id=self._thread.channel_id,
                thread_ts=self._thread.thread_ts,
                status=status,
            ),
        )

    async def _attempt(self, name: str, call: Callable[[], Awaitable[Any]]) -> bool:
        if self._refused.knows(name, self._thread):
            return False
        try:
            with slack_errors():
                await call()
        except SlackApiError as error:
            self._refused.note(name, error_code(error), self._thread)
            log.info("status_not_set", what=name, error=error_code(error))
            return False
        except BotError as error:
            level = log.debug if isinstance(error, Undeliverable) else log.info
            level("status_not_set", what=name, error=str(error)[:100])
            return False
        return True
