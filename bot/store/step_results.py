"""The values of the finished steps of a turn."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from bot.models import decode, encode
from bot.store.steps import Step

T = TypeVar("T")


class _Made(NamedTuple):
    kind: Any
    value: Any


class StepResults:
    """The values by the name of their step.

    A value that was read from Redis stays JSON until it is asked for. One that this process has
    made is kept as it is: it shares its texts with the messages of the turn, and as JSON it would
    take a kilobyte of each run in flight.
    """

    __slots__ = ("_found",)

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._found: dict[str, str | _Made] = dict(stored)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def add(self, step: Step[T], value: T) -> str:
        """Add a value that is being recorded, in place of an earlier one; returns its JSON."""
        text = encode(value, step.type)
        read = decode(step.type, text)
        # A resumed turn reads it from Redis: it has to be the same now.
        self._found[step.name] = _Made(step.type, value if read == value else read)
        return text

    def add_stored(self, name: str, text: str) -> None:
        """Add a value that Redis holds already."""
        self._found[name] = text

    def value(self, step: Step[T]) -> T:
        """The value of a step that is done. Raises KeyError for others."""
        found = self._found[step.name]
        value: T = decode(step.type, found) if isinstance(found, str) else found.value
        return value

    @property
    def texts(self) -> dict[str, str]:
        """All values as JSON."""
        return {name: _text_of(found) for name, found in self._found.items()}

    def family(self, prefix: str) -> dict[str, str]:
        """The values as JSON of the steps whose name begins with a prefix, by the rest of it."""
        return {
            name.removeprefix(prefix): _text_of(found)
            for name, found in self._found.items()
            if name.startswith(prefix)
        }


def _text_of(found: str | _Made) -> str:
    return found if isinstance(found, str) else encode(found.value, found.kind)
