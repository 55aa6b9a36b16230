"""How much memory JSON from a server takes."""

import json
import sys

VALUE_BYTES = 100
"""Bytes of one small value in memory; its text may be as short as `{},`."""
_SCANNED = (b",", b"[", b"{")


def count_tokens(data: bytes) -> int:
    """The commas, braces and brackets of a JSON text."""
    return sum(map(data.count, _SCANNED))


def size_of(value: object) -> int:
    """The approximate size of a JSON value in bytes, an upper bound."""
    text = json.dumps(value, ensure_ascii=False)
    return sys.getsizeof(text) + VALUE_BYTES * sum(map(text.count, ",[{"))
