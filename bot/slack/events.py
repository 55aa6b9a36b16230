"""Slack's events: who speaks to the bot, and the way into the inbox.

A listener returns when what it heard is durably stored; only then is the event acknowledged
(`process_before_response`). An exception becomes a 500 and Slack delivers again.
"""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import File, FollowUps, Message, MessageKind, Thread
from bot.slack.changes import Changes
from bot.slack.client import Identity, slack_errors
from bot.slack.ephemerals import whisper
from bot.slack.surfaces.assistant_thread import Pane
from bot.slack.text import parse_text
from bot.slack.threads import spoke_in
from bot.store import Address, Hearing, Store
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.texts.answers import INBOX_FULL, NOTHING_TO_STOP
from bot.texts.status import queued

SPOKEN = frozenset({None, "file_share", "thread_broadcast"})
"""Subtypes of `message` that a person has written; the other ones are Slack's own notices."""

RESET_WORDS = frozenset({"reset", "/reset", "!reset"})
STOP_WORDS = frozenset({"stop", "/stop", "!stop"})
FULL_NOTICE_SECONDS = 60
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
STOPPED_AT_ONCE = 5
"""Threads of a DM that a `stop` at its top ends: each message there opens a thread of its own."""
TELLING = 1.0
"""Seconds that telling a person something may take before Slack has its acknowledgement."""

CALLED = "Hello!"
"""What a mention without a word says: AI servers take no empty message."""

EVENTS = (
    "app_home_opened",
    "app_mention",
    "agent_session_stopped",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
)
"""What the app subscribes to; the manifest follows."""

Payload = Mapping[str, Any]


class Listeners:
    """The listeners of events, named as Slack names them."""

    def __init__(
        self,
        store: Store,
        client: AsyncWebClient,
        identity: Identity,
        follow_ups: FollowUps = "one_person",
    ) -> None:
        self._store = store
        self._client = client
        self._follow_ups = follow_ups
        self._identity = identity
        self._changes = Changes(store, client, self._parse_spoken)
        self._pane = Pane(store, client)
        self._mention = re.compile(rf"<@{re.escape(identity.user_id)}(\|[^>]*)?>")

    def register(self, app: AsyncApp) -> None:
        """Hang every listener on the app: one for each event that is subscribed to."""
        app.event("app_mention")(self.app_mention)
        app.event("message")(self.message)
        app.event("agent_session_stopped")(self.agent_session_stopped)
        app.event("app_home_opened")(self.app_home_opened)
        self._changes.register(app)

    async def app_mention(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """Somebody calls the bot by name. The twin `message` event is the same message."""
        await self._hear(event, body, context, "mention")

    async def message(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """Something was written where the bot is: for us in a DM, a mention or our own thread."""
        if event.get("subtype") == "message_changed":
            await self._changes.changed(event, body, context)
            return
        if event.get("subtype") == "message_deleted":
            await self._changes.deleted(event, body, context)
            return
        direct = event.get("channel_type") == "im"
        mentioned = bool(self._mention.search(event.get("text") or ""))
        address: Address = "direct" if direct else "mention" if mentioned else ""
        await self._hear(event, body, context, address)

    async def agent_session_stopped(self, event: Payload, context: AsyncBoltContext) -> None:
        """Slack's own Stop button: the run of that thread is cancelled."""
        if event.get("channel") and event.get("thread_ts"):
            thread = Thread(installation(context), event["channel"], event["thread_ts"])
            await self._store.inbox.interrupt(thread, "stop")

    async def app_home_opened(self, event: Payload, context: AsyncBoltContext) -> None:
        """Somebody looks at the bot: its home, or its messages."""
        if event.get("tab") == "messages" and event.get("channel") and event.get("user"):
            await self._pane.opened(installation(context), event["channel"], event["user"])

    async def _hear(
        self, event: Payload, body: Payload, context: AsyncBoltContext, address: Address
    ) -> None:
        if not is_spoken(event) or event["user"] == self._identity.user_id:
            return
        message = self._parse(event, body, context)
        if not address and message.ts == message.thread.thread_ts:
            return
        heard = await self._store.talk.hear(message, address, self._follow_ups)
        if heard.verdict == "strange":
            ours = await spoke_in(self._client, self._identity, message.thread)
            await self._store.talk.adopt(message.thread, ours=ours)
            heard = await self._store.talk.hear(message, address, self._follow_ups)
        if heard.verdict == "new":
            await self._attend_to(message, heard)
        if heard.verdict == "full":
            await self._refuse(message)
            return
        if heard.verdict in ("overheard", "ignored"):
            return
        new = heard.verdict == "new"
        metrics.messages.labels("new" if new else "again").inc()
        tell = log.info if new else log.debug
        tell(
            "message_delivered" if new else "message_seen_before",
            thread=message.thread.key,
            ts=message.ts,
            kind=message.kind,
            waiting=heard.waiting,
        )

    async def _attend_to(self, message: Message, heard: Hearing) -> None:
        """What cannot wait until the message's turn has come."""
        if message.kind == "reset":
            await self._store.inbox.interrupt(message.thread, "reset")
        elif message.kind == "stop":
            if not await self._stop(message) and heard.waiting <= 1:
                await self._tell_nothing_to_stop(message)
        elif heard.active:
            await self._tell_queued(message.thread, heard.waiting)

    async def _stop(self, message: Message) -> bool:
        """Whether something was under way: in the thread, or anywhere in the DM at its top."""
        thread = message.thread
        threads = {thread}
        if thread.channel_id.startswith("D") and message.ts == thread.thread_ts:
            recent = await self._store.conversations.recent(
                thread.team_id,
                message.user_id,
                channel_id=thread.channel_id,
                limit=STOPPED_AT_ONCE,
            )
            threads |= {conversation.thread for conversation in recent}
        stopped = [await self._store.inbox.interrupt(each, "stop") for each in threads]
        return any(stopped)

    async def _refuse(self, message: Message) -> None:
        """The thread's inbox is full: say so, once a minute."""
        thread = message.thread
        log.warning("inbox_full", thread=thread.key)
        notice = f"full:{thread.key}:{message.user_id}"
        if await self._store.marks.take(notice, message.ts, FULL_NOTICE_SECONDS):
            await _tell(whisper(self._client, thread, message.user_id, INBOX_FULL))

    async def _tell_nothing_to_stop(self, message: Message) -> None:
        await _tell(whisper(self._client, message.thread, message.user_id, NOTHING_TO_STOP))

    async def _tell_queued(self, thread: Thread, waiting: int) -> None:
        """A message waits behind the answer that is being made."""
        await _tell(
            self._client.assistant_threads_setStatus(
                channel_id=thread.channel_id,
                thread_ts=thread.thread_ts,
                status=queued(waiting),
            )
        )

    def _parse_spoken(
        self, event: Payload, body: Payload, context: AsyncBoltContext
    ) -> Message | None:
        is_ours = event.get("user") == self._identity.user_id
        return self._parse(event, body, context) if is_spoken(event) and not is_ours else None

    def _parse(self, event: Payload, body: Payload, context: AsyncBoltContext) -> Message:
        files = parse_files(event.get("files") or ())
        text = parse_text(self._mention.sub("", event.get("text") or ""))
        if not text and not files:
            text = CALLED
        return Message(
            thread=Thread(
                installation(context), event["channel"], event.get("thread_ts") or event["ts"]
            ),
            ts=event["ts"],
            user_id=event["user"],
            text=text,
            event_id=body.get("event_id") or "",
            user_team_id=event.get("user_team") or event.get("team") or "",
            kind=parse_kind(text),
            files=files,
            trace=trace.current(),
        )


async def _tell(call: Awaitable[object]) -> None:
    """Something that is only for the eye: it fails without a sound, and is not waited for long."""
    try:
        async with asyncio.timeout(TELLING):
            with slack_errors():
                await call
    except (TimeoutError, BotError, SlackApiError) as error:
        log.debug("not_told", error=str(error)[:100])


def installation(context: AsyncBoltContext) -> str:
    """The first part of a thread's key: the enterprise of an org-wide installation, else the team.

    The same for events, commands and shortcuts, which name the team of an org install differently.
    """
    if context.is_enterprise_install and context.enterprise_id:
        return context.enterprise_id
    return context.team_id or context.enterprise_id or ""


def is_spoken(event: Payload) -> bool:
    """Whether a person wrote this: no bot, no notice, no edit. Our own posts bear a `bot_id`."""
    return (
        event.get("subtype") in SPOKEN
        and bool(event.get("user"))
        and event["user"] != "USLACK"
        and not event.get("bot_id")
        and not event.get("bot_profile")
        and bool(_TS.fullmatch(str(event.get("ts"))))
        and bool(_TS.fullmatch(str(event.get("thread_ts") or event.get("ts"))))
        and bool(event.get("channel"))
    )


def parse_kind(text: str) -> MessageKind:
    """A word alone can be an order to the bot instead of something to answer."""
    word = text.lower().rstrip(".!")
    return "reset" if word in RESET_WORDS else "stop" if word in STOP_WORDS else "message"


def parse_files(files: Any) -> tuple[File, ...]:
    """The files of a message. A Slack Connect stub has an id only; the rest is empty."""
    return tuple(
        File(
            id=file["id"],
            name=file.get("name") or file.get("title") or "",
            mimetype=_mimetype(file),
            size=file.get("size") or 0,
            url=file.get("url_private_download") or file.get("url_private") or "",
        )
        for file in files
        if file.get("id") and file.get("mode") != "tombstone"
    )


def _mimetype(file: Payload) -> str:
    """Slack calls voice messages `video/mp4` as often as `audio/mp4`."""
    kind = str(file.get("mimetype") or "")
    return kind.replace("video/", "audio/") if file.get("subtype") == "slack_audio" else kind
