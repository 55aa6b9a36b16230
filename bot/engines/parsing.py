"""Parses JSON from a server, in bounded memory."""

import json
from typing import Any

from pydantic_core import from_json

from bot.engines.size import PARSED_BYTES, SMALL_BYTES, parsed_size
from bot.engines.transport import TooLarge


def parse(data: bytes | bytearray) -> Any:
    """The value of a JSON text. Raises TooLarge, ValueError, and RecursionError.

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
        raise TooLarge("the JSON takes too much memory")
    try:
        return from_json(data)
    except ValueError:
        if len(data) > SMALL_BYTES:
            raise
    # Lone surrogates, deep nesting, incomplete characters, other encodings.
    return json.loads(data.decode(json.detect_encoding(data), "replace"))
