"""Downloads of files with the bot's token, from Slack's own hosts only."""

import asyncio
import re
from urllib.parse import urljoin, urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.telemetry.log import log
from bot.texts.files import ELSEWHERE, GONE, NO_LUCK, NO_SCOPE, TOO_LARGE

_HOST = re.compile(
    r"(?:[a-z0-9][a-z0-9-]{0,62}\.){1,4}(?:slack|slack-gov|slack-files)\.com(?::443)?",
    re.ASCII | re.IGNORECASE,
)
"""Slack's hosts, without a user or another port: parsers of URLs differ on everything else."""
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)
REDIRECTS = 3
DELAYS = (0.5, 2.0)

_LOGIN = re.compile(rb"""<form[^>]*(?:signin|sign_in|login)|name=["']?password""", re.IGNORECASE)


class UnreadableFile(Exception):
    """Why a file cannot be read, in words for people."""


class Downloads:
    """Fetches files."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._own = urlsplit(client.base_url)

    async def fetch(self, url: str, size: int, most: int, *, html: bool = False) -> bytes:
        """Download at most `most` bytes. `size` is Slack's figure; `html`: an HTML page is
        expected.

        Raises UnreadableFile.
        """
        if size > most:
            raise UnreadableFile(TOO_LARGE)
        for delay in (*DELAYS, None):
            try:
                return await self._once(url, size, most, html=html)
            except aiohttp.InvalidURL:
                raise UnreadableFile(ELSEWHERE) from None
            except (aiohttp.ClientError, TimeoutError) as error:
                log.info("download_failed", error=type(error).__name__)
                if delay is not None:
                    await asyncio.sleep(delay)
        raise UnreadableFile(NO_LUCK)

    async def _once(self, url: str, size: int, most: int, *, html: bool) -> bytes:
        headers = {"Authorization": f"Bearer {self._client.token}"}
        session = self._client.session
        assert session is not None
        for _ in range(REDIRECTS + 1):
            if not self._is_slack(url):
                raise UnreadableFile(ELSEWHERE)
            async with session.get(
                url, headers=headers, allow_redirects=False, timeout=TIMEOUT
            ) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = _join(url, response.headers.get("Location", ""))
                    continue
                return await _body(response, size, most, html=html)
        raise UnreadableFile(NO_LUCK)

    def _is_slack(self, url: str) -> bool:
        """Whether the token may be sent there: to Slack's hosts, or the host of `SLACK_API_URL`."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if (parts.scheme, parts.netloc) == (self._own.scheme, self._own.netloc):
            return True
        is_plain = url.isascii() and url.isprintable()
        return is_plain and parts.scheme == "https" and bool(_HOST.fullmatch(parts.netloc))


async def _body(response: aiohttp.ClientResponse, size: int, most: int, *, html: bool) -> bytes:
    if response.status in (401, 403):
        raise UnreadableFile(NO_SCOPE)
    if response.status in (404, 410):
        raise UnreadableFile(GONE)
    response.raise_for_status()
    data = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        data += chunk
        if len(data) > most:
            raise UnreadableFile(TOO_LARGE)
    # To a token without the right to read files, Slack returns 200 with its login page.
    if response.content_type == "text/html" and (
        _LOGIN.search(data) if html else len(data) != size
    ):
        raise UnreadableFile(NO_SCOPE)
    return bytes(data)


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnreadableFile(ELSEWHERE) from None
