"""Reads stored values, some of which may be corrupt: those are logged and left out."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bot.telemetry.log import log

if TYPE_CHECKING:
    from bot.store.connection import Connection

S = TypeVar("S")
T = TypeVar("T")

UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""The errors that parsing a corrupt value may raise."""


def read_each(key: str, values: Iterable[S], parse: Callable[[S], T]) -> list[tuple[S, T]]:
    """Pairs of a value and its parsed form, without the values that cannot be parsed."""
    found, corrupt = [], 0
    for value in values:
        try:
            found.append((value, parse(value)))
        except UNREADABLE:
            corrupt += 1
    if corrupt:
        log.error("redis_value_corrupt", key=key, values=corrupt)
    return found


def read_count(key: str, value: str | None) -> int:
    """A stored integer; 0 if it is missing or corrupt."""
    found = read_each(key, [value or "0"], int)
    return found[0][1] if found else 0


async def read_members(
    connection: "Connection", key: str, names: Sequence[str], parse: Callable[[str], T]
) -> list[tuple[str, T]]:
    """`read_each` for members of a sorted set, from which corrupt ones are removed.

    Otherwise they would be read first each time and block the members behind them.
    """
    found = read_each(key, names, parse)
    if len(found) < len(names):
        sound = {name for name, _ in found}
        await connection.execute("ZREM", key, *(name for name in names if name not in sound))
    return found
