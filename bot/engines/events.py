"""Server-sent events of the AI server as plain JSON."""

import codecs
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
from openai import AsyncStream

from bot.engines.items import listed
from bot.telemetry.log import log

Json = dict[str, Any]
_NEXT = re.compile(r"data: ?(?:\{|\[DONE\])")


class EventReader:
    """Reads events from text in pieces of any size, each as its name and its data."""

    def __init__(self) -> None:
        self._rest: list[str] = []
        self._after_return = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        """The events that are complete with this text."""
        *lines, rest = self._with_newlines(text).split("\n")
        for line in lines:
            if self._rest:
                line = "".join([*self._rest, line])
                self._rest.clear()
            if self._ends_event(line):
                yield self._name, "\n".join(self._data)
                self._name, self._data = "", []
            if line:
                self._take(line)
        if rest:
            self._rest.append(rest)

    def _ends_event(self, line: str) -> bool:
        """Whether the event ends before this line. Some servers send no blank line between events:
        after a JSON object another one begins."""
        if not line:
            return bool(self._name or self._data)
        return bool(self._data) and self._data[-1].endswith("}") and bool(_NEXT.match(line))

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
        elif field == "event":
            self._name = value


class EventStream(AsyncStream[object]):
    """Events as dictionaries. An event that is not a JSON object is skipped.

    Events of the Assistants protocol, named `thread.…`, become `{"event": name, "data": …}`. The
    text is UTF-8, perhaps with a byte order mark; models write, and servers cut, incomplete
    characters.
    """

    def __aiter__(self) -> AsyncIterator[object]:  # one generator less
        return self._iterator

    async def __stream__(self) -> AsyncIterator[object]:
        reader = EventReader()
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        chunks = self.response.stream
        assert isinstance(chunks, httpx2.AsyncByteStream)
        try:
            async for chunk in chunks:
                for name, data in reader.feed(decoder.decode(chunk)):
                    if data.startswith("[DONE]"):
                        return
                    if (event := _parse(data)) is not None:
                        yield self._checked(name, event)
            for name, data in reader.feed("\n\n"):
                if (event := _parse(data)) is not None:
                    yield self._checked(name, event)
        finally:
            await self.response.aclose()

    def _checked(self, name: str, event: Json) -> Json:
        if error := _error_in(event) or (event if name == "error" else None):
            raise openai.APIError("the stream failed", self.response.request, body=error)
        return {"event": name, "data": event} if name.startswith("thread.") else event


def _error_in(data: Json) -> Any:
    """The error of an event, or of the first choice in a chunk of a completion."""
    choice = next(iter(listed(data.get("choices"))), None)
    return data.get("error") or (choice.get("error") if isinstance(choice, dict) else None)


def _parse(text: str) -> Json | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        log.debug("ai_event_skipped", length=len(text))
        return None
    return data if isinstance(data, dict) else None
