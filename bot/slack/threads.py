"""A thread as Slack holds it: the names it mentions, and the messages before a turn."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Retry, Undeliverable
from bot.models import Thread
from bot.slack.client import Identity, slack_errors
from bot.slack.content import read_content
from bot.slack.messages import POSTED
from bot.slack.names import Names
from bot.slack.paging import pages
from bot.slack.payload import Payload
from bot.telemetry.log import log

PAGE = 200
MOST_PAGES = 10
MOST_MESSAGES = 50
MOST_CHARS = 20_000
LONGEST_WAIT = 5.0
"""The longest pause, in seconds, that is waited out within a call."""

ABOVE_SECONDS = 86400.0
MOST_ABOVE = 10
"""Messages read above a mention without text."""
BUTTONS = frozenset({"actions", "context_actions"})


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """One message of a thread; `name` is set if there is no user, as for other apps."""

    ts: str
    user_id: str
    text: str
    name: str = ""
    files: tuple[str, ...] = ()
    ours: bool = False


class Threads:
    """Reads threads. Missing history is not an error: the answer matters more."""

    def __init__(self, client: AsyncWebClient, names: Names, identity: Identity) -> None:
        self.names = names
        self._client = client
        self._identity = identity

    async def messages_before(self, thread: Thread, ts: str) -> list[ThreadMessage]:
        """The root and the newest messages of the thread before `ts`, in order.

        At most 50 messages and 20,000 characters. Slack returns the oldest first, so all pages of a
        long thread are read; each page repeats the root. Raises Retry if Slack is unavailable: a
        late answer is better than one without context.
        """
        root: list[ThreadMessage] = []
        lines: deque[ThreadMessage] = deque(maxlen=MOST_MESSAGES - 1)
        is_stuck = False
        try:
            async for message in read_replies(
                self._client, thread, patient=True, most_pages=MOST_PAGES, latest=ts
            ):
                is_stuck = is_stuck or self._is_processing(message)
                line = self._line(message) if float(message["ts"]) < float(ts) else None
                if line is not None and line.ts == thread.thread_ts:
                    root = [line]
                elif line is not None:
                    lines.append(line)
        except (Undeliverable, SlackApiError) as error:
            log.warning("thread_not_read", thread=thread.key, error=str(error)[:100])
        if is_stuck:
            await self._close_session(thread)
        return _fitting(root, lines)

    def _is_processing(self, message: Payload) -> bool:
        """Whether Slack shows the bot at work in the thread that this message begins."""
        session = message.get("agent_session") or {}
        return any(
            own.get("agent_bot_user_id") == self._identity.user_id
            and own.get("status") == "processing"
            for own in session.get("agent_statuses") or ()
        )

    async def _close_session(self, thread: Thread) -> None:
        """End what was left in Slack by a turn that nothing resumes, because Redis has lost all
        data. A turn that reads the thread has not begun its own session yet, or begins it again.
        """
        try:
            with slack_errors():
                await self._client.agents_sessions_setStatus(
                    channel_id=thread.channel_id, thread_ts=thread.thread_ts, status="active"
                )
        except (BotError, SlackApiError) as error:
            log.info("status_not_set", what="session", error=str(error)[:100])

    async def read(self, thread: Thread) -> list[ThreadMessage]:
        """The root and the newest messages of a thread, in order. Raises what `slack_errors`
        does."""
        found = [
            self._line(message)
            async for message in read_replies(
                self._client, thread, patient=True, most_pages=MOST_PAGES
            )
        ]
        lines = {line.ts: line for line in found if line is not None}  # each page has the root
        root = [lines.pop(thread.thread_ts)] if thread.thread_ts in lines else []
        return _fitting(root, list(lines.values())[-MOST_MESSAGES:])

    async def said_at(self, thread: Thread, stamps: Collection[str]) -> list[ThreadMessage]:
        """The messages of a thread with these `ts`, in order. Raises what `slack_errors` does."""
        ordered = sorted(stamps, key=float)
        replies = read_replies(
            self._client,
            thread,
            patient=True,
            oldest=ordered[0],
            latest=ordered[-1],
            inclusive=True,
        )
        found = {each["ts"]: self._line(each) async for each in replies if each["ts"] in stamps}
        lines = (found.get(ts) for ts in ordered)
        return [line for line in lines if line is not None]

    async def said_above(self, thread: Thread) -> list[ThreadMessage]:
        """The last messages of another author in the channel before the thread began, in order.

        That is the newest message of the last day and those of its author directly above it. Empty
        if Slack does not return the channel's history.
        """
        oldest = f"{float(thread.thread_ts) - ABOVE_SECONDS:.6f}"
        try:
            with slack_errors():
                answer = await self._client.conversations_history(
                    channel=thread.channel_id,
                    latest=thread.thread_ts,
                    oldest=oldest,
                    limit=MOST_ABOVE,
                )
        except (BotError, SlackApiError) as error:
            log.warning("channel_not_read", thread=thread.key, error=str(error)[:100])
            return []
        read = [self._line(each) for each in answer.get("messages") or () if _is_post(each)]
        lines = [line for line in read if line is not None and not line.ours]
        newest = takewhile(lambda line: _author(line) == _author(lines[0]), lines)
        return _fitting([], reversed(list(newest)))

    def _line(self, message: Payload) -> ThreadMessage | None:
        if message.get("subtype") in ("tombstone", "channel_join", "group_join"):
            return None
        ours = message.get("user") == self._identity.user_id
        content = read_content(without_buttons(message) if ours else message)
        text = content.text(content.own)
        files = tuple(file.name or file.id for file in content.files)
        if not text and not files:
            return None
        profile = message.get("bot_profile") or {}
        return ThreadMessage(
            ts=message["ts"],
            user_id=message.get("user") or "",
            text=text,
            name=message.get("username") or profile.get("name") or "",
            files=files,
            ours=ours,
        )


def _is_post(message: Payload) -> bool:
    return message.get("subtype") in POSTED


def _author(line: ThreadMessage) -> str:
    return line.user_id or line.name


def without_buttons(message: Payload) -> Payload:
    """Our answer without the button rows below it."""
    blocks = message.get("blocks") or ()
    kept = [block for block in blocks if block.get("type") not in BUTTONS]
    return {**message, "blocks": kept}


async def has_posted_in(client: AsyncWebClient, identity: Identity, thread: Thread) -> bool:
    """Whether the bot wrote in a thread. Raises Retry if Slack is unavailable."""
    try:
        async for message in read_replies(client, thread, most_pages=MOST_PAGES):
            if message.get("user") == identity.user_id:
                return True
    except (Undeliverable, SlackApiError) as error:
        log.warning("thread_not_read", thread=thread.key, error=str(error)[:100])
    return False


async def read_replies(
    client: AsyncWebClient,
    thread: Thread,
    *,
    patient: bool = False,
    most_pages: int | None = None,
    **options: Any,
) -> AsyncIterator[Payload]:
    """The messages of a thread, oldest first, with the root on every page.

    `patient` waits out a short pause that Slack asks for; `options` are passed to
    `conversations.replies`. Raises what `slack_errors` does.
    """

    async def ask(cursor: str | None) -> Any:
        async def page() -> Any:
            return await client.conversations_replies(
                channel=thread.channel_id,
                ts=thread.thread_ts,
                limit=PAGE,
                cursor=cursor,
                **options,
            )

        return await (_with_pauses(page) if patient else _once(page))

    async for answer in pages(ask, most_pages):
        for message in answer.get("messages") or ():
            yield message


def _fitting(root: list[ThreadMessage], lines: Iterable[ThreadMessage]) -> list[ThreadMessage]:
    """The root, shortened if necessary, and the newest lines that fit."""
    root = [replace(line, text=line.text[: MOST_CHARS // 2]) for line in root]
    room = MOST_CHARS - sum(len(line.text) for line in root)
    chosen: list[ThreadMessage] = []
    for line in reversed(list(lines)):
        room -= len(line.text)
        if room < 0:
            break
        chosen.append(line)
    return root + chosen[::-1]


async def _with_pauses(call: Callable[[], Awaitable[Any]]) -> Any:
    """Call, and retry after each pause that Slack asks for, while the pauses are short in total."""
    patience = LONGEST_WAIT
    while True:
        try:
            return await _once(call)
        except Retry as error:
            if error.after is None or error.after > patience:
                raise
            patience -= max(1.0, error.after)
            await asyncio.sleep(error.after)


async def _once(call: Callable[[], Awaitable[Any]]) -> Any:
    with slack_errors():
        return await call()
