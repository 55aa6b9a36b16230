"""Server-sent events of the AI server as plain JSON."""

import asyncio
import codecs
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
from openai import AsyncStream

from bot.engines.items import listed
from bot.telemetry.log import log

Json = dict[str, Any]
SLICE_SECONDS = 0.005
"""After this time other tasks run before the next event: one read may hold thousands of them."""
TIMED = 16
"""Events between two looks at the clock."""
_NEXT = re.compile(r"data: ?(?:\{|\[DONE\])")
_WHOLE = re.compile(r"(?:event: ?([^\n]*)\n)?data: ?([^\n]*)\n\n")
_BLANKS = " \t\n\r"
_decode = json.JSONDecoder().raw_decode


class EventReader:
    """Reads events from text in pieces of any size, each as its name and its data."""

    def __init__(self) -> None:
        self._rest: list[str] = []
        self._after_return = False
        self._name = ""
        self._data: list[str] = []
        self._later_name = ""
        """A name that follows complete data. It belongs to that data, or to the next event."""
        self._is_bare = False

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        """The events that are complete with this text."""
        text, at = self._with_newlines(text), 0
        while at < len(text):
            if self._is_between and (whole := _WHOLE.match(text, at)):
                yield whole[1] or "", whole[2]
                at = whole.end()
            else:
                blank = text.find("\n\n", at)
                end = len(text) if blank < 0 else blank + 2
                yield from self._feed_lines(text[at:end])
                at = end

    @property
    def _is_between(self) -> bool:
        """Whether nothing of the next event has come."""
        return not (self._rest or self._data or self._name or self._later_name)

    def _feed_lines(self, text: str) -> Iterator[tuple[str, str]]:
        *lines, rest = text.split("\n")
        for line in lines:
            if self._rest:
                line = "".join([*self._rest, line])
                self._rest.clear()
            if self._ends_event(line):
                yield self._end(is_blank=not line)
            if line:
                self._take(line)
        if rest:
            self._rest.append(rest)

    def _ends_event(self, line: str) -> bool:
        """Whether the event ends before this line.

        Some servers send no blank line between events: after a JSON object another one begins, or
        the name of another one. Others send lines of JSON.
        """
        if not line:
            return bool(self._name or self._later_name or self._data)
        is_named_again = bool(self._name) and line.startswith("event:")
        begins = is_named_again or bool(_NEXT.match(line)) or line.startswith("{")
        return begins and self._is_complete

    @property
    def _is_complete(self) -> bool:
        """Whether the data may be a complete JSON object."""
        return bool(self._data) and self._data[-1].endswith("}")

    def _end(self, *, is_blank: bool) -> tuple[str, str]:
        """The event that has ended, at a blank line or where another one begins."""
        name, later = self._name, self._later_name
        if is_blank:
            name, later = name or later, ""
        event = name, "\n".join(self._data)
        self._name, self._later_name, self._data = later, "", []
        self._is_bare = False
        return event

    def _with_newlines(self, text: str) -> str:
        """A line may also end with a carriage return, alone or before a line feed."""
        if self._after_return and text.startswith("\n"):
            text = text[1:]
            self._after_return = False
        if text:
            self._after_return = text.endswith("\r")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text

    def _take(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event" and self._is_complete:
            self._later_name = value
        elif field == "event":
            self._name = value
        elif self._is_bare or line.startswith("{"):
            self._is_bare = True
            self._data.append(line)


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
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        chunks = self.response.stream
        assert isinstance(chunks, httpx2.AsyncByteStream)
        try:
            async for chunk in chunks:
                events, began = reader.feed(decoder.decode(chunk)), time.monotonic()
                while together := self._read(events):
                    yield together
                    self._check()
                    if time.monotonic() - began > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        began = time.monotonic()
                if self.is_done:
                    return
            if together := self._read(reader.feed("\n\n")):
                yield together
                self._check()
        finally:
            await self.response.aclose()

    def _read(self, events: Iterator[tuple[str, str]]) -> list[Json]:
        """The next events, those of a moment at most; none at the end of `events`."""
        found: list[Json] = []
        began = time.monotonic()
        for count, (name, data) in enumerate(events):
            if data.startswith("[DONE]"):
                self.is_done = True
                break
            if (event := _parse(data)) is not None:
                try:
                    found.append(self._checked(name, event))
                except openai.APIError as error:
                    self._error = error
                    break
            if found and count % TIMED == 0 and time.monotonic() - began > SLICE_SECONDS:
                break
        if not found:
            self._check()
        return found

    def _check(self) -> None:
        """Raise the error that the stream has sent, after the events before it."""
        if self._error is not None:
            raise self._error

    def _checked(self, name: str, event: Json) -> Json:
        is_error = "error" in (name, event.get("type"))
        if is_error or "error" in event or "choices" in event:
            error = stated_error(event) or (event if is_error else None)
        else:
            error = None
        if error:
            raise openai.APIError("the stream failed", self.response.request, body=error)
        if name.startswith("thread."):
            return {"event": name, "data": event}
        return event if "type" in event or not name else {"type": name, **event}


def stated_error(data: Json) -> Any:
    """The error of an event or a body, or of the first choice of a completion; else None."""
    choice = next(iter(listed(data.get("choices"))), None)
    inner = choice.get("error") if isinstance(choice, dict) else None
    return data.get("error") or inner or None


def _parse(text: str) -> Json | None:
    text = text.strip(_BLANKS)
    try:
        data, end = _decode(text)
        is_whole = end == len(text)
    except (ValueError, RecursionError):
        is_whole = False
    if not is_whole:
        log.debug("ai_event_skipped", length=len(text))
        return None
    return data if isinstance(data, dict) else None
