"""The scripts in `lua/`: the comment at the head of each is its contract.

    -- KEYS thread, inbox, seen...
    -- ARGV claim, after: number, messages...

names its keys and arguments. Each name becomes a local variable of the script at load; `number`
converts it, and the last name of a line may be a list (`...`). A call passes values by name; a
missing or unknown one raises TypeError.

A script starts with the parts of `prelude.lua` that it uses: Redis runs all of them in every call.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bot.models import Thread
from bot.store.keys import Keys

RedisValue = str | int | float
RedisValues = RedisValue | Sequence[RedisValue]
RedisCommand = Sequence[RedisValue]

FOLDER = Path(__file__).parent / "lua"
_sources: dict[str, str] = {}
_COMMENTS = re.compile(r"^[ \t]*--.*\n", re.MULTILINE)
_PARTS = re.compile(r"^(?=local )", re.MULTILINE)
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"(?P<name>[a-z_]+)(?P<number>: number)?(?P<list>\.\.\.)?")


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script.

    A key is looked up in `keys`, then among those that `Keys` has one of (`ready`), then, with a
    `thread`, among those of the thread (`inbox`).
    """

    thread: Thread | None = None
    keys: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    args: Mapping[str, RedisValues] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name of a contract."""

    name: str
    is_number: bool
    is_list: bool

    def local(self, array: str, at: int) -> str:
        """The line of Lua that makes it a variable."""
        if self.is_list:
            collect = f"{self.name}[#{self.name} + 1] = {array}[i]"
            return f"local {self.name} = {{}} for i = {at}, #{array} do {collect} end"
        value = f"tonumber({array}[{at}])" if self.is_number else f"{array}[{at}]"
        return f"local {self.name} = {value}"

    def values(self, value: RedisValues) -> list[RedisValue]:
        """A given value as a list. Raises TypeError for one value in place of a list."""
        if self.is_list != (not isinstance(value, RedisValue)):
            raise TypeError(f"{self.name} has the wrong shape")
        return [value] if isinstance(value, RedisValue) else list(value)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its text for Redis and its contract."""

    name: str
    source: str
    sha: str
    keys: tuple[Parameter, ...]
    args: tuple[Parameter, ...]
    key_names: frozenset[str]
    arg_names: frozenset[str]

    def command(self, keys: Keys, call: ScriptCall) -> RedisCommand:
        """The command that makes a call. Raises TypeError if its values do not fit."""
        names, values = self.order(keys, call)
        return ("EVALSHA", self.sha, len(names), *names, *values)

    def order(self, keys: Keys, call: ScriptCall) -> tuple[list[str], list[RedisValue]]:
        """The keys and arguments of a call by position. Raises TypeError if they do not fit."""
        self._refuse_unknown(self.key_names, call.keys)
        self._refuse_unknown(self.arg_names, call.args)
        if len(call.args) < len(self.args):
            missing = [each.name for each in self.args if each.name not in call.args]
            raise TypeError(f"{self.name}: missing {', '.join(missing)}")
        names = [
            str(key) for each in self.keys for key in each.values(self._key(each.name, keys, call))
        ]
        return names, [value for each in self.args for value in each.values(call.args[each.name])]

    def _key(self, name: str, keys: Keys, call: ScriptCall) -> str | Sequence[str]:
        if name in call.keys:
            return call.keys[name]
        known = getattr(Keys, name, None)
        if isinstance(known, property):
            return str(getattr(keys, name))
        if call.thread is None or name not in OF_A_THREAD:
            raise TypeError(f"{self.name}: missing {name}")
        return str(getattr(keys, name)(call.thread))

    def _refuse_unknown(self, known: frozenset[str], given: Mapping[str, object]) -> None:
        if not known.issuperset(given):
            unknown = ", ".join(sorted(set(given) - known))
            raise TypeError(f"{self.name}: unknown {unknown}")


OF_A_THREAD = frozenset(
    {"thread", "inbox", "turn", "conversation", "record", "speakers", "adopted", "overheard"}
)
"""Families in which a thread has one key."""


@cache
def load(name: str) -> Script:
    """A script by its file name. Raises ValueError if its contract cannot be read."""
    body = (FOLDER / f"{name}.lua").read_text()
    keys, args = _parameters(name, body, "KEYS"), _parameters(name, body, "ARGV")
    lines = [
        *(each.local("KEYS", at) for at, each in enumerate(keys, 1)),
        *(each.local("ARGV", at) for at, each in enumerate(args, 1)),
    ]
    source = "\n".join([*_used_parts(body), *lines, body])
    sha = hashlib.sha1(source.encode()).hexdigest()
    _sources[sha] = source
    key_names, arg_names = (frozenset(each.name for each in group) for group in (keys, args))
    return Script(name, source, sha, keys, args, key_names, arg_names)


@cache
def _prelude() -> tuple[tuple[frozenset[str], str], ...]:
    """The parts of the prelude in order, without comments, each with the names it defines."""
    text = _COMMENTS.sub("", (FOLDER / "prelude.lua").read_text())
    parts = [part for part in _PARTS.split(text) if part.strip()]
    return tuple((_names_defined(part), part) for part in parts)


def _names_defined(part: str) -> frozenset[str]:
    head = part.partition("\n")[0].removeprefix("local ").removeprefix("function ")
    return frozenset(_WORD.findall(re.split(r"[=(]", head)[0]))


def _used_parts(body: str) -> list[str]:
    """The parts of the prelude that a script needs: one can only use those before it."""
    words, used = set(_WORD.findall(_COMMENTS.sub("", body))), []
    for names, part in reversed(_prelude()):
        if names & words:
            words.update(_WORD.findall(part))
            used.append(part)
    return used[::-1]


def source_of(sha: str) -> str:
    """The text of a script that was loaded, by its hash."""
    return _sources[sha]


def _parameters(name: str, body: str, array: str) -> tuple[Parameter, ...]:
    found = re.search(rf"^-- {array} (.+(?:\n--   .+)*)", body, re.MULTILINE)
    if not found:
        return ()
    texts = [text.strip() for text in found[1].replace("\n--", " ").split(",")]
    parts = [_NAME.fullmatch(text) for text in texts]
    if not all(parts) or any(part["list"] for part in parts[:-1] if part):
        raise ValueError(f"{name}: cannot read the {array} of its contract")
    return tuple(
        Parameter(part["name"], bool(part["number"]), bool(part["list"])) for part in parts if part
    )
