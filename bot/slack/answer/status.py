"""What Slack shows around an answer that is being made: the status line, the session, the title.

None of it is worth an answer: what Slack refuses is let be, and not asked for again where the
refusal is for good.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Undeliverable
from bot.models import Message
from bot.slack.answer.rate_limits import SESSIONS, Budget
from bot.slack.client import error_code, slack_errors
from bot.telemetry.log import log
from bot.texts.status import THINKING

REFRESH = 90.0
"""Seconds; Slack lets a status lapse after two minutes."""
RESUMED_AFTER = (5.0, 20.0)
"""Seconds, at least and at most, after which a turn that another worker began sets its status
again. The old one still stands, and who takes up a thousand turns looks at their runs first."""
SESSION_AFTER = 1.0
"""Seconds after which an answer is long enough for Slack's own row, with its Stop button."""
TITLE_LENGTH = 60

FOR_GOOD = frozenset(
    {
        *("unknown_method", "method_deprecated", "feature_not_enabled", "missing_scope"),
        *("not_authorized", "not_allowed_token_type", "access_denied", "team_not_eligible"),
    }
)
"""Refusals that no repetition mends."""


class Refused:
    """What Slack has refused for good, as long as the process lives."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()

    def note(self, method: str, code: str, channel_id: str) -> None:
        """A refusal: of the method as such, or in one kind of channel."""
        if code in FOR_GOOD:
            self._names.add((method, ""))
        elif code == "channel_type_not_supported":
            self._names.add((method, channel_id))

    def knows(self, method: str, channel_id: str) -> bool:
        """Whether there is no use in asking."""
        return (method, "") in self._names or (method, channel_id) in self._names


class Status:
    """The surroundings of one answer."""

    def __init__(
        self,
        client: AsyncWebClient,
        budget: Budget,
        refused: Refused,
        message: Message,
        *,
        resumed: bool,
    ) -> None:
        self._client = client
        self._budget = budget
        self._refused = refused
        self._message = message
        self._thread = message.thread
        self._words = THINKING
        self._changed = asyncio.Event()
        self._coming = False
        self._shown = False
        self._late = False
        self._resumed = resumed
        self._in_session = resumed  # another process may have begun it

    async def keep(self) -> None:
        """Say that the bot is at work, again and again, until the task is cancelled."""
        if self._resumed:
            await asyncio.sleep(random.uniform(*RESUMED_AFTER))
        await self._say()
        await self._set_title()
        try:
            async with asyncio.timeout(SESSION_AFTER):
                await self._refresh()
        except TimeoutError:
            await self._begin_session()
        await self._refresh()

    async def _refresh(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            await self._say()

    async def _say(self) -> None:
        """Set the status, unless a message is there. One that is on the way while the message
        comes may get to Slack behind it, and would stay."""
        if not self._shown:
            self._late = True
            await self._set(self._words)
            self._late = self._coming

    def say(self, words: str) -> None:
        """What the bot is doing now."""
        if words and words != self._words:
            self._words = words
            self._changed.set()

    def coming(self) -> None:
        """A message is on its way, and may be there before we hear of it."""
        self._coming = True

    def shown(self) -> None:
        """A message is there: Slack has cleared the status, and it stays so."""
        self._shown = True

    async def clear(self, *, session_ended: bool) -> None:
        """The end. Slack clears the status with our post; without one it is taken back here."""
        if self._late or not self._shown:
            await self._set("")
        if self._in_session and not session_ended:
            await self._session("active")

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
        """A thread of the agent pane is called by its first words."""
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
        if self._refused.knows("session", self._thread.channel_id):
            return
        if await self._budget.grant(SESSIONS):
            self._in_session = True  # also where we never hear what Slack has made of it
            await self._session("processing")

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
        if self._refused.knows(name, self._thread.channel_id):
            return False
        try:
            with slack_errors():
                await call()
        except SlackApiError as error:
            self._refused.note(name, error_code(error), self._thread.channel_id)
            log.info("surroundings_not_set", what=name, error=error_code(error))
            return False
        except BotError as error:
            level = log.debug if isinstance(error, Undeliverable) else log.info
            level("surroundings_not_set", what=name, error=str(error)[:100])
            return False
        return True
