"""Server-sent events of the AI server as plain JSON."""

import asyncio
import re
import time
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
from openai import AsyncStream

from bot.engines.errors import MESSAGE_CHARS
from bot.engines.items import listed, text
from bot.engines.parsing import parse
from bot.engines.size import size_of
from bot.engines.transport import ERROR_BYTES, ResponseTooLarge
from bot.models import Json
from bot.telemetry.log import log

SLICE_SECONDS = 0.005
"""After this time other tasks run before the next event: one read may hold thousands of them."""
TIMED = 16
"""Events between two looks at the clock."""
MOST_TOGETHER = 64
"""Events of one list: its consumer handles them without a pause."""
MOST_LINES = 100_000
"""Lines of data of one event."""
NAME_BYTES = 100
"""What is read of the name of an event."""
_NEXT = re.compile(rb"data: ?(?:\{|\[DONE\])")
_WHOLE = re.compile(rb"(?:event: ?([^\n]*)\n)?data: ?([^\n]*)\n\n")


class EventReader:
    """Reads events from bytes in pieces of any size, each as its name and its data."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._is_first = True
        self._after_return = False
        self._name = b""
        self._data: list[bytes] = []
        self._later_name = b""
        """A name that follows complete data. It belongs to that data, or to the next event."""
        self._is_bare = False

    def feed(self, text: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that are complete with this text. Raises ResponseTooLarge."""
        text, at = self._with_newlines(text), 0
        while at < len(text):
            if self._is_between and (whole := _WHOLE.match(text, at)):
                yield _decode(whole[1] or b""), whole[2]
                at = whole.end()
            else:
                blank = text.find(b"\n\n", at)
                end = len(text) if blank < 0 else blank + 2
                yield from self._feed_lines(text[at:end])
                at = end

    @property
    def _is_between(self) -> bool:
        """Whether nothing of the next event has come."""
        return not (self._rest or self._data or self._name or self._later_name)

    def _feed_lines(self, text: bytes) -> Iterator[tuple[str, bytes]]:
        *lines, rest = text.split(b"\n")
        for line in lines:
            if self._rest:
                line = b"".join([*self._rest, line])
                self._rest.clear()
            if self._is_first:
                line, self._is_first = line.removeprefix(BOM_UTF8), False
            if self._ends_event(line):
                yield self._end(is_blank=not line)
            if line:
                self._take(line)
        if rest:
            self._rest.append(rest)

    def _ends_event(self, line: bytes) -> bool:
        """Whether the event ends before this line.

        Some servers send no blank line between events: after a JSON object another one begins, or
        the name of another one. Others send lines of JSON.
        """
        if not line:
            return bool(self._name or self._later_name or self._data)
        is_named_again = bool(self._name) and line.startswith(b"event:")
        begins = is_named_again or bool(_NEXT.match(line)) or line.startswith(b"{")
        return begins and self._is_complete

    @property
    def _is_complete(self) -> bool:
        """Whether the data may be a complete JSON object."""
        return bool(self._data) and self._data[-1].endswith(b"}")

    def _end(self, *, is_blank: bool) -> tuple[str, bytes]:
        """The event that has ended, at a blank line or where another one begins."""
        name, later = self._name, self._later_name
        if is_blank:
            name, later = name or later, b""
        event = _decode(name), b"\n".join(self._data)
        self._name, self._later_name, self._data = later, b"", []
        self._is_bare = False
        return event

    def _with_newlines(self, text: bytes) -> bytes:
        """A line may also end with a carriage return, alone or before a line feed."""
        if self._after_return and text.startswith(b"\n"):
            text = text[1:]
            self._after_return = False
        if text:
            self._after_return = text.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return text

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6 : 6 + NAME_BYTES].removeprefix(b" ")
            if self._is_complete:
                self._later_name = name
            else:
                self._name = name
        elif self._is_bare or line.startswith(b"{"):
            self._is_bare = True
            self._data.append(line)
        elif line == b"data":
            self._data.append(b"")
        if len(self._data) > MOST_LINES:
            raise ResponseTooLarge("the event has too many lines")


def _decode(name: bytes) -> str:
    return name[:NAME_BYTES].decode(errors="replace")


class EventStream(AsyncStream[object]):
    """Events as dictionaries, in lists of those that came together. An event that is not a JSON
    object is skipped.

    Events of the Assistants protocol, named `thread.…`, become `{"event": name, "data": …}`. The
    text is UTF-8, perhaps with a byte order mark; models write, and servers cut, incomplete
    characters.
    """

    is_done = False
    """Whether the server has sent `[DONE]`."""
    _error: openai.APIError | None = None
    _iterator: AsyncIterator[list[Json]]

    def __aiter__(self) -> AsyncIterator[list[Json]]:  # one generator less
        return self._iterator

    async def __stream__(self) -> AsyncIterator[list[Json]]:
        reader = EventReader()
        chunks = self.response.stream
        assert isinstance(chunks, httpx2.AsyncByteStream)
        try:
            async for chunk in chunks:
                events, began = reader.feed(chunk), time.monotonic()
                del chunk  # a silent stream waits for long: it holds nothing that it has read
                while together := self._read(events):
                    yield together
                    self._check()
                    if time.monotonic() - began > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        began = time.monotonic()
                del events
                if self.is_done:
                    return
            if together := self._read(reader.feed(b"\n\n")):
                yield together
                self._check()
        finally:
            await self.response.aclose()

    def _read(self, events: Iterator[tuple[str, bytes]]) -> list[Json]:
        """The next events, those of a moment at most; none at the end of `events`."""
        found: list[Json] = []
        began = time.monotonic()
        for count, (name, data) in enumerate(events):
            if data.startswith(b"[DONE]"):
                self.is_done = True
                break
            if (event := _parse(data)) is not None:
                try:
                    found.append(self._checked(name, event))
                except openai.APIError as error:
                    self._error = error.with_traceback(None)  # it holds the event
                    break
            is_late = count % TIMED == 0 and time.monotonic() - began > SLICE_SECONDS
            if (found and is_late) or len(found) == MOST_TOGETHER:
                break
        if not found:
            self._check()
        return found

    def _check(self) -> None:
        """Raise the error that the stream has sent, after the events before it."""
        if self._error is not None:
            raise self._error

    def _checked(self, name: str, event: Json) -> Json:
        is_error = "error" in (name, event.get("type"), event.get("object"))
        if is_error or "error" in event or "choices" in event:
            error = stated_error(event) or (event if is_error else None)
        else:
            error = None
        if error:
            raise openai.APIError("the stream failed", self.response.request, body=_brief(error))
        if name.startswith("thread."):
            return {"event": name, "data": event}
        return event if "type" in event or not name else {"type": name, **event}


def stated_error(data: Json) -> Any:
    """The error of an event or a body, or of the first choice of a completion; else None."""
    choice = next(iter(listed(data.get("choices"))), None)
    inner = choice.get("error") if isinstance(choice, dict) else None
    return data.get("error") or inner or None


def _brief(error: Any) -> Any:
    """An error without what its log line and its classification do not need."""
    if size_of(error) <= ERROR_BYTES:
        return error
    if isinstance(error, dict):
        return {name: text(value)[:MESSAGE_CHARS] for name, value in error.items()}
    return str(error)[:MESSAGE_CHARS]


def _parse(text: bytes) -> Json | None:
    try:
        data = parse(text)
    except (ValueError, RecursionError):
        log.debug("ai_event_skipped", length=len(text))
        return None
    return data if isinstance(data, dict) else None
