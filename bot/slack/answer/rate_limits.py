"""Slack's rate limits of a workspace, shared by all processes.

Slack counts each method separately, in any window of a minute: the burst and the steady rate
together stay within its tier (https://docs.slack.dev/apis/web-api/rate-limits).
"""

import asyncio
from dataclasses import dataclass

from bot.models import Thread
from bot.store.pace import Pace


@dataclass(frozen=True, slots=True)
class Allowance:
    """A rate: `per_minute` steadily, and `burst` at once."""

    name: str
    per_minute: float
    burst: int


STARTS = Allowance("start", 16, 4)  # chat.startStream, tier 2: 20 a minute
STOPS = Allowance("stop", 16, 4)  # chat.stopStream, tier 2
APPENDS = Allowance("append", 85, 15)  # chat.appendStream, tier 4: 100
EDITS = Allowance("edit", 36, 12)  # chat.update, tier 3: 50
SESSIONS = Allowance("session", 18, 6)  # agents.sessions.setStatus, tier 3, and two calls each

LAST_EDITS = 4
"""Edits reserved for completing answers: intermediate updates can wait, the end cannot."""
LAST_APPENDS = 5


class RateLimits:
    """Slack's rate limits of one workspace, for the answers of one thread.

    `scale` multiplies them; tests raise it. If an organization installed the bot, `workspace` is
    the asker's: Slack counts for each workspace. Without it the organization counts as one.
    """

    __slots__ = ("_pace", "_scale", "_thread", "_workspace")

    def __init__(self, pace: Pace, thread: Thread, scale: float = 1.0, workspace: str = "") -> None:
        self._scale = scale
        self._pace = pace
        self._thread = thread
        is_org = thread.team_id.startswith("E")
        self._workspace = workspace if is_org and workspace else thread.team_id

    async def grant(self, allowance: Allowance, *, leave: int = 0) -> bool:
        """Take a grant if one is due now and `leave` more remain; never waits."""
        return await self._pace.grant(*self._bucket(allowance), leave=leave)

    async def place(self, allowance: Allowance) -> float:
        """Take a place in the queue; returns the seconds until the call may be made (0: now)."""
        bucket, rate, burst = self._bucket(allowance)
        return await self._pace.acquire(bucket, self._thread.key, rate, burst)

    async def wait(self, allowance: Allowance) -> None:
        """Wait until the call may be made, in the thread's place if it has one."""
        if seconds := await self.place(allowance):
            await asyncio.sleep(seconds)
            await self._pace.use(self._bucket(allowance)[0], self._thread.key)

    async def pause(self, allowance: Allowance, seconds: float) -> None:
        """Pause all calls of this kind for `seconds`, as Slack asked."""
        bucket, rate, burst = self._bucket(allowance)
        await self._pace.pause(bucket, seconds, rate, burst)

    def _bucket(self, allowance: Allowance) -> tuple[str, float, int]:
        name = f"{allowance.name}:{self._workspace}"
        scale = self._scale
        return name, allowance.per_minute / 60 * scale, int(allowance.burst * scale)
