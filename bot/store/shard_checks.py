"""The checks of the shards on one server for `bot doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.checks import Finding, failed, ok, warning
from bot.settings import Settings
from bot.settings.addresses import parse_address
from bot.store.claims import Depth
from bot.store.connection import Connection
from bot.store.hold import read_time
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.layout import HOW_TO, Layout, WrongLayout
from bot.store.sealed import Sealed

WAITING_TOO_LONG = 60.0
START_WORKER = "start one: `bot worker`, or `bot run` for everything in one process"


@dataclass(frozen=True, slots=True)
class ServerShards:
    """One address of `REDIS_URL`, and the shards there with a connection to each."""

    url: str
    shards: Mapping[int, tuple[Connection, Keys]]
    layout: Layout
    number: int = 1
    of: int = 1

    @property
    def suffix(self) -> str:
        """The ending of the names of its checks."""
        return f" {self.number}" if self.of > 1 else ""


class ShardChecks:
    """The checks of each shard; one finding for all shards."""

    def __init__(self, place: ServerShards, settings: Settings) -> None:
        self._place = place
        self._settings = settings

    async def layout(self) -> Finding:
        """Whether the data is spread as the settings say; in the report the shards on this
        server."""
        try:
            await self._place.layout.check()
        except WrongLayout as error:
            return failed(f"{error.variable} {error.problem}", HOW_TO)
        if self._settings.bot_shards == 1:
            return ok("one: nothing is spread")
        numbers, place = ", ".join(map(str, self._place.shards)), parse_address(self._place.url)
        count = f"{len(self._place.shards)} of {self._settings.bot_shards}"
        return ok(f"{count} on {place.name}: {numbers}")

    async def queue(self) -> Finding:
        """Whether messages wait too long or were given up."""
        depths = await self._depths()
        waiting, claimed, dead = (
            sum(getattr(depth, name) for depth in depths.values())
            for name in ("waiting", "claimed", "dead")
        )
        workers = max(depth.workers for depth in depths.values())
        text = f"{waiting} waiting, {claimed} at work, {workers} workers"
        oldest = max(depths, key=lambda number: depths[number].oldest_age)
        if depths[oldest].oldest_age > WAITING_TOO_LONG:
            fix = "see the worker's log" if depths[oldest].workers else START_WORKER
            where = f" in shard {oldest}" if len(depths) > 1 else ""
            text = f"{text}; the oldest waits for {depths[oldest].oldest_age:.0f} s{where}"
            return warning(text, fix)
        if dead:
            fix = "`bot dead list` says why they were given up, `bot dead retry` tries again"
            return warning(f"{text}; {dead} dead letters", fix)
        return ok(text)

    async def worker(self) -> Finding:
        """Whether a live worker answers new messages."""
        counts = {number: depth.workers for number, depth in (await self._depths()).items()}
        if not any(counts.values()):
            return warning("none is running: messages are stored, not answered", START_WORKER)
        if alone := [str(number) for number, count in counts.items() if not count]:
            text = f"no worker serves the shards {', '.join(alone)}"
            return warning(text, "wait for ten seconds, then see the workers' log: shards_served")
        return ok(f"{max(counts.values())} running")

    async def _depths(self) -> dict[int, Depth]:
        return {
            number: await Inbox(connection, connection, keys).depth()
            for number, (connection, keys) in self._place.shards.items()
        }

    async def encryption(self) -> Finding:
        """Whether the stored secrets can be opened, all with the newest key."""
        keyring = self._settings.keyring
        all_sealed = [Sealed(*each, keyring) for each in self._place.shards.values()]
        found = [each for sealed in all_sealed for each in (await sealed.unreadable()).items()]
        if found:
            (first, reason), *more = found
            text = f"{first}: {reason}" + (f" (and {len(more)} more)" if more else "")
            return failed(text, "add the key that encrypted them to BOT_ENCRYPTION_KEYS")
        if old := sum([await sealed.count_old() for sealed in all_sealed]):
            return warning(f"{old} secrets are encrypted with an older key", "bot keys rotate")
        return ok(f"with key {keyring.ids[0]}" if keyring.ids else "no key, and no stored secret")

    async def hold(self) -> Finding:
        """Whether deletions wait for the end of a legal hold, which is easily forgotten."""
        found = [
            await connection.execute_many([("GET", keys.hold), ("HLEN", keys.held)])
            for connection, keys in self._place.shards.values()
        ]
        held = [since for since, _ in found if since is not None]
        if not held:
            return ok("none")
        if len(held) < len(found):
            return failed(f"on in {len(held)} of {len(found)} shards only", "`bot hold begin`")
        day = datetime.fromtimestamp(min(map(read_time, held)), UTC).strftime("%Y-%m-%d")
        kept = sum(kept for _, kept in found)
        text = f"on since {day}: nothing is deleted, and {kept} deletions wait"
        return warning(text, "`bot hold end` when it is over")
