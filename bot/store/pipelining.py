"""Automatic pipelining: calls that are made at the same moment share a round trip.

Under load, most of what a call costs is its round trip: system calls at both ends, and with
`appendfsync always` a write to the disk.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot.store.scripts import RedisCommand

MOST_COMMANDS = 64
"""Commands of a shared round trip at most: each caller waits for the replies to all of them."""
BLOCKING = frozenset({"XREADGROUP", "WAIT", "WAITAOF"})
"""Commands whose reply may take long: they share no round trip."""


class Pipelines:
    """The pipeline to each server: a node of a cluster that hangs delays no call to the others."""

    def __init__(self, connections: int) -> None:
        """`connections` to each server, at most."""
        self._connections = connections
        self._each: WeakKeyDictionary[Redis, Pipeline] = WeakKeyDictionary()

    def of(self, client: "Redis") -> "Pipeline":
        """The pipeline to the server that this client leads to."""
        pipeline = self._each.get(client)
        if pipeline is None:
            pipeline = self._each[client] = Pipeline(self._connections)
        return pipeline


class QueuedCall:
    """The commands of a caller that waits for their replies.

    Raises what hiredis raises for a value that cannot be sent, so that it stops no other call.
    """

    __slots__ = ("client", "commands", "replies", "request", "trip")

    def __init__(self, client: "Redis", commands: Sequence[RedisCommand]) -> None:
        self.client = client
        self.commands = commands
        self.request = b"".join(pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]  # hiredis's gap
        self.replies: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.trip: RoundTrip | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it shares no round trip."""
        return len(self.commands) > MOST_COMMANDS or any(
            command[0] in BLOCKING for command in self.commands
        )


class RoundTrip:
    """A round trip of some calls."""

    def __init__(self, calls: Sequence[QueuedCall]) -> None:
        self._calls = calls
        self._task = asyncio.create_task(self._make())
        for call in calls:
            call.trip = self

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back at its end."""
        self._task.add_done_callback(lambda _: callback())

    def give_up(self) -> None:
        """End it if no caller is left: its connection is closed."""
        if all(call.replies.done() for call in self._calls):
            self._task.cancel()

    async def _make(self) -> None:
        try:
            request = b"".join(call.request for call in self._calls)
            names = [str(command[0]) for call in self._calls for command in call.commands]
            replies = iter(await round_trip(self._calls[0].client, request, names))
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, Exception):
                raise
            return
        for call in self._calls:
            own = list(islice(replies, len(call.commands)))
            if not call.replies.done():
                call.replies.set_result(own)
        self._calls = ()  # they refer to us: only the collector would free them

    def _fail(self, error: BaseException) -> None:
        for call in self._calls:
            if isinstance(error, Exception) and not call.replies.done():
                call.replies.set_exception(error)
            call.replies.cancel()
        self._calls = ()


class Pipeline:
    """The calls to one server. Those of one pass of the event loop share a round trip, and so do
    those that have waited for a free connection."""

    def __init__(self, connections: int) -> None:
        self._free = connections
        self._waiting: deque[QueuedCall] = deque()
        self._is_due = False

    async def send(self, client: "Redis", commands: Sequence[RedisCommand]) -> list[Any]:
        """Send commands in one round trip; returns their replies, errors among them."""
        call = QueuedCall(client, commands)
        self._waiting.append(call)
        self._plan()
        try:
            return await call.replies
        except asyncio.CancelledError:
            if call.trip:
                call.trip.give_up()
            raise

    def _plan(self) -> None:
        if self._waiting and self._free and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        while self._free and (calls := self._next()):
            self._free -= 1
            RoundTrip(calls).when_done(self._end)

    def _end(self) -> None:
        self._free += 1
        self._plan()

    def _next(self) -> list[QueuedCall]:
        """The calls of the next round trip; those whose callers have given up are dropped."""
        calls, commands = list[QueuedCall](), 0
        while self._waiting:
            call = self._waiting[0]
            if not call.replies.done():
                commands += len(call.commands)
                if calls and (commands > MOST_COMMANDS or call.is_alone or calls[0].is_alone):
                    break
                calls.append(call)
            self._waiting.popleft()
        return calls


async def round_trip(client: "Redis", request: bytes, names: Sequence[str]) -> list[Any]:
    """Send packed commands with these names; returns their replies, errors among them.

    This is what redis-py does for a pipeline, without what it measures and retries around it. A
    connection that was closed, or holds unread data, is reopened first.
    """
    pool: Any = client.connection_pool
    connection = pool.get_available_connection()
    try:
        if not connection.is_connected or await connection.can_read():
            await pool.ensure_connection(connection)
        await connection.send_packed_command(request)
        return [await _reply(client, connection, name) for name in names]
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may be left
        raise
    finally:
        await pool.release(connection)


async def _reply(client: "Redis", connection: Any, name: str) -> Any:
    """A reply as redis-py gives it, or its error. An error leaves the next replies readable, also
    that of a value which is not UTF-8."""
    try:
        reply = await connection.read_response(disconnect_on_error=False)
    except (ResponseError, UnicodeDecodeError) as error:
        return error
    convert = client.response_callbacks.get(name)
    return convert(reply) if convert else reply
