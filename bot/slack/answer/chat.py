"""The messages of one answer: posted, streamed and edited. Each call is one request.

Every message carries its turn and part in its metadata, by which it is found again (`posted.py`).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Retry, Undeliverable
from bot.models import Json, Message
from bot.slack.answer.pages import SMALLEST
from bot.slack.answer.post_rate import place_of, post_in_turn
from bot.slack.answer.posted import METADATA_EVENT, Posted
from bot.slack.answer.refusals import MessageTooLarge, first_accepted, is_ended, is_too_large
from bot.slack.client import Uncertain, error_code, slack_errors
from bot.slack.markdown.render import blocks, fallback, in_thread
from bot.store.deferred import Rider
from bot.store.pace import Pace
from bot.telemetry.log import log
from bot.timing import AnswerTiming

TRIES = 3
MOST_TEXT = 4000
"""Characters of `text` that chat.update takes."""


class Chat:
    """Writes the messages of one turn's answer; `posted` looks them up.

    All methods raise as `slack_errors`.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        pace: Pace,
        message: Message,
        turn_id: str,
        bot_id: str = "",
        timing: AnswerTiming = AnswerTiming(),
        *,
        user_id: str = "",
    ) -> None:
        self._timing = timing
        self._client = client
        self._pace = pace
        self._message = message
        self._turn_id = turn_id
        self.posted = Posted(client, message, turn_id, bot_id, user_id)
        self.ending: dict[str, str] | None = None
        """Extra metadata of the last message: its presence means that the answer is complete."""
        self.thread = message.thread

    def place(self) -> Rider:
        """A place for a post among those of its channel."""
        return place_of(self._pace, self.thread, self._timing)

    async def post(
        self,
        text: str,
        part: int,
        *,
        again: bool = False,
        place: Rider | None = None,
        cards: Sequence[Json] = (),
        extras: Sequence[Json] = (),
    ) -> str:
        """Post a part exactly once, even if an earlier attempt may have; returns its `ts`."""
        for _ in range(TRIES):
            if again and (found := await self.posted.find(part)):
                return found
            try:
                ts, strayed = await post_in_turn(
                    self._pace,
                    self.thread,
                    lambda: self._send(text, part, cards, extras),
                    self._timing,
                    place,
                )
            except Uncertain:
                again, place = True, None
                self.posted.expect_traces()
                await asyncio.sleep(self._timing.settling)
            else:
                if strayed:
                    await self._delete_misplaced(ts, part)
                return ts
        raise Retry("slack_post_uncertain")

    async def _send(
        self, text: str, part: int, cards: Sequence[Json], extras: Sequence[Json]
    ) -> tuple[str, bool]:
        """Post once. Returns the `ts`, and whether Slack put the message outside the thread."""
        answer = await self._with_blocks(
            self._client.chat_postMessage,
            text,
            extras,
            cards,
            channel=self.thread.channel_id,
            thread_ts=self.thread.thread_ts,
            metadata=self._metadata(part),
            unfurl_links=False,
            unfurl_media=False,
        )
        message = answer.get("message")
        return str(answer["ts"]), bool(message and not message.get("thread_ts"))

    async def _delete_misplaced(self, ts: str, part: int) -> None:
        """Delete a reply that Slack put into the channel because the thread's root is gone.

        Looking up the root before every post would cost a rate-limited call. Instead we check
        Slack's response, and look the message up before anything is deleted.
        """
        await asyncio.sleep(self._timing.settling)
        try:
            if await self.posted.find(part):
                return
        except Retry:
            return
        except Undeliverable:
            log.info("thread_deleted", thread=self.thread.key)
        await self.delete(ts)
        raise Undeliverable("thread_not_found")

    async def update(
        self,
        ts: str,
        text: str,
        part: int,
        *,
        cards: Sequence[Json] = (),
        extras: Sequence[Json] = (),
    ) -> None:
        """Replace the whole content of a message. Idempotent."""
        await self._with_blocks(
            self._client.chat_update,
            text,
            extras,
            cards,
            channel=self.thread.channel_id,
            ts=ts,
            metadata=self._metadata(part),
        )

    async def _with_blocks(
        self,
        call: Callable[..., Any],
        text: str,
        extras: Sequence[Json],
        cards: Sequence[Json] = (),
        **message: Any,
    ) -> Any:
        """Retry with fewer blocks if Slack refuses some of them.

        Raises MessageTooLarge if it refuses the text itself; a text that cannot be split further is
        sent as plain text.
        """
        layouts = [await in_thread(blocks, text)]
        if extras:
            layouts.insert(0, [*layouts[0], *extras])
        if cards:
            layouts.insert(0, [*cards, *layouts[0]])
        payloads = [{"blocks": layout} for layout in layouts]
        summary = await in_thread(fallback, text)
        try:
            return await first_accepted(
                partial(call, **message, text=summary), payloads, is_too_large
            )
        except SlackApiError as error:
            if not is_too_large(error):
                raise
            if len(text) > SMALLEST:
                raise MessageTooLarge from error
        with slack_errors():
            return await call(**message, text=await in_thread(fallback, text, MOST_TEXT))

    async def delete(self, ts: str) -> None:
        """Delete a message. Idempotent: a missing message is not an error."""
        for left in reversed(range(TRIES)):
            try:
                with slack_errors():
                    await self._client.chat_delete(channel=self.thread.channel_id, ts=ts)
                return
            except SlackApiError as error:
                if error_code(error) != "message_not_found":
                    raise
                return
            except Retry as error:
                if not left:
                    raise
                await asyncio.sleep(error.after or self._timing.settling)

    async def start(self, chunks: Sequence[Json]) -> str:
        """Start a stream for the asking person, in their own team; returns its `ts`."""
        message = self._message
        with slack_errors():
            answer = await self._client.chat_startStream(
                channel=self.thread.channel_id,
                thread_ts=self.thread.thread_ts,
                recipient_team_id=message.user_team_id or self.thread.team_id,
                recipient_user_id=message.user_id,
                chunks=list(chunks),
            )
        return str(answer["ts"])

    async def append(self, ts: str, chunks: Sequence[Json]) -> None:
        """Add to a stream."""
        with slack_errors():
            await self._client.chat_appendStream(
                channel=self.thread.channel_id, ts=ts, chunks=list(chunks)
            )

    async def stop(
        self,
        ts: str,
        part: int,
        *,
        chunks: Sequence[Json] = (),
        extras: Sequence[Json] = (),
        last: bool = False,
    ) -> None:
        """End a stream; `last` also ends the thread's session."""
        message: Json = {"metadata": self._metadata(part)}
        if chunks:
            message["chunks"] = list(chunks)
        payloads = [message]
        if extras:
            payloads.insert(0, message | {"blocks": list(extras)})
        if last:
            payloads.insert(0, payloads[0] | {"session_status": "active"})
        stop = partial(self._client.chat_stopStream, channel=self.thread.channel_id, ts=ts)
        await first_accepted(stop, payloads, lambda error: not is_ended(error))

    def _metadata(self, part: int) -> Json:
        return {
            "event_type": METADATA_EVENT,
            "event_payload": {"turn": self._turn_id, "part": part, **(self.ending or {})},
        }
