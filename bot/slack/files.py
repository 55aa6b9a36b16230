"""Files that people attach: downloaded with the bot's token, from Slack's own hosts only.

https://docs.slack.dev/reference/objects/file-object
"""

import asyncio
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, RateLimited
from bot.media import Attachment, file_kind
from bot.models import File, Thread
from bot.slack.client import error_code, slack_errors
from bot.telemetry.log import log
from bot.texts.files import (
    ELSEWHERE,
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

MOST_BYTES = 20 * 1024 * 1024
"""Of one file. Base64 makes it a third larger; AI servers take 50 MB in a request."""
MOST_BYTES_TOGETHER = 30 * 1024 * 1024
MOST_FILES = 10
HOSTS = (".slack.com", ".slack-gov.com", ".slack-files.com")
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)
SLOWEST = 500_000
"""Bytes a second with which an upload may go on."""
REDIRECTS = 3
DELAYS = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the files of a message; `unread` says of each other one why."""

    attachments: tuple[Attachment, ...] = ()
    unread: tuple[str, ...] = ()


class _Unreadable(Exception):
    """Why a file cannot be had; the words are for people."""


class NotTaken(Exception):
    """Slack does not take a file; `str` is its word for why."""


class Files:
    """Gets the files of messages, and puts others into threads."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._own = urlsplit(client.base_url)

    async def load(self, files: Iterable[File], kinds: Collection[str]) -> Loaded:
        """Download the files that are of these kinds; raises nothing for a file but RateLimited."""
        attachments: list[Attachment] = []
        unread: list[str] = []
        room = MOST_BYTES_TOGETHER
        for number, file in enumerate(files):
            try:
                if number >= MOST_FILES:
                    raise _Unreadable(TOO_MANY)
                attachment = await self._load(file, kinds, min(room, MOST_BYTES))
            except _Unreadable as error:
                log.info("file_not_read", file=file.id, reason=str(error))
                unread.append(f"{file.name or UNNAMED} ({error})")
            else:
                room -= len(attachment.data)
                attachments.append(attachment)
        return Loaded(tuple(attachments), tuple(unread))

    async def upload(self, name: str, data: bytes) -> str:
        """Upload a file that no one sees until it is shared; returns its id.

        Raises NotTaken, and Retry where it may go better later.
        """
        try:
            with slack_errors():
                ticket = await self._client.files_getUploadURLExternal(
                    filename=name, length=len(data)
                )
                assert self._client.session is not None
                patience = aiohttp.ClientTimeout(total=60 + len(data) / SLOWEST, connect=5)
                async with self._client.session.post(
                    # a stream, which is sent in pieces: bytes would hold up all others
                    ticket["upload_url"],
                    data=io.BytesIO(data),
                    timeout=patience,
                ) as response:
                    response.raise_for_status()
        except SlackApiError as error:
            raise NotTaken(error_code(error)) from None
        return str(ticket["file_id"])

    async def share(self, thread: Thread, file_id: str, *, again: bool) -> None:
        """Show an uploaded file in a thread, unless an earlier attempt has done it (`again`).

        Raises NotTaken, Undeliverable, and Retry where it may go better later.
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

    async def _load(self, file: File, kinds: Collection[str], most: int) -> Attachment:
        if not file.url:
            file = await self._look_up(file)
        kind = file_kind(file.name, file.mimetype, file.size)
        if kind not in kinds or not kind:
            raise _Unreadable(UNHEARD if file.mimetype.startswith("audio/") else UNREADABLE)
        if file.size > most:
            raise _Unreadable(TOO_LARGE)
        for delay in (*DELAYS, None):
            try:
                data = await self._download(file, most)
                return Attachment(file.name, file.mimetype, kind, data)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.info("download_failed", file=file.id, error=type(error).__name__)
                if delay is not None:
                    await asyncio.sleep(delay)
        raise _Unreadable(NO_LUCK)

    async def _look_up(self, file: File) -> File:
        """What an event of a Slack Connect channel leaves out: there files come as stubs."""
        try:
            with slack_errors():
                answer = await self._client.files_info(file=file.id)
        except SlackApiError as error:
            code = error.response.get("error")
            raise _Unreadable(NO_SCOPE if code == "missing_scope" else GONE) from None
        except RateLimited:
            raise
        except BotError:
            raise _Unreadable(NO_LUCK) from None
        found: Mapping[str, Any] = answer["file"]
        url = found.get("url_private_download") or found.get("url_private") or ""
        if not url:
            raise _Unreadable(NOT_SHARED)
        return replace(
            file,
            name=found.get("name") or found.get("title") or file.name,
            mimetype=found.get("mimetype") or "",
            size=found.get("size") or 0,
            url=url,
        )

    async def _download(self, file: File, most: int) -> bytes:
        url, headers = file.url, {"Authorization": f"Bearer {self._client.token}"}
        session = self._client.session
        assert session is not None
        for _ in range(REDIRECTS + 1):
            if not self._is_slack(url):
                raise _Unreadable(ELSEWHERE)
            async with session.get(
                url, headers=headers, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, response.headers.get("Location", ""))
                    continue
                return await _body(response, file, most)
        raise _Unreadable(NO_LUCK)

    def _is_slack(self, url: str) -> bool:
        """Whether the token may be shown there: at Slack's hosts, or where `SLACK_API_URL` is."""
        parts = urlsplit(url)
        if (parts.scheme, parts.netloc) == (self._own.scheme, self._own.netloc):
            return True
        return parts.scheme == "https" and (parts.hostname or "").endswith(HOSTS)


async def _body(response: aiohttp.ClientResponse, file: File, most: int) -> bytes:
    if response.status in (401, 403):
        raise _Unreadable(NO_SCOPE)
    if response.status in (404, 410):
        raise _Unreadable(GONE)
    response.raise_for_status()
    data = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        data += chunk
        if len(data) > most:
            raise _Unreadable(TOO_LARGE)
    # Without a token that may read files Slack answers 200 with its login page.
    if response.content_type == "text/html" and len(data) != file.size:
        raise _Unreadable(NO_SCOPE)
    return bytes(data)
