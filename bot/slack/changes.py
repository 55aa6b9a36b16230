"""Edits and deletions of messages, and files that Slack adds later.

https://docs.slack.dev/reference/events/message/message_changed
"""

import time
from dataclasses import replace

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import File, Message
from bot.slack.block_text import dicts
from bot.slack.blocks import actions, button, plain_section
from bot.slack.content import read_content
from bot.slack.ephemerals import notice
from bot.slack.late_transcripts import LateTranscripts
from bot.slack.messages import Messages
from bot.slack.origin import own_thread
from bot.slack.payload import Payload
from bot.store import Store
from bot.telemetry.log import log
from bot.texts.edits import ANSWER_AGAIN, OFFER, TOO_LATE
from bot.texts.prompts import LATE_FILES

ACTION = "answer_edited"
OFFER_SECONDS = 300
"""Seconds for which an offer is valid: later edits update it instead of making a second one."""


class MessageChanges:
    """Handles edits, deletions, and additions that Slack makes to a message later."""

    def __init__(
        self,
        store: Store,
        client: AsyncWebClient,
        messages: Messages,
        transcripts: LateTranscripts,
    ) -> None:
        self._transcripts = transcripts
        self._store = store
        self._client = client
        self._messages = messages

    async def changed(self, event: Payload, team_id: str, event_id: str) -> None:
        """Handle `message_changed`: an edit, an added preview or file, or a tombstone of a
        thread."""
        old, new = _part(event, "previous_message"), _part(event, "message")
        before = self._parse(old, team_id)
        if new.get("subtype") == "tombstone":
            if before is not None:
                await self._retract(before)
            return
        message = self._parse(new, team_id, event_id)
        if message is None:
            return
        message = await self._current(message)
        if before is None or not _same_words(old, new):
            await self._edited(message)
        elif added := _added_files(before, message):
            await self._files_added(message, added)
        elif before.text != message.text and await self._store.inbox.revise(message) != "waiting":
            await self._transcripts.take(dicts(new.get("files")))

    async def deleted(self, event: Payload, team_id: str) -> None:
        """Handle `message_deleted`."""
        message = self._parse(_part(event, "previous_message"), team_id)
        if message is not None:
            await self._retract(message)

    async def files_arrived_late(self, message: Message) -> None:
        """Deliver files that arrived after the answer to their message began.

        The turn begins again with them, or the next one answers, by `event_id` (`joins` in Lua).
        """
        await self._store.inbox.deliver(
            replace(
                message,
                ts=f"{time.time():.6f}",
                text=LATE_FILES,
                event_id=f"files:{message.thread.key}:{message.ts}",
                kind="message",
            )
        )
        log.info("files_arrived_late", thread=message.thread.key, ts=message.ts)

    def _parse(self, message: Payload, team_id: str, event_id: str = "") -> Message | None:
        """The message, if a person wrote it."""
        if self._messages.sender(message) != "person":
            return None
        return self._messages.parse(message, team_id, event_id)

    async def _current(self, message: Message) -> Message:
        """The message with the ts of its last "Answer again", if it was edited before."""
        return replace(message, ts=await self._store.routing.moved_to(message.thread, message.ts))

    async def _edited(self, message: Message) -> None:
        if await self._store.inbox.revise(message, edited=True) == "waiting":
            log.info("message_revised", thread=message.thread.key, ts=message.ts)
        elif not await self._store.routing.revise(message) and await self._is_last(message):
            await self._offer(message)

    async def _files_added(self, message: Message, added: tuple[File, ...]) -> None:
        amendment = await self._store.inbox.revise(message)
        if amendment == "waiting" or await self._store.routing.revise(message):
            log.info("files_added", thread=message.thread.key, ts=message.ts)
        elif amendment == "taken" or await self._was_asked(message):
            await self.files_arrived_late(replace(message, files=added))

    async def _was_asked(self, message: Message) -> bool:
        history = await self._store.conversations.history(message.thread)
        return any(record.role == "user" and record.ts == message.ts for record in history)

    async def _is_kept(self, message: Message) -> bool:
        """Whether it is in the conversation's record or in a dead letter."""
        if await self._was_asked(message):
            return True
        return bool(await self._store.dead.with_message(message.thread, message.ts))

    async def _is_last(self, message: Message) -> bool:
        """Whether it is the thread's last question, answered or being answered."""
        state = await self._store.inbox.state(message.thread)
        if state.taken:
            return message.ts == state.taken[-1]
        history = await self._store.conversations.history(message.thread)
        asked = [record.ts for record in history if record.role == "user"]
        return bool(asked) and asked[-1] == message.ts

    async def _offer(self, message: Message) -> None:
        await self._store.routing.keep_edit(message)
        offer = f"offer:{message.thread.key}:{message.ts}"
        if not await self._store.flags.take(offer, f"{time.time()}", OFFER_SECONDS):
            return
        thread = message.thread
        again = button(ANSWER_AGAIN, ACTION, f"{message.ts} {thread.key}")
        blocks = [plain_section(OFFER), actions(again)]
        about = f"edited:{thread.key}:{message.ts}"
        await notice(self._store, self._client, thread, message.user_id, OFFER, blocks, about=about)

    async def answer_again(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        respond: AsyncRespond,
    ) -> None:
        """Handle the button of the offer: the edited question replaces the old one."""
        ts, _, key = action["value"].partition(" ")
        message = await self._store.routing.edited(own_thread(key, context), ts)
        if message is None or message.user_id != body["user"]["id"]:
            await ack()
            await respond(TOO_LATE, replace_original=True)
            return
        await self._retract(message)
        moved = replace(message, ts=action["action_ts"], event_id=str(body["trigger_id"]))
        await self._store.routing.move(message.thread, message.ts, moved.ts)
        await self._store.inbox.deliver(moved)
        await ack()
        await respond(delete_original=True)

    async def _retract(self, message: Message) -> None:
        """Remove it from the inbox if no turn has begun to answer it, else from the
        conversation."""
        store, thread = self._store, message.thread
        message = await self._current(message)
        amendment = await store.inbox.withdraw(thread, message.ts)
        if amendment == "waiting" or await store.routing.withdraw(thread, message.ts):
            log.info("message_withdrawn", thread=thread.key, ts=message.ts)
            return
        if amendment == "absent" and not await self._is_kept(message):
            log.info("deleted_message_not_found", thread=thread.key, ts=message.ts)
            return
        await store.inbox.deliver(
            Message(
                thread,
                f"{time.time():.6f}",
                message.user_id,
                message.ts,
                event_id=f"retract:{thread.key}:{message.ts}",
                user_team_id=message.user_team_id,
                kind="retract",
            )
        )
        log.info("retraction_requested", thread=thread.key, ts=message.ts)

    def register(self, app: AsyncApp) -> None:
        """Register the button's listener."""
        app.action(ACTION)(self.answer_again)


def _part(event: Payload, name: str) -> Payload:
    """The old or the new message of a change, with the channel that the event names."""
    found = event.get(name)
    return {**(found if isinstance(found, dict) else {}), "channel": event.get("channel")}


def _added_files(before: Message, after: Message) -> tuple[File, ...]:
    known = {file.id for file in before.files}
    return tuple(file for file in after.files if file.id not in known)


def _same_words(old: Payload, new: Payload) -> bool:
    """Whether only Slack's own additions changed: previews, transcripts, files."""
    before, after = read_content(old), read_content(new)
    return (before.own, before.attached) == (after.own, after.attached)
