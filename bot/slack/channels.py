"""The channels that a person can see now, their names and creators; cached for a minute.

Needs the scopes `channels:read`, `groups:read` and `mpim:read`. A channel that we cannot check
counts as not visible.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Undeliverable
from bot.models import Conversation
from bot.slack.client import error_code, slack_errors
from bot.slack.paging import pages
from bot.slack.people import People, Person
from bot.telemetry.log import log
from bot.timing import SlackTiming

T = TypeVar("T")

REMEMBERED = 2_000
PAGE, MAX_PAGES = 200, 10
CHECKED_AT_ONCE = 5
MOST_TEAMS = 10
"""Workspaces of an organization in which a person's channels are looked up."""


class Channels:
    """The channels of a workspace; one for the process."""

    def __init__(
        self,
        client: AsyncWebClient,
        people: People,
        timing: SlackTiming = SlackTiming(),
        *,
        is_org: bool = False,
    ) -> None:
        """`is_org`: an organization installed the bot, so that lists need a workspace."""
        self._client = client
        self._people = people
        self._is_org = is_org
        self._joined: _Cache[frozenset[str]] = _Cache(timing.channels_fresh)
        self._facts: _Cache[dict[str, Any]] = _Cache(timing.channels_fresh)

    async def visible(
        self, user_id: str, conversations: Iterable[Conversation], *, now: bool = False
    ) -> list[Conversation]:
        """The conversations whose channel the person can see; `now`: memberships are not from the
        cache."""
        if now:
            self._joined.forget(user_id)
        found = list(conversations)
        channel_ids = {each.thread.channel_id for each in found}
        limit = asyncio.Semaphore(CHECKED_AT_ONCE)

        async def check(channel_id: str) -> bool:
            async with limit:
                return await self.can_see(user_id, channel_id)

        seen = dict(zip(channel_ids, await asyncio.gather(*map(check, channel_ids)), strict=True))
        return [each for each in found if seen[each.thread.channel_id]]

    async def can_see(self, user_id: str, channel_id: str) -> bool:
        """Whether the person is a member or the channel is public.

        A direct message is visible: only its two members write in it.
        """
        if channel_id.startswith("D"):
            return True
        if channel_id in await self._joined_by(user_id):
            return True
        facts = await self._facts_of(channel_id)
        if not facts or facts.get("is_private") or facts.get("is_mpim"):
            return False
        person = await self._people.find(user_id)
        if person is None or person.is_guest or person.is_outsider:
            return False
        return not self._is_org or _is_shared_with(person, facts)

    async def creator(self, channel_id: str) -> str:
        """The creator of the channel, or "" if unknown."""
        return str((await self._facts_of(channel_id)).get("creator") or "")

    async def name(self, channel_id: str) -> str:
        """The name of the channel, or "" if unknown; direct messages have none."""
        facts = await self._facts_of(channel_id)
        return "" if facts.get("is_mpim") else str(facts.get("name") or "")

    async def is_shared(self, channel_id: str) -> bool:
        """Whether people of other organizations may read the channel; true if unknown."""
        if channel_id.startswith("D"):
            return False
        facts = await self._facts_of(channel_id)
        return not facts or bool(facts.get("is_ext_shared") or facts.get("is_pending_ext_shared"))

    async def teams(self, channel_id: str) -> frozenset[str]:
        """The workspaces and organizations that share a channel; none if Slack does not say.

        Raises Retry.
        """
        facts = await self._facts_now(channel_id)
        lists = (facts.get(name) for name in ("shared_team_ids", "connected_team_ids"))
        found = [each for ids in lists if isinstance(ids, list) for each in ids]
        found.append(facts.get("conversation_host_id"))
        return frozenset(each for each in found if isinstance(each, str) and each)

    async def is_in(self, channel_id: str, *, now: bool = False) -> bool:
        """Whether the bot is a member of a channel; `now`: not from the cache. Raises Retry."""
        if now:
            self._facts.forget(channel_id)
        return bool((await self._facts_now(channel_id)).get("is_member"))

    async def joined_now(self, user_id: str) -> frozenset[str]:
        """The channels of which both the person and the bot are members, not from the cache.

        Raises what `slack_errors` does.
        """
        return await self._list_joined(user_id)

    async def _joined_by(self, user_id: str) -> frozenset[str]:
        """The channels of which both the person and the bot are members."""
        return await self._joined.get(user_id, lambda: self._list_joined(user_id), frozenset())

    async def _list_joined(self, user_id: str) -> frozenset[str]:
        found: set[str] = set()
        for team_id in await self._teams_of(user_id):
            found |= await self._list_joined_in(user_id, team_id)
        return frozenset(found)

    async def _teams_of(self, user_id: str) -> list[str | None]:
        """The workspaces to list: None is that of the token."""
        if not self._is_org:
            return [None]
        person = await self._people.find(user_id)
        teams = person.teams or {person.team_id} if person else set()
        return [*sorted(teams - {""})[:MOST_TEAMS]]

    async def _list_joined_in(self, user_id: str, team_id: str | None) -> set[str]:
        async def ask(cursor: str | None) -> Any:
            with slack_errors():
                return await self._client.users_conversations(
                    user=user_id,
                    types="public_channel,private_channel,mpim",
                    limit=PAGE,
                    cursor=cursor,
                    team_id=team_id,
                )

        found: set[str] = set()
        async for answer in pages(ask, MAX_PAGES):
            found |= {channel["id"] for channel in answer.get("channels") or ()}
        return found

    async def _facts_of(self, channel_id: str) -> dict[str, Any]:
        return await self._facts.get(channel_id, lambda: self._ask(channel_id), {})

    async def _facts_now(self, channel_id: str) -> dict[str, Any]:
        """The facts about a channel, not from the cache. Raises Retry while Slack cannot say."""

        async def ask() -> dict[str, Any]:
            try:
                return await self._ask(channel_id)
            except (Undeliverable, SlackApiError):  # no member, or without the scope
                return {}

        return await self._facts.get_or_raise(channel_id, ask)

    async def _ask(self, channel_id: str) -> dict[str, Any]:
        with slack_errors():
            answer = await self._client.conversations_info(channel=channel_id)
        return dict(answer.get("channel") or {})


def _is_shared_with(person: Person, facts: Mapping[str, Any]) -> bool:
    """Whether a public channel is in one of the person's workspaces of the organization."""
    teams = {facts.get("context_team_id"), *(facts.get("shared_team_ids") or ())} - {None, ""}
    return not teams or bool(teams & {*person.teams, person.team_id, person.enterprise_id})


class _Cache(Generic[T]):
    """Cached values, for `seconds` each; a failure returns the default and is not cached."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()

    async def get(self, key: str, ask: Callable[[], Awaitable[T]], default: T) -> T:
        try:
            return await self.get_or_raise(key, ask)
        except (BotError, SlackApiError) as error:
            code = error_code(error) if isinstance(error, SlackApiError) else str(error)
            log.warning("channel_not_checked", channel_or_person=key, error=code)
            return default

    def forget(self, key: str) -> None:
        """Ask the next time."""
        self._known.pop(key, None)

    async def get_or_raise(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """The value; raises what `ask` does."""
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        value = await ask()
        self._known[key] = (time.monotonic() + self._seconds, value)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return value
