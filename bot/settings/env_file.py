"""The `.env` file of a deployment: its encoding, its values, and changes line by line."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values, set_key

from bot.checks import Repair, RepairFailed

NAME = Path(".env")
PRIVATE = 0o600
_PLAIN = re.compile(r"[\w\-.:/@,+=%?&!~*^]+", re.ASCII)
"""Values that need no quotes."""
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def detect_encoding(data: bytes) -> str:
    """The likely encoding of a text: UTF-8, UTF-16 or UTF-32 as Windows writes them, or CP1252."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return encoding
    for encoding, start in (("utf-16-le", 1), ("utf-16-be", 0)):
        if data[start::2].count(0) * 4 > len(data):
            return encoding
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def convert_to_utf8(path: Path) -> str:
    """Rewrite the file as UTF-8; returns the encoding that it had. Raises UnicodeDecodeError."""
    data = path.read_bytes()
    encoding = detect_encoding(data)
    write(path, data.decode(encoding).removeprefix("\ufeff").replace("\r\n", "\n"))
    return encoding


def write(path: Path, text: str) -> None:
    """Replace the file in one step. Only its owner can read it: it holds secrets."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "w") as out:
        out.write(text)
    new.replace(path)


def values(path: Path) -> dict[str, str]:
    """The values of the file; empty without a file."""
    return {k: v for k, v in dotenv_values(path).items() if v} if path.is_file() else {}


def change(path: Path, changes: Mapping[str, str]) -> None:
    """Set variables in place. Comments, order and all other lines stay."""
    if not path.exists():
        write(path, "")
    for name, value in changes.items():
        set_key(path, name, value, quote_mode="never" if _PLAIN.fullmatch(value) else "always")
    make_private(path)


def make_private(path: Path) -> None:
    """Make the file readable by its owner only."""
    path.chmod(PRIVATE)


def set_variables(changes: Mapping[str, str], done: str) -> Repair:
    """A repair that sets variables in `.env`; `done` says so."""

    async def repair() -> str:
        given = sorted(set(changes) & set(os.environ))
        if given:
            raise RepairFailed(f"{', '.join(given)} comes from the environment, not from .env")
        change(NAME, changes)
        return f"{done} in {NAME}"

    return repair


def is_private(path: Path) -> bool:
    """Whether only the owner can read it. Windows has no such bits."""
    return os.name == "nt" or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def find_elsewhere(directory: Path) -> Path | None:
    """A `.env` in a parent or child folder: the bot was probably started in the wrong one."""
    above = [parent / NAME for parent in directory.parents[:4]]
    below = sorted(directory.glob(f"*/{NAME}"))
    return next((path for path in (*above, *below) if path.is_file()), None)
