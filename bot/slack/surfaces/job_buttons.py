"""Buttons that start a job: a chart, an export, erasure."""

import re
from collections.abc import Awaitable, Callable
from typing import get_args

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.context.async_context import AsyncBoltContext

from bot.slack.blocks import Block, button, confirmation
from bot.slack.origin import installation
from bot.slack.payload import Payload
from bot.store import Store, jobs
from bot.telemetry.log import log
from bot.texts import home as texts

ACTION = "errand:"
"""The prefix of the buttons' `action_id`; the name of the job follows."""


def job_button(job: jobs.Job, label: str, *, confirm: str = "", danger: bool = False) -> Block:
    """A button; with `confirm`, Slack asks that question first."""
    asked = confirmation(label, confirm, yes=texts.YES, no=texts.NO) if confirm else None
    return button(label, f"{ACTION}{job}", job, danger=danger, confirm=asked)


class JobButtons:
    """The listener of all such buttons. `confirm_at_home` confirms a job in App Home."""

    def __init__(
        self, store: Store, confirm_at_home: Callable[[str, str, jobs.Job], Awaitable[None]]
    ) -> None:
        self._store = store
        self._confirm_at_home = confirm_at_home

    def register(self, app: AsyncApp) -> None:
        """Register the listener."""
        app.action(re.compile(f"^{ACTION}"))(self.job)

    async def job(
        self,
        ack: AsyncAck,
        action: Payload,
        body: Payload,
        context: AsyncBoltContext,
        respond: AsyncRespond,
    ) -> None:
        """Handle a press in the answer to a command, or in App Home (which has no response URL)."""
        job = _job_of(action["value"])
        user_id, team_id = body["user"]["id"], installation(context)
        await jobs.ask(self._store.inbox, job, team_id, user_id, body["trigger_id"])
        log.info("job_requested", job=job, user=user_id)
        await ack()
        if body.get("response_url"):
            await respond(texts.ASKED, replace_original=False)
        else:
            await self._confirm_at_home(team_id, user_id, job)


def _job_of(value: str) -> jobs.Job:
    """Raises ValueError for what no button of ours holds."""
    found: list[jobs.Job] = [job for job in get_args(jobs.Job) if job == value]
    if not found:
        raise ValueError("no job")
    return found[0]
