"""A token bucket shared by all processes: limits how fast runs start and messages are posted."""

import asyncio

from bot.store.connection import Connection
from bot.store.keys import Keys


class Pace:
    """Grants by bucket. The caller sleeps for the returned seconds, then proceeds."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def acquire(self, bucket: str, who: str, rate: float, burst: int = 1) -> float:
        """Take one grant of `rate` per second; returns the seconds to wait until it is due.

        Up to `burst` grants are due at once after a pause. Grants come in the order of requests. A
        waiter that asks again keeps its place until `use`; a crash neither loses it nor delays
        others.
        """
        return await self._pace(bucket, rate, burst, 0, who)

    async def use(self, bucket: str, who: str) -> None:
        """Use up the grant: the next `wait` asks for a new one."""
        await self._connection.execute("ZREM", self._keys.places(bucket), who)

    async def grant(self, bucket: str, rate: float, burst: int = 1, *, leave: int = 0) -> bool:
        """Take one grant if it is due now and `leave` more remain; never waits."""
        return await self._pace(bucket, rate, burst, 0, "", leave) >= 0

    async def pause(self, bucket: str, seconds: float, rate: float, burst: int = 1) -> None:
        """Grant nothing for `seconds`, as the other side asked."""
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
        """Like `pause`, but only for callers that check `resting`."""
        await self._connection.run("rest", keys={"rest": self._keys.rest(bucket)}, seconds=seconds)

    async def resting(self, bucket: str) -> float:
        """The remaining seconds of a pause."""
        milliseconds = int(await self._connection.execute("PTTL", self._keys.rest(bucket)))
        return max(0.0, milliseconds / 1000)

    async def wait(self, bucket: str, who: str, rate: float, burst: int = 1) -> None:
        """Take one grant and sleep until it is due; no grant from before a pause outlasts it."""
        while wait := await self.acquire(bucket, who, rate, burst):
            await asyncio.sleep(wait)
            await self.use(bucket, who)
            if not await self.resting(bucket):
                return
