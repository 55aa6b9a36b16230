"""Direct messages that the bot starts, with or without a file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Undeliverable
from bot.slack.blocks import Block, section
from bot.slack.client import error_code, slack_errors
from bot.slack.files import Files, NotTaken
from bot.slack.paging import pages
from bot.telemetry.log import log

Metadata = dict[str, Any]

PAGE = 200
MOST_PAGES = 10
UNKNOWN_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "unsupported_blocks"})


class DirectMessages:
    """Sends direct messages. Raises Retry, and Undeliverable if Slack refuses them permanently."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._files = Files(client)

    async def send(self, user_id: str, text: str, *, metadata: Metadata | None = None) -> None:
        """Send a message in Slack's mrkdwn."""
        channel_id = await self._direct(user_id)
        try:
            with slack_errors():
                await self._client.chat_postMessage(
                    channel=channel_id, text=text, metadata=metadata
                )
        except SlackApiError as error:
            raise Undeliverable(error_code(error)) from error

    async def send_blocks(
        self,
        user_id: str,
        text: str,
        blocks: Sequence[Block],
        *,
        metadata: Metadata | None = None,
    ) -> bool:
        """Send a text with blocks below it; False if this Slack does not know such blocks."""
        channel_id = await self._direct(user_id)
        shown = [section(text), *blocks]
        try:
            with slack_errors():
                await self._client.chat_postMessage(
                    channel=channel_id, text=text, blocks=shown, metadata=metadata
                )
        except SlackApiError as error:
            if error_code(error) in UNKNOWN_BLOCKS:
                return False
            raise Undeliverable(error_code(error)) from error
        return True

    async def send_file(self, user_id: str, name: str, content: bytes, comment: str) -> None:
        """Send a file with a comment above it."""
        channel_id = await self._direct(user_id)
        try:
            file_id = await self._files.upload(name, content)
            with slack_errors():
                await self._client.files_completeUploadExternal(
                    files=[{"id": file_id, "title": name}],
                    channel_id=channel_id,
                    initial_comment=comment,
                )
        except NotTaken as error:
            raise Undeliverable(str(error)) from error
        except SlackApiError as error:
            raise Undeliverable(error_code(error)) from error

    async def find(
        self, user_id: str, since: float, is_wanted: Callable[[Mapping[str, Any]], bool]
    ) -> bool:
        """Whether the conversation holds a message like that, newer than `since` (epoch seconds).

        False if Slack does not permit to look: a result that comes twice is better than none.
        """
        channel_id = await self._direct(user_id)

        async def ask(cursor: str | None) -> Any:
            with slack_errors():
                return await self._client.conversations_history(
                    channel=channel_id,
                    oldest=f"{since:.6f}",
                    include_all_metadata=True,
                    limit=PAGE,
                    cursor=cursor,
                )

        try:
            async for answer in pages(ask, MOST_PAGES):
                if any(map(is_wanted, answer.get("messages") or ())):
                    return True
        except SlackApiError as error:
            log.warning("direct_messages_not_read", user=user_id, error=error_code(error))
        return False

    async def _direct(self, user_id: str) -> str:
        try:
            with slack_errors():
                answer = await self._client.conversations_open(users=user_id)
        except SlackApiError as error:
            raise Undeliverable(error_code(error)) from error
        return str(answer["channel"]["id"])
