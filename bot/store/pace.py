"""A token bucket that all processes share: how fast runs are started and messages are posted."""

import asyncio

from bot.store.connection import Connection
from bot.store.keys import Keys


class Pace:
    """Grants by name of bucket. The caller sleeps for the returned seconds, then goes ahead."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def acquire(self, bucket: str, who: str, rate: float, burst: int = 1) -> float:
        """Take one grant of `rate` per second; returns the seconds to wait until it is due.

        Up to `burst` grants are due at once after a pause. Grants come in the order of asking. Who
        has to wait and asks again keeps the place, until `use`, so that a crash costs neither it
        nor the others.
        """
        return await self._pace(bucket, rate, burst, 0, who)

    async def use(self, bucket: str, who: str) -> None:
        """The wait is over: the next grant is another one."""
        await self._connection.execute("ZREM", self._keys.places(bucket), who)

    async def grant(self, bucket: str, rate: float, burst: int = 1, *, leave: int = 0) -> bool:
        """Take one grant if it is due at once and `leave` more remain; never waits."""
        return await self._pace(bucket, rate, burst, 0, "", leave) >= 0

    async def pause(self, bucket: str, seconds: float, rate: float, burst: int = 1) -> None:
        """Grant nothing for `seconds`: the other side said when to come back."""
        if seconds > 0:
            await self._pace(bucket, rate, burst, seconds, "")
            await self.rest(bucket, seconds)

    async def _pace(
        self, bucket: str, rate: float, burst: int, pause: float, who: str, leave: int | str = ""
    ) -> float:
        seconds = await self._connection.run(
            "pace",
            keys={"bucket": self._keys.bucket(bucket), "places": self._keys.places(bucket)},
            interval=1 / rate,
            burst=burst,
            pause=pause,
            who=who,
            reserve=leave,
        )
        return float(seconds)

    async def rest(self, bucket: str, seconds: float) -> None:
        """Like `pause`, for those only who ask `resting`."""
        await self._connection.run("rest", keys={"rest": self._keys.rest(bucket)}, seconds=seconds)

    async def resting(self, bucket: str) -> float:
        """For how many more seconds a pause holds."""
        milliseconds = int(await self._connection.execute("PTTL", self._keys.rest(bucket)))
        return max(0.0, milliseconds / 1000)

    async def wait(self, bucket: str, who: str, rate: float, burst: int = 1) -> None:
        """Take one grant and sleep until it is due; no grant from before a pause outlasts it."""
        while wait := await self.acquire(bucket, who, rate, burst):
            await asyncio.sleep(wait)
            await self.use(bucket, who)
            if not await self.resting(bucket):
                return
