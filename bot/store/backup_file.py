"""The file of a backup: gzipped lines of JSON, read and written one by one.

    {"format": "threadbot-backup", "version": 1, "at": 1795780000.0}
    {"key": "inbox:T1:C1:1.0", "type": "hash", "expires": null, "values": ["1.0", "…"]}
    {"key": "inbox:T1:C1:1.0", "type": "hash", "expires": null, "values": […], "more": true}
    {"end": 2, "sha256": "…"}

Keys are without their prefix. `expires` is in epoch milliseconds. `values` is a flat list: of a
hash `field, value, …`, of a sorted set `member, score, …`, of a stream `id, [field, value, …], …`.
A line with `more` adds to what is there; one without replaces it.

The file of a deployment with several shards has version 2, `"shards": N` in its first line, and a
line `{"shard": 0}` before the keys of each shard.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.errors import BotError

FORMAT = "threadbot-backup"
VERSION, VERSION_SHARDS = 1, 2


class UnusableBackup(BotError):
    """A file cannot be restored, or cannot be written; the text says why."""


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key, or a part of it."""

    key: str
    type: str
    expires: int | None
    values: list[Any]
    more: bool = False


class Writer:
    """Writes lines to an open file."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.lines = self.keys = 0

    def header(self, at: float, shards: int = 1) -> None:
        """`at`: Redis's time of the backup."""
        fields = {"format": FORMAT, "version": VERSION, "at": at}
        if shards > 1:
            fields |= {"version": VERSION_SHARDS, "shards": shards}
        self._write(fields)

    def begin_shard(self, number: int) -> None:
        """The keys that follow are those of this shard."""
        self._write({"shard": number})
        self.lines += 1

    def add(self, line: KeyLine) -> None:
        """Append a line."""
        fields = asdict(line)
        if not line.more:
            del fields["more"]
        self._write(fields)
        self.lines += 1
        self.keys += not line.more

    def end(self) -> None:
        """Append the last line, without which the file is incomplete."""
        self._write({"end": self.lines, "sha256": self._hash.hexdigest()})

    def _write(self, fields: dict[str, Any]) -> None:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._hash.update(text)
        self._file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A new file, readable by its owner only. It gets its name when it is complete.

    Raises UnusableBackup if there is such a file already.
    """
    if path.exists():
        raise UnusableBackup(f"{path} exists already")
    partial = path.with_name(path.name + ".partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
                writer = Writer(file)
                yield writer
                writer.end()
            raw.flush()
            os.fsync(raw.fileno())
        partial.rename(path)
    except OSError as error:
        raise UnusableBackup(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line. `at`: Redis's time of the backup, in epoch seconds."""

    at: float
    shards: int = 1


def read_header(path: Path) -> Header:
    """The first line of a backup that is complete and of a version that we know. Reads the whole
    file.

    Raises UnusableBackup.
    """
    hash_, count, before, header = hashlib.sha256(), -1, b"", Header(0.0)
    for text in _lines(path):
        if count < 0:
            header = _header_of(_parse(text))
        if before:
            hash_.update(before)
        before, count = text, count + 1
    end = _parse(before) if count > 0 else {}
    if end.get("end") != count - 1 or end.get("sha256") != hash_.hexdigest():
        raise UnusableBackup("the file is incomplete or damaged")
    return header


def read_lines(path: Path) -> Iterator[KeyLine]:
    """The lines of a file that `read_header` has accepted."""
    return (line for _, line in read_shards(path))


def read_shards(path: Path) -> Iterator[tuple[int, KeyLine]]:
    """The lines, each with the number of its shard."""
    shard = 0
    for number, text in enumerate(_lines(path)):
        fields = _parse(text)
        if "shard" in fields:
            shard = int(fields["shard"])
        elif number and "end" not in fields:
            yield shard, KeyLine(**fields)


def _header_of(fields: dict[str, Any]) -> Header:
    if fields.get("format") != FORMAT:
        raise UnusableBackup("the file is no backup of this program")
    if fields.get("version") not in (VERSION, VERSION_SHARDS):
        raise UnusableBackup(f"a newer release wrote the file (version {fields.get('version')})")
    return Header(float(fields["at"]), int(fields.get("shards", 1)))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except FileNotFoundError:
        raise UnusableBackup(f"there is no file {path}") from None
    except (OSError, EOFError) as error:
        raise UnusableBackup(f"the file is incomplete or damaged: {error}") from None


def _parse(text: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise UnusableBackup("the file is incomplete or damaged")
    return fields
