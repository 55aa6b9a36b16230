"""Slack's rate limits: per method and workspace, and one post per second and channel."""

from collections import defaultdict, deque

from local_slack.api.methods.call import Tier
from local_slack.workspace.clock import Clock

PER_MINUTE: dict[Tier, int] = {1: 1, 2: 20, 3: 50, 4: 100, "special": 600}
# "1 per second per channel, short bursts allowed": the length of a burst is not documented.
POST_BURST = 5
POSTING = frozenset({"chat.postMessage"})


class Rates:
    """Off unless `enabled`. Counts by the workspace's clock."""

    def __init__(self, clock: Clock, *, enabled: bool = False) -> None:
        self.enabled = enabled
        self._clock = clock
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._posts: dict[str, float] = {}

    def check(self, method: str, tier: Tier, channel: str | None) -> int | None:
        """Count a call; returns the seconds of `Retry-After` if it exceeds the limit."""
        if not self.enabled:
            return None
        now = self._clock.now()
        calls = self._calls[method]
        while calls and now - calls[0] >= 60:
            calls.popleft()
        if len(calls) >= PER_MINUTE[tier]:
            return max(1, round(60 - (now - calls[0]) + 0.5))
        if method in POSTING and channel is not None:
            # A bucket that refills by one post a second, stored as the time at which it is full.
            full_at = max(self._posts.get(channel, 0.0), now) + 1.0
            if full_at - now > POST_BURST:
                return 1
            self._posts[channel] = full_at
        calls.append(now)
        return None
