"""Limits for what MCP servers send, so that reading one takes about 20 ms at most.

The SDK parses a message in one piece, and no other turn proceeds meanwhile. A megabyte of text
takes about 2 ms, 1,000 objects or lists about 1 ms.
"""

import re

LARGEST_BODY = 8_000_000
"""Maximum bytes of one response, or of one line of a server process."""
MOST_OBJECTS = 16_000
"""Maximum JSON objects and lists in one of them."""
MOST_VALUES = 100_000
"""Maximum JSON values (commas) in one of them."""


_STRING = re.compile(rb'"[^"\r\n]*["\r\n]')


class JsonCounter:
    """Counts what a JSON text consists of, while it arrives. Text within strings does not count.

    A string ends with its line at the latest: JSON allows no line breaks in it, and an event stream
    may have comments with a single quotation mark.
    """

    def __init__(self, most: int = LARGEST_BODY) -> None:
        self._most = most
        self._in_string = False
        self._open_escape = b""
        self._bytes = self._objects = self._values = 0

    def add(self, chunk: bytes) -> str:
        """Count the next part. Returns which limit is exceeded, or ""."""
        self._bytes += len(chunk)
        if self._bytes > self._most:
            return f"more than {self._most} bytes"
        text = (self._open_escape + chunk).replace(rb"\\", b"")
        self._open_escape = text[-1:] if text.endswith(b"\\") else b""
        text = b'"' * self._in_string + text.replace(rb"\"", b"")
        outside, quote, _ = _STRING.sub(b"", text).partition(b'"')
        self._in_string = bool(quote)
        self._objects += outside.count(b"{") + outside.count(b"[")
        self._values += outside.count(b",")
        if self._objects > MOST_OBJECTS:
            return f"more than {MOST_OBJECTS} objects"
        return f"more than {MOST_VALUES} values" if self._values > MOST_VALUES else ""
