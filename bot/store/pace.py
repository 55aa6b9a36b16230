"""A token bucket shared by all processes: limits how fast runs start and messages are posted."""

import asyncio

from bot.store.connection import Connection
from bot.store.deferred import Rider
from bot.store.keys import Keys
from bot.store.scripts import ScriptCall


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

    async def use(self, bucket: str, who: str) -> float:
        """Use up the grant: the next `wait` asks for a new one. Returns the seconds of a pause."""
        _, milliseconds = await self._connection.execute_many(
            [
                ("ZREM", self._keys.places(bucket), who),
                ("PTTL", self._keys.rest(bucket)),
            ]
        )
        return max(0.0, int(milliseconds) / 1000)

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
        call = self._call(bucket, rate, burst, pause, who, leave)
        [seconds] = await self._connection.run_many("pace", [call])
        return float(seconds)

    def rider(self, bucket: str, who: str, rate: float, burst: int = 1) -> Rider:
        """`acquire` in the round trip of a step's intent; the reply is the seconds to wait."""
        return Rider("pace", self._call(bucket, rate, burst, 0, who, ""))

    def _call(
        self, bucket: str, rate: float, burst: int, pause: float, who: str, leave: int | str
    ) -> ScriptCall:
        return ScriptCall(
            keys={"bucket": self._keys.bucket(bucket), "places": self._keys.places(bucket)},
            args={
                "interval": 1 / rate,
                "burst": burst,
                "pause": pause,
                "who": who,
                "reserve": leave,
            },
        )

    async def rest(self, bucket: str, seconds: float) -> None:
        """Like `pause`, but only for callers that check `resting`."""
        await self._connection.run("rest", keys={"rest": self._keys.rest(bucket)}, seconds=seconds)

    def pause_key(self, bucket: str) -> str:
        """The key that exists during a pause."""
        return self._keys.rest(bucket)

    async def resting(self, bucket: str) -> float:
        """The remaining seconds of a pause."""
        milliseconds = int(await self._connection.execute("PTTL", self._keys.rest(bucket)))
        return max(0.0, milliseconds / 1000)

    async def wait(self, bucket: str, who: str, rate: float, burst: int = 1) -> None:
        """Take one grant and sleep until it is due; no grant from before a pause outlasts it."""
        await self.wait_on(await self.acquire(bucket, who, rate, burst), bucket, who, rate, burst)

    async def wait_on(
        self, seconds: float, bucket: str, who: str, rate: float, burst: int = 1
    ) -> None:
        """Like `wait`, for a grant that was taken already and is due in `seconds`."""
        while seconds:
            await asyncio.sleep(seconds)
            if not await self.use(bucket, who):
                return
            seconds = await self.acquire(bucket, who, rate, burst)
