"""The settings of a workspace in a deployment with many; versions are kept like a channel's."""

import time
from dataclasses import dataclass, replace

from bot.models import decode, encode
from bot.store.channel_settings import VERSIONS_KEPT, ChannelSettings
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.sealed import Kind, Sealed

KEY_KIND: Kind = "ai_key"


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """What a workspace has of its own; an empty value or None means the deployment's default.

    `instructions` are added to the deployment's. `admins` are admins besides the deployment's and
    the workspace's. `servers_off` are servers whose tools are not offered. Limits are those of the
    settings of the same names.
    """

    admins: tuple[str, ...] = ()
    instructions: str = ""
    model: str = ""
    servers_off: tuple[str, ...] = ()
    limit_person_requests: int | None = None
    limit_person_tokens: int | None = None
    limit_person_cost: float | None = None
    limit_channel_requests: int | None = None
    limit_channel_tokens: int | None = None
    limit_channel_cost: float | None = None

    def applied_to(self, channel: ChannelSettings) -> ChannelSettings:
        """The settings of a channel with those of its workspace behind them."""
        parts = (self.instructions, channel.instructions)
        return replace(
            channel,
            model=channel.model or self.model,
            instructions="\n\n".join(part for part in parts if part),
            servers_off=tuple(dict.fromkeys((*channel.servers_off, *self.servers_off))),
        )


LIMITS = tuple(name for name in WorkspaceSettings.__slots__ if name.startswith("limit_"))


@dataclass(frozen=True, slots=True)
class WorkspaceVersion:
    """One state of a workspace's settings; `number` counts from 1, 0 is the default."""

    number: int = 0
    user_id: str = ""
    at: float = 0.0
    settings: WorkspaceSettings = WorkspaceSettings()


class WorkspaceBook:
    """The settings of all workspaces, and their own keys of the AI server."""

    def __init__(self, connection: Connection, keys: Keys, sealed: Sealed) -> None:
        self._connection = connection
        self._keys = keys
        self._sealed = sealed

    async def newest(self, id: str) -> WorkspaceVersion:
        """The version that applies now."""
        key = self._keys.workspace(id)
        lines = await self._connection.execute("LRANGE", key, 0, 2)
        found = read_each(key, lines, lambda line: decode(WorkspaceVersion, line))
        return found[0][1] if found else WorkspaceVersion()

    async def save(self, id: str, settings: WorkspaceSettings, *, user_id: str, after: int) -> bool:
        """Add a version, unless one was added since version `after`. `user_id` is "" for the
        operator."""
        version = WorkspaceVersion(after + 1, user_id, time.time(), settings)
        saved = await self._connection.run(
            "configure_workspace",
            keys={"workspace": self._keys.workspace(id)},
            after=after,
            version=encode(version),
            kept=VERSIONS_KEPT,
        )
        return bool(saved)

    async def ai_key(self, id: str) -> str | None:
        """The workspace's own key of the AI server. Raises Unreadable, or ConfigError without an
        encryption key."""
        return await self._sealed.find(KEY_KIND, id)

    async def with_ai_key(self) -> list[str]:
        """The workspaces that have a key of their own."""
        return await self._sealed.names(KEY_KIND)

    async def save_ai_key(self, id: str, key: str) -> None:
        """Store the workspace's own key; "" removes it."""
        if key:
            await self._sealed.save(KEY_KIND, id, key)
        else:
            await self._sealed.remove(KEY_KIND, id)
