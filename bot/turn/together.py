"""Independent preparations of a turn at the same time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def together(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """The results of two coroutines. An error is raised once both are done, so that no step is
    cut off in the middle by the failure of the other."""
    tasks = (asyncio.ensure_future(first), asyncio.ensure_future(second))
    await asyncio.gather(*tasks, return_exceptions=True)
    return tasks[0].result(), tasks[1].result()
