"""Limits for what MCP servers send, so that reading it takes at most some 20 ms at a time.

The SDK parses a message in one piece, and no other turn proceeds meanwhile. A megabyte of text
takes about 2 ms, 1,000 objects or lists about 1 ms.
"""

LARGEST_BODY = 8_000_000
"""Maximum bytes of one response, or of one line of a server process."""
MOST_OBJECTS = 16_000
"""Maximum JSON objects and lists in one of them."""
MOST_VALUES = 100_000
"""Maximum JSON values (commas) in one of them."""


class JsonCounter:
    """Counts what a JSON text consists of, while it arrives. Text within strings does not count."""

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
        parts = text.replace(rb"\"", b"").split(b'"')
        for part in parts[self._in_string :: 2]:
            self._objects += part.count(b"{") + part.count(b"[")
            self._values += part.count(b",")
        self._in_string ^= len(parts) % 2 == 0
        if self._objects > MOST_OBJECTS:
            return f"more than {MOST_OBJECTS} objects"
        return f"more than {MOST_VALUES} values" if self._values > MOST_VALUES else ""
