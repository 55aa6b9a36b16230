"""The messages of one answer: posted, streamed, edited and looked up. Each call is one request.

Every message carries its turn and part in its metadata, by which it is found if the outcome of a
post is unknown. A stream gets its metadata only when it is stopped. A stream whose `ts` was never
recorded is recognized as our only message without metadata.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Retry, Undeliverable
from bot.models import Message
from bot.slack.answer.pages import SMALLEST
from bot.slack.answer.post_rate import place_of, post_in_turn
from bot.slack.client import Uncertain, error_code, slack_errors
from bot.slack.markdown.render import blocks, fallback
from bot.slack.text import parse_text
from bot.slack.threads import read_replies
from bot.store.deferred import Rider
from bot.store.pace import Pace
from bot.telemetry.log import log
from bot.timing import AnswerTiming

Json = dict[str, Any]

METADATA_EVENT = "bot_answer"
TRIES = 3
MOST_TEXT = 4000
"""Characters of `text` that chat.update takes."""


TOO_LARGE = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_too_long",
        "too_many_blocks",
    }
)
"""Refusals that a smaller message may avoid: Slack makes blocks of Markdown, at most 50 a message.
https://docs.slack.dev/reference/methods/chat.postMessage#errors"""


class TooLarge(Exception):
    """Slack refused a message for its size; nothing was posted or changed."""


def is_too_large(error: SlackApiError) -> bool:
    """Whether Slack refused the blocks of a message, by their number, size or kind."""
    code = error_code(error)
    return "block" in code or code in TOO_LARGE


async def attempts(
    call: Callable[..., Awaitable[Any]],
    payloads: Sequence[Json],
    can_do_with_less: Callable[[SlackApiError], bool],
) -> Any:
    """Call with each payload, the richest first, until Slack accepts one; returns its response.

    Raises as `slack_errors`; also the SlackApiError of the last payload, or any that a smaller
    payload cannot avoid.
    """
    for payload in payloads[:-1]:
        try:
            with slack_errors():
                return await call(**payload)
        except SlackApiError as error:
            if not can_do_with_less(error):
                raise
            log.warning("payload_refused", error=error_code(error), fields=sorted(payload))
    with slack_errors():
        return await call(**payloads[-1])


ENDED = frozenset({"message_not_in_streaming_state", "stopped_by_user", "message_not_found"})


def is_ended(error: SlackApiError) -> bool:
    """Whether a stream has ended (by age, or stopped by a person), so that the message can be
    edited."""
    return error_code(error) in ENDED


class Chat:
    """The messages of one turn's answer. All methods raise as `slack_errors`."""

    def __init__(
        self,
        client: AsyncWebClient,
        pace: Pace,
        message: Message,
        turn_id: str,
        bot_id: str = "",
        timing: AnswerTiming = AnswerTiming(),
    ) -> None:
        self._timing = timing
        self._client = client
        self._pace = pace
        self._message = message
        self._turn_id = turn_id
        self._bot_id = bot_id
        self._is_absent = False
        """Whether a look-up found nothing of this turn in Slack, and nothing was posted since."""
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
            if again and (found := await self.find(part)):
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
                self.expect_traces()
                await asyncio.sleep(self._timing.settling)
            else:
                if strayed:
                    await self._take_back_a_stray(ts, part)
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

    async def _take_back_a_stray(self, ts: str, part: int) -> None:
        """Delete a reply that Slack put into the channel because the thread's root is gone.

        Looking up the root before every post would cost a rate-limited call. Instead we check
        Slack's response, and look the message up before anything is deleted.
        """
        await asyncio.sleep(self._timing.settling)
        try:
            if await self.find(part):
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

        Raises TooLarge if it refuses the text itself; a text that cannot be split further is sent
        as plain text.
        """
        layouts = [blocks(text)]
        if extras:
            layouts.insert(0, [*layouts[0], *extras])
        if cards:
            layouts.insert(0, [*cards, *layouts[0]])
        payloads = [{"blocks": layout} for layout in layouts]
        try:
            return await attempts(
                partial(call, **message, text=fallback(text)), payloads, is_too_large
            )
        except SlackApiError as error:
            if not is_too_large(error):
                raise
            if len(text) > SMALLEST:
                raise TooLarge from error
        with slack_errors():
            return await call(**message, text=fallback(text, limit=MOST_TEXT))

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
        await attempts(stop, payloads, lambda error: not is_ended(error))

    def expect_traces(self) -> None:
        """Note a call of unknown outcome: from now on Slack may hold messages of this turn."""
        self._is_absent = False

    async def find(self, part: int) -> str | None:
        """The `ts` of a part of this turn that Slack already holds, or None."""
        if self._is_absent:
            return None
        wanted = (METADATA_EVENT, self._turn_id, part)
        async for message in self._replies():
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if (metadata.get("event_type"), payload.get("turn"), payload.get("part")) == wanted:
                return str(message["ts"])
        return None

    async def find_whole(self, since: str) -> tuple[str, Mapping[str, str]] | None:
        """The text of this turn's answer and its ending, if Slack holds all of it.

        `since` is the `ts` of the turn's first message: when the turn is begun again, it may have
        more messages than those that were answered.
        """
        texts: dict[int, str] = {}
        ending: Mapping[str, str] | None = None
        unmarked = False
        async for message in self._replies(since):
            metadata = message.get("metadata") or {}
            unmarked = unmarked or (not metadata and message.get("bot_id") == self._bot_id)
            payload = metadata.get("event_payload") or {}
            if (metadata.get("event_type"), payload.get("turn")) == (METADATA_EVENT, self._turn_id):
                texts[int(payload.get("part", 0))] = parse_text(message.get("text") or "")
                ending = payload if payload.get("whole") else ending
        self._is_absent = not texts and not unmarked
        return None if ending is None else ("\n\n".join(texts[n] for n in sorted(texts)), ending)

    async def find_orphan(self, known: Sequence[str]) -> str | None:
        """The `ts` of a stream of this turn that was started but never recorded, or None.

        It is our message, newer than the question and without metadata. Only one can exist:
        everything else that we post in threads has metadata, except files.
        """
        if self._is_absent:
            return None
        found = None
        async for message in self._replies():
            if (
                message.get("bot_id") == self._bot_id
                and not message.get("metadata")
                and not message.get("subtype")
                and not message.get("files")
                and message["ts"] not in known
                and message["ts"] > self._message.ts
            ):
                found = str(message["ts"])
        return found

    def _replies(self, since: str = "") -> AsyncIterator[Mapping[str, Any]]:
        """The messages of the thread, starting at the question."""
        return read_replies(
            self._client, self.thread, oldest=since or self._message.ts, include_all_metadata=True
        )

    def _metadata(self, part: int) -> Json:
        return {
            "event_type": METADATA_EVENT,
            "event_payload": {"turn": self._turn_id, "part": part, **(self.ending or {})},
        }
