"""Reading what is too large for one reply: page by page, with a cursor."""

from collections.abc import AsyncGenerator
from typing import Any

from bot.store.connection import Connection

PAGE = 500
"""Elements in one reply, roughly."""


async def scan(
    connection: Connection, *command: str, match: str = "*", count: int = PAGE
) -> AsyncGenerator[Any]:
    """The pages of `SCAN`, or of `HSCAN`, `SSCAN` or `ZSCAN` and a key.

    Redis may repeat an element, and a page may be empty.
    """
    name, *key = command
    cursor = "0"
    while True:
        cursor, page = await connection.execute(name, *key, cursor, "MATCH", match, "COUNT", count)
        yield page
        if str(cursor) == "0":
            return
