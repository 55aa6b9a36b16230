"""The stored form of the lines of our record: compressed, if every worker can read that.

A line is JSON: `role`, `ts` and `user_id`, which scripts read, and `z`: the rest of the `Record` as
JSON, compressed (raw deflate) and in base 85. A line without `z` is a plain `Record`: that is how
version 0.1 writes all lines, and how short ones stay. Version 0.1 keeps lines with `z`, and removes
them with their person, but cannot rebuild a conversation that has some. So none is written until no
worker of that version has run for a day; `WORKER_FORMAT` says which ones read both.
"""

import asyncio
import base64
import json
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bot.errors import StoreUnavailable
from bot.models import Record, decode, encode
from bot.store.connection import Connection
from bot.store.keys import Keys

WORKER_FORMAT = "z"
"""The last part of the name of each worker that reads compressed lines."""
UPGRADE_SECONDS = 24 * 3600
"""How long a worker of an older version may come back: a deploy that is rolled back."""
YOUNG_SECONDS = 3600.0
"""A deployment that is older, and new to us, was run by an older version."""
CHECK_SECONDS = 60.0
"""How long the formats of the other workers are assumed to stay the same."""
LARGEST_TEXT = 16_000_000
"""Characters of a line at most: a longer one did not come from us."""
IN_THREAD = 20_000
"""Longer lines are compressed outside of the event loop."""

KEPT_START, KEPT_END = 1_000, 500
"""Characters that `shorten` keeps of a long text."""

_OLD_WORKER = re.compile(r".+:\d+:[0-9a-f]{6}")
_HEADER = ("role", "ts", "user_id")
_DEFLATE = {"level": 9, "wbits": -15}


def encode_plain(record: Record) -> str:
    """A line that every version reads."""
    return _render(_fields(record))


def encode_compressed(record: Record) -> str:
    """The shorter one of both forms of a line."""
    fields = _fields(record)
    plain = _render(fields)
    header = {name: fields.pop(name) for name in _HEADER if name in fields}
    rest = zlib.compress(_render(fields).encode(), **_DEFLATE)
    compressed = _render(header | {"z": base64.b85encode(rest).decode()})
    return min(compressed, plain, key=size)


def decode_line(line: str) -> Record:
    """Read a line of either form. Raises one of `UNREADABLE` for anything else."""
    if '"text":' in line and '"z":' not in line:
        return decode(Record, line)
    fields = json.loads(line)
    if "z" not in fields:
        return decode(Record, json.dumps({"text": "", "evicted": "text" not in fields} | fields))
    rest = json.loads(_inflate(base64.b85decode(fields.pop("z"))))
    return decode(Record, json.dumps(rest | fields))


def shorten(record: Record) -> Record:
    """The line of an idle conversation: of long texts the start and end are kept.

    What people wrote stays, because deletions on the AI server are found by it.
    """
    if record.role == "user":
        return replace(record, files=_cut(record.files))
    outputs = tuple(replace(output, text=_cut(output.text)) for output in record.outputs)
    return replace(record, text=_cut(record.text), files=_cut(record.files), outputs=outputs)


def newest(records: Sequence[Record], most: int) -> list[Record]:
    """The newest lines with `most` characters of text in all; always the last one."""
    kept, length = 0, 0
    for record in reversed(records):
        length += len(record.text) + len(record.files)
        if kept and length > most:
            break
        kept += 1
    return list(records[len(records) - kept :])


def _cut(text: str) -> str:
    # The mark makes a cut text longer than what it keeps: it is not cut again.
    left_out = len(text) - KEPT_START - KEPT_END
    if left_out <= 100:
        return text
    return f"{text[:KEPT_START]}\n[… {left_out:,} characters left out …]\n{text[-KEPT_END:]}"


def size(line: str) -> int:
    """Bytes of a line in Redis."""
    return len(line.encode())


def encode_evicted(record: Record) -> str:
    """A line without its text."""
    header = {"role": record.role, "ts": record.ts, "user_id": record.user_id}
    return _render(header | {"text": "", "evicted": True})


def _fields(record: Record) -> dict[str, Any]:
    """The fields that differ from their defaults, and those that version 0.1 needs."""
    fields: Mapping[str, Any] = json.loads(encode(record))
    return {name: value for name, value in fields.items() if value or name in ("text", "ts")}


def _render(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=_DEFLATE["wbits"])
    try:
        text = inflater.decompress(data, LARGEST_TEXT)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not inflater.eof:
        raise ValueError("a compressed line is incomplete, or too large")
    return text


class RecordWriter:
    """Chooses the form of new lines by the workers that run."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._compresses = False
        self._check_at = 0.0

    async def encode(self, records: Sequence[Record]) -> list[str]:
        """The lines for some records."""
        if not records:
            return []
        render = encode_compressed if await self.compresses() else encode_plain
        if sum(len(record.text) + len(record.files) for record in records) < IN_THREAD:
            return [render(record) for record in records]
        return await asyncio.to_thread(lambda: [render(record) for record in records])

    async def compresses(self) -> bool:
        """Whether no worker of version 0.1 has run within a day. It may be cached for a minute."""
        if time.monotonic() >= self._check_at:
            self._compresses = not await self._may_return()
            self._check_at = time.monotonic() + CHECK_SECONDS
        return self._compresses

    async def _may_return(self) -> bool:
        """Whether a worker of an older version runs, or may come back.

        A killed one soon leaves the list of workers, so a flag remembers it.
        """
        keys = self._keys
        flag = keys.flag("older_worker")
        names, flagged, (born, upgraded) = await self._connection.execute_many(
            [
                ("ZRANGE", keys.workers, 0, -1),
                ("EXISTS", flag),
                ("HMGET", keys.pulse, "born", "upgraded"),
            ]
        )
        is_new = born and not upgraded
        was_older = is_new and time.time() - float(born) > YOUNG_SECONDS
        is_older = was_older or any(map(_OLD_WORKER.fullmatch, names))
        with suppress(StoreUnavailable):  # a full Redis takes no such notes, but ends turns
            if is_older:
                await self._connection.execute("SET", flag, "", "EX", UPGRADE_SECONDS)
            if is_new:
                await self._connection.execute("HSET", keys.pulse, "upgraded", 1)
        return bool(is_older or flagged)
