"""The workspaces that installed the bot themselves, beside that of `SLACK_BOT_TOKEN`."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigError, StoreUnavailable
from bot.sealing import Unreadable
from bot.settings import Settings
from bot.slack.client import Identity, options_of
from bot.slack.tokens import InstalledClient, Tokens
from bot.slack.workspaces import MOST_BUILT, Workspace, make_workspace
from bot.store import Installation, Store
from bot.telemetry.log import log
from bot.timing import SlackTiming


@dataclass(slots=True)
class _Known:
    """A workspace and when its installation is to be read again (monotonic clock)."""

    workspace: Workspace
    tokens: Tokens
    until: float


class InstalledWorkspaces:
    """Workspaces by the installations in the store, which are read again every few seconds."""

    def __init__(
        self,
        own: Workspace | None,
        store: Store,
        client: AsyncWebClient,
        settings: Settings,
        timing: SlackTiming,
    ) -> None:
        self._own = own
        self._store = store
        self._client = client
        self._settings = settings
        self._timing = timing
        self._known: OrderedDict[str, _Known] = OrderedDict()

    @property
    def own(self) -> Workspace | None:
        """The workspace of `SLACK_BOT_TOKEN`, if that is set."""
        return self._own

    async def find(self, id: str) -> Workspace | None:
        """The workspace, or None if the bot is not installed there. Raises StoreUnavailable, also
        if its row cannot be opened: Slack then delivers again what is lost otherwise."""
        own = self._own
        if own is not None and id == own.id:
            return own
        known = self._known.get(id)
        if known is not None and time.monotonic() < known.until:
            return known.workspace
        found = await self._read(id)
        if found is None:
            self.forget(id)
            return own if own is not None and id == own.identity.enterprise_id else None
        return self._keep(known, found).workspace

    def forget(self, id: str) -> None:
        """Read the installation again when it is next needed."""
        self._known.pop(id, None)

    async def _read(self, id: str) -> Installation | None:
        try:
            return await self._store.installations.find(id)
        except (Unreadable, ConfigError, ValueError) as error:
            log.error("installation_unreadable", team=id, error=str(error)[:200])
            raise StoreUnavailable(f"the installation of {id} cannot be read") from error

    def _keep(self, known: _Known | None, found: Installation) -> _Known:
        if known is None or known.tokens.installation.installed_at != found.installed_at:
            known = self._open(found)
        known.tokens.installation = found
        known.until = time.monotonic() + self._timing.installation_fresh
        self._known[found.id] = known
        self._known.move_to_end(found.id)
        if len(self._known) > MOST_BUILT:
            self._known.popitem(last=False)
        return known

    def _open(self, found: Installation) -> _Known:
        tokens = Tokens(found, self._store, self._client, self._settings)
        client = InstalledClient(
            tokens,
            self._store.circuits,
            access_circuit(found.id),
            **options_of(self._client, found.token),
        )
        identity = Identity(
            found.team_id or found.enterprise_id,
            found.enterprise_id,
            found.user_id,
            found.bot_id,
            found.url,
        )
        workspace = make_workspace(client, identity, self._settings, self._timing, found.id)
        return _Known(workspace, tokens, 0.0)


def access_circuit(id: str) -> str:
    """The circuit that is open while Slack refuses the token of an installation."""
    return f"slack:token@{id}"
