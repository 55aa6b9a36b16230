"""Event streams: those held open between `start` and `follow`, and how they are read."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from bot.engines.errors import vendor_errors
from bot.engines.events import EventStream
from bot.errors import Retry
from bot.timing import EngineTiming

E = TypeVar("E")
D = TypeVar("D")

UPDATE_SECONDS = 0.15
"""Events within this time are combined into one update; less than a connection collects them."""


class LiveStream:
    """An open stream, always to be closed. Iterating yields lists of events, and raises the errors
    of `bot.errors`.
    """

    def __init__(self, stream: EventStream, closed: Callable[["LiveStream"], None]) -> None:
        self._stream = stream
        self._closed = closed
        self._rest: list[Any] = []
        """Events that came together with the first one."""
        self._reader: asyncio.Task[Any] | None = None
        self._stopped = False
        self._heard = time.monotonic()
        self.is_closed = False
        self.is_vital = False
        """Whether the run ends with its stream."""
        self.is_displaced = False
        """Whether another run has taken its place; this run is polled from now on."""

    async def __aiter__(self) -> AsyncIterator[list[Any]]:
        self._reader = asyncio.current_task()
        try:
            if self._rest:
                rest, self._rest = self._rest, []
                yield rest
                del rest  # a silent stream waits for long: it holds no event
            with vendor_errors(missing="run"):
                async for events in self._stream:
                    self._heard = time.monotonic()
                    yield events
                    del events
        except asyncio.CancelledError:
            if not self._stopped:
                raise

    @property
    def silence(self) -> float:
        """Seconds since its last event."""
        return time.monotonic() - self._heard

    @property
    def can_be_displaced(self) -> bool:
        """Whether the task that reads it could poll instead."""
        return self._reader is not None and not (self._stopped or self.is_vital)

    def displace(self) -> None:
        """End it, so that another run can have its place."""
        self.is_displaced = True
        self._closed(self)
        self.stop()

    def stop(self) -> None:
        """End the iteration of another task as if the server had ended the stream."""
        self._stopped = True
        if self._reader:
            self._reader.cancel()

    async def first(self, patience: float) -> Any:
        """The next event; None if the server ends the stream.

        Raises Retry if none comes within `patience` seconds: comments may keep the stream open.
        """
        if not self._rest:
            try:
                async with asyncio.timeout(patience):
                    with vendor_errors(missing="run"):
                        async for events in self._stream:
                            self._rest = list(events)
                            break
            except TimeoutError:
                raise Retry("timeout") from None
        return self._rest.pop(0) if self._rest else None

    async def aclose(self) -> None:
        self.is_closed = True
        self._reader = None  # with the whole traceback of its end
        self._closed(self)
        await self._stream.close()


class LiveStreams(Generic[D]):
    """The streams of this process, at most `limit`; `D` is what a stream is read into.

    A new run takes the place of a silent one: models that think for long send no events, and polls
    find their end as well.

    `start` opens a stream and `keep`s it under the run's id, `follow` `take`s it. A stream that is
    not taken in time, because another process has the run, is closed.
    """

    def __init__(self, limit: int, timing: EngineTiming = EngineTiming()) -> None:
        self.open: set[LiveStream] = set()
        self._limit = limit
        self._timing = timing
        self._promised = 0
        self._kept: dict[str, tuple[LiveStream, D, asyncio.Task[None]]] = {}

    @contextmanager
    def room(self, *, displacing: bool = True) -> Iterator[bool]:
        """Whether there is room for a stream; if so it is reserved until the block has ended."""
        if displacing and self._is_full:
            self._displace()
        if self._is_full:
            yield False
            return
        self._promised += 1
        try:
            yield True
        finally:
            self._promised -= 1

    @property
    def _is_full(self) -> bool:
        return len(self.open) + self._promised >= self._limit

    def _displace(self) -> None:
        """End the stream that has been silent for the longest time, if it is long enough."""
        others = (live for live in self.open if live.can_be_displaced)
        silent = max(others, key=lambda live: live.silence, default=None)
        if silent is not None and silent.silence >= self._timing.quiet:
            silent.displace()

    def add(self, stream: EventStream) -> LiveStream:
        """Count a stream that was opened, until it is closed."""
        live = LiveStream(stream, self.open.discard)
        self.open.add(live)
        return live

    def keep(self, run_id: str, live: LiveStream, partial: D) -> None:
        """Keep the stream of a run that was just started for the call that follows it; closed if
        none comes."""
        expiry = asyncio.get_running_loop().create_task(self._expire(run_id))
        self._kept[run_id] = live, partial, expiry

    def take(self, run_id: str) -> tuple[LiveStream, D] | None:
        """The kept stream of a run with what was read of it, once; None if there is none."""
        kept = self._kept.pop(run_id, None)
        if kept is None:
            return None
        live, partial, expiry = kept
        expiry.cancel()
        return live, partial

    async def _expire(self, run_id: str) -> None:
        await asyncio.sleep(self._timing.unclaimed)
        live, _, _ = self._kept.pop(run_id)
        await live.aclose()

    async def aclose(self) -> None:
        """Close all."""
        for _, _, expiry in self._kept.values():
            expiry.cancel()
        self._kept.clear()
        for live in list(self.open):
            await live.aclose()


async def progress(
    events: AsyncIterator[E], take: Callable[[E], None], *, interval: float, silence: float
) -> AsyncGenerator[None, None]:
    """Pass every event to `take` immediately, and yield after those of each `interval` seconds.

    Ends with the events, or once none has come for `silence` seconds. Yields at once after the
    first event, and as soon as the events end. Raises what they raise, and what `take` raises.
    """
    loop, fresh = asyncio.get_running_loop(), asyncio.Event()
    has_news, due = False, 0.0

    async def read() -> None:
        nonlocal has_news
        async for event in events:
            take(event)
            del event
            has_news = True
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
            if (pause := due - loop.time()) > 0:
                await asyncio.wait({reader}, timeout=pause)
            fresh.clear()
            if has_news:
                has_news, due = False, loop.time() + interval
                yield
            if reader.done():
                reader.result()
                return
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


def patience(deadline: float, timing: EngineTiming) -> float:
    """Seconds to wait for the next event of a run that ends by `deadline`, in epoch seconds."""
    return max(0.0, min(timing.silence, deadline - time.time()))
