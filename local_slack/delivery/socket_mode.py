"""Deliveries through Socket Mode: the WebSocket server that Slack runs for an app."""

import asyncio
import json
import secrets
import uuid
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from local_slack.delivery.delivery import AppResponse, Delivery
from local_slack.workspace.model import Json

MAX_CONNECTIONS = 10


@dataclass(eq=False)
class SocketConnection:
    """One open WebSocket; acknowledgements count on the socket that got the envelope.

    (Slack does not say whether an acknowledgement on another socket counts; this is stricter.)
    """

    socket: web.WebSocketResponse
    waiting: dict[str, asyncio.Future[AppResponse]] = field(default_factory=dict)
    leaving: bool = False


class SocketMode:
    """The transport of Socket Mode: up to 10 connections, each envelope goes to one of them."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self._connections: list[SocketConnection] = []
        self._tickets: set[str] = set()
        self._turn = 0
        self.ever_opened = False
        self.turned_away = 0
        """Connections refused because all were in use."""

    @property
    def connections(self) -> int:
        return len(self._connections)

    def issue_ticket(self) -> str:
        self.ever_opened = True
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The handler of the URL that `apps.connections.open` returns; each ticket works once."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self._connections) >= MAX_CONNECTIONS:
            self.turned_away += 1
            await socket.send_json(self._disconnect("too_many_websockets"))
            await socket.close()
            return socket
        connection = SocketConnection(socket)
        self._connections.append(connection)
        try:
            await socket.send_json(self._hello())
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    _acknowledge(connection, message.data)
        finally:
            self._connections.remove(connection)
            _give_up(connection)
        return socket

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections),
            "debug_info": {
                "host": "applink-local-slack",
                "build_number": 1,
                "approximate_connection_time": 3600,
            },
            "connection_info": {"app_id": self._app_id},
        }

    def _disconnect(self, reason: str) -> Json:
        return {
            "type": "disconnect",
            "reason": reason,
            "debug_info": {"host": "applink-local-slack"},
        }

    async def refresh(self, *, warn: bool = False) -> None:
        """Ask every client to reconnect, as Slack does from time to time.

        With `warn` only the warning is sent and the sockets stay open for the client to leave.
        """
        for connection in tuple(self._connections):
            reason = "warning" if warn else "refresh_requested"
            await connection.socket.send_json(self._disconnect(reason))
            if not warn:
                connection.leaving = True

    async def cut(self) -> None:
        """Close every connection without notice."""
        for connection in tuple(self._connections):
            await connection.socket.close()

    async def send(
        self, delivery: Delivery, timeout: float, retry_num: int, retry_reason: str
    ) -> AppResponse:
        usable = [c for c in self._connections if not (c.leaving or c.socket.closed)]
        if not usable:
            return AppResponse(None, "connection_failed")
        self._turn += 1
        connection = usable[self._turn % len(usable)]
        envelope_id = str(uuid.uuid4())
        waiter: asyncio.Future[AppResponse] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope_id] = waiter
        try:
            await connection.socket.send_json(
                _envelope(delivery, envelope_id, retry_num, retry_reason)
            )
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            return AppResponse(None, "timeout")
        except (ConnectionError, RuntimeError):
            return AppResponse(None, "connection_failed")
        finally:
            connection.waiting.pop(envelope_id, None)


def _envelope(delivery: Delivery, envelope_id: str, retry_num: int, retry_reason: str) -> Json:
    frame: Json = {
        "envelope_id": envelope_id,
        "payload": delivery.payload,
        "type": delivery.kind,
        "accepts_response_payload": delivery.kind != "events_api",
    }
    if delivery.kind == "events_api":
        frame |= {"retry_attempt": retry_num, "retry_reason": retry_reason}
    return frame


def _acknowledge(connection: SocketConnection, text: str) -> None:
    try:
        frame = json.loads(text)
    except ValueError:
        return
    waiter = connection.waiting.get(frame.get("envelope_id", ""))
    if waiter is not None and not waiter.done():
        waiter.set_result(AppResponse(200, body=frame.get("payload")))


def _give_up(connection: SocketConnection) -> None:
    for waiter in connection.waiting.values():
        if not waiter.done():
            waiter.set_result(AppResponse(None, "connection_failed"))
