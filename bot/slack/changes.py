"""Edits and deletions: what a person takes back or puts differently.

https://docs.slack.dev/reference/events/message/message_changed
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Message, Thread
from bot.slack.blocks import actions, button, plain_section
from bot.slack.ephemerals import whisper
from bot.store import Store
from bot.telemetry.log import log
from bot.texts.edits import ANSWER_AGAIN, OFFER, TOO_LATE

Payload = Mapping[str, Any]

ACTION = "answer_edited"


class Changes:
    """Hears of edits and deletions. `parse` makes a message of an event, if a person wrote it."""

    def __init__(
        self,
        store: Store,
        client: AsyncWebClient,
        parse: Callable[[Payload, Payload, AsyncBoltContext], Message | None],
    ) -> None:
        self._store = store
        self._client = client
        self._parse = parse

    async def changed(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """A message was edited, unfurled, or has become the tombstone of a thread's root."""
        where = {"channel": event["channel"]}
        new = event.get("message") or {}
        before = self._parse({**(event.get("previous_message") or {}), **where}, body, context)
        if new.get("subtype") == "tombstone":
            if before is not None:
                await self._retract(before)
            return
        message = self._parse({**new, **where}, body, context)
        if message is None or (before is not None and before.text == message.text):
            return
        if await self._store.inbox.revise(message) == "waiting":
            log.info("message_revised", thread=message.thread.key, ts=message.ts)
        elif not await self._store.talk.revise(message) and await self._is_last(message):
            await self._offer(message)

    async def deleted(self, event: Payload, body: Payload, context: AsyncBoltContext) -> None:
        """A message was deleted."""
        where = {"channel": event["channel"]}
        message = self._parse({**(event.get("previous_message") or {}), **where}, body, context)
        if message is not None:
            await self._retract(message)

    async def _is_last(self, message: Message) -> bool:
        """Whether it is the question that was answered last, or is being answered."""
        state = await self._store.inbox.state(message.thread)
        if state.taken:
            return message.ts == state.taken[-1]
        history = await self._store.conversations.history(message.thread)
        asked = [record.ts for record in history if record.role == "user"]
        return bool(asked) and asked[-1] == message.ts

    async def _offer(self, message: Message) -> None:
        await self._store.talk.keep_edit(message)
        thread = message.thread
        again = button(ANSWER_AGAIN, ACTION, f"{message.ts} {thread.key}")
        blocks = [plain_section(OFFER), actions(again)]
        await whisper(self._client, thread, message.user_id, OFFER, blocks)

    async def answer_again(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        respond: AsyncRespond,
    ) -> None:
        """The button of the offer: the edited question takes the place of the old one."""
        ts, _, key = action["value"].partition(" ")
        message = await self._store.talk.edited(Thread.parse(key), ts)
        if message is None or message.user_id != body["user"]["id"]:
            await ack()
            await respond(TOO_LATE, replace_original=True)
            return
        await self._retract(message)
        await self._store.inbox.deliver(
            replace(message, ts=action["action_ts"], event_id=str(body["trigger_id"]))
        )
        await ack()
        await respond(delete_original=True)

    async def _retract(self, message: Message) -> None:
        """Out of the inbox if nobody has begun to answer it, else out of the conversation."""
        store, thread = self._store, message.thread
        amendment = await store.inbox.withdraw(thread, message.ts)
        if amendment == "waiting" or await store.talk.withdraw(thread, message.ts):
            log.info("message_withdrawn", thread=thread.key, ts=message.ts)
            return
        if amendment == "absent":
            history = await store.conversations.history(thread)
            if not any(r.role == "user" and r.ts == message.ts for r in history):
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
        log.info("retraction_asked", thread=thread.key, ts=message.ts)

    def register(self, app: AsyncApp) -> None:
        """Hang the button's listener on the app."""
        app.action(ACTION)(self.answer_again)
