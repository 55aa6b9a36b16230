"""The workspaces that installed the bot themselves, beside that of `SLACK_BOT_TOKEN`."""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigError, StoreUnavailable
from bot.sealing import Unreadable
from bot.settings import Settings
from bot.slack.client import GuardedClient, Identity, options_of
from bot.slack.tokens import InstalledClient, Tokens
from bot.slack.workspaces import MOST_BUILT, Workspace, make_workspace
from bot.store import Installation
from bot.store.shards import Shards
from bot.store.workspace_settings import WorkspaceVersion
from bot.telemetry.log import log
from bot.timing import SlackTiming

NOTE_EVERY = 3600.0
SEEN_SECONDS = 400 * 86400


@dataclass(frozen=True, slots=True)
class _Row:
    """The stored facts about one workspace; if they change, its objects are rebuilt."""

    installed_at: float
    version: WorkspaceVersion
    ai_key: str = field(repr=False)


@dataclass(slots=True)
class _Known:
    """A workspace and when its row is to be read again (monotonic clock)."""

    workspace: Workspace
    row: _Row
    tokens: Tokens | None
    until: float


class InstalledWorkspaces:
    """Workspaces by the installations in the store, which are read again every few seconds."""

    def __init__(
        self,
        own: Workspace | None,
        shards: Shards,
        client: AsyncWebClient,
        settings: Settings,
        timing: SlackTiming,
    ) -> None:
        self._own = own
        self._shards = shards
        self._client = client
        self._settings = settings
        self._timing = timing
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._note_from: dict[str, float] = {}
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def own(self) -> Workspace | None:
        """The workspace of `SLACK_BOT_TOKEN`, if that is set."""
        return self._own

    async def find(self, id: str) -> Workspace | None:
        """The workspace, or None if the bot is not installed there. Raises StoreUnavailable, also
        if its row cannot be opened: Slack then delivers again what is lost otherwise."""
        if known := self._fresh(id):
            return known.workspace
        async with self._reading[id]:  # a burst of events reads and builds once
            if known := self._fresh(id):
                return known.workspace
            return await self._look_up(id)

    def _fresh(self, id: str) -> _Known | None:
        known = self._known.get(id)
        return known if known is not None and time.monotonic() < known.until else None

    async def _look_up(self, id: str) -> Workspace | None:
        own = self._own
        if own is not None and id == own.id:
            row = await self._read(id, 0.0)
            return self._keep(id, row, None).workspace
        installation = await self._read_installation(id)
        if installation is None:
            self.forget(id)
            return own if own is not None and id == own.identity.enterprise_id else None
        row = await self._read(id, installation.installed_at)
        return self._keep(id, row, installation).workspace

    def is_own(self, id: str) -> bool:
        """Whether `SLACK_BOT_TOKEN` is the installation of this workspace."""
        own = self._own
        return own is not None and id in (own.id, own.identity.enterprise_id)

    def forget(self, id: str) -> None:
        """Read the row again when it is next needed."""
        self._known.pop(id, None)

    async def _read_installation(self, id: str) -> Installation | None:
        with _readable(id):
            return await self._shards.of(id).installations.find(id)

    async def _read(self, id: str, installed_at: float) -> _Row:
        store, now = self._shards.of(id), time.monotonic()
        if now >= self._note_from.get(id, now):
            self._note_from[id] = now + NOTE_EVERY
            await store.flags.note(f"workspace_seen:{id}", f"{time.time():.0f}", SEEN_SECONDS)
        with _readable(id):
            book = store.workspaces
            return _Row(installed_at, await book.newest(id), await book.ai_key(id) or "")

    def _keep(self, id: str, row: _Row, installation: Installation | None) -> _Known:
        known = self._known.get(id)
        if known is None or known.row != row:
            known = self._open(row, installation)
        if known.tokens is not None and installation is not None:
            known.tokens.installation = installation
        known.until = time.monotonic() + self._timing.installation_fresh
        self._known[id] = known
        self._known.move_to_end(id)
        if len(self._known) > MOST_BUILT:
            self._known.popitem(last=False)
        return known

    def _open(self, row: _Row, installation: Installation | None) -> _Known:
        tokens, settings = None, self._settings
        if installation is None:
            assert self._own is not None
            client, identity, id = self._own.client, self._own.identity, self._own.id
        else:
            # The deployment's admins are people of its own workspace; ids may be the same here.
            settings = settings.model_copy(update={"bot_admins": frozenset()})
            store = self._shards.of(installation.id)
            tokens = Tokens(installation, store, self._client, self._settings)
            client = self._client_of(installation, tokens)
            identity, id = _identity(installation), installation.id
        workspace = make_workspace(
            *(client, identity, settings, self._timing, id),
            defaults=row.version.settings,
            ai_key=row.ai_key,
        )
        return _Known(workspace, row, tokens, 0.0)

    def _client_of(self, installation: Installation, tokens: Tokens) -> GuardedClient:
        return InstalledClient(
            tokens,
            self._shards.of(installation.id).circuits,
            access_circuit(installation.id),
            **options_of(self._client, installation.token),
        )


@contextmanager
def _readable(id: str) -> Iterator[None]:
    """Report a row that cannot be opened."""
    try:
        yield
    except (Unreadable, ConfigError, ValueError) as error:
        log.error("installation_unreadable", team=id, error=str(error)[:200])
        raise StoreUnavailable(f"the installation of {id} cannot be read") from error


def _identity(found: Installation) -> Identity:
    return Identity(
        team_id=found.team_id or found.enterprise_id,
        enterprise_id=found.enterprise_id,
        user_id=found.user_id,
        bot_id=found.bot_id,
        url=found.url,
        scopes=frozenset(found.scopes) or None,
    )


def access_circuit(id: str) -> str:
    """The circuit that is open while Slack refuses the token of an installation."""
    return f"slack:token@{id}"
