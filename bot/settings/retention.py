"""How long conversations are kept: in general, and in individual workspaces and channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.models import Thread

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Days without a message after which a conversation is deleted; 0: never.

    `places` has other numbers of days by the id of a workspace or a channel; the channel's counts.
    """

    days: float
    places: Mapping[str, float] = field(default_factory=dict)

    def with_own(self, own: Mapping[str, float]) -> "Retention":
        """This retention with the days that workspaces chose themselves: they may be fewer, not
        more."""
        shorter = {
            team_id: days
            for team_id, days in own.items()
            if 0 < days < (self.places.get(team_id, self.days) or float("inf"))
        }
        return Retention(self.days, {**self.places, **shorter})

    def before(self, thread: Thread, now: float) -> float:
        """The time of the last message before which a conversation is deleted."""
        of_team = self.places.get(thread.team_id, self.days)
        return _before(self.places.get(thread.channel_id, of_team), now)

    def latest(self, now: float) -> float:
        """The latest of these times over all places."""
        return max(_before(days, now) for days in (self.days, *self.places.values()))


def _before(days: float, now: float) -> float:
    return now - days * DAY if days else 0.0
