"""One streamed message of an answer: what Slack has accepted, and how it ends.

Slack ends a stream about five minutes after its start and accepts 12,000 characters in total. The
message can be edited only after the stream has ended (`streaming_state_conflict`).
https://docs.slack.dev/reference/methods/chat.startStream
"""

import asyncio
import time
from collections.abc import Sequence

from slack_sdk.errors import SlackApiError

from bot.errors import Retry
from bot.models import Card, Json
from bot.slack.answer.cards import Cards
from bot.slack.answer.chat import TRIES, Chat
from bot.slack.answer.rate_limits import APPENDS, STOPS, RateLimits
from bot.slack.answer.refusals import is_ended
from bot.slack.client import Uncertain, error_code
from bot.telemetry.log import log

LIMIT = 11_000
"""Characters of text in one streamed message; 500 more are for the titles of cards."""
LONG_WAIT = 0.5
"""If the stop has to wait for longer, the text is appended first."""


class Stream:
    """A stream that this process has started."""

    def __init__(self, chat: Chat, limits: RateLimits, part: int) -> None:
        self.ts = ""
        self.text = ""
        """The text accepted by Slack so far."""
        self.sure = True
        """False once the outcome of an append is unknown."""
        self._chat = chat
        self._limits = limits
        self._part = part
        self._cards = Cards()
        self._began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def is_news(self, cards: Sequence[Card]) -> bool:
        """Whether any card is new or changed."""
        return self._cards.is_news(cards)

    async def start(self, text: str, cards: Sequence[Card]) -> None:
        """Start the stream."""
        self.ts = await self._chat.start(self._chunks(text, cards))
        self.text = text

    async def append(self, text: str, cards: Sequence[Card]) -> None:
        """Append to the stream. Raises Retry if Slack accepted nothing."""
        chunks = self._chunks(text, cards)
        if not chunks:
            return
        try:
            await self._chat.append(self.ts, chunks)
        except Uncertain:
            self.sure = False
            raise
        self.text += text

    async def end(
        self, text: str, *, extras: Sequence[Json] = (), last: bool = False, cards: Sequence[Card]
    ) -> bool:
        """End the message so that it holds `text`. Returns False if it must be edited for that.

        Raises Retry if the stream is still open.
        """
        rest = text[len(self.text) :]
        # Slack may strip whitespace at the start of a chunk.
        exact = self.sure and text.startswith(self.text) and not rest[:1].isspace()
        chunks = self._chunks(rest if exact else "", cards) + self._cards.close()
        wait = await self._limits.place(STOPS)
        if wait > LONG_WAIT:
            chunks, exact = await self._append_before(chunks, exact)
        if wait:
            await self._limits.wait(STOPS)
        for _ in range(TRIES):
            try:
                await self._chat.stop(self.ts, self._part, chunks=chunks, extras=extras, last=last)
                return exact
            except Uncertain:
                chunks, exact = [], False
            except Retry as error:
                await self._limits.pause(STOPS, error.after or 1)
                await asyncio.sleep(error.after or 1)
            except SlackApiError as error:
                if is_ended(error):
                    return False
                log.warning("stop_refused", error=error_code(error))
                chunks, exact = [], False
        raise Retry("slack_stream_open", counts=False)

    async def _append_before(self, chunks: list[Json], exact: bool) -> tuple[list[Json], bool]:
        """Append the rest now if the rate limit allows, because the stop has to wait."""
        if not chunks or not await self._limits.grant(APPENDS):
            return chunks, exact
        try:
            await self._chat.append(self.ts, chunks)
        except Uncertain:
            return [], False
        except (Retry, SlackApiError):
            return chunks, exact
        return [], exact

    def _chunks(self, text: str, cards: Sequence[Card]) -> list[Json]:
        words = [{"type": "markdown_text", "text": text}] if text else []
        return [*self._cards.chunks(cards), *words]


async def stop_quietly(chat: Chat, limits: RateLimits, ts: str, part: int) -> None:
    """End a stream that another worker may have left open. Raises Retry on a temporary failure.

    A stream that has already ended is not an error.
    """
    await limits.wait(STOPS)
    try:
        await chat.stop(ts, part)
    except SlackApiError as error:
        log.debug("stream_already_ended", error=error_code(error))
