"""Events of Slack Connect channels that several workspaces with the bot share.

Slack delivers one event for all of them, in the name of the installation that joined last,
whichever bot the message mentions. Each bot then decides for itself, with its own token, settings
and data. https://docs.slack.dev/apis/slack-connect/
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from slack_bolt.request.async_request import AsyncBoltRequest

from bot.errors import Retry, StoreUnavailable
from bot.slack.workspaces import Workspace, Workspaces
from bot.telemetry.log import log

T = TypeVar("T")

ABSENT_SECONDS = 60.0
MOST_ABSENT = 10_000
LOOK_UP_SECONDS = 1.5
"""Slack waits 3 seconds for the acknowledgement."""
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)")


@dataclass(frozen=True, slots=True)
class Sharing:
    """The workspaces whose bots are in the channel of an event.

    `is_complete`: Slack has answered for all of them, so it need not deliver the event again.
    """

    workspaces: tuple[Workspace, ...]
    is_complete: bool = True


class SharedChannels:
    """Finds the other workspaces that an event is for."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._absent: OrderedDict[str, float] = OrderedDict()

    async def find(self, named: Workspace, body: dict[str, Any]) -> Sharing:
        """The workspace in whose name the event was delivered, and the others."""
        channel_id = _channel_of(body)
        if not channel_id:
            return Sharing((named,))
        found, failures = {named.id: named}, list[Exception]()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                ids = _teams_of(body)
                try:
                    teams = await _unless_refused(named, named.channels.teams(channel_id))
                    ids |= teams or frozenset()
                except Retry as error:
                    failures.append(error)
                mentioned = _mentioned(body) - {named.identity.user_id}
                for id in sorted(ids - {named.id, named.identity.team_id}):
                    try:
                        if other := await self._member(id, channel_id, mentioned):
                            found[other.id] = other
                    except (Retry, StoreUnavailable) as error:  # the rest need not wait for it
                        failures.append(error)
        except TimeoutError as error:
            failures.append(error)
        for failure in failures:
            _warn(channel_id, failure)
        return Sharing(tuple(found.values()), is_complete=not failures)

    async def _member(self, id: str, channel_id: str, mentioned: set[str]) -> Workspace | None:
        """The workspace if its bot is in the channel. Raises Retry and StoreUnavailable while that
        is unknown.

        A bot that is mentioned may have been installed or invited since we looked.
        """
        workspace = await self._installed(id, now=bool(mentioned))
        if workspace is None:
            return None
        channels = workspace.channels
        is_in = await _unless_refused(workspace, channels.is_in(channel_id))
        if is_in is False and workspace.identity.user_id in mentioned:
            is_in = await _unless_refused(workspace, channels.is_in(channel_id, now=True))
        return workspace if is_in else None

    async def _installed(self, id: str, *, now: bool) -> Workspace | None:
        """A workspace with the bot; with `now` not from the cache, if it had none there."""
        time_now = time.monotonic()
        if not now and time_now < self._absent.get(id, 0.0):
            return None
        workspace = await self._workspaces.find(id)
        if workspace is None:
            self._absent[id] = time_now + ABSENT_SECONDS
            if len(self._absent) > MOST_ABSENT:
                self._absent.popitem(last=False)
        return workspace


async def _unless_refused(workspace: Workspace, asked: Awaitable[T]) -> T | None:
    """Slack's answer; None if Slack refuses the workspace's token, since its bot could not reply
    either. Raises Retry while Slack cannot say."""
    try:
        return await asked
    except Retry as error:
        if not workspace.client.is_refused(error):
            raise
        _warn(workspace.id, error)
        return None


def _warn(what: str, error: Exception) -> None:
    log.warning("shared_channel_not_checked", channel_or_team=what, error=str(error)[:100])


def in_name_of(workspace: Workspace, request: AsyncBoltRequest) -> AsyncBoltRequest:
    """The same event, as if Slack had delivered it to that installation."""
    identity = workspace.identity
    authorization = {
        "team_id": identity.team_id,
        "enterprise_id": identity.enterprise_id or None,
        "user_id": identity.user_id,
        "is_bot": True,
        "is_enterprise_install": workspace.id.startswith("E"),
    }
    body = {**request.body, "authorizations": [authorization]}
    if isinstance(body.get("event_id"), str):  # the mark of what was seen, which has no workspace
        body["event_id"] += f"@{workspace.id}"
    # Only in this mode Bolt takes a parsed body; the signature has been verified before.
    return AsyncBoltRequest(body=body, headers=request.headers, mode="socket_mode")


def _channel_of(body: dict[str, Any]) -> str:
    """The channel of an event in a Slack Connect channel, or ""."""
    event = body.get("event")
    if body.get("is_ext_shared_channel") is not True or not isinstance(event, dict):
        return ""
    channel = event.get("channel")
    return channel if isinstance(channel, str) else ""


def _mentioned(body: dict[str, Any]) -> set[str]:
    """The people and bots that a message mentions."""
    text = body["event"].get("text")
    return set(_MENTION.findall(text)) if isinstance(text, str) else set()


def _teams_of(body: dict[str, Any]) -> set[str]:
    """Workspaces that the event itself names."""
    event = body["event"]
    named = [body.get("team_id"), body.get("context_team_id"), body.get("context_enterprise_id")]
    named += [event.get("team"), event.get("user_team"), event.get("source_team")]
    return {each for each in named if isinstance(each, str) and each}
