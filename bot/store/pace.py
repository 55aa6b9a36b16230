"""A token bucket that all processes share: how fast runs are started and messages are posted."""

from bot.store.keys import Keys
from bot.store.link import Link


class Pace:
    """Grants by name of bucket. The caller sleeps for what it is told, then goes ahead."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def acquire(self, bucket: str, rate: float, burst: int = 1) -> float:
        """Take one grant of `rate` per second; returns the seconds to wait until it is due.

        Up to `burst` grants are due at once after a pause. Grants come in the order of asking.
        """
        key = self._keys.bucket(bucket)
        return float(await self._link.run("pace", (key,), 1 / rate, burst, 0))

    async def pause(self, bucket: str, seconds: float, rate: float, burst: int = 1) -> None:
        """Grant nothing for `seconds`: the other side said when to come back."""
        await self._link.run("pace", (self._keys.bucket(bucket),), 1 / rate, burst, seconds)
