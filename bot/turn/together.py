"""Makes the calls of a round concurrently."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from bot.errors import StoreUnavailable, Superseded
from bot.turn.interrupt import Interrupt


async def run_together(
    works: Sequence[Coroutine[Any, Any, None]], interrupt: Interrupt, grace: float
) -> None:
    """Do several things concurrently; after an interrupt they have `grace` seconds to end.

    An error is raised once all have ended, one that ends the whole turn at once.
    """
    tasks = {asyncio.create_task(work) for work in works}
    raised = asyncio.create_task(interrupt.raised.wait())
    try:
        left = set(tasks)
        while left and not raised.done():
            waits: set[asyncio.Task[Any]] = {*left, raised}
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            left -= done
            _raise_first(done - {raised}, StoreUnavailable, Superseded)
        if left:
            await asyncio.wait(left, timeout=grace)
    finally:
        for task in {*tasks, raised}:
            task.cancel()
        await asyncio.gather(*tasks, raised, return_exceptions=True)
    _raise_first(tasks, Exception)


def _raise_first(tasks: set[asyncio.Task[Any]], *kinds: type[Exception]) -> None:
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, kinds):
            raise error
