"""The events about an installation itself: removed, its tokens revoked, an organization's access.

They come in any order, late and repeatedly. Slack's time of the event decides: one from before the
installation is of an earlier one and is ignored.
https://docs.slack.dev/reference/events/app_uninstalled
"""

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Retry
from bot.slack.installed import InstalledWorkspaces
from bot.slack.payload import Payload
from bot.slack.tokens import is_refused
from bot.store import Installation
from bot.store.shards import Shards
from bot.telemetry.log import log

REMOVALS = frozenset({"app_uninstalled", "tokens_revoked"})
ACCESS = frozenset({"team_access_granted", "team_access_revoked"})
EVENTS = tuple(sorted(REMOVALS | ACCESS))
"""Subscribed to only if workspaces install the bot themselves."""
SAME_MOMENT = 2.0
"""Slack's times are whole seconds: for events this close to the installation, its token decides."""


class Lifecycle:
    """Handles the events of all installations."""

    def __init__(
        self, shards: Shards, workspaces: InstalledWorkspaces, client: AsyncWebClient
    ) -> None:
        self._shards = shards
        self._workspaces = workspaces
        self._client = client

    async def handle(self, id: str, body: Payload) -> bool:
        """Handle an event if it is one of these; returns whether it was.

        Raises StoreUnavailable and Retry: Slack then delivers it again.
        """
        event = body["event"]
        if event["type"] in ACCESS:
            log.warning(event["type"], team=id, workspaces=_texts(event.get("team_ids")))
            self._workspaces.forget(id)
            return True
        if event["type"] not in REMOVALS:
            return False
        if event["type"] == "app_uninstalled" or _texts((event.get("tokens") or {}).get("bot")):
            await self._remove(id, body, event["type"])
        return True

    async def _remove(self, id: str, body: Payload, why: str) -> None:
        if self._workspaces.is_own(id):
            log.error("own_token_revoked", team=id, reason=why)
            return
        at, named = _time(body), await self._shards.of(id).installations.find(id)
        installation = named or await self._of_organization(body)
        if installation is not None:
            id = installation.id
            is_sure = named is not None and why == "app_uninstalled"
            if await self._is_outdated(installation, at, is_sure=is_sure):
                log.info("removal_outdated", team=id, reason=why)
                return
        store = self._shards.of(id)
        if not await store.installations.remove(id, at):
            return
        self._workspaces.forget(id)
        stopped = await store.team_data.stop_turns(id)
        log.warning("workspace_removed", team=id, reason=why, stopped=stopped)

    async def _of_organization(self, body: Payload) -> Installation | None:
        """The installation of the organization: an event may name one of its workspaces only."""
        enterprise_id = body.get("enterprise_id")
        if not isinstance(enterprise_id, str):
            return None
        return await self._shards.of(enterprise_id).installations.find(enterprise_id)

    async def _is_outdated(self, found: Installation, at: float, *, is_sure: bool) -> bool:
        """Whether the event is of an earlier installation, or of an earlier token of this one: a
        rotated token is revoked, too. If in doubt, Slack is asked about the token."""
        if at < found.installed_at:
            return True
        if is_sure and at - found.installed_at >= SAME_MOMENT:
            return False
        return not await is_refused(self._client, found.token)


def _time(body: Payload) -> float:
    """Slack's time of an event. Raises Retry without it: nothing may be deleted on a guess."""
    found = body.get("event_time")
    if not isinstance(found, int | float):
        raise Retry("event_without_time")
    return float(found)


def _texts(values: object) -> list[str]:
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []
