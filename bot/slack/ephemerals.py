"""Ephemeral messages: visible to one person only."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Thread
from bot.slack.client import slack_errors
from bot.store import Store
from bot.telemetry.log import log

NOTICE_SECONDS = 60


async def post_ephemeral(
    client: AsyncWebClient,
    thread: Thread,
    user_id: str,
    text: str,
    blocks: Sequence[dict[str, Any]] = (),
    *,
    beside_thread: bool = False,
) -> bool:
    """Post for one person only. Returns whether Slack accepted it; a refusal is logged, not raised.

    `beside_thread` posts it in the channel: Slack shows none in a thread without replies. A
    response URL is no alternative: its messages appear in the channel, too.
    """
    try:
        with slack_errors():
            await client.chat_postEphemeral(
                channel=thread.channel_id,
                user=user_id,
                thread_ts=None if beside_thread else thread.thread_ts,
                text=text,
                blocks=list(blocks) or None,
            )
    except (BotError, SlackApiError) as error:
        log.info("ephemeral_not_posted", thread=thread.key, error=str(error)[:100])
        return False
    return True


async def notice(
    store: Store,
    client: AsyncWebClient,
    thread: Thread,
    user_id: str,
    text: str,
    blocks: Sequence[dict[str, Any]] = (),
    *,
    about: str = "",
) -> bool:
    """`post_ephemeral`, but at most once a minute for a person and text (or what it is `about`)."""
    name = hashlib.blake2s(f"{thread.team_id}:{user_id}:{about or text}".encode(), digest_size=12)
    if not await store.flags.take(
        f"notice:{name.hexdigest()}", secrets.token_hex(8), NOTICE_SECONDS
    ):
        return True
    return await post_ephemeral(client, thread, user_id, text, blocks)
