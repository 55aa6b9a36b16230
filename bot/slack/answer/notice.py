"""The outage notice of a thread: posted once, deleted when the answer is there."""

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import error_code
from bot.slack.threads import read_replies
from bot.store.journal import Turn
from bot.store.steps import NOTICE
from bot.telemetry.log import log

METADATA_EVENT = "bot_notice"


class Notices:
    """Outage notices of turns. All methods raise as `slack_errors`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def show(self, turn: Turn, text: str) -> None:
        """Post the turn's notice, unless it was posted before."""

        async def post(again: bool) -> str:
            if again and (found := await self._find(turn)):
                return found
            thread = turn.claim.thread
            answer = await self._client.chat_postMessage(
                channel=thread.channel_id,
                thread_ts=thread.thread_ts,
                text=text,
                metadata={"event_type": METADATA_EVENT, "event_payload": {"turn": turn.id}},
            )
            return str(answer["ts"])

        await turn.once(NOTICE, post)

    async def remove(self, turn: Turn) -> None:
        """Delete the turn's notice, if there is one."""
        ts = turn.recall(NOTICE)
        if ts is None and NOTICE.name in turn.claim.intents:
            ts = await self._find(turn)
        if not ts:
            return
        try:
            await self._client.chat_delete(channel=turn.claim.thread.channel_id, ts=ts)
        except SlackApiError as error:
            log.info("notice_not_deleted", error=error_code(error))
        await turn.note(NOTICE, "")

    async def _find(self, turn: Turn) -> str:
        """The `ts` of a notice that was posted but not recorded, or ""."""
        asked_at = turn.claim.messages[0].ts
        replies = read_replies(
            self._client, turn.claim.thread, oldest=asked_at, include_all_metadata=True
        )
        async for message in replies:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if (metadata.get("event_type"), payload.get("turn")) == (METADATA_EVENT, turn.id):
                return str(message["ts"])
        return ""
