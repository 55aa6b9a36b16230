"""Event streams: those that are held open between start and follow, and reading them in batches."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from openai import AsyncStream

from bot.engines.errors import vendor_errors

E = TypeVar("E")
D = TypeVar("D")

UNCLAIMED_SECONDS = 60.0
UPDATE_SECONDS = 0.2
"""What comes within so many seconds makes one update."""
SILENCE_SECONDS = 30.0
"""Seconds without an event after which a stream is taken for broken."""


def patience(deadline: float) -> float:
    """Seconds to wait for the next event of a run that ends by `deadline`, in epoch seconds."""
    return max(0.0, min(SILENCE_SECONDS, deadline - time.time()))


class LiveStream(Generic[E]):
    """One open stream; iterating raises the errors of `bot.errors`. Close it in any case."""

    def __init__(self, stream: AsyncStream[E], owner: "LiveStreams[E, D]") -> None:
        self._stream = stream
        self._owner = owner

    async def __aiter__(self) -> AsyncIterator[E]:
        with vendor_errors(missing="run"):
            async for event in self._stream:
                yield event

    async def first(self) -> E | None:
        """The next event; None where the server ends the stream without one."""
        with vendor_errors(missing="run"):
            return await anext(self._stream, None)

    async def aclose(self) -> None:
        self._owner.open.discard(self)
        await self._stream.close()


class LiveStreams(Generic[E, D]):
    """The streams of this process, at most `limit`; `D` is what a stream is gathered into.

    `start` opens a stream and `keep`s it under the run's id, `follow` `take`s it from there. What
    nobody takes within a minute, because the run went to another process, is closed.
    """

    def __init__(self, limit: int) -> None:
        self.open: set[LiveStream[E]] = set()
        self._limit = limit
        self._promised = 0
        self._kept: dict[str, tuple[LiveStream[E], D, asyncio.Task[None]]] = {}

    @contextmanager
    def room(self) -> Iterator[bool]:
        """Whether there is room for a stream; if so it is kept free until the block has ended."""
        if len(self.open) + self._promised >= self._limit:
            yield False
            return
        self._promised += 1
        try:
            yield True
        finally:
            self._promised -= 1

    def add(self, stream: AsyncStream[E]) -> LiveStream[E]:
        live = LiveStream(stream, self)
        self.open.add(live)
        return live

    def keep(self, run_id: str, live: LiveStream[E], draft: D) -> None:
        expiry = asyncio.get_running_loop().create_task(self._expire(run_id))
        self._kept[run_id] = live, draft, expiry

    def take(self, run_id: str) -> tuple[LiveStream[E], D] | None:
        kept = self._kept.pop(run_id, None)
        if kept is None:
            return None
        live, draft, expiry = kept
        expiry.cancel()
        return live, draft

    async def _expire(self, run_id: str) -> None:
        await asyncio.sleep(UNCLAIMED_SECONDS)
        live, _, _ = self._kept.pop(run_id)
        await live.aclose()

    async def aclose(self) -> None:
        for _, _, expiry in self._kept.values():
            expiry.cancel()
        self._kept.clear()
        for live in list(self.open):
            await live.aclose()


async def batches(
    events: AsyncIterator[E], *, interval: float, silence: float
) -> AsyncGenerator[list[E], None]:
    """What came within each `interval` seconds, until the events end or cease for `silence`.

    The first batch comes at once, the last one as soon as the events end. Raises what they raise.
    """
    waiting: list[E] = []
    fresh = asyncio.Event()

    async def read() -> None:
        async for event in events:
            waiting.append(event)
            fresh.set()

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: fresh.set())
    try:
        while True:
            try:
                async with asyncio.timeout(silence):
                    await fresh.wait()
            except TimeoutError:
                return
            fresh.clear()
            batch, waiting[:] = waiting[:], []
            if batch:
                yield batch
            if reader.done() and not waiting:
                reader.result()
                return
            await asyncio.wait({reader}, timeout=interval)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
