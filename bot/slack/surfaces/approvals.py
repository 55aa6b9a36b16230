"""The listeners of approval cards: only the requester and the channel's approvers decide.

A decision is stored before the click is acknowledged; the worker that resumes the turn edits the
card.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Thread, decode, encode
from bot.slack import approval_card as card
from bot.slack.approval_card import Press
from bot.slack.client import slack_errors
from bot.slack.ephemerals import notice
from bot.slack.forms import parse_answer, read_form
from bot.slack.origin import own_thread
from bot.slack.payload import Payload
from bot.slack.rights import Rights
from bot.slack.surfaces.feedback import thread_of
from bot.store import Approval, Decision, Pending, Store
from bot.store.approvals import DecisionOutcome
from bot.telemetry.log import log
from bot.texts import approvals as texts

TOO_LATE: Mapping[DecisionOutcome, str] = {
    "gone": texts.GONE,
    "changed": texts.CHANGED,
    "expired": texts.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class About:
    """The approval and the message of a click; stored in modals."""

    thread_key: str
    card: str
    press: Press

    @property
    def thread(self) -> Thread:
        """The thread of the card."""
        return Thread.parse(self.thread_key)


class ApprovalButtons:
    """Decisions of people. A click that changes nothing is explained to its person alone."""

    def __init__(self, store: Store, rights: Rights, client: AsyncWebClient) -> None:
        self._store = store
        self._rights = rights
        self._client = client

    def register(self, app: AsyncApp) -> None:
        """Register the listeners of the buttons and modals."""
        app.action(card.ALLOW)(self.allow)
        app.action(card.ALLOW_IN_THREAD)(self.allow_in_thread)
        app.action(card.DENY)(self.ask_reason)
        app.view(card.DENIED)(self.deny)
        app.action(card.SHOW_ALL)(self.show_all)
        app.action(card.PAGE_BACK)(self.turn_page)
        app.action(card.PAGE_NEXT)(self.turn_page)
        app.action(card.ANSWER)(self.open_form)
        app.view(card.ANSWERED)(self.answer)
        app.action(card.DONE)(self.visited)
        app.action(card.DECLINE)(self.decline)
        app.action(card.OPEN)(self.opened)

    async def allow(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle Allow: the call may be made, once."""
        await self._press(ack, action, body, context, Decision("run"))

    async def allow_in_thread(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle "Allow in this thread": later calls of the tool for this requester are allowed,
        too."""
        await self._press(ack, action, body, context, Decision("run", in_thread=True))

    async def ask_reason(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle Deny: ask for an optional reason first."""
        about = parse_about(action, body, context)
        if about and await self._pending(about, body["user"], card.DENY):
            await self._open(body, card.deny_modal(encode(about)))
        await ack()

    async def deny(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the submission of the reason."""
        about = read_about(view, context)
        reason = view["state"]["values"]["reason"]["reason"].get("value") or ""
        decision = Decision("denied", reason=reason[: card.REASON_LENGTH].strip())
        await self._decide(about, body["user"], decision, card.DENY)
        await ack()

    async def show_all(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Show long arguments in a modal."""
        about = parse_about(action, body, context)
        approval = await self._visible(about, body["user"]) if about else None
        if about and approval:
            await self._open(body, card.arguments_modal(approval, encode(about)))
        await ack()

    async def turn_page(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Show another page of them."""
        view = body["view"]
        about = read_about(view, context)
        if approval := await self._visible(about, body["user"]):
            page = card.arguments_modal(approval, encode(about), int(action["value"]))
            try:
                with slack_errors():
                    await self._client.views_update(view_id=view["id"], view=page)
            except (BotError, SlackApiError) as error:
                log.warning("modal_not_opened", error=str(error)[:100])
        await ack()

    async def open_form(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Open the form of a tool's question."""
        about = parse_about(action, body, context)
        pending = await self._pending(about, body["user"], card.ANSWER) if about else None
        if about and pending and (view := card.form_modal(pending.approval, encode(about))):
            await self._open(body, view)
        await ack()

    async def answer(
        self, ack: AsyncAck, view: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the submission of the form: store it if valid, else show it again with its
        errors."""
        about = read_about(view, context)
        pending = await self._pending(about, body["user"], card.ANSWER)
        if pending is None:
            await ack()
            return
        fields = read_form(json.loads(pending.approval.form))
        content, problems = parse_answer(fields, view["state"]["values"])
        if problems:
            await ack(response_action="errors", errors=problems)
            return
        decision = Decision("run", content=json.dumps(content))
        await self._decide(about, body["user"], decision, card.ANSWER)
        await ack()

    async def visited(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle the confirmation that the person visited the tool's address."""
        await self._press(ack, action, body, context, Decision("run", content="{}"))

    async def decline(
        self, ack: AsyncAck, action: Payload, body: Payload, context: AsyncBoltContext
    ) -> None:
        """Handle Decline: the tool gets no answer."""
        await self._press(ack, action, body, context, Decision("denied", content="{}"))

    async def opened(self, ack: AsyncAck) -> None:
        """Acknowledge the click on the link, which has no effect here."""
        await ack()

    async def _press(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        decision: Decision,
    ) -> None:
        if about := parse_about(action, body, context):
            await self._decide(about, body["user"], decision, action["action_id"])
        await ack()

    async def _decide(self, about: About, user: Payload, decision: Decision, button: str) -> None:
        """Store a decision of a person who may decide, and say so if it changes nothing."""
        pending = await self._pending(about, user, button)
        if pending is None:
            return
        thread, press = about.thread, about.press
        decision = replace(decision, by=user["id"], at=time.time())
        shown = replace(pending.approval, shown=press.shown)
        outcome, earlier = await self._store.approvals.decide(
            thread, press.turn_id, shown, decision
        )
        log.info(
            "approval_decided" if outcome == "decided" else "approval_not_decided",
            thread=thread.key,
            turn=press.turn_id,
            approval=press.id,
            verdict=decision.verdict,
            outcome=outcome,
            user=user["id"],
        )
        if earlier and outcome == "earlier":
            await self._explain_earlier(about, user, decision, earlier)
        elif outcome != "decided":
            await self._explain(about, user, TOO_LATE[outcome])

    async def _pending(self, about: About, user: Payload, button: str) -> Pending | None:
        """The approval if this person may decide it with this button (its `action_id`); otherwise
        they get an explanation."""
        thread, press = about.thread, about.press
        pending = await self._store.approvals.find(thread, press.turn_id, press.id)
        if pending is None or (pending.card and pending.card != about.card):
            await self._explain(about, user, texts.GONE)
            return None
        if button not in card.offered(pending.approval):
            await self._explain(about, user, texts.CHANGED)
            return None
        refused = await self._rights.decision_refusal(
            thread,
            user["id"],
            user.get("team_id") or "",
            pending.approval.requester,
            personal=pending.approval.personal,
        )
        if refused:
            log.info("approval_refused", thread=thread.key, turn=press.turn_id, user=user["id"])
            await self._explain(about, user, await self._rights.explain(refused))
            return None
        return pending

    async def _visible(self, about: About, user: Payload) -> Approval | None:
        """The approval, for anyone who may use the bot in its thread."""
        thread, press = about.thread, about.press
        pending = await self._store.approvals.find(thread, press.turn_id, press.id)
        if pending is None:
            await self._explain(about, user, texts.GONE)
            return None
        team_id = user.get("team_id") or ""
        if refused := await self._rights.refusal_of(thread, user["id"], team_id):
            await self._explain(about, user, await self._rights.explain(refused))
            return None
        return pending.approval

    async def _explain_earlier(
        self, about: About, user: Payload, decision: Decision, earlier: Decision
    ) -> None:
        """A repeated click of the same person with the same decision is not explained."""
        if (earlier.by, earlier.verdict) != (user["id"], decision.verdict):
            await self._explain(about, user, texts.earlier(card.outcome(earlier)))

    async def _explain(self, about: About, user: Payload, words: str) -> None:
        await notice(self._store, self._client, about.thread, user["id"], words)

    async def _open(self, body: Payload, view: dict[str, Any]) -> None:
        try:
            with slack_errors():
                await self._client.views_open(trigger_id=body["trigger_id"], view=view)
        except (BotError, SlackApiError) as error:
            log.warning("modal_not_opened", error=str(error)[:100])


def parse_about(action: Payload, body: Payload, context: AsyncBoltContext) -> About | None:
    """The data of a click: the thread is that of the message, whatever the button contains.

    None for a button of another message or in a message of another kind.
    """
    press = Press.parse(action.get("value"))
    if press is None or not _is_of_one_message(body):
        return None
    return About(thread_of(body, context).key, body["container"]["message_ts"], press)


def _is_of_one_message(body: Payload) -> bool:
    """Whether all parts of a click name the same message, and it is one in a channel."""
    container, channel, message = body["container"], body.get("channel"), body.get("message")
    channel_id = channel.get("id") if isinstance(channel, Mapping) else channel
    ts = message.get("ts") if isinstance(message, Mapping) else None
    return (
        container.get("type") in (None, "message")
        and not (container.get("is_ephemeral") or container.get("is_app_unfurl"))
        and channel_id in (None, container["channel_id"])
        and ts in (None, container["message_ts"])
    )


def read_about(view: Payload, context: AsyncBoltContext) -> About:
    """The data of one of our modals. Raises ValueError if it is of another installation."""
    about = decode(About, view["private_metadata"])
    own_thread(about.thread_key, context)
    return about
