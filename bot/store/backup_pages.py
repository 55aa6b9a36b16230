"""Reads the values of one key in parts of a bounded length, for a backup."""

from collections.abc import AsyncIterator
from typing import Any

from bot.store.connection import Connection
from bot.store.scanning import PAGE, scan

SCANS = {"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}


async def pages(connection: Connection, key: str, type_: str) -> AsyncIterator[list[Any]]:
    """The values of a key as flat lists, see `bot.store.backup_file`. None for foreign types."""
    if type_ == "string":
        value = await connection.execute("GET", key)
        if value is not None:
            yield [value]
    elif type_ in SCANS:
        async for found in scan(connection, SCANS[type_], key):
            if values := _flat(found):
                yield values
    elif type_ == "list":
        start = 0
        while values := await connection.execute("LRANGE", key, start, start + PAGE - 1):
            yield values
            start += PAGE
    elif type_ == "stream":
        after = "-"
        while found := await connection.execute("XRANGE", key, after, "+", "COUNT", PAGE):
            yield [part for id_, fields in found for part in (id_, _flat(fields))]
            after = f"({found[-1][0]}"


def _flat(found: Any) -> list[Any]:
    """The reply to a scan as a flat list; scores as text that keeps every digit."""
    if isinstance(found, dict):
        return [part for pair in found.items() for part in pair]
    return [
        part
        for each in found
        for part in ((each[0], repr(each[1])) if isinstance(each, tuple) else (each,))
    ]
