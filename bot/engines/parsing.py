"""Parses JSON from a server, in bounded memory."""

import codecs
import json
import re
from typing import Any

from pydantic_core import from_json

from bot.engines.size import PARSED_BYTES, SMALL_BYTES, parsed_size
from bot.engines.transport import PIECE, ResponseTooLarge

_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rb"%b(?!%b)|%b(?<!%b%b)" % (_HIGH, _LOW, _LOW, _HIGH, _LOW))
"""Escaped surrogates that are not one of a pair."""


def parse(data: bytes | bytearray) -> Any:
    """The value of a JSON text. Raises ResponseTooLarge, ValueError, and RecursionError.

    It is parsed from its bytes: a string of the whole would take four times as much. A bytearray is
    emptied, so that no traceback and no caller keeps it.
    """
    try:
        return _parse(data)
    finally:
        if isinstance(data, bytearray):
            data.clear()


def _parse(data: bytes | bytearray) -> Any:
    if len(data) > SMALL_BYTES and parsed_size(data) > PARSED_BYTES:
        raise ResponseTooLarge("the JSON takes too much memory")
    try:
        return from_json(data)
    except ValueError:
        if len(data) > SMALL_BYTES:
            return from_json(_repaired(data))
    # Lone surrogates, deep nesting, incomplete characters, other encodings.
    return json.loads(data.decode(json.detect_encoding(data), "replace"))


def _repaired(data: bytes | bytearray) -> bytes:
    """A JSON text without a byte order mark and incomplete characters; it does not get longer."""
    pieces = (bytes(data[at : at + PIECE]) for at in range(0, len(data), PIECE))
    text = b"".join(map(str.encode, codecs.iterdecode(pieces, "utf-8-sig", "ignore")))
    return _LONE.sub(rb"\\ufffd", text)
