"""The rules file: regular expressions by the name of what they find, in TOML.

["a credit card number"]
pattern = '\\b(?:\\d[ -]?){13,16}\\b'
"""

import asyncio
import re
import time
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import regex
from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.errors import ConfigError
from bot.telemetry.log import log

UNCHECKED = "something that could not be checked in time"
LONGEST_NAME = 80


class Rule(BaseModel, frozen=True, extra="forbid"):
    """A regular expression; case is ignored unless it says `(?-i)`."""

    pattern: str


_FILE: TypeAdapter[dict[str, Rule]] = TypeAdapter(dict[str, Rule])
Patterns = Mapping[str, "regex.Pattern[str]"]


def load_rules(path: Path) -> Patterns:
    """Read the file. Raises ConfigError."""
    try:
        rules = _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise _fault(f"{path}: {where}: {error.errors()[0]['msg']}") from None
    except (OSError, ValueError) as error:
        raise _fault(f"{path} cannot be read: {error}") from None
    if not rules:
        raise _fault(f"{path} has no rule")
    return {_name(path, name): _compile(path, name, rule) for name, rule in rules.items()}


def _name(path: Path, name: str) -> str:
    if not 1 <= len(name) <= LONGEST_NAME or "\n" in name:
        raise _fault(f"{path}: a name has 1 to {LONGEST_NAME} characters: people read it")
    return name


def _compile(path: Path, name: str, rule: Rule) -> "regex.Pattern[str]":
    try:
        pattern = regex.compile(rule.pattern, regex.IGNORECASE)
    except (regex.error, OverflowError, RecursionError) as error:
        raise _fault(f"{path}: {name}: {error}") from None
    if pattern.search("", timeout=1):
        raise _fault(f"{path}: {name}: it matches an empty text, so nothing could be sent")
    return pattern


def _fault(problem: str) -> ConfigError:
    return ConfigError("BOT_DLP_RULES", problem)


class Rules:
    """Checks texts with the rules, in a thread; `seconds` for all texts of one call."""

    def __init__(self, patterns: Patterns, seconds: float) -> None:
        self._patterns = patterns
        self._seconds = seconds

    async def find(self, texts: Sequence[str]) -> list[str]:
        """The names of the rules that match each text; "" if none does."""
        return await asyncio.to_thread(self._find, texts)

    def _find(self, texts: Sequence[str]) -> list[str]:
        until = time.monotonic() + self._seconds
        return [self._find_in(text, until) for text in texts]

    def _find_in(self, text: str, until: float) -> str:
        forms = dict.fromkeys((text, plain_form(text)))
        found = []
        for name, pattern in self._patterns.items():
            try:
                if any(self._matches(pattern, form, until) for form in forms):
                    found.append(name)
            except TimeoutError:
                log.warning("dlp_rule_slow", characters=len(text))
                return UNCHECKED
        return ", ".join(found)

    def _matches(self, pattern: "regex.Pattern[str]", text: str, until: float) -> bool:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return pattern.search(text, timeout=left, concurrent=True) is not None


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)


def plain_form(text: str) -> str:
    """The text without invisible characters, in compatibility form: full-width digits are digits.

    Such characters would hide a match from a rule and not from a model.
    """
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
