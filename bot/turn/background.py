"""Background work of turns: it may outlive the turn, but not the process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from bot.telemetry.log import log


class BackgroundTasks:
    """Fire-and-forget tasks of a worker. Best effort: they end with the process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run work in its own task; a failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("background_failed", error=f"{type(error).__name__}: {error}"[:100])

    async def close(self) -> None:
        """Cancel what is still running."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_background() -> AsyncIterator[BackgroundTasks]:
    """Tasks that end with the block."""
    background = BackgroundTasks()
    try:
        yield background
    finally:
        await background.close()
