"""The cards of approvals in Slack: each posted once, and edited to its outcome.

If the outcome of a post is unknown, the card is looked up by its metadata before it is posted
again.
"""

from collections.abc import Sequence

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Undeliverable
from bot.slack.answer.post_rate import post_in_turn
from bot.slack.answer.rate_limits import EDITS, RateLimits
from bot.slack.approval_card import fallback, render_card
from bot.slack.client import error_code, slack_errors
from bot.slack.threads import read_replies
from bot.store import Approval, Decision, Store
from bot.store.journal import Turn
from bot.store.steps import card_step, closed_card
from bot.telemetry.log import log
from bot.timing import AnswerTiming

METADATA_EVENT = "bot_approval"


class ApprovalCards:
    """Cards in the threads of turns. All raise as `slack_errors`."""

    def __init__(self, client: AsyncWebClient, store: Store, timing: AnswerTiming) -> None:
        self._client = client
        self._store = store
        self._timing = timing

    async def show(self, turn: Turn, approval: Approval, approvers: Sequence[str]) -> bool:
        """Post the card, unless it was posted before. False if Slack refuses it permanently."""

        async def post(again: bool) -> str:
            if again and (found := await self._find(turn, approval)):
                return found
            thread = turn.claim.thread
            return await post_in_turn(
                self._store.pace,
                thread,
                lambda: self._post(turn, approval, approvers),
                self._timing,
            )

        ts = await turn.once(card_step(approval.id), post)
        return bool(ts)

    async def close(self, turn: Turn, approval: Approval, decision: Decision) -> None:
        """Show the outcome in place of the buttons, once."""
        step = closed_card(approval.id)
        if turn.recall(step):
            return
        ts = await self._ts(turn, approval)
        if ts:
            thread = turn.claim.thread
            scale = self._timing.rate_limit_scale
            await RateLimits(self._store.pace, thread, scale).wait(EDITS)
            try:
                with slack_errors():
                    await self._client.chat_update(
                        channel=thread.channel_id,
                        ts=ts,
                        text=fallback(approval, decision),
                        blocks=render_card(turn.id, approval, (), decision),
                        metadata=_metadata(turn, approval),
                    )
            except (SlackApiError, Undeliverable) as error:
                log.info("card_not_closed", thread=thread.key, error=str(error)[:100])
        await turn.note(step, True)

    async def _ts(self, turn: Turn, approval: Approval) -> str:
        step = card_step(approval.id)
        ts = turn.recall(step)
        if ts is None and turn.may_be_done(step):
            return await self._find(turn, approval)
        return ts or ""

    async def _post(self, turn: Turn, approval: Approval, approvers: Sequence[str]) -> str:
        thread = turn.claim.thread
        try:
            with slack_errors():
                answer = await self._client.chat_postMessage(
                    channel=thread.channel_id,
                    thread_ts=thread.thread_ts,
                    text=fallback(approval),
                    blocks=render_card(turn.id, approval, approvers),
                    metadata=_metadata(turn, approval),
                    unfurl_links=False,
                    unfurl_media=False,
                )
        except SlackApiError as error:
            log.warning("card_refused", thread=thread.key, error=error_code(error))
            return ""
        return str(answer["ts"])

    async def _find(self, turn: Turn, approval: Approval) -> str:
        """The `ts` of a card that was posted but not recorded, or ""."""
        wanted = _metadata(turn, approval)
        with slack_errors():
            async for message in read_replies(
                self._client,
                turn.claim.thread,
                oldest=turn.claim.messages[0].ts,
                include_all_metadata=True,
            ):
                metadata = message.get("metadata") or {}
                if {key: metadata.get(key) for key in wanted} == wanted:
                    return str(message["ts"])
        return ""


def _metadata(turn: Turn, approval: Approval) -> dict[str, object]:
    return {
        "event_type": METADATA_EVENT,
        "event_payload": {"turn": turn.id, "approval": approval.id},
    }
