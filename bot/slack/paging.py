"""Reads lists that Slack returns in pages: https://docs.slack.dev/apis/web-api/pagination"""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any


async def pages(
    ask: Callable[[str | None], Awaitable[Any]], most: int | None = None
) -> AsyncIterator[Any]:
    """The responses, at most `most`. `ask` requests the page at a cursor; None is the first."""
    cursor: str | None = None
    for _ in count() if most is None else range(most):
        answer = await ask(cursor)
        yield answer
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
        if cursor is None:
            return
