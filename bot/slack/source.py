"""Slack as a source for the model: threads, canvases and the search, as the asker may see them.

All methods return text for the model, and raise ValueError with the reason why not. Slack's terms
forbid keeping the results.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import Viewer
from bot.errors import BotError, Undeliverable
from bot.models import Thread
from bot.slack.channels import Channels
from bot.slack.client import error_code, slack_errors
from bot.slack.downloads import Downloads, UnreadableFile
from bot.slack.encodings import decode
from bot.slack.html_text import html_text
from bot.slack.links import parse_file_link, parse_message_link
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.scopes import OF_TOOLS
from bot.slack.shared_files import parse_file
from bot.slack.threads import ThreadMessage, Threads
from bot.texts import source as texts

SEARCH = "assistant.search.context"
SEARCH_SCOPE = OF_TOOLS["slack_search"].name
RESULTS = 10
LARGEST_CANVAS = 2_000_000
"""Bytes of HTML."""
_REASONS: Mapping[str, str] = {
    "invalid_action_token": texts.TOO_OLD,
    "feature_not_enabled": texts.DISABLED,
    "missing_scope": texts.NO_SCOPE.format(scope=SEARCH_SCOPE),
    "assistant_search_context_disabled": texts.LATER,
    "query_too_long": texts.TOO_LONG,
}
_HIDDEN = frozenset({"channel_not_found", "thread_not_found", "message_not_found"})
_HIDDEN_FILES = frozenset({"file_not_found", "file_deleted", "not_visible"})


class SlackSource:
    """Reads Slack for the people of a turn."""

    def __init__(
        self,
        client: AsyncWebClient,
        channels: Channels,
        people: People,
        threads: Threads,
        rights: Rights,
    ) -> None:
        self._client = client
        self._channels = channels
        self._people = people
        self._threads = threads
        self._rights = rights
        self._downloads = Downloads(client)

    async def read_thread(self, link: str, viewer: Viewer) -> str:
        """The messages of the thread that a link points to."""
        found = parse_message_link(link)
        if found is None:
            raise ValueError(texts.NOT_A_LINK)
        await self._check_people(viewer)
        await self._check_channel(found.channel_id, viewer)
        thread = Thread(viewer.team_id, found.channel_id, found.thread_ts)
        with _refusals(_HIDDEN):
            lines = await self._threads.read(thread)
        refused = await self._rights.refused_among(thread, (line.user_id for line in lines))
        return await self._render(thread, [each for each in lines if each.user_id not in refused])

    async def read_canvas(self, link: str, viewer: Viewer) -> str:
        """The text of the canvas that a link points to."""
        file_id = parse_file_link(link)
        if not file_id:
            raise ValueError(texts.NOT_A_CANVAS)
        await self._check_people(viewer)
        with _refusals(_HIDDEN_FILES):
            found: Mapping[str, Any] = (await self._client.files_info(file=file_id))["file"]
        await self._check_file(found, viewer)
        file = parse_file(found)
        try:
            data = await self._downloads.fetch(file.url, file.size, LARGEST_CANVAS, html=True)
        except UnreadableFile as error:
            raise ValueError(str(error)) from None
        return html_text(decode(data)[0]) or texts.EMPTY

    async def search(self, query: str, viewer: Viewer) -> str:
        """Messages of public channels that fit a query."""
        if not query.strip():
            raise ValueError(texts.NO_QUERY)
        await self._check_people(viewer)
        if not viewer.action_token:
            raise ValueError(texts.TOO_OLD)
        body = {
            "query": query,
            "action_token": viewer.action_token,
            "channel_types": ["public_channel"],
            "content_types": ["messages"],
            "limit": RESULTS,
        }
        await self._check_place(viewer)
        with _refusals(_HIDDEN):
            answer = await self._client.api_call(SEARCH, json=body)
        results = answer.get("results") or {}
        messages = await self._visible(results.get("messages") or (), viewer)
        return "\n\n".join(filter(None, map(_message, messages))) or texts.NOTHING_FOUND

    async def _visible(
        self, messages: Sequence[Mapping[str, Any]], viewer: Viewer
    ) -> list[Mapping[str, Any]]:
        """The results that each author of the turn may see, and this channel may show."""
        channel_ids = {str(each.get("channel_id") or "") for each in messages}
        checks = await asyncio.gather(
            *(self._check_channel(each, viewer) for each in channel_ids), return_exceptions=True
        )
        hidden = {id for id, error in zip(channel_ids, checks, strict=True) if error}
        return [each for each in messages if str(each.get("channel_id") or "") not in hidden]

    async def _check_people(self, viewer: Viewer) -> None:
        """Refuse guests and outsiders, and people about whom Slack says nothing."""
        for user_id in viewer.authors:
            person = await self._people.find(user_id)
            if person is None or person.is_guest or person.is_bot:
                raise ValueError(texts.MEMBERS_ONLY)
            if not person.belongs_to(viewer.team_id):
                raise ValueError(texts.MEMBERS_ONLY)

    async def _check_place(self, viewer: Viewer) -> None:
        """Refuse channels that other organizations read."""
        if await self._channels.is_shared(viewer.channel_id):
            raise ValueError(texts.SHARED)

    async def _check_channel(self, channel_id: str, viewer: Viewer) -> None:
        """Whether all authors see the channel now, and its content may be shown here."""
        if channel_id == viewer.channel_id:
            return
        await self._check_place(viewer)
        if not channel_id or channel_id.startswith("D"):
            raise ValueError(texts.NOT_VISIBLE)
        with _refusals(_HIDDEN):
            facts = (await self._client.conversations_info(channel=channel_id))["channel"]
        for user_id in viewer.authors:
            thread = Thread(viewer.team_id, channel_id, "0")
            if await self._rights.refusal_of(thread, user_id):
                raise ValueError(texts.NOT_VISIBLE)
        if not (facts.get("is_private") or facts.get("is_mpim") or facts.get("is_im")):
            return
        for user_id in viewer.authors:
            with _refusals(_HIDDEN):
                joined = await self._channels.joined_now(user_id)
            if channel_id not in joined:
                raise ValueError(texts.NOT_VISIBLE)
        if not viewer.channel_id.startswith("D"):
            raise ValueError(texts.ELSEWHERE)

    async def _check_file(self, file: Mapping[str, Any], viewer: Viewer) -> None:
        """A file is visible in the channels in which it was shared."""
        places = [*(file.get("channels") or ()), *(file.get("groups") or ())]
        if set(viewer.authors) == {file.get("user")} and viewer.channel_id.startswith("D"):
            return
        reason = texts.NOT_VISIBLE
        for channel_id in [*places, *(file.get("ims") or ())]:
            try:
                await self._check_channel(str(channel_id), viewer)
            except ValueError as error:
                reason = texts.ELSEWHERE if str(error) == texts.ELSEWHERE else reason
            else:
                return
        raise ValueError(reason)

    async def _render(self, thread: Thread, lines: Sequence[ThreadMessage]) -> str:
        names = await self._threads.names.of({line.user_id for line in lines} - {""}, thread)
        rendered = [
            f"{names.get(line.user_id) or line.name or line.user_id}: {line.text}" for line in lines
        ]
        return "\n\n".join(rendered) or texts.EMPTY


@contextmanager
def _refusals(hidden: frozenset[str]) -> Iterator[None]:
    """Turns the errors of Slack into reasons for the model."""
    try:
        with slack_errors():
            yield
    except SlackApiError as error:
        raise ValueError(_reason(error_code(error), hidden)) from None
    except Undeliverable as error:
        known = {"not_in_channel": texts.NO_ACCESS}
        raise ValueError(known.get(error.reason, texts.NOT_VISIBLE)) from None
    except BotError:
        raise ValueError(texts.LATER) from None


def _reason(code: str, hidden: frozenset[str]) -> str:
    return texts.NOT_VISIBLE if code in hidden else _REASONS.get(code) or texts.refused(code)


def _message(found: Mapping[str, Any]) -> str:
    content = found.get("content")
    if not isinstance(content, str) or not content:
        return ""
    channel, author = found.get("channel_name"), found.get("author_name")
    place = f"#{channel}" if channel else str(found.get("channel_id"))
    head = ", ".join(filter(None, (place, str(author or ""), str(found.get("permalink") or ""))))
    return f"{head}:\n{content}"
