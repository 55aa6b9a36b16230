"""Keep "Answer again" under the last answer of a thread only.

When the next answer is posted, the button is removed from the previous one. This is best effort: a
button that remained is removed when it is pressed, with an explanation.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Json, Thread
from bot.slack.answer.buttons import AGAIN
from bot.slack.answer.rate_limits import EDITS, LAST_EDITS, RateLimits
from bot.slack.client import slack_errors
from bot.slack.threads import read_replies
from bot.telemetry.log import log

MOST_AT_ONCE = 100
"""Concurrent removals per process; beyond that the button stays."""
DRAIN_SECONDS = 5.0


class PreviousAnswers:
    """Removes the button from answers that are no longer the last ones, in the background."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def remove_button(self, thread: Thread, ts: str, limits: RateLimits) -> None:
        """Remove it from the message `ts`, in the background."""
        if len(self._tasks) < MOST_AT_ONCE:
            self._start(self._remove(thread, ts, limits))

    async def drain(self) -> None:
        """Wait for running removals, for a few seconds at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _remove(self, thread: Thread, ts: str, limits: RateLimits) -> None:
        try:
            if not await limits.grant(EDITS, leave=LAST_EDITS):
                return
            message = await _find(self._client, thread, ts)
            if message is not None:
                await remove_again(self._client, thread.channel_id, message)
        except (BotError, SlackApiError) as error:
            log.info("button_not_removed", thread=thread.key, error=str(error)[:100])


async def remove_again(client: AsyncWebClient, channel_id: str, message: Mapping[str, Any]) -> None:
    """Remove the button from one of our messages, as returned by Slack.

    Raises as `slack_errors`, and SlackApiError if Slack refuses the edit.
    """
    blocks = message.get("blocks") or []
    kept = without_again(blocks)
    if kept == blocks:
        return
    with slack_errors():
        await client.chat_update(
            channel=channel_id, ts=message["ts"], text=message.get("text") or "", blocks=kept
        )


def without_again(blocks: Sequence[Json]) -> list[Json]:
    """The blocks without the button, and without its row if that becomes empty."""
    kept = []
    for block in blocks:
        elements = block.get("elements") or []
        if block.get("type") == "actions" and any(map(_is_again, elements)):
            others = [element for element in elements if not _is_again(element)]
            if not others:
                continue
            block = block | {"elements": others}
        kept.append(block)
    return kept


def _is_again(element: Json) -> bool:
    return element.get("action_id") == AGAIN


async def _find(client: AsyncWebClient, thread: Thread, ts: str) -> Mapping[str, Any] | None:
    bounds: Json = {"oldest": ts, "latest": ts, "inclusive": True}
    async for message in read_replies(client, thread, most_pages=1, **bounds):
        if message["ts"] == ts:
            return message
    return None
