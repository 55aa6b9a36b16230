"""The message shortcut and the buttons that reset a conversation."""

from dataclasses import dataclass

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Message, Thread
from bot.slack.ephemerals import notice
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.slack.rights import Rights
from bot.slack.surfaces.conversation_row import RESET as RESET_ROW
from bot.store import Store
from bot.store.hold import record_deletion
from bot.telemetry.log import log
from bot.texts import commands as texts
from bot.texts.access import NOT_VISIBLE
from bot.texts.hold import RESET as HELD


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A message shortcut, as the manifest names it."""

    callback_id: str
    name: str
    description: str


SHORTCUTS = (Shortcut("reset_conversation", texts.SHORTCUT, texts.SHORTCUT_DESCRIPTION),)


class Buttons:
    """The listeners of shortcuts and buttons."""

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
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
        """Handle the shortcut in the menu of a message, in a thread or at its root."""
        message = shortcut["message"]
        thread = Thread(
            installation(context),
            shortcut["channel"]["id"],
            message.get("thread_ts") or message["ts"],
        )
        user = shortcut["user"]
        problem = texts.RESET_NOT_OURS
        if await self._store.conversations.is_ours(thread):
            at, trigger_id = shortcut["action_ts"], shortcut["trigger_id"]
            problem = await ask_reset(self._store, self._rights, thread, user, at, trigger_id)
        await ack()
        if problem and not await notice(self._store, client, thread, user["id"], problem):
            await respond(problem)  # also works in channels that the bot is not a member of

    async def reset_button(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        respond: AsyncRespond,
    ) -> None:
        """Handle a Reset button of `/reset`; only the person's own installation counts."""
        thread = Thread.parse(action["value"])
        problem = ""
        if thread.team_id == installation(context):
            at, trigger_id = action["action_ts"], body["trigger_id"]
            user = body["user"]
            problem = await ask_reset(self._store, self._rights, thread, user, at, trigger_id)
        await ack()
        await respond(problem or texts.RESET_DONE, replace_original=not problem)


async def ask_reset(
    store: Store, rights: Rights, thread: Thread, user: Payload, at: str, trigger_id: str
) -> str:
    """Put a reset into the thread's inbox, behind all messages so far.

    `at` is the `action_ts`: Slack's clock orders the thread, and ours may be ahead. Returns why the
    conversation is not reset now; "" if the reset was accepted.
    """
    user_id, user_team_id = user["id"], user.get("team_id") or ""
    reason = await rights.reset_refusal(thread, user_id, user_team_id)
    if reason:
        return await rights.explain(reason)
    if not await rights.can_see(user_id, thread):
        return NOT_VISIBLE
    order = Message(thread, at, user_id, "", trigger_id, user_team_id, kind="reset")
    if await store.hold.is_on():
        await store.hold.keep(order)
        record_deletion(order, "conversation", held=True)
        return HELD
    await store.inbox.deliver(order)
    await store.inbox.interrupt(thread, "reset", user_id, user_team_id)
    log.info("reset_requested", thread=thread.key)
    return ""
