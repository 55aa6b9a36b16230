"""Recovery of a dependency: resumes parked threads in order, and retries dead letters."""

from collections.abc import Iterable

from bot.store import Store
from bot.telemetry.log import log


class Recovery:
    """Resumes work that waits for dependencies, in small batches with each heartbeat."""

    def __init__(self, store: Store, heartbeat: float) -> None:
        self._store = store
        self._heartbeat = heartbeat

    async def resume(self, dependencies: Iterable[str]) -> None:
        """Resume work that waits for these dependencies, whose circuits are open or closed
        recently."""
        for dependency in dependencies:
            resumed = await self._store.circuits.resume(dependency, self._heartbeat)
            await self._store.workers.wake(resumed.threads)
            if resumed.healthy:
                await self._return_dead_letters(dependency)
                await self._store.circuits.forget(dependency)

    async def _return_dead_letters(self, dependency: str) -> None:
        letters = [
            letter for letter in await self._store.dead.list() if letter.dependency == dependency
        ]
        for letter in letters:
            await self._store.dead.retry(letter.id)
        if letters:
            log.warning("dead_letters_retried", dependency=dependency, letters=len(letters))
