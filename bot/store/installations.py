"""The installations of the bot, by the id of their workspace (`T…`) or organization (`E…`).

The tokens are sealed. A removal leaves its time behind, so that events in any order agree.
"""

from dataclasses import dataclass

from bot.models import decode, encode
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.sealed import Sealed, SecretKind

KIND: SecretKind = "installation"


@dataclass(frozen=True, slots=True)
class Installation:
    """The data from Slack about one workspace or organization.

    `team_id` is empty for an organization. `expires_at` (epoch seconds) is 0 for a token that does
    not expire. `installed_at` is by Slack's clock, like the times of its events.
    """

    id: str
    name: str
    team_id: str
    enterprise_id: str
    user_id: str
    bot_id: str
    url: str
    token: str
    refresh_token: str = ""
    expires_at: float = 0.0
    installed_at: float = 0.0
    installed_by: str = ""
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the tokens: it may end up in a log."""
        return f"Installation({self.id})"


@dataclass(frozen=True, slots=True)
class InstallState:
    """The facts about an installation that need no key; `removed_at` is 0 while it is
    installed."""

    name: str
    installed_at: float
    installed_by: str = ""
    removed_at: float = 0.0


class Installations:
    """All installations of the deployment."""

    def __init__(self, connection: Connection, keys: Keys, sealed: Sealed) -> None:
        self._connection = connection
        self._keys = keys
        self._sealed = sealed

    async def find(self, id: str) -> Installation | None:
        """The installation, or None. Raises Unreadable, or ConfigError without a key."""
        found = await self._sealed.find(KIND, id)
        return None if found is None else decode(Installation, found)

    async def save(self, installation: Installation) -> bool:
        """Store an installation or its successor; False if it was removed in the meantime."""
        state = InstallState(
            installation.name, installation.installed_at, installation.installed_by
        )
        stored = await self._connection.run(
            "install",
            keys=self._rows(),
            id=installation.id,
            secret=self._sealed.seal(KIND, installation.id, encode(installation)),
            state=encode(state),
            at=installation.installed_at,
        )
        return bool(stored)

    async def refresh(self, before: Installation, after: Installation) -> bool:
        """Store new tokens of the same installation; False if it changed in the meantime."""

        def is_before(text: str) -> bool:
            return decode(Installation, text) == before  # another version may encode it otherwise

        return await self._sealed.replace(KIND, before.id, is_before, encode(after))

    async def remove(self, id: str, at: float) -> bool:
        """Delete the tokens. False if there were none, or if the bot was installed after `at`."""
        return bool(await self._connection.run("uninstall", keys=self._rows(), id=id, at=at))

    async def list(self) -> dict[str, InstallState]:
        """All installations, and the removed ones whose data is still kept, by id."""
        key = self._keys.installed
        rows: dict[str, str] = await self._connection.execute("HGETALL", key)
        found = read_each(key, sorted(rows.items()), lambda row: decode(InstallState, row[1]))
        return {id: state for (id, _), state in found}

    async def keep_data(self, id: str) -> None:
        """Drop the note of a removal: the operator has a token of this workspace."""
        if id not in await self._sealed.names(KIND):
            await self.forget(id)

    async def forget(self, id: str) -> None:
        """Drop what is left of a removed installation, after its data."""
        await self._connection.execute("HDEL", self._keys.installed, id)

    def _rows(self) -> dict[str, str]:
        return {"sealed": self._keys.sealed(KIND), "installed": self._keys.installed}
