"""The listeners of Slack's events: they decide what is for the bot and store it in the inbox.

A listener returns when the message is stored durably; only then is the event acknowledged
(`process_before_response`). An exception becomes a 500, and Slack delivers the event again.
"""

import asyncio
from collections.abc import Awaitable

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Message, Thread
from bot.settings import Settings
from bot.slack.changes import MessageChanges
from bot.slack.client import Identity, slack_errors
from bot.slack.ephemerals import notice
from bot.slack.late_transcripts import LateTranscripts
from bot.slack.messages import Messages, Sender, author
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.surfaces.assistant_thread import AssistantThread
from bot.slack.threads import has_posted_in
from bot.store import Addressing, Routed, Store, jobs
from bot.store.routing import APP_BOUND, PERSON_BOUND
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.texts.access import UNKNOWN
from bot.texts.answers import INBOX_FULL, NOTHING_TO_STOP
from bot.texts.approvals import WAITS_BEHIND
from bot.texts.status import queued

STOPPED_AT_ONCE = 5
"""Threads that a `stop` at the top of a DM ends: each message there opens its own thread."""
NOTICE_SECONDS = 1.0
"""Seconds that a notice to a person may delay the acknowledgement."""

EVENTS = (
    "app_home_opened",
    "app_mention",
    "agent_session_stopped",
    "file_change",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
)
"""The events that the app subscribes to; the manifest is generated from this."""


class Listeners:
    """The listeners of events, named like the events."""

    def __init__(
        self,
        store: Store,
        client: AsyncWebClient,
        identity: Identity,
        people: People,
        rights: Rights,
        settings: Settings,
    ) -> None:
        self._store = store
        self._client = client
        self._people = people
        self._rights = rights
        self._follow_ups = settings.bot_follow_ups
        self._answers_apps = settings.bot_answer_apps
        self._identity = identity
        self._messages = Messages(identity)
        self._transcripts = LateTranscripts(store, client)
        self._changes = MessageChanges(store, client, self._messages, self._transcripts)
        self._assistant_thread = AssistantThread(store, client, settings.bot_command_prefix)

    def register_messages(self, app: AsyncApp) -> None:
        """Register the listeners of messages. Bolt tries all listeners in order, so these are the
        first: most requests are messages."""
        app.event("message")(self.message)
        app.event("app_mention")(self.app_mention)

    def register(self, app: AsyncApp) -> None:
        """Register the listeners of all other events that the app subscribes to."""
        app.event("agent_session_stopped")(self.agent_session_stopped)
        app.event("app_home_opened")(self.app_home_opened)
        app.event("file_change")(self._transcripts.file_change)
        self._changes.register(app)

    async def app_mention(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """Handle a mention of the bot. The event `message` delivers the same message (its twin)."""
        await self._receive(event, body, context, "mention")

    async def message(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """Handle a message in a channel of the bot: a DM, a mention, a reply, or none of them."""
        if event.get("subtype") == "message_changed":
            await self._changes.changed(event, installation(context), event_id(body))
            return
        if event.get("subtype") == "message_deleted":
            await self._changes.deleted(event, installation(context))
            return
        direct = event.get("channel_type") == "im"
        mentioned = self._messages.mentions_us(event)
        address: Addressing = "direct" if direct else "mention" if mentioned else ""
        await self._receive(event, body, context, address)

    async def agent_session_stopped(self, event: Payload, context: AsyncBoltContext) -> None:
        """Handle Slack's own Stop button: the run of that thread is cancelled."""
        if event.get("channel") and event.get("thread_ts"):
            thread = Thread(installation(context), event["channel"], event["thread_ts"])
            user_id = event.get("user") or ""
            refusal = await self._rights.refusal_of(thread, user_id) if user_id else ""
            if refusal == UNKNOWN:
                await jobs.ask_stop(self._store.inbox, thread, user_id)
            elif not refusal:
                await self._store.inbox.interrupt(thread, "stop", user_id)

    async def app_home_opened(self, event: Payload, context: AsyncBoltContext) -> None:
        """Handle the opening of the bot's Home or Messages tab."""
        if event.get("tab") == "messages" and event.get("channel") and event.get("user"):
            await self._assistant_thread.opened(
                installation(context), event["channel"], event["user"]
            )

    async def _receive(
        self, event: Payload, body: Payload, context: AsyncBoltContext, address: Addressing
    ) -> None:
        sender = self._messages.sender(event)
        if not sender or not await self._answers(sender, event, address):
            return
        message = self._messages.parse(event, installation(context), event_id(body))
        if not address and message.ts == message.thread.thread_ts:
            return
        routed = await self._store_message(message, address, sender)
        if routed.verdict == "new":
            await self._act_at_once(message, routed)
        elif routed.verdict == "full":
            await self._refuse(message)
        elif routed.verdict == "late_files":
            await self._changes.files_arrived_late(message)
        elif routed.verdict == "looping":
            log.warning("loop_stopped", thread=message.thread.key, user=message.user_id)
        if routed.verdict not in ("full", "overheard", "ignored", "looping"):
            _log_delivery(message, routed)

    async def _answers(self, sender: Sender, event: Payload, address: Addressing) -> bool:
        """Whether the bot answers this kind of sender at all.

        Slackbot only with a reminder that mentions the bot. Apps only if the settings allow it:
        workflows, and messages that people post through other apps in their own name. Other bots
        never.
        """
        if sender == "person":
            return True
        if sender == "slackbot":
            return address == "mention" and event.get("channel_type") != "im"
        if not self._answers_apps or not address:
            return False
        if not event.get("user"):
            return True
        person = await self._people.find(author(event))
        return person is not None and not person.is_bot

    async def _store_message(self, message: Message, address: Addressing, sender: Sender) -> Routed:
        routing, bound = self._store.routing, PERSON_BOUND if sender == "person" else APP_BOUND
        routed = await routing.route(message, address, self._follow_ups, bound)
        if routed.verdict == "unknown":
            ours = await has_posted_in(self._client, self._identity, message.thread)
            await routing.adopt(message.thread, ours=ours)
            routed = await routing.route(message, address, self._follow_ups, bound)
        return routed

    async def _act_at_once(self, message: Message, routed: Routed) -> None:
        """Do what cannot wait for the message's turn."""
        person = message.user_id, message.user_team_id
        if message.kind == "reset" and not await self._rights.reset_refusal(
            message.thread, *person
        ):
            await self._store.inbox.interrupt(message.thread, "reset", *person)
        elif message.kind == "stop":
            await self._stop(message, routed)
        elif routed.suspended:
            await self._notify_suspended(message)
        elif routed.active:
            await self._show_queued(message.thread, routed.waiting)

    async def _stop(self, message: Message, routed: Routed) -> None:
        """Stop the thread's turn, or those of the whole DM at its top."""
        inbox, threads = self._store.inbox, await self._threads_to_stop(message)
        person = message.user_id, message.user_team_id
        refusal = await self._rights.refusal(message)
        if refusal == UNKNOWN:
            for thread in threads:
                await jobs.ask_stop(inbox, thread, *person)
        elif not refusal:
            stopped = {t: await inbox.interrupt(t, "stop", *person) for t in threads}
            if not routed.active:  # a worker may have taken the request to stop meanwhile
                stopped[message.thread] = False
            if not any(stopped.values()) and routed.waiting <= 1:
                await self._notify_nothing_to_stop(message)

    async def _threads_to_stop(self, message: Message) -> set[Thread]:
        thread = message.thread
        if not thread.channel_id.startswith("D") or message.ts != thread.thread_ts:
            return {thread}
        recent = await self._store.conversations.recent(
            thread.team_id, message.user_id, channel_id=thread.channel_id, limit=STOPPED_AT_ONCE
        )
        return {thread, *(conversation.thread for conversation in recent)}

    async def _refuse(self, message: Message) -> None:
        """Tell the person that the thread's inbox is full, at most once a minute."""
        thread = message.thread
        log.warning("inbox_full", thread=thread.key)
        await _best_effort(notice(self._store, self._client, thread, message.user_id, INBOX_FULL))

    async def _notify_nothing_to_stop(self, message: Message) -> None:
        await _best_effort(
            notice(self._store, self._client, message.thread, message.user_id, NOTHING_TO_STOP)
        )

    async def _notify_suspended(self, message: Message) -> None:
        """Tell the person that an approval comes first. A status would resume Slack's session."""
        await _best_effort(
            notice(self._store, self._client, message.thread, message.user_id, WAITS_BEHIND)
        )

    async def _show_queued(self, thread: Thread, waiting: int) -> None:
        """Show that the message waits behind the answer in progress."""
        await _best_effort(
            self._client.assistant_threads_setStatus(
                channel_id=thread.channel_id,
                thread_ts=thread.thread_ts,
                status=queued(waiting),
            )
        )


def event_id(body: Payload) -> str:
    """The id of an event, which is the same for every delivery of it."""
    found = body.get("event_id")
    return found if isinstance(found, str) else ""


def _log_delivery(message: Message, routed: Routed) -> None:
    new = routed.verdict == "new"
    metrics.messages.labels("new" if new else "again").inc()
    write = log.info if new else log.debug
    write(
        "message_delivered" if new else "message_seen_before",
        thread=message.thread.key,
        ts=message.ts,
        kind=message.kind,
        waiting=routed.waiting,
    )


async def _best_effort(call: Awaitable[object]) -> None:
    """Best effort: failures are ignored, and the wait is short."""
    try:
        async with asyncio.timeout(NOTICE_SECONDS):
            with slack_errors():
                await call
    except (TimeoutError, BotError, SlackApiError) as error:
        log.debug("notice_not_sent", error=str(error)[:100])
