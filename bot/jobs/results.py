"""The results of a job: direct messages that are sent once each."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.models import Message
from bot.slack.blocks import Block
from bot.slack.direct_messages import DirectMessages

METADATA_EVENT = "bot_job"
LOOK_BACK = 86_400.0
"""How far before a job its results are looked up, in seconds: for a job that Redis has lost, the
sweep asks again later."""


class JobResults:
    """Sends the results of one job to the person who asked for it.

    `again`: an earlier attempt may have sent them, so each is looked up in Slack first: a message
    by its metadata, a file by its name. All methods raise as those of `DirectMessages`.
    """

    def __init__(self, messages: DirectMessages, job: Message, *, again: bool) -> None:
        self._messages = messages
        self._job = job
        self._again = again

    async def send(self, text: str, part: str = "result") -> None:
        """Send a message; `part` distinguishes it from others of the job."""
        if not await self.is_posted(part):
            await self._messages.send(self._job.user_id, text, metadata=self._metadata(part))

    async def send_blocks(self, text: str, blocks: Sequence[Block], part: str = "result") -> bool:
        """Send a text with blocks below it; False if this Slack does not know such blocks."""
        return await self.is_posted(part) or await self._messages.send_blocks(
            self._job.user_id, text, blocks, metadata=self._metadata(part)
        )

    async def send_file(self, name: str, ending: str, content: bytes, comment: str) -> None:
        """Send a file with a comment above it; the time of the job becomes part of its name."""
        if not await self.has_file(name, ending):
            full_name = self._file_name(name, ending)
            await self._messages.send_file(self._job.user_id, full_name, content, comment)

    async def has_file(self, name: str, ending: str) -> bool:
        """Whether an earlier attempt has sent a file."""
        full_name = self._file_name(name, ending)

        def is_wanted(message: Mapping[str, Any]) -> bool:
            return any(file.get("name") == full_name for file in message.get("files") or ())

        return await self._is_sent(is_wanted)

    def _file_name(self, name: str, ending: str) -> str:
        asked_at = datetime.fromtimestamp(float(self._job.ts), UTC)
        return f"{name}-{asked_at:%Y%m%d-%H%M%S}.{ending}"

    async def is_posted(self, part: str = "result") -> bool:
        """Whether an earlier attempt has posted a message."""
        wanted = self._metadata(part)

        def is_wanted(message: Mapping[str, Any]) -> bool:
            return message.get("metadata") == wanted

        return await self._is_sent(is_wanted)

    async def _is_sent(self, is_wanted: Callable[[Mapping[str, Any]], bool]) -> bool:
        since = float(self._job.ts) - LOOK_BACK
        return self._again and await self._messages.find(self._job.user_id, since, is_wanted)

    def _metadata(self, part: str) -> dict[str, Any]:
        id = hashlib.blake2s((self._job.event_id or self._job.ts).encode(), digest_size=16)
        payload = {"job": id.hexdigest(), "part": part}
        return {"event_type": METADATA_EVENT, "event_payload": payload}
