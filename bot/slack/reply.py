"""One answer in Slack: the status while it is made, then its parts, each posted once.

The journal holds each part's `ts`. Where a post's outcome is unknown (a crash or a broken
connection after the intent was written), it is looked up by its metadata before it is repeated.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Retry, Undeliverable
from bot.log import log
from bot.models import Citation, Message, Thread, Update
from bot.slack.channels import post_in_turn
from bot.slack.client import Uncertain, error_code, slack_errors
from bot.slack.render import blocks, fallback, render
from bot.slack.split import parts
from bot.store.pace import Pace
from bot.store.turns import Turn

METADATA_EVENT = "bot_answer"
THINKING = "is thinking…"
STATUS_REFRESH = 90.0
"""Seconds; Slack lets a status lapse after two minutes."""
SETTLING = 1.0
"""Seconds until a post that Slack has taken can be read back, before an uncertain one is looked up.
"""
TRIES = 3


class Replies:
    """Where answers go: one for the process."""

    def __init__(self, client: AsyncWebClient, pace: Pace) -> None:
        self._client = client
        self._pace = pace

    @asynccontextmanager
    async def open(self, turn: Turn, message: Message) -> AsyncIterator["Reply"]:
        """The reply to `message`: the status is on inside the block and gone afterwards.

        When the turn comes back later or goes to another worker, the status stays.
        """
        reply = Reply(self._client, self._pace, turn, message)
        status = asyncio.create_task(reply.keep_status())
        try:
            yield reply
        except (Retry, asyncio.CancelledError):
            raise
        except BaseException:
            await reply.clear_status()
            raise
        else:
            await reply.clear_status()
        finally:
            status.cancel()
            await asyncio.wait([status])


class Reply:
    """The reply of one turn."""

    def __init__(self, client: AsyncWebClient, pace: Pace, turn: Turn, message: Message) -> None:
        self._client = client
        self._pace = pace
        self._turn = turn
        self._message = message
        self._thread: Thread = message.thread
        self._posted = False

    async def show(self, update: Update) -> None:
        """Let the person see how far the answer is."""

    async def finish(self, answer: str, citations: Sequence[Citation] = ()) -> list[str]:
        """Post the whole answer, part by part, each of them once; returns their `ts`.

        Raises Undeliverable where Slack will never take it, Retry where it may later.
        """
        pieces = parts(render(answer, citations))
        return [await self._post_once(piece.text, index) for index, piece in enumerate(pieces)]

    async def _post_once(self, text: str, index: int) -> str:
        async def post(again: bool) -> str:
            return await self._post(text, index, again)

        return await self._turn.once(f"part:{index}", str, post)

    async def _post(self, text: str, index: int, again: bool) -> str:
        for _ in range(TRIES):
            if again and (found := await self._find(index)):
                self._posted = True
                return found
            try:
                return await post_in_turn(self._pace, self._thread, lambda: self._send(text, index))
            except Uncertain:
                again = True
                await asyncio.sleep(SETTLING)
        raise Retry("slack_post_uncertain")

    async def _send(self, text: str, index: int) -> str:
        message: dict[str, Any] = {
            "channel": self._thread.channel_id,
            "thread_ts": self._thread.thread_ts,
            "text": fallback(text),
            "metadata": {
                "event_type": METADATA_EVENT,
                "event_payload": {"turn": self._turn.id, "part": index},
            },
            "unfurl_links": False,
            "unfurl_media": False,
        }
        with slack_errors():
            try:
                answer = await self._client.chat_postMessage(blocks=blocks(text), **message)
            except SlackApiError as error:
                if "block" not in error_code(error):
                    raise
                # A Slack that does not know the markdown block gets the same words as plain text.
                log.warning("blocks_refused", error=error_code(error))
                answer = await self._client.chat_postMessage(**(message | {"text": text}))
        self._posted = True
        return str(answer["ts"])

    async def _find(self, index: int) -> str | None:
        """The `ts` of a part of this turn that Slack holds already."""
        cursor = ""
        while True:
            with slack_errors():
                page = await self._client.conversations_replies(
                    channel=self._thread.channel_id,
                    ts=self._thread.thread_ts,
                    oldest=self._message.ts,
                    include_all_metadata=True,
                    limit=200,
                    cursor=cursor or None,
                )
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                payload = metadata.get("event_payload") or {}
                if metadata.get("event_type") == METADATA_EVENT and (
                    payload.get("turn"),
                    payload.get("part"),
                ) == (self._turn.id, index):
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def keep_status(self) -> None:
        """Say that the bot is at work, again and again, until the task is cancelled."""
        while True:
            await self._set_status(THINKING)
            await asyncio.sleep(STATUS_REFRESH)

    async def clear_status(self) -> None:
        """Slack clears the status with our post; without one it is taken back here."""
        if not self._posted:
            await self._set_status("")

    async def _set_status(self, status: str) -> None:
        try:
            with slack_errors():
                await self._client.assistant_threads_setStatus(
                    channel_id=self._thread.channel_id,
                    thread_ts=self._thread.thread_ts,
                    status=status,
                )
        except (BotError, SlackApiError) as error:
            level = log.debug if isinstance(error, Undeliverable) else log.info
            level("status_not_set", thread=self._thread.key, error=str(error)[:100])
