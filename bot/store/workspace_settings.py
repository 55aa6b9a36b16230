"""The settings of a workspace in a deployment with many; versions are kept like a channel's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.models import decode, encode
from bot.store.channel_settings import READ_AHEAD, VERSIONS_KEPT, ChannelSettings
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys
from bot.store.sealed import Sealed, SecretKind

KEY_KIND: SecretKind = "ai_key"


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """The settings of one workspace; an empty value or None means the deployment's default.

    `instructions` are added to the deployment's. `admins` are admins besides the deployment's and
    the workspace's. `servers_off` are servers whose tools are not offered. `limit_…` replace the
    deployment's settings of the same names and are the operator's; the workspace's admins may set
    lower ones, `admin_limit_…`, and keep conversations for a shorter time, `retention_days`.
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
    admin_limit_person_requests: int | None = None
    admin_limit_person_tokens: int | None = None
    admin_limit_person_cost: float | None = None
    admin_limit_channel_requests: int | None = None
    admin_limit_channel_tokens: int | None = None
    admin_limit_channel_cost: float | None = None
    retention_days: float | None = None

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
INSTRUCTIONS_LENGTH = 3000
"""Slack shows no more in the input of a form."""


def changes(before: WorkspaceSettings, after: WorkspaceSettings) -> list[str]:
    """The names of the settings in which two states differ."""
    names = WorkspaceSettings.__slots__
    return [name for name in names if getattr(before, name) != getattr(after, name)]


@dataclass(frozen=True, slots=True)
class WorkspaceVersion:
    """One state of a workspace's settings; `number` counts from 1, 0 is the default."""

    number: int = 0
    user_id: str = ""
    at: float = 0.0
    settings: WorkspaceSettings = WorkspaceSettings()


class WorkspaceSettingsStore:
    """The settings of all workspaces, and their own keys of the AI server."""

    def __init__(self, connection: Connection, keys: Keys, sealed: Sealed) -> None:
        self._connection = connection
        self._keys = keys
        self._sealed = sealed

    async def newest(self, id: str) -> WorkspaceVersion:
        """The version that applies now."""
        key = self._keys.workspace(id)
        return self._newest_of(id, await self._connection.execute("LRANGE", key, 0, READ_AHEAD - 1))

    def _newest_of(self, id: str, lines: Sequence[str]) -> WorkspaceVersion:
        key = self._keys.workspace(id)
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

    async def retention_days(self) -> dict[str, float]:
        """The days of the workspaces that have a number of their own."""
        installed, used = await self._connection.execute_many(
            [("HKEYS", self._keys.installed), ("SMEMBERS", self._keys.teams)]
        )
        ids = sorted({*installed, *used})
        rows = await self._connection.execute_many(
            [("LRANGE", self._keys.workspace(id), 0, READ_AHEAD - 1) for id in ids]
        )
        found = {id: self._newest_of(id, lines) for id, lines in zip(ids, rows, strict=True)}
        return {
            id: version.settings.retention_days
            for id, version in found.items()
            if version.settings.retention_days is not None
        }

    async def with_ai_key(self) -> list[str]:
        """The workspaces that have a key of their own."""
        return await self._sealed.names(KEY_KIND)

    async def save_ai_key(self, id: str, key: str) -> None:
        """Store the workspace's own key; "" removes it."""
        if key:
            await self._sealed.save(KEY_KIND, id, key)
        else:
            await self._sealed.remove(KEY_KIND, id)
