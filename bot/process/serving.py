"""The shards that this process serves: a share of those of each server, with a worker for each.

The share follows from the roster of the server (`bot.store.roster`). A worker of a shard that has
left our share takes nothing new and ends with its last turn.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.engines import Engine
from bot.errors import StoreUnavailable
from bot.process.work_part import Common, WorkPart, open_work
from bot.store import Store
from bot.store.roster import share
from bot.store.shards import ShardGroup
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.worker.active import end_tasks, first_of


class Served:
    """One shard, while this process serves it."""

    def __init__(self, common: Common, store: Store) -> None:
        self._ended = asyncio.Event()
        self.part: WorkPart | None = None
        self.task = asyncio.create_task(self._serve(common, store))

    async def _serve(self, common: Common, store: Store) -> None:
        async with open_work(common, store) as part:
            self.part = part
            await first_of(asyncio.wait([part.task]), self._ended.wait())

    @property
    def is_alive(self) -> bool:
        """Whether its Redis got a heartbeat recently."""
        return self.part is not None and self.part.worker.is_alive

    def retire(self) -> None:
        """Take nothing new, and end with the last turn."""
        if self.part is not None:
            self.part.worker.retire()
        else:
            self._ended.set()

    def leave(self) -> None:
        """Hand over what is not finished, and end."""
        self._ended.set()


class Group:
    """Our share of the shards at one address."""

    def __init__(
        self, common: Common, group: ShardGroup, name: str, on_change: Callable[[], None]
    ) -> None:
        self._common = common
        self._group = group
        self._name = name
        self._on_change = on_change
        self._stores = {store.number: store for store in group.stores}
        self._seen: set[str] = set()
        """The workers on the roster the last time; one that is missing once may be late."""
        self.served: dict[int, Served] = {}
        self._retiring: list[Served] = []

    async def keep_following(self, period: float) -> None:
        """Follow the roster until cancelled. Raises what a worker failed with."""
        while True:
            attending = await self._check_in()
            if attending:
                self._serve(share(self._name, attending | self._seen, list(self._stores)))
                self._seen = attending
            await asyncio.sleep(period)

    async def _check_in(self) -> set[str]:
        """All workers on the roster, including this one; none while the server is down."""
        found = await asyncio.gather(*map(self._check_in_at, self._group.rosters))
        return {name for names in found for name in names}

    async def _check_in_at(self, store: Store) -> list[str]:
        """The workers on one roster. A server that hangs must not delay us at the others, where we
        would count as gone."""
        lifetime = self._common.timing.worker.lifetime
        try:
            async with asyncio.timeout(lifetime / 4):
                return await store.roster.check_in(self._name, lifetime)
        except (StoreUnavailable, TimeoutError) as error:
            log.debug("roster_unavailable", shard=store.number, error=str(error)[:100])
        except Exception:
            log.exception("roster_failed", shard=store.number)
        return []

    def _serve(self, numbers: set[int]) -> None:
        """Serve these shards, and no others."""
        for each in self.all:
            if each.task.done():
                each.task.result()
        self._retiring = [each for each in self._retiring if not each.task.done()]
        if numbers == set(self.served):
            return
        for number in sorted(set(self.served) - numbers):
            leaving = self.served.pop(number)
            leaving.retire()
            self._retiring.append(leaving)
        for number in sorted(numbers - set(self.served)):
            self.served[number] = Served(self._common, self._stores[number])
        self._on_change()

    @property
    def all(self) -> list[Served]:
        """The shards that are served, and those that were and have turns."""
        return [*self.served.values(), *self._retiring]

    async def end(self) -> None:
        """Hand everything over, and leave the roster."""
        for each in self.all:
            each.leave()
        await asyncio.gather(*map(self._leave, self._group.rosters))
        await asyncio.gather(*(each.task for each in self.all), return_exceptions=True)

    async def _leave(self, store: Store) -> None:
        try:
            await store.roster.leave(self._name)
        except StoreUnavailable as error:
            log.debug("roster_unavailable", shard=store.number, error=str(error)[:100])
        except Exception:  # it expires; the workers must be waited for
            log.exception("roster_failed", shard=store.number)


class Serving:
    """The workers of all shards that this process serves now."""

    def __init__(self, common: Common) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._groups = [Group(common, group, name, self._changed) for group in common.shards.groups]
        self._period = common.timing.worker.heartbeat * common.timing.worker.idle_beats
        self._leaving = asyncio.Event()

    async def is_alive(self) -> bool:
        """Whether the Redis of any shard got a heartbeat recently."""
        return any(each.is_alive for group in self._groups for each in group.served.values())

    @property
    def numbers(self) -> list[int]:
        """The shards that are served."""
        return sorted(number for group in self._groups for number in group.served)

    async def run(self) -> None:
        """Serve until `leave` is called. Raises what a worker failed with.

        Each server is followed on its own: one that hangs delays no other.
        """
        following = [
            asyncio.create_task(group.keep_following(self._period)) for group in self._groups
        ]
        try:
            ended = asyncio.wait(following, return_when=asyncio.FIRST_COMPLETED)
            await first_of(ended, self._leaving.wait())
            for task in following:
                if task.done():
                    task.result()
        finally:
            await end_tasks(following)
            await asyncio.gather(*(group.end() for group in self._groups))

    def leave(self) -> None:
        """Hand everything over, and return from `run` (SIGTERM)."""
        self._leaving.set()

    def _changed(self) -> None:
        metrics.shards_served.set(len(self.numbers))
        log.info("shards_served", shards=self.numbers)


@dataclass(frozen=True, slots=True)
class RunningWorkers:
    """The running workers of a process; `task` ends early only if one has failed."""

    engine: Engine
    task: asyncio.Task[None]
    is_alive: Callable[[], Awaitable[bool]]
    """Whether Redis got a heartbeat recently."""


@asynccontextmanager
async def open_workers(common: Common) -> AsyncIterator[RunningWorkers]:
    """The running workers; a single shard needs no share. On exit they hand unfinished work
    over."""
    shards = common.shards
    if len(shards) == 1:
        async with open_work(common, shards.home) as part:
            yield RunningWorkers(part.engine, part.task, part.is_alive)
        return
    serving = Serving(common)
    async with _serving(serving) as task:
        yield RunningWorkers(common.opened, task, serving.is_alive)


@asynccontextmanager
async def _serving(serving: Serving) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(serving.run())
    try:
        yield task
    finally:
        serving.leave()
        await task
