"""How much memory JSON from a server takes."""

import re
import sys

MIB = 1 << 20
VALUE_BYTES = 100
"""Bytes of one small value in memory; its text may be as short as `{},`."""
PARSED_BYTES = 32 * MIB
"""What the values of one body or event may take in memory."""
JSON_TOKENS = PARSED_BYTES // VALUE_BYTES
SMALL_BYTES = PARSED_BYTES // (VALUE_BYTES + 4)
"""The values of a text of this length do not take more, whatever it holds."""
_WIDTHS = (
    (re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]"), 4),
    (re.compile(rb"[\xc4-\xef]|\\u"), 2),
)
"""Signs of characters that take four bytes in memory, or two."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SCANNED = (b",", b":", b"[", b"{")


def parsed_size(data: bytes | bytearray) -> int:
    """What the values of a JSON text take in memory, an upper bound in bytes.

    One wide character makes the whole string that contains it wide: twelve megabytes of ASCII with
    an emoji become 48.
    """
    size, widest = VALUE_BYTES * (1 + count_tokens(data)), _width(data)
    if size + widest * len(data) <= PARSED_BYTES:
        return size + widest * len(data)
    return size + sum(_width(each[0]) * len(each[0]) for each in _STRING.finditer(data))


def _width(data: bytes | bytearray) -> int:
    return next((width for sign, width in _WIDTHS if sign.search(data)), 1)


def count_tokens(data: bytes | bytearray) -> int:
    """The commas, colons, braces and brackets of a JSON text."""
    return sum(map(data.count, _SCANNED))


def size_of(value: object) -> int:
    """The size of a JSON value in memory, with all values in it."""
    size, rest = 0, [value]
    while rest:
        value = rest.pop()
        size += sys.getsizeof(value)
        if isinstance(value, dict):
            rest += value.keys()
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return size
