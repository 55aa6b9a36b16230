"""The settings that admins made for a channel; versions are kept with their author and time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.models import FollowUps, decode, encode
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.keys import Keys

Users = Literal["members", "guests", "people"]

VERSIONS_KEPT = 50
READ_AHEAD = 3
"""Versions that are read in case the newest are corrupt; repeated in `take.lua`."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How the bot behaves in a channel; an empty value means the deployment's default.

    `follow_ups`: in its own threads the bot answers without a mention `always`, while `one_person`
    talks to it, or to `mentions` only. `users`: `members` of the workspace may use it, or also
    `guests` and people of other workspaces, or only the named `people`. `approvers` may
    decide about tool calls, besides the person who asked. `servers_off` are the configured
    servers whose tools are not offered.
    """

    instructions: str = ""
    model: str = ""
    follow_ups: FollowUps | None = None
    users: Users = "members"
    people: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    servers_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a channel's settings; `number` counts from 1, `at` is in epoch seconds."""

    number: int
    user_id: str
    at: float
    settings: ChannelSettings


class ChannelSettingsStore:
    """The settings of all channels."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def find(self, team_id: str, channel_id: str) -> ChannelSettings:
        """The settings that apply now, or the defaults."""
        return newest(await self._lines(team_id, channel_id, READ_AHEAD))

    async def versions(self, team_id: str, channel_id: str, count: int = 10) -> list[Version]:
        """The newest versions, newest first."""
        lines = await self._lines(team_id, channel_id, count)
        key = self._keys.settings(team_id, channel_id)
        return [version for _, version in read_each(key, lines, _parse)]

    async def save(
        self, team_id: str, channel_id: str, settings: ChannelSettings, *, user_id: str, after: int
    ) -> bool:
        """Add a version, unless one was added since version `after` (0: none yet)."""
        version = Version(after + 1, user_id, time.time(), settings)
        saved = await self._connection.run(
            "configure",
            keys={
                "settings": self._keys.settings(team_id, channel_id),
                "channels": self._keys.channels(team_id),
                "channel": self._keys.channel(team_id, channel_id),
            },
            after=after,
            version=encode(version),
            channel_id=channel_id,
            kept=VERSIONS_KEPT,
            follow_ups=settings.follow_ups or "",
        )
        return bool(saved)

    async def configured(self, team_id: str) -> list[str]:
        """The channels with their own settings."""
        return sorted(await self._connection.execute("SMEMBERS", self._keys.channels(team_id)))

    async def _lines(self, team_id: str, channel_id: str, count: int) -> list[str]:
        key = self._keys.settings(team_id, channel_id)
        lines: list[str] = await self._connection.execute("LRANGE", key, 0, count - 1)
        return lines


def newest(lines: Sequence[str]) -> ChannelSettings:
    """The settings of the first version that can be read, or the defaults."""
    found = read_each("settings", lines, _parse)
    return found[0][1].settings if found else ChannelSettings()


def _parse(line: str) -> Version:
    return decode(Version, line)
