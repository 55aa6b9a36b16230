"""Where the keys of a backup belong in another number of shards.

Most keys name their workspace, and some hold a value of each workspace: those are split. What
belongs to no workspace goes to all shards, or to the first one. The only keys that are dropped are
those of event ids, which name no workspace: every message is also known by its place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bot.models import Message, decode
from bot.store.audit import AuditLine, chained
from bot.store.backup_file import KeyLine
from bot.store.dead import DeadLetter
from bot.store.families import FAMILIES
from bot.store.feedback import Feedback
from bot.store.shards import shard_of

BY_NAME = frozenset(
    {
        *("inbox", "thread", "turn", "conversation", "record", "speakers", "adopted", "overheard"),
        *("moved", "edited", "latest", "settings", "channel", "channels", "recent", "greeted"),
        *("usage", "used", "spent", "top", "reserved", "seen", "workspace"),
    }
)
"""The second part of the key is the workspace."""
HOME = 0
EVERYWHERE = frozenset({"mark", "circuits", "pulse", "hold"})
Read = Callable[[], Iterable[tuple[int, KeyLine]]]
Of = Callable[[str, str], str]
"""From a field and its value, or a member and its score, to the workspace."""


def _start(field: str, _: str) -> str:
    """The workspace before the first `:` or `|`."""
    return field.partition(":")[0].partition("|")[0]


def _of_letter(_: str, text: str) -> str:
    return decode(DeadLetter, text).thread.team_id


def _of_feedback(_: str, text: str) -> str:
    return decode(Feedback, text).thread.team_id


SPLIT: dict[str, Of] = {
    "idle": _start,
    "later": _start,
    "parked": _start,
    "interrupts": _start,
    "held": _start,
    "sealed": _start,
    "installed": _start,
    "dead": _of_letter,
    "feedback": _of_feedback,
    "unconfirmed": lambda _, person: person.partition("|")[0],
}
"""Keys with pairs of values, each of one workspace."""


class Placement:
    """Places the lines of a backup in `count` shards."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._owners: dict[str, str] = {}
        """The workspaces of remote conversations, by id."""
        self._audit: defaultdict[int, list[tuple[tuple[int, int], str, bool]]] = defaultdict(list)
        self._before: dict[int, str] = {}

    def place(self, read: Read) -> Iterator[tuple[int, KeyLine]]:
        """All lines with their new shards. `read` is called twice."""
        for _, line in read():
            self._learn(line)
        for shard, line in read():
            # Several old shards may have the same key: all lines add to what is there.
            for number, part in self._parts(shard, line):
                yield number, replace(part, more=True)
        yield from self._audit_lines()

    def _learn(self, line: KeyLine) -> None:
        """Note who has a remote conversation: the keys of its runs and orphans do not say so."""
        family, _, rest = line.key.partition(":")
        if not _is_sound(line):
            return
        if family == "conversation":
            fields = dict(_pairs(line.values))
            if remote := fields.get("id"):
                self._owners.setdefault(str(remote), rest.partition(":")[0])
        elif family == "unconfirmed":
            for orphan, person in _pairs(line.values):
                self._owners[orphan.partition("|")[2]] = person.partition("|")[0]

    def _parts(self, shard: int, line: KeyLine) -> Iterator[tuple[int, KeyLine]]:
        family, _, rest = line.key.partition(":")
        if not _is_sound(line):
            yield HOME, line
        elif family in ("audit", "audit_head"):
            self._collect(shard, line)
        elif family == "seen" and ":" not in rest:
            return
        elif family in BY_NAME:
            yield self._of(rest.partition(":")[0]), line
        elif family in EVERYWHERE:
            yield from ((number, line) for number in range(self._count))
        elif family in SPLIT or family == "orphans":
            yield from self._split(line, SPLIT.get(family, self._owner_of_orphan))
        elif family == "teams":
            yield from ((self._of(team), replace(line, values=[team])) for team in line.values)
        elif family == "runs":
            yield self._of(self._owners.get(rest, rest)), line
        elif family == "untranscribed":
            yield self._place_of(partial(_team_of_message, line.values[0])), line
        else:
            yield HOME, line

    def _of(self, id: str) -> int:
        return shard_of(id, self._count)

    def _place_of(self, read_team: Callable[[], str]) -> int:
        """The shard of a workspace; what our code cannot read is kept in the first one."""
        try:
            return self._of(read_team())
        except ValueError:
            return HOME

    def _owner_of_orphan(self, orphan: str, _: str) -> str:
        conversation_id = orphan.partition("|")[2]
        return self._owners.get(conversation_id, conversation_id)

    def _split(self, line: KeyLine, of: Of) -> Iterator[tuple[int, KeyLine]]:
        parts: defaultdict[int, list[Any]] = defaultdict(list)
        for name, value in _pairs(line.values):
            parts[self._place_of(partial(of, name, str(value)))] += (name, value)
        yield from ((number, replace(line, values=values)) for number, values in parts.items())

    def _collect(self, shard: int, line: KeyLine) -> None:
        """Keep the lines of the audit trails: they are merged by time, and chained again."""
        if line.key != "audit":
            return
        for id, fields in _pairs(line.values):
            found = dict(_pairs(fields))
            text, stored = found.get("line"), found.get("hash")
            if text is None or stored is None:
                self._before[shard] = "a foreign entry"  # the next line does not fit it
                continue
            before = self._before.get(shard)
            fits = before is None or chained(before, text) == stored
            self._before[shard] = stored
            milliseconds, _, sequence = id.partition("-")
            at = (int(milliseconds), int(sequence))
            self._audit[self._place_of(partial(_team_of_line, text))].append((at, text, fits))

    def _audit_lines(self) -> Iterator[tuple[int, KeyLine]]:
        for number, lines in self._audit.items():
            before, last = "", (0, 0)
            for at, text, fits in sorted(lines):
                # A line that did not fit the one before it must not fit here either.
                before = chained(before if fits else "broken", text)
                last = max(at, (last[0], last[1] + 1))
                entry = [f"{last[0]}-{last[1]}", ["line", text, "hash", before]]
                yield number, KeyLine("audit", "stream", None, entry, more=True)
            yield number, KeyLine("audit_head", "string", None, [before], more=True)


def _is_sound(line: KeyLine) -> bool:
    """Whether a key has the type that our code reads."""
    family = FAMILIES.get(line.key.partition(":")[0])
    return family is not None and line.type == family.type


def _team_of_line(text: str) -> str:
    return decode(AuditLine, text).team_id


def _team_of_message(text: str) -> str:
    return decode(Message, text).thread.team_id


def _pairs(values: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(values[::2], values[1::2], strict=True)
