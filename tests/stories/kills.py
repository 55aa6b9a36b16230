"""Ends turns before or after any request, like a kill of their process."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import structlog

from bot.engines.transport import BoundedTransport
from bot.store.connection import Connection
from bot.tools.toolbox import Toolbox
from bot.worker.attempt import Attempts

Call = Callable[..., Awaitable[Any]]


def _of_redis(_: Any, calls: Any, *more: Any) -> str:
    """The scripts of one round trip, with the steps of the journal that they write."""
    return " ".join(f"redis {script} {call.args.get('step', '')}" for script, call in calls)


def _of_ai(_: Any, request: httpx2.Request) -> str:
    return f"ai {request.method} {request.url.path}"


def _of_tool(_: Any, tool: Any, *args: Any) -> str:
    return f"tool {tool.name}"


WATCHED: tuple[tuple[Any, str, Callable[..., str]], ...] = (
    (Connection, "run_each", _of_redis),
    (BoundedTransport, "handle_async_request", _of_ai),
    (Toolbox, "call", _of_tool),
)
"""The requests of a turn to Redis, the AI server and tools, and what a test calls them."""


@dataclass
class _Attempt:
    """One attempt at a turn; the tasks that it starts belong to it, too."""

    thread: str
    task: asyncio.Task[Any]
    is_dead: bool = False


_current: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


@dataclass
class Kills:
    """The n-th moment of a thread's turn kills it: each request that matches `requests` has one
    before and one after it.

    Cleanup of the killed turn is skipped. The worker finds the thread like that of a dead worker.
    """

    requests: re.Pattern[str]
    on_kill: Callable[[str], None] = lambda thread: None
    points: dict[str, int] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    moments: Counter[str] = field(default_factory=Counter)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for owner, name, describe in WATCHED:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), describe))
        monkeypatch.setattr(Attempts, "make", _known(Attempts.make))

    def _watched(self, call: Call, describe: Callable[..., str]) -> Call:
        async def watched(*args: Any, **named: Any) -> Any:
            attempt = _current.get()
            if attempt is None:
                return await call(*args, **named)
            is_moment = bool(self.requests.search(describe(*args, **named)))
            await self._pass(attempt, is_moment)
            result = await call(*args, **named)
            await self._pass(attempt, is_moment)
            return result

        return watched

    async def _pass(self, attempt: _Attempt, is_moment: bool) -> None:
        thread = attempt.thread
        if not attempt.is_dead:
            if not is_moment:
                return
            self.moments[thread] += 1
            if self.moments[thread] != self.points.get(thread) or thread in self.killed:
                return
            self.killed.add(thread)
            attempt.is_dead = True
            attempt.task.cancel()
            self.on_kill(thread)
        await asyncio.Event().wait()


def _known(make: Call) -> Call:
    async def known(*args: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        _current.set(_Attempt(structlog.contextvars.get_contextvars()["thread"], task))
        return await make(*args)

    return known
