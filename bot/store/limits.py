"""Limits how many calls of this process use a Redis server at once."""

import asyncio
from weakref import WeakKeyDictionary

from redis.asyncio import Redis


class CallLimits:
    """A limit for each server: a node of a cluster that hangs delays no call to the others.

    The pool's own queue is unfair: under load some callers would starve.
    """

    def __init__(self, calls: int) -> None:
        """`calls` may use each server at once."""
        self._calls = calls
        self._each: WeakKeyDictionary[Redis, asyncio.Semaphore] = WeakKeyDictionary()

    def of(self, client: "Redis") -> asyncio.Semaphore:
        """The limit of the server that this client leads to."""
        limit = self._each.get(client)
        if limit is None:
            limit = self._each[client] = asyncio.Semaphore(self._calls)
        return limit
