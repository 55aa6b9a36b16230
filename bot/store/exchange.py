"""Exchanges commands and replies with one Redis server, in one round trip."""

from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import AskError, MovedError, ResponseError

from bot.store.limits import CallLimits
from bot.store.scripts import RedisCommand, source_of
from bot.store.topology import Topology


class Exchange:
    """Sends commands, each to the node that holds its key."""

    def __init__(self, topology: Topology, limits: CallLimits) -> None:
        self._topology = topology
        self._limits = limits

    async def send(
        self, client: "Redis", commands: Sequence[RedisCommand], *, follow: bool = True
    ) -> list[Any]:
        """Send commands in one round trip; returns their replies, errors among them.

        `follow`: commands whose key was moved to another node are sent to that one.
        """
        replies = await exchange(client, commands)
        for at, reply in enumerate(replies if follow else ()):
            if isinstance(reply, AskError) and not isinstance(reply, MovedError):
                replies[at] = await self._ask(reply, commands[at])
        return replies

    async def _ask(self, error: AskError, command: RedisCommand) -> Any:
        """The reply of the node that takes over our slot, for a key that it holds already."""
        if command[0] == "EVALSHA":
            command = ("EVAL", source_of(str(command[1])), *command[2:])
        node = await self._topology.node((error.host, error.port))
        async with self._limits.of(node):
            return (await exchange(node, [("ASKING",), command]))[1]


async def exchange(client: "Redis", commands: Sequence[RedisCommand]) -> list[Any]:
    """Send commands in one round trip; returns their replies, errors among them.

    This is what redis-py does for a pipeline, without what it measures and retries around it. A
    connection that was closed, or holds unread data, is reopened first.
    """
    request = b"".join(pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]  # hiredis's gap
    pool: Any = client.connection_pool
    connection = pool.get_available_connection()
    try:
        if not connection.is_connected or await connection.can_read():
            await pool.ensure_connection(connection)
        await connection.send_packed_command(request)
        return [await _reply(client, connection, command) for command in commands]
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may be left
        raise
    finally:
        await pool.release(connection)


async def _reply(client: "Redis", connection: Any, command: RedisCommand) -> Any:
    try:
        return await client.parse_response(connection, str(command[0]))
    except ResponseError as error:
        return error


def without_errors(replies: list[Any]) -> list[Any]:
    """The replies. Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
