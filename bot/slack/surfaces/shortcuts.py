"""The message shortcut and the buttons: ways to reset a conversation by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Message, Thread
from bot.slack.ephemerals import whisper
from bot.slack.events import installation
from bot.slack.surfaces.conversation_row import RESET as RESET_ROW
from bot.store import Store
from bot.telemetry.log import log
from bot.texts import commands as texts

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A message shortcut, as the manifest names it."""

    callback_id: str
    name: str
    description: str


SHORTCUTS = (Shortcut("reset_conversation", texts.SHORTCUT, texts.SHORTCUT_DESCRIPTION),)


class Buttons:
    """The listeners of shortcuts and buttons."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, app: AsyncApp) -> None:
        """Hang the listeners on the app."""
        app.shortcut({"type": "message_action", "callback_id": SHORTCUTS[0].callback_id})(
            self.reset_shortcut
        )
        app.action(RESET_ROW)(self.reset_button)

    async def reset_shortcut(
        self,
        ack: AsyncAck,
        shortcut: Payload,
        context: AsyncBoltContext,
        client: AsyncWebClient,
        respond: AsyncRespond,
    ) -> None:
        """Chosen in the menu of a message, in a thread or at its root."""
        message = shortcut["message"]
        thread = Thread(
            installation(context),
            shortcut["channel"]["id"],
            message.get("thread_ts") or message["ts"],
        )
        user_id = shortcut["user"]["id"]
        ours = await self._store.conversations.is_ours(thread)
        if ours:
            at, trigger_id = shortcut["action_ts"], shortcut["trigger_id"]
            await ask_reset(self._store, thread, user_id, at, trigger_id)
        await ack()
        if not ours and not await whisper(client, thread, user_id, texts.RESET_NOT_OURS):
            await respond(
                texts.RESET_NOT_OURS
            )  # works in the channels, too, that we are no member of

    async def reset_button(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        respond: AsyncRespond,
    ) -> None:
        """Pressed in the list that `/reset` offers; only the person's own installation counts."""
        thread = Thread.parse(action["value"])
        if thread.team_id == installation(context):
            at, trigger_id = action["action_ts"], body["trigger_id"]
            await ask_reset(self._store, thread, body["user"]["id"], at, trigger_id)
        await ack()
        await respond(texts.RESET_DONE, replace_original=True)


async def ask_reset(store: Store, thread: Thread, user_id: str, at: str, trigger_id: str) -> None:
    """Put the reset into the thread's inbox, behind everything that was said until then.

    `at` is the `action_ts`: Slack's clock orders the thread, ours may be ahead of it.
    """
    await store.inbox.deliver(Message(thread, at, user_id, "", event_id=trigger_id, kind="reset"))
    await store.inbox.interrupt(thread, "reset")
    log.info("reset_asked", thread=thread.key)
