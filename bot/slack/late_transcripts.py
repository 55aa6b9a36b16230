"""Handles transcripts that Slack completes after the answer has begun.

https://docs.slack.dev/reference/events/file_change
"""

import time
from collections.abc import Iterable
from dataclasses import replace

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.block_text import string
from bot.slack.client import slack_errors
from bot.slack.payload import Payload
from bot.slack.readable import has_transcript
from bot.slack.shared_files import parse_file
from bot.store import Store
from bot.telemetry.log import log
from bot.texts.prompts import LATE_TRANSCRIPT


class LateTranscripts:
    """Requests another answer once the transcript of an unread recording is available."""

    def __init__(self, store: Store, client: AsyncWebClient) -> None:
        self._store = store
        self._client = client

    async def file_change(self, event: Payload) -> None:
        """Handle `file_change`, which only says that a file has changed."""
        file = event.get("file")
        file_id = string(event.get("file_id")) or string((file or {}).get("id"))
        if file_id and await self._store.routing.awaits_transcript(file_id):
            with slack_errors():
                answer = await self._client.files_info(file=file_id)
            await self.take([answer["file"]])

    async def take(self, files: Iterable[Payload]) -> None:
        """Deliver the files that now have a transcript but had none before."""
        for file in files:
            file_id = string(file.get("id"))
            if not file_id or not has_transcript(file):
                continue
            message = await self._store.routing.awaits_transcript(file_id)
            if message is None:
                continue
            recording = replace(parse_file(file), transcribed=False)
            await self._store.inbox.deliver(
                replace(
                    message,
                    ts=f"{time.time():.6f}",
                    text=LATE_TRANSCRIPT,
                    files=(recording,),
                    event_id=f"transcript:{file_id}",
                    kind="message",
                )
            )
            await self._store.routing.end_await(file_id)
            log.info("transcript_came_late", thread=message.thread.key, ts=message.ts)
