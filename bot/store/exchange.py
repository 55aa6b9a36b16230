"""Exchanges commands and replies with one Redis server, in one round trip."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AskError, MovedError

from bot.store.limits import CallLimits
from bot.store.pipelining import Pipelines
from bot.store.scripts import RedisCommand, source_of
from bot.store.topology import Topology


class Exchange:
    """Sends commands, each to the node that holds its key."""

    def __init__(self, topology: Topology, limits: CallLimits, pipelines: Pipelines) -> None:
        self._topology = topology
        self._limits = limits
        self._pipelines = pipelines

    async def send(
        self, client: "Redis", commands: Sequence[RedisCommand], *, follow: bool = True
    ) -> list[Any]:
        """Send commands in one round trip; returns their replies, errors among them.

        `follow`: commands whose key was moved to another node are sent to that one.
        """
        replies = await self._pipelines.of(client).send(client, commands)
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
            return (await self._pipelines.of(node).send(node, [("ASKING",), command]))[1]


def without_errors(replies: list[Any]) -> list[Any]:
    """The replies. Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
