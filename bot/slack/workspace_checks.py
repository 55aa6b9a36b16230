"""The check of all installations for `bot doctor`."""

import time
from collections.abc import Callable, Mapping, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from bot.checks import Check, Finding, failed, ok, skipped, warning
from bot.errors import BotError, ConfigError, StoreUnavailable
from bot.sealing import Unreadable
from bot.settings import Settings
from bot.slack.delivery_notes import NOT_INSTALLED, describe_age
from bot.slack.scopes import find_missing
from bot.slack.tokens import is_refused
from bot.store.installations import InstallState
from bot.store.shards import Shards, open_shards

ASKED = 50
"""Tokens that Slack is asked about, newest installations first."""
RECENT = 86400.0
REINSTALL = "let an admin of that workspace open /slack/install again"


class WorkspaceChecks:
    """The check of the workspaces that installed the bot themselves."""

    def __init__(
        self, client: AsyncWebClient, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock

    def all(self) -> tuple[Check, ...]:
        """Nothing to check if there is only the workspace of `SLACK_BOT_TOKEN`."""
        if self._settings.slack_client_id is None:
            return ()
        return (Check("workspaces", self.workspaces, ("redis", "encryption")),)

    async def workspaces(self) -> Finding:
        """Whether the tokens work and have all scopes, and whether requests found none."""
        try:
            async with open_shards(self._settings) as shards:
                return await self._look(shards)
        except StoreUnavailable:
            return skipped("Redis does not answer")

    async def _look(self, shards: Shards) -> Finding:
        found = [await store.installations.list() for store in shards]
        states = {id: state for each in found for id, state in each.items()}
        present = {id: state for id, state in states.items() if not state.removed_at}
        removed = len(states) - len(present)
        text = f"{len(present)} installed" + (f", {removed} removed" if removed else "")
        refused, incomplete = await self._ask(shards, present)
        if refused:
            return failed(f"{text}; Slack refuses the token of {_some(refused)}", REINSTALL)
        note = await shards.home.flags.read(NOT_INSTALLED)
        at, _, team = (note or "").partition(" ")
        if note and self._clock() - float(at) < RECENT:
            age = describe_age(self._clock() - float(at))
            return warning(f"{text}; {team} sent a request {age} and has no token", REINSTALL)
        if incomplete:
            return warning(f"{text}; scopes are missing in {_some(incomplete)}", REINSTALL)
        return ok(text)

    async def _ask(
        self, shards: Shards, states: Mapping[str, InstallState]
    ) -> tuple[list[str], list[str]]:
        """The ids of refused tokens, and of those without all scopes."""
        refused, incomplete = [], []
        newest = sorted(states, key=lambda id: -states[id].installed_at)[:ASKED]
        for id in newest:
            try:
                found = await shards.of(id).installations.find(id)
                if found is None or await is_refused(self._client, found.token):
                    refused.append(id)
                elif not find_missing(found.scopes).is_meant:
                    incomplete.append(id)
            except (Unreadable, ConfigError):
                refused.append(id)
            except BotError:
                continue  # Slack does not answer: another check says so
        return refused, incomplete


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
