"""Files that people attach: downloaded with the bot's token, from Slack's own hosts only.

https://docs.slack.dev/reference/objects/file-object
"""

import asyncio
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, RateLimited
from bot.media import Attachment, file_kind
from bot.models import File, Thread
from bot.slack.client import error_code, slack_errors
from bot.slack.downloads import Downloads, UnreadableFile
from bot.slack.readable import (
    as_attachment,
    as_thumbnail,
    captions_text,
    complete_transcript,
    has_transcript,
    is_canvas,
    is_transcribing,
    transcript_of,
)
from bot.slack.shared_files import parse_file, transcript
from bot.telemetry.log import log
from bot.texts.files import (
    GONE,
    NO_LUCK,
    NO_SCOPE,
    NOT_SHARED,
    TOO_LARGE,
    TOO_MANY,
    UNHEARD,
    UNNAMED,
    UNREADABLE,
)
from bot.timing import SlackTiming

MOST_BYTES = 20 * 1024 * 1024
"""Maximum size of one file. Base64 adds a third; AI servers accept 50 MB in a request."""
MOST_BYTES_TOGETHER = 30 * 1024 * 1024
MOST_FILES = 10
SLOWEST = 500_000
"""Slowest upload that is allowed to continue, in bytes per second."""
"""Slack needs some seconds to transcribe a voice clip."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The files of a message that were read; `unread` names each other one with the reason.

    `unheard` are those of them that are recordings without a transcript.
    """

    attachments: tuple[Attachment, ...] = ()
    unread: tuple[str, ...] = ()
    unheard: tuple[File, ...] = ()


class NotTaken(Exception):
    """Slack refused a file; `str` is Slack's reason."""


class Files:
    """Downloads the files of messages, and uploads files to threads."""

    def __init__(self, client: AsyncWebClient, timing: SlackTiming = SlackTiming()) -> None:
        self._client = client
        self._downloads = Downloads(client)
        self._transcript_delays = timing.transcript_delays

    async def load(self, files: Iterable[File], kinds: Collection[str]) -> Loaded:
        """Download the files of these kinds. Of single files, only RateLimited is raised."""
        attachments: list[Attachment] = []
        unread: list[str] = []
        unheard: list[File] = []
        room = MOST_BYTES_TOGETHER
        for number, file in enumerate(files):
            try:
                if number >= MOST_FILES:
                    raise UnreadableFile(TOO_MANY)
                attachment = await self._load(file, kinds, min(room, MOST_BYTES))
                if attachment is None:
                    continue
            except UnreadableFile as error:
                log.info("file_not_read", file=file.id, reason=str(error))
                unread.append(f"{file.name or UNNAMED} ({error})")
                unheard += [file] if str(error) == UNHEARD else []
            else:
                room -= len(attachment.data)
                attachments.append(attachment)
                unread += [doubt] if (doubt := attachment.doubt) else []
        return Loaded(tuple(attachments), tuple(unread), tuple(unheard))

    async def is_transcribed(self, file: File) -> bool:
        """Whether Slack has a transcript of a recording now. Raises RateLimited."""
        try:
            found = await self._look_up(file)
        except UnreadableFile:
            return False
        return has_transcript(found)

    async def upload(self, name: str, data: bytes) -> str:
        """Upload a file without sharing it; returns its id.

        Raises NotTaken, and Retry if it may succeed later.
        """
        try:
            with slack_errors():
                ticket = await self._client.files_getUploadURLExternal(
                    filename=name, length=len(data)
                )
                assert self._client.session is not None
                patience = aiohttp.ClientTimeout(total=60 + len(data) / SLOWEST, connect=5)
                async with self._client.session.post(
                    # a stream is sent in chunks; bytes would block all other calls
                    ticket["upload_url"],
                    data=io.BytesIO(data),
                    timeout=patience,
                ) as response:
                    response.raise_for_status()
        except SlackApiError as error:
            raise NotTaken(error_code(error)) from None
        return str(ticket["file_id"])

    async def share(self, thread: Thread, file_id: str, *, again: bool) -> None:
        """Share an uploaded file in a thread, unless an earlier attempt did (`again`).

        Raises NotTaken, Undeliverable, and Retry if it may succeed later.
        """
        try:
            with slack_errors():
                if again and await self._is_shared(file_id):
                    return
                await self._client.files_completeUploadExternal(
                    files=[{"id": file_id}],
                    channel_id=thread.channel_id,
                    thread_ts=thread.thread_ts,
                )
        except SlackApiError as error:
            raise NotTaken(error_code(error)) from None

    async def _is_shared(self, file_id: str) -> bool:
        """Slack knows a file only once its upload is complete, and sharing completes it."""
        try:
            answer = await self._client.files_info(file=file_id)
        except SlackApiError as error:
            if error_code(error) == "file_not_found":
                return False
            raise
        return bool(answer["file"].get("shares", True))

    async def _load(self, file: File, kinds: Collection[str], most: int) -> Attachment | None:
        """The file in a form for the model; None if the message already contains all of it."""
        if not file.url:
            file = parse_file(await self._look_up(file))
            if not file.url:
                raise UnreadableFile(NOT_SHARED)
        kind = "text" if is_canvas(file) else file_kind(file.name, file.mimetype, file.size)
        if kind and kind in kinds and (file.size <= most or kind != "image"):
            data = await self._downloads.fetch(file.url, file.size, most, html=is_canvas(file))
            return as_attachment(file, kind, data)
        if file.mimetype.startswith("image/") and file.thumbnail and "image" in kinds:
            return as_thumbnail(file, await self._downloads.fetch(file.thumbnail, 0, most))
        if file.transcribed:
            return None
        if file.mimetype.startswith("audio/"):
            return transcript_of(file, await self._transcript(file, most))
        raise UnreadableFile(TOO_LARGE if file.size > most else UNREADABLE)

    async def _transcript(self, file: File, most: int) -> str:
        """Slack's transcript of a recording, which may not be finished yet."""
        for delay in (*self._transcript_delays, None):
            found = await self._look_up(file)
            if text := transcript(found):
                return text
            if url := complete_transcript(found):
                return captions_text((await self._downloads.fetch(url, 0, most)).decode())
            if not is_transcribing(found) or delay is None:
                break
            await asyncio.sleep(delay)
        raise UnreadableFile(UNHEARD)

    async def _look_up(self, file: File) -> Mapping[str, Any]:
        """The file as Slack knows it now: events of Slack Connect channels have only its id."""
        try:
            with slack_errors():
                answer = await self._client.files_info(file=file.id)
        except SlackApiError as error:
            code = error.response.get("error")
            raise UnreadableFile(NO_SCOPE if code == "missing_scope" else GONE) from None
        except RateLimited:
            raise
        except BotError:
            raise UnreadableFile(NO_LUCK) from None
        found: Mapping[str, Any] = answer["file"]
        return found
