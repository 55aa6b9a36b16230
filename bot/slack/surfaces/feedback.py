"""The listeners of the buttons under answers: 👍, 👎 and their note, "Answer again", "Stop"."""

import json
import time

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Message, Thread
from bot.slack.answer.buttons import ADD_NOTE, AGAIN, FEEDBACK, STOP, parse_about
from bot.slack.answer.previous import remove_again
from bot.slack.blocks import Block, button, input_block, modal, section, text_input
from bot.slack.client import slack_errors
from bot.slack.ephemerals import notice
from bot.slack.origin import installation, own_thread
from bot.slack.payload import Payload
from bot.slack.rights import Rights
from bot.store import Feedback, Store, jobs
from bot.telemetry.log import log
from bot.texts import buttons as texts
from bot.texts.access import UNKNOWN
from bot.texts.answers import NOTHING_TO_STOP

NOTE_VIEW = "feedback_note"
NOTE_LENGTH = 3000


class AnswerButtons:
    """A vote is in the person's inbox before it is acknowledged: Slack does not redeliver clicks.
    A worker saves it."""

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(FEEDBACK)(self.voted)
        app.action(ADD_NOTE)(self.open_note_form)
        app.view(NOTE_VIEW)(self.noted)
        app.action(AGAIN)(self.answer_again)
        app.action(STOP)(self.stop)

    async def voted(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        client: AsyncWebClient,
    ) -> None:
        """Handle 👍 or 👎. After 👎 a modal asks what was wrong; after 👍 a note is optional."""
        vote, _, about = action["value"].partition(":")
        feedback = _feedback(vote, about, thread_of(body, context).key, body["user"]["id"])
        if await self._refused(feedback.thread, body, client):
            await ack()
            return
        await jobs.ask_vote(self._store.inbox, feedback, body["user"].get("team_id") or "")
        await ack()
        if vote == "negative":
            await _ask_for_note(client, body["trigger_id"], feedback)
        else:
            blocks = _thanks(feedback)
            await notice(
                self._store, client, feedback.thread, feedback.user_id, texts.THANKS, blocks
            )

    async def open_note_form(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        client: AsyncWebClient,
    ) -> None:
        """Handle the button for a note under our thanks."""
        about = json.loads(action["value"])
        is_refused = await self._refused(own_thread(about["thread"], context), body, client)
        await ack()
        if not is_refused:
            await _ask_for_note(client, body["trigger_id"], _feedback(**about))

    async def noted(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the submission of a note."""
        about = json.loads(view["private_metadata"])
        note = view["state"]["values"]["note"]["note"].get("value") or ""
        own_thread(about["thread"], context)  # refuses a thread of another installation
        user = body["user"]
        if about["user_id"] == user["id"]:
            feedback = _feedback(**about, note=note)
            await jobs.ask_vote(self._store.inbox, feedback, user.get("team_id") or "")
        await ack()

    async def answer_again(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        client: AsyncWebClient,
    ) -> None:
        """Handle "Answer again": the request waits in the thread's inbox like a message, once per
        answer."""
        turn_id, _ = parse_about(action["value"])
        thread, user = thread_of(body, context), body["user"]
        is_last = await self._store.feedback.is_last(thread, turn_id)
        if is_last:
            await self._store.inbox.deliver(
                Message(
                    thread,
                    action["action_ts"],
                    user["id"],
                    "",
                    event_id=f"again:{turn_id}",
                    user_team_id=user.get("team_id") or "",
                    kind="again",
                )
            )
        await ack()
        if not is_last:
            await notice(self._store, client, thread, user["id"], texts.NOT_THE_LAST)
            await _remove_again(client, thread, body)

    async def stop(
        self, ack: AsyncAck, body: Payload, context: AsyncBoltContext, client: AsyncWebClient
    ) -> None:
        """Handle our Stop button."""
        thread, user = thread_of(body, context), body["user"]
        person = user["id"], user.get("team_id") or ""
        reason = await self._rights.refusal_of(thread, *person)
        if reason == UNKNOWN:
            await jobs.ask_stop(self._store.inbox, thread, *person)
        found = not reason and await self._store.inbox.interrupt(thread, "stop", *person)
        await ack()
        if reason and reason != UNKNOWN:
            await self._explain(reason, thread, user, client)
        elif not reason and not found:
            await notice(self._store, client, thread, body["user"]["id"], NOTHING_TO_STOP)

    async def _refused(self, thread: Thread, body: Payload, client: AsyncWebClient) -> bool:
        """Whether the person may not use the bot here; if so, they get an ephemeral message."""
        user = body["user"]
        reason = await self._rights.refusal_of(thread, user["id"], user.get("team_id") or "")
        if reason:
            await self._explain(reason, thread, user, client)
        return bool(reason)

    async def _explain(
        self, reason: str, thread: Thread, user: Payload, client: AsyncWebClient
    ) -> None:
        words = await self._rights.explain(reason)
        await notice(self._store, client, thread, user["id"], words)


def thread_of(body: Payload, context: AsyncBoltContext) -> Thread:
    """The thread of the message whose button was pressed."""
    container = body["container"]
    message = body.get("message") or {}
    thread_ts = container.get("thread_ts") or message.get("thread_ts") or container["message_ts"]
    return Thread(installation(context), container["channel_id"], thread_ts)


async def _remove_again(client: AsyncWebClient, thread: Thread, body: Payload) -> None:
    """Remove the pressed button of an old answer. Best effort."""
    try:
        await remove_again(client, thread.channel_id, body.get("message") or {})
    except (BotError, SlackApiError) as error:
        log.info("button_not_removed", thread=thread.key, error=str(error)[:100])


def _feedback(vote: str, about: str, thread: str, user_id: str, note: str = "") -> Feedback:
    turn_id, run_id = parse_about(about)
    good = vote == "positive"
    return Feedback(
        turn_id=turn_id,
        run_id=run_id,
        thread=Thread.parse(thread),
        user_id=user_id,
        vote="positive" if good else "negative",
        at=time.time(),
        note=note,
    )


def _about(feedback: Feedback) -> str:
    """The data of a vote, as stored in a button or a modal."""
    return json.dumps(
        {
            "vote": feedback.vote,
            "about": f"{feedback.turn_id}:{feedback.run_id}",
            "thread": feedback.thread.key,
            "user_id": feedback.user_id,
        }
    )


def _thanks(feedback: Feedback) -> list[Block]:
    return [section(texts.THANKS, button(texts.ADD_NOTE, ADD_NOTE, _about(feedback)))]


async def _ask_for_note(client: AsyncWebClient, trigger_id: str, feedback: Feedback) -> None:
    good = feedback.vote == "positive"
    asked = texts.WHAT_WAS_GOOD if good else texts.WHAT_WAS_WRONG
    field = text_input("note", multiline=True, max_length=NOTE_LENGTH)
    view = modal(
        NOTE_VIEW,
        texts.NOTE_TITLE,
        [input_block("note", asked, field)],
        submit=texts.NOTE_SEND,
        close=texts.NOTE_SKIP,
        private_metadata=_about(feedback),
    )
    try:
        with slack_errors():
            await client.views_open(trigger_id=trigger_id, view=view)
    except (BotError, SlackApiError) as error:
        log.warning("modal_not_opened", error=str(error)[:100])
