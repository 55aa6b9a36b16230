"""The status of waiting threads: no worker is alive, all are busy, or the next attempt is far off.

The web process sets it, because there may be no worker.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError

from bot.errors import BotError, StoreUnavailable
from bot.models import Thread
from bot.slack.client import slack_errors
from bot.slack.workspaces import Workspaces
from bot.store import Inbox, Wait
from bot.telemetry.log import log
from bot.texts.status import NO_WORKER, RESUMING, RETRYING, THINKING, WAITING
from bot.timing import AnswerTiming

NEVER = -math.inf
WORDS: Mapping[Wait, str] = {
    "queued": WAITING,
    "orphaned": RESUMING,
    "retrying": RETRYING,
    "no_worker": NO_WORKER,
}
STATUSES_PER_CHECK = 20
"""Slack accepts 600 a minute; the workers need some of them."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """The status of a thread and the time at which it was set (monotonic clock)."""

    why: Wait | None = None
    at: float = NEVER

    def is_current(self, why: Wait, not_before: float) -> bool:
        return self.why == why and self.at > not_before


@asynccontextmanager
async def showing_waits(
    workspaces: Workspaces, inbox: Inbox, timing: AnswerTiming
) -> AsyncIterator[None]:
    """Inside the block, threads that no worker holds show a waiting status."""
    task = asyncio.create_task(_keep_showing(workspaces, inbox, timing))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_showing(workspaces: Workspaces, inbox: Inbox, timing: AnswerTiming) -> None:
    shown: dict[Thread, _Shown] = {}
    while True:
        await asyncio.sleep(timing.waiting_check)
        try:
            await _show_all(workspaces, inbox, timing, shown)
        except StoreUnavailable as error:
            log.debug("waiting_status_not_set", error=str(error))
        except Exception:
            log.exception("wait_check_failed")


async def _show_all(
    workspaces: Workspaces, inbox: Inbox, timing: AnswerTiming, shown: dict[Thread, _Shown]
) -> None:
    waiting = await inbox.unattended(timing.waiting_after)
    for thread in [thread for thread in shown if thread not in waiting]:
        shown[thread] = _Shown()
        if await _clear(workspaces, inbox, thread):
            del shown[thread]
    now = time.monotonic()
    due = [
        (thread, why)
        for thread, why in waiting.items()
        if not shown.get(thread, _Shown()).is_current(why, now - timing.status_refresh)
    ]
    for thread, why in due[:STATUSES_PER_CHECK]:
        shown[thread] = _Shown(why, time.monotonic())
        await _show(workspaces, inbox, thread, why)


async def _show(workspaces: Workspaces, inbox: Inbox, thread: Thread, why: Wait) -> None:
    await _set_status(workspaces, thread, WORDS[why])
    state = (await inbox.state(thread)).state
    # A worker that took the thread at this moment may have set its status before ours.
    if why == "queued" and state == "claimed":
        await _set_status(workspaces, thread, THINKING)
    # An answer posted at this moment would not clear ours.
    if state == "idle":
        await _set_status(workspaces, thread, "")


async def _clear(workspaces: Workspaces, inbox: Inbox, thread: Thread) -> bool:
    """Clear the status once nothing waits: not every message is answered with a post.

    Returns whether the thread is idle.
    """
    if (await inbox.state(thread)).state != "idle":
        return False
    await _set_status(workspaces, thread, "")
    return True


async def _set_status(workspaces: Workspaces, thread: Thread, status: str) -> None:
    workspace = await workspaces.find(thread.team_id)
    if workspace is None:
        return
    try:
        with slack_errors():
            await workspace.client.assistant_threads_setStatus(
                channel_id=thread.channel_id, thread_ts=thread.thread_ts, status=status
            )
    except (BotError, SlackApiError) as error:
        log.debug("waiting_status_not_set", thread=thread.key, error=str(error)[:100])
