"""The two transports of Slack's requests: signed HTTP and Socket Mode."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.settings import Settings
from bot.slack.client import SlackClient
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.dispatch import Dispatcher
from bot.slack.http_server import REQUEST_SECONDS
from bot.slack.shapes import is_well_formed
from bot.slack.signatures import Verifier
from bot.slack.socket_count import counting
from bot.store import Store
from bot.telemetry.log import log

EVENTS_PATH = "/slack/events"


class _SocketMode(AsyncSocketModeHandler):
    """Acknowledges malformed requests, so that Slack does not send them again."""

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]  # Bolt narrows it, too
        if is_well_formed(req.payload):
            await super().handle(client, req)
            return
        log.warning("request_malformed", kind=req.type)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=req.envelope_id))


@asynccontextmanager
async def open_socket_mode(
    dispatcher: Dispatcher, client: SlackClient, settings: Settings, store: Store
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Listen on Slack's WebSocket inside the block; yields a function that says if it is
    connected."""
    assert settings.slack_app_token is not None
    handler = _SocketMode(
        dispatcher,  # type: ignore[arg-type]  # all that it uses of an app is `async_dispatch`
        settings.slack_app_token.get_secret_value(),
        logger=logging.getLogger("slack_bolt.AsyncApp"),
        web_client=client,
    )
    async with counting(handler.client, store):
        try:
            await handler.client.connect()
            yield handler.client.is_connected
        finally:
            await handler.client.close()


def add_events_route(
    site: web.Application,
    dispatcher: Dispatcher,
    verifier: Verifier,
    notes: DeliveryNotes,
    *,
    seconds: float = REQUEST_SECONDS,
) -> None:
    """Accept Slack's signed requests at `/slack/events`.

    Unsigned requests get 401 before they are read, compressed ones 415, malformed ones 400.
    """

    async def slack_events(request: web.Request) -> web.StreamResponse:
        reason = verifier.reject_headers(request.headers)
        if reason:
            return _reject(notes, reason)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return _refuse(415, "Slack does not compress")
        try:
            async with asyncio.timeout(seconds):
                raw = await request.read()
        except TimeoutError:
            return _refuse(408, "the body took too long")
        if reason := verifier.reject_body(request.headers, raw):
            return _reject(notes, reason)
        try:
            bolt_request = _parse_request(request, raw)
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            return _refuse(400, "malformed body")
        return await to_aiohttp_response(await dispatcher.async_dispatch(bolt_request))

    site.router.add_post(EVENTS_PATH, slack_events)


def _parse_request(request: web.Request, raw: bytes) -> AsyncBoltRequest:
    headers: dict[str, str | Sequence[str]] = dict(request.headers.items())
    parsed = AsyncBoltRequest(body=raw.decode(), query=request.query_string, headers=headers)
    if not isinstance(parsed.body, dict):
        raise TypeError("no object")
    return parsed


def _reject(notes: DeliveryNotes, reason: str) -> web.Response:
    notes.rejected(reason)
    return _refuse(401, "invalid request")


def _refuse(status: int, error: str) -> web.Response:
    response = web.json_response({"error": error}, status=status)
    response.force_close()
    return response
