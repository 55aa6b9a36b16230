"""The names behind the ids of people, channels and user groups that are mentioned."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError
from bot.models import Thread
from bot.slack.channels import Channels
from bot.slack.client import error_code, slack_errors
from bot.slack.people import People
from bot.telemetry.log import log

FRESH_SECONDS = 600.0
FAILED_SECONDS = 30.0
LASTING = frozenset({"missing_scope", "not_allowed_token_type", "team_access_not_granted"})
"""Refusals that last until an admin changes something."""
MOST_CHANNELS = 20
"""Maximum names that are looked up per turn."""


class Names:
    """Looks names up; unknown ones are left out and stay ids."""

    def __init__(self, client: AsyncWebClient, people: People, channels: Channels) -> None:
        self._people = people
        self._channels = channels
        self._groups = UserGroups(client)

    async def of(self, ids: Iterable[str], thread: Thread, asker: str = "") -> dict[str, str]:
        """The display names of people, the names of channels, the handles of user groups, by id.

        A private channel is named only to an asker who can see it, or in that channel.
        """
        unique = list(dict.fromkeys(ids))
        people = await self.of_people(each for each in unique if each[:1] in "UWB")
        channels = [each for each in unique if each[:1] in "CG"][:MOST_CHANNELS]
        found = await asyncio.gather(*(self._channel(each, thread, asker) for each in channels))
        handles: Mapping[str, str] = {}
        if groups := [each for each in unique if each[:1] == "S"]:
            handles = await self._groups.handles(await self._workspace(thread, asker))
        named = {each: name for each, name in zip(channels, found, strict=True) if name}
        return people | named | {each: handles[each] for each in groups if each in handles}

    async def _workspace(self, thread: Thread, asker: str) -> str:
        """The workspace of the groups: with an org-wide installation, the asker's."""
        if not thread.team_id.startswith("E"):
            return thread.team_id
        person = await self._people.find(asker) if asker else None
        return person.team_id if person else thread.team_id

    async def of_people(self, user_ids: Iterable[str]) -> dict[str, str]:
        """The display names of people; unknown people are left out."""
        found = await asyncio.gather(*map(self._people.find, dict.fromkeys(user_ids)))
        return {person.user_id: " ".join(person.name.split()) for person in found if person}

    async def _channel(self, channel_id: str, thread: Thread, asker: str) -> str:
        visible = channel_id == thread.channel_id
        if visible or (asker and await self._channels.can_see(asker, channel_id)):
            return await self._channels.name(channel_id)
        return ""


class UserGroups:
    """The handles of user groups. Needs the scope `usergroups:read`."""

    def __init__(self, client: AsyncWebClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, str]]] = {}
        self._asking = asyncio.Lock()

    async def handles(self, team_id: str) -> Mapping[str, str]:
        """The handles by id; if Slack refuses, those known before, or none."""
        async with self._asking:
            until, known = self._known.get(team_id, (0.0, {}))
            if self._clock() >= until:
                known, lasts = await self._ask(team_id, known)
                self._known[team_id] = self._clock() + lasts, known
        return known

    async def _ask(self, team_id: str, known: dict[str, str]) -> tuple[dict[str, str], float]:
        try:
            with slack_errors():
                answer = await self._client.usergroups_list(
                    include_disabled=True,
                    team_id=team_id if team_id.startswith("T") else None,  # for an org's token
                )
        except (BotError, SlackApiError) as error:
            code = error_code(error) if isinstance(error, SlackApiError) else str(error)
            log.info("user_groups_unknown", error=code)
            return known, FRESH_SECONDS if code in LASTING else FAILED_SECONDS
        groups: list[dict[str, Any]] = answer.get("usergroups") or []
        return {str(group.get("id")): str(group.get("handle") or "") for group in groups}, (
            FRESH_SECONDS
        )
