"""The mark on messages that wait: no worker is there, all are busy, or the next attempt is far.

The web part sets it, for a message that is stored may have to wait until a worker is there at all.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, StoreUnavailable
from bot.models import Thread
from bot.slack.answer.status import REFRESH
from bot.slack.client import slack_errors
from bot.store import Inbox
from bot.telemetry.log import log
from bot.texts.status import WAITING

GRACE = 5.0
"""Seconds that a message may wait without a mark."""
LOOK_EVERY = 3.0
NEVER = -math.inf
MARKS_PER_LOOK = 20
"""Slack takes 600 a minute, and the workers set some as well."""


@asynccontextmanager
async def marking(client: AsyncWebClient, inbox: Inbox) -> AsyncIterator[None]:
    """Inside the block, threads with which nobody is busy bear the mark."""
    task = asyncio.create_task(_keep_marking(client, inbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_marking(client: AsyncWebClient, inbox: Inbox) -> None:
    marked: dict[Thread, float] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            waiting = set(await inbox.unattended(GRACE))
            for thread in [thread for thread in marked if thread not in waiting]:
                marked[thread] = NEVER
                if await _unmark(client, inbox, thread):
                    del marked[thread]
            due = [t for t in waiting if time.monotonic() - marked.get(t, NEVER) >= REFRESH]
            for thread in due[:MARKS_PER_LOOK]:
                marked[thread] = time.monotonic()
                await _mark(client, inbox, thread)
        except StoreUnavailable as error:
            log.debug("not_marked", error=str(error))
        except Exception:
            log.exception("marking_broke")


async def _mark(client: AsyncWebClient, inbox: Inbox, thread: Thread) -> None:
    await _set_status(client, thread, WAITING)
    # Where the answer came in this very moment, nothing else would take the mark away.
    if (await inbox.state(thread)).state == "idle":
        await _set_status(client, thread, "")


async def _unmark(client: AsyncWebClient, inbox: Inbox, thread: Thread) -> bool:
    """Take the mark away where nothing is to do any more; an answer did so by itself, but not all
    that waits is answered: a "stop", a deletion. Whether that is settled."""
    if (await inbox.state(thread)).state != "idle":
        return False
    await _set_status(client, thread, "")
    return True


async def _set_status(client: AsyncWebClient, thread: Thread, status: str) -> None:
    try:
        with slack_errors():
            await client.assistant_threads_setStatus(
                channel_id=thread.channel_id, thread_ts=thread.thread_ts, status=status
            )
    except (BotError, SlackApiError) as error:
        log.debug("not_marked", thread=thread.key, error=str(error)[:100])
