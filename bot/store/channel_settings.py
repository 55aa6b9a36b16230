"""What a channel has set for itself; what it leaves open is the deployment's setting."""

from dataclasses import dataclass
from typing import cast

from bot.models import FollowUps
from bot.store.keys import Keys
from bot.store.link import Link


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """The settings of one channel; None: as the deployment has it."""

    follow_ups: FollowUps | None = None


class ChannelBook:
    """The settings of all channels."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def find(self, team_id: str, channel_id: str) -> ChannelSettings:
        value = await self._link.execute(
            "HGET", self._keys.channel(team_id, channel_id), "follow_ups"
        )
        return ChannelSettings(cast(FollowUps, value) if value else None)

    async def set_follow_ups(self, team_id: str, channel_id: str, rule: FollowUps | None) -> None:
        """Choose which replies are answered without a mention; None: as the deployment has it."""
        key = self._keys.channel(team_id, channel_id)
        if rule is None:
            await self._link.execute("HDEL", key, "follow_ups")
        else:
            await self._link.execute("HSET", key, "follow_ups", rule)
