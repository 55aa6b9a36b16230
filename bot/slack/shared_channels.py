"""Events of Slack Connect channels that several workspaces with the bot share.

Slack delivers one event for all of them, in the name of the installation that joined last,
whichever bot the message mentions. Each bot then decides for itself, with its own token, settings
and data. https://docs.slack.dev/apis/slack-connect/
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slack_bolt.request.async_request import AsyncBoltRequest

from bot.errors import DependencyDown, Retry, StoreUnavailable
from bot.slack.workspaces import Workspace, Workspaces
from bot.telemetry.log import log

ABSENT_SECONDS = 60.0
MOST_ABSENT = 10_000
LOOK_UP_SECONDS = 1.5
"""Slack waits 3 seconds for the acknowledgement."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """The workspaces whose bots are in the channel of an event.

    `is_complete`: all that may be could be asked; otherwise Slack has to deliver the event again.
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
        found, is_complete = {named.id: named}, True
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                ids = {*await named.channels.teams(channel_id), *_teams_of(body)}
                for each in await self._installed(ids - {named.id, named.identity.team_id}):
                    if each.id not in found and await each.channels.is_in(channel_id):
                        found[each.id] = each
        except DependencyDown as error:  # such as a token that Slack refuses: that bot is silent
            log.warning("shared_channel_not_checked", channel=channel_id, error=str(error)[:100])
        except (Retry, StoreUnavailable, TimeoutError) as error:
            log.warning("shared_channel_not_checked", channel=channel_id, error=str(error)[:100])
            is_complete = False
        return Sharing(tuple(found.values()), is_complete)

    async def _installed(self, ids: Iterable[str]) -> list[Workspace]:
        now, found = time.monotonic(), []
        for id in sorted(ids):
            if now < self._absent.get(id, 0.0):
                continue
            if workspace := await self._workspaces.find(id):
                found.append(workspace)
            else:
                self._absent[id] = now + ABSENT_SECONDS
                if len(self._absent) > MOST_ABSENT:
                    self._absent.popitem(last=False)
        return found


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


def _teams_of(body: dict[str, Any]) -> set[str]:
    """Workspaces that the event itself names."""
    event = body["event"]
    named = [body.get("team_id"), body.get("context_team_id"), body.get("context_enterprise_id")]
    named += [event.get("team"), event.get("user_team"), event.get("source_team")]
    return {each for each in named if isinstance(each, str) and each}
