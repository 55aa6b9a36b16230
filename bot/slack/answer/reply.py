"""One answer in Slack: the status while it is made, then its messages, each exactly once.

The journal holds each message's `ts`. If a post's outcome is unknown (a crash or a broken
connection after the intent was written), the message is looked up by its metadata before it is
posted again.
"""

import asyncio
import time
import unicodedata
from dataclasses import replace
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Retry, RunFailed, Suspended
from bot.models import Answer, Card, Message, Thread, Update
from bot.slack.answer.buttons import answer_buttons
from bot.slack.answer.cards import with_reasoning
from bot.slack.answer.chat import Chat
from bot.slack.answer.drafts import Drafts
from bot.slack.answer.lazy_event import Stop
from bot.slack.answer.live import LiveAnswer
from bot.slack.answer.outlet import Outlet
from bot.slack.answer.posted import METADATA_EVENT, FoundAnswer
from bot.slack.answer.previous import PreviousAnswers
from bot.slack.answer.rate_limits import RateLimits
from bot.slack.answer.status import PermanentRefusals, Status
from bot.slack.ephemerals import post_ephemeral
from bot.slack.markdown.bounds import WORK, layout_work
from bot.slack.markdown.clean import clean_so_far
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.reasoning import has_reasoning
from bot.slack.markdown.render import in_thread, render_in_thread
from bot.slack.markdown.split import LIMIT
from bot.store import Store
from bot.store.journal import Turn
from bot.texts.answers import apology
from bot.timing import AnswerTiming

__all__ = ["METADATA_EVENT", "Replies", "Reply"]

PRIVATE = frozenset({"nothing"})
"""Outcomes that are shown to the asking person only."""
RATED = frozenset({"completed", "cancelled"})
"""Outcomes that get feedback buttons."""


class Replies:
    """Opens replies; one for the process.

    `live`: show them while they are written. Slack shows a stream live to one person only, so in
    channels answers are posted and edited unless `stream_channels` is set.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        store: Store,
        *,
        bot_id: str = "",
        user_id: str = "",
        live: bool = True,
        feedback: bool = True,
        reasoning: bool = False,
        messages: int = 10,
        stream_channels: bool = False,
        timing: AnswerTiming = AnswerTiming(),
    ) -> None:
        self.shows, self.feedback, self.reasoning = live, feedback, reasoning
        self.messages = messages
        self._timing = timing
        self._stream_channels = stream_channels
        self._client = client
        self._store = store
        self._bot_id, self._user_id = bot_id, user_id
        self._refused = PermanentRefusals()
        self._previous = PreviousAnswers(client)

    async def drain(self) -> None:
        """Finish background work; called when the process ends."""
        await self._previous.drain()

    def open(self, turn: Turn, message: Message, stop: Stop | None = None) -> "OpenReply":
        """The reply to `message`, for an `async with` block. The status is shown inside the block
        and cleared afterwards.

        Once `stop` is set, no further part of a long answer is posted.

        The status stays if the turn is retried later or goes to another worker.
        """
        thread, timing = message.thread, self._timing
        limits = RateLimits(self._store.pace, thread, timing.rate_limit_scale, message.user_team_id)
        status = Status(
            self._client,
            limits,
            self._refused,
            message,
            resumed=turn.claim.resumed,
            maybe_done=turn.claim.maybe_done,
            timing=timing,
            streams=self._streams(thread),
        )
        return OpenReply(status, Reply(self, turn, message, status, stop or Stop()))

    def _streams(self, thread: Thread) -> bool:
        return self.shows and (self._stream_channels or thread.channel_id.startswith("D"))

    def live(
        self, turn: Turn, message: Message, status: Status, stop: Stop, opened: float
    ) -> LiveAnswer:
        """The growing messages of a reply that was opened at this time (monotonic clock)."""
        timing = self._timing
        chat = Chat(
            *(self._client, self._store.pace, message, turn.id, self._bot_id, timing),
            user_id=self._user_id,
        )
        outlet = Outlet(
            *(turn, chat, status.limits, self._refused, status, Drafts(turn, chat), timing),
            messages=self.messages,
        )
        return LiveAnswer(outlet, stop, streams=self._streams(message.thread), opened=opened)

    def replace_last(self, thread: Thread, previous: str | None) -> None:
        """Note that a new answer is the last one of its thread; `previous` is the `ts` of the one
        before, if any."""
        if previous:
            limits = RateLimits(self._store.pace, thread, self._timing.rate_limit_scale)
            self._previous.remove_button(thread, previous, limits)

    async def post_ephemeral(self, message: Message, text: str) -> bool:
        """Post for the asking person only; returns whether Slack accepted it."""
        root = message.ts == message.thread.thread_ts
        return await post_ephemeral(
            self._client, message.thread, message.user_id, text, beside_thread=root
        )


class OpenReply:
    """The block of `Replies.open`. A class, because a generator takes three times the memory, and
    thousands of turns wait inside."""

    __slots__ = ("_reply", "_status")

    def __init__(self, status: Status, reply: "Reply") -> None:
        self._status, self._reply = status, reply

    async def __aenter__(self) -> "Reply":
        self._status.keep()
        return self._reply

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            await self._end(error)
        finally:
            tasks = [*self._status.abandon(), *self._reply.abandon()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, error: BaseException | None) -> None:
        status, reply = self._status, self._reply
        if isinstance(error, Retry | asyncio.CancelledError):
            return
        if isinstance(error, Suspended):
            await reply.pause()
        await status.rest()
        if isinstance(error, Suspended):
            await status.suspend()
        else:
            await status.clear(session_ended=error is None and reply.session_ended)


class Reply:
    """The reply of one turn."""

    __slots__ = (
        *("_made", "_measured", "_message", "_opened", "_replies", "_size", "_status", "_stop"),
        *("_turn", "_work", "rated_ts"),
    )

    def __init__(
        self, replies: Replies, turn: Turn, message: Message, status: Status, stop: Stop
    ) -> None:
        self._replies = replies
        self._turn = turn
        self._message = message
        self._status = status
        self._stop = stop
        self._opened = time.monotonic()
        self._made: LiveAnswer | None = None
        self._measured = self._size = self._work = 0
        self.rated_ts = ""
        """The `ts` of the message with the feedback buttons, if there is one."""

    @property
    def _live(self) -> LiveAnswer:
        """Its messages, made once there is something to show: thousands of turns only wait."""
        if self._made is None:
            self._made = self._replies.live(
                self._turn, self._message, self._status, self._stop, self._opened
            )
        return self._made

    @property
    def session_ended(self) -> bool:
        """Whether Slack has ended the session together with a stream."""
        return self._made is not None and self._made.session_ended

    async def pause(self) -> None:
        """Leave what is shown as it is: the turn comes back later."""
        await self._live.pause()

    def abandon(self) -> list[asyncio.Task[None]]:
        """The tasks to cancel when the turn is interrupted."""
        return self._made.abandon() if self._made else []

    async def show(self, update: Update) -> None:
        """Show the answer so far, unless it exceeds the maximum size."""
        if not self._replies.shows or (self._made is None and not (update.text or update.cards)):
            return
        if not await in_thread(self._fits, update.text):
            return
        if self._replies.reasoning:
            cards = await in_thread(partial(with_reasoning, update.cards), update.text)
            update = replace(update, cards=cards)
        self._live.show(update)

    async def discard_text(self, status: str) -> None:
        """Drop the text so far: another answer takes its place."""
        await self._live.discard_text(status)

    def _fits(self, text: str) -> bool:
        """Whether the answer so far may be shown."""
        text = clean_so_far(text) if has_reasoning(text) else text
        if len(text) < self._measured:
            self._measured = self._size = self._work = 0
        added = text[self._measured :]
        self._size += size(added)
        self._work += layout_work(added)
        self._measured = len(text)
        most = self._replies.messages
        return self._size <= most * LIMIT and self._work <= most * WORK

    async def find_whole(self) -> tuple[FoundAnswer, ...]:
        """The complete answers to the messages of this turn that Slack holds."""
        return await self._live.find_whole()

    async def finish(self, answer: Answer) -> list[str]:
        """Post the complete answer, each part exactly once; returns their `ts`.

        A private answer is shown to the asking person only, or posted if Slack refuses that.
        Raises Undeliverable if Slack will never accept it, Retry if it may later.
        """
        replies = self._replies
        if answer.outcome in PRIVATE and await replies.post_ephemeral(self._message, answer.text):
            return []
        rated = replies.feedback and answer.outcome in RATED and bool(answer.run_id)
        extras = answer_buttons(self._turn.id, answer.run_id) if rated else []
        text = await render_in_thread(answer.text, answer.citations)
        if answer.text and not _is_visible(text):
            text = apology(RunFailed("failed", "empty"))
        cards = tuple[Card, ...]()
        if replies.reasoning:
            cards = await in_thread(partial(with_reasoning, ()), answer.text)
        done = await self._live.finish(text, extras, cards)
        self.rated_ts = done[-1] if rated and done else ""
        return done


def _is_visible(text: str) -> bool:
    """Whether the text has a visible character."""
    return any(unicodedata.category(char)[0] not in "CZ" for char in text)
