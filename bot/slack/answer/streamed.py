"""A growing answer that is streamed: Slack shows each chunk to the asker as it arrives."""

import asyncio
from collections.abc import Sequence

from slack_sdk.errors import SlackApiError

from bot.errors import Retry, Undeliverable
from bot.models import Card, Update
from bot.slack.answer.ageing import AgeingAnswer
from bot.slack.answer.cards import working
from bot.slack.answer.edited import EditedMessage
from bot.slack.answer.outlet import Outlet
from bot.slack.answer.rate_limits import APPENDS, LAST_APPENDS, STARTS
from bot.slack.answer.stream import LIMIT, Stream
from bot.slack.client import Uncertain, error_code
from bot.slack.markdown.growing import Append
from bot.slack.markdown.render import blocks, in_thread
from bot.store.step_values import Draft
from bot.store.steps import CARDS
from bot.telemetry.log import log


class StreamedMessage:
    """The open stream of an answer; a full or old one is ended and the next one started.

    `GrowingMessage`. If Slack refuses to stream, that is remembered for the channel or the
    workspace, and the answer is posted and edited.
    """

    allowance = APPENDS

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._chat, self._drafts = outlet.chat, outlet.drafts
        self._growing = AgeingAnswer(LIMIT)
        self._unsent: list[Append] = []
        """The text that is laid out but not sent yet."""
        self._stream: Stream | None = None
        self._full = ""
        """The complete text of the message that is about to be ended."""
        self.usable = True
        """Whether another stream may be started for this answer."""

    @property
    def pause(self) -> float:
        """Seconds between two appends."""
        return self._outlet.timing.append_every

    @property
    def is_open(self) -> bool:
        """Whether a stream is open."""
        return self._stream is not None

    @property
    def is_empty(self) -> bool:
        """Whether an open stream shows cards only, and no text."""
        return self._stream is not None and self._stream.sure and not self._stream.text

    @property
    def ts(self) -> str:
        """The `ts` of the open stream."""
        return self._stream.ts if self._stream else ""

    @property
    def patience(self) -> float | None:
        """Seconds until the open stream is too old, even if no more text comes."""
        if self._stream is None:
            return None
        return max(0.0, self._outlet.timing.stream_too_old - self._stream.age)

    async def show(self, update: Update) -> bool:
        """Append the new text."""
        await self._note_cards(update.cards)
        text = await in_thread(self._outlet.visible.of, update.text)
        self._unsent = _joined([*self._unsent, *await in_thread(self._growing.advance, text)])
        if self._stream and self._is_old(self._stream, text):
            end = self._growing.end_message()
            self._unsent = _joined([*self._unsent, *([end] if end else [])])
        while self._unsent or update.cards:
            append = self._unsent[0] if self._unsent else Append("")
            if not await self._send(append, update.cards):
                return False
            self._unsent = self._unsent[1:]
            if append.ends:
                await self._end_message(text)
            if not self._unsent:
                break
        return True

    async def finish(self, text: str, extras: Sequence[dict[str, object]]) -> bool:
        """End the stream with the end of the answer; False if it must be edited for that."""
        stream, self._stream = self._stream, None
        assert stream is not None
        words = str((await in_thread(blocks, text))[0]["text"])
        return await stream.end(words, extras=extras, last=True, cards=self._outlet.cards)

    async def _note_cards(self, cards: Sequence[Card]) -> None:
        """Record the cards: a later worker that edits the message must send them again."""
        if cards and tuple(cards) != self._outlet.turn.recall(CARDS):
            await self._outlet.turn.note(CARDS, tuple(cards))

    def _is_old(self, stream: Stream, text: str) -> bool:
        timing = self._outlet.timing
        at_break = stream.age > timing.stream_old and text.endswith("\n\n")
        return at_break or stream.age > timing.stream_too_old

    async def _send(self, append: Append, cards: Sequence[Card]) -> bool:
        """Returns whether it was sent. The text that ends a message is sent with the stop."""
        if self._stream is None:
            return await self._start(append.text, cards)
        if append.ends:
            self._full = self._stream.text + append.text
            return True
        if not append.text and not self._stream.is_news(cards):
            return True
        if not await self._outlet.limits.grant(APPENDS, leave=LAST_APPENDS):
            return False
        await self._stream.append(append.text, cards)
        return True

    async def _start(self, text: str, cards: Sequence[Card]) -> bool:
        at_work = working(cards) if self._drafts.shown else cards
        if not text and not at_work:
            return True
        self._outlet.check_room()
        if not await self._outlet.limits.grant(STARTS):
            return False
        stream = Stream(self._chat, self._outlet.limits, len(self._drafts.shown))

        async def start() -> Draft:
            try:
                await stream.start(text, at_work)
            except Uncertain:
                self._chat.posted.expect_traces()
                return await self._find_lost()
            except Retry as error:
                await self._outlet.limits.pause(STARTS, error.after or 1)
            except (SlackApiError, Undeliverable) as error:
                self._refuse(error)
            return Draft(stream.ts)

        self._outlet.status.coming()
        draft = await self._drafts.begin(start)
        if stream.ts and draft.ts == stream.ts:
            self._stream, self._full = stream, text
            self._outlet.status.shown()
            self._outlet.status.session_began()
        return self._stream is not None

    async def _find_lost(self) -> Draft:
        """Handle a start of unknown outcome; the message is edited from now on."""
        self.usable = False
        await asyncio.sleep(self._outlet.timing.settling)
        known = [draft.ts for draft in self._drafts.shown]
        return Draft(await self._chat.posted.find_orphan(known) or "")

    def _refuse(self, error: SlackApiError | Undeliverable) -> None:
        code = error.reason if isinstance(error, Undeliverable) else error_code(error)
        self._outlet.refused.note("stream", code, self._chat.thread)
        log.info("stream_refused", thread=self._chat.thread.key, error=code)
        self.usable = False

    async def _end_message(self, text: str) -> None:
        """End the full message; the next append starts a new one."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        part = len(self._drafts.shown) - 1
        ended = await stream.end(self._full, cards=working(self._outlet.cards))
        if not ended:
            ended_draft = Draft(stream.ts, streamed=True, end=0)
            await EditedMessage(self._outlet).rewrite(ended_draft, self._full, part)
        await self._drafts.close(text, self._growing.starts[len(self._drafts.shown)])


def _joined(appends: Sequence[Append]) -> list[Append]:
    """Merge appends into one per message."""
    joined: list[Append] = []
    for append in appends:
        if joined and not joined[-1].ends:
            before = joined.pop()
            append = Append(before.text + append.text, append.ends)
        joined.append(append)
    return joined
