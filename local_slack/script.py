"""Files of conversations to replay: JSONL, one conversation per line.

Two formats are accepted: `{"title": ..., "turns": ["first message", "second", ...]}`, and the
MT-Bench question format, with `question_id` and `category` instead of a title.
"""

import json
from dataclasses import dataclass
from pathlib import Path


class ScriptError(ValueError):
    """A line of the file is not a conversation."""


@dataclass(frozen=True)
class Script:
    """One person's side of a conversation."""

    title: str
    turns: tuple[str, ...]


def read_scripts(file: Path) -> list[Script]:
    """All conversations of a file. Raises ScriptError naming the first invalid line."""
    scripts = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            scripts.append(_parse(line, f"{file.name}, line {number}"))
    if not scripts:
        raise ScriptError(f"{file.name}: no conversation in it")
    return scripts


def _parse(line: str, where: str) -> Script:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ScriptError(f"{where}: not JSON: {error.msg}") from None
    turns = entry.get("turns") if isinstance(entry, dict) else None
    if not isinstance(turns, list) or not turns:
        raise ScriptError(f'{where}: needs "turns", a list of messages')
    if not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise ScriptError(f'{where}: every one of "turns" must be a text')
    parts = (entry.get("title"), entry.get("question_id"), entry.get("category"))
    title = " · ".join(str(part) for part in parts if part is not None)
    return Script(title or where, tuple(turns))
