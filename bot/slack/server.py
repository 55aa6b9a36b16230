"""The Bolt app with all its listeners, and the two ways in: signed HTTP and Socket Mode."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.logger.messages import warning_client_prioritized_and_token_skipped
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.calls import ToolSummary
from bot.errors import BotError
from bot.settings import Settings
from bot.slack.client import Identity
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.events import Listeners, installation
from bot.slack.http_server import REQUEST_SECONDS
from bot.slack.messages import Messages
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.signatures import Verifier
from bot.slack.socket_count import counting
from bot.slack.surfaces.approvals import ApprovalButtons
from bot.slack.surfaces.channel_modal import ChannelModal
from bot.slack.surfaces.commands import Answer, Ask, Command, all_commands
from bot.slack.surfaces.feedback import AnswerButtons
from bot.slack.surfaces.home import Home
from bot.slack.surfaces.job_buttons import JobButtons
from bot.slack.surfaces.shortcuts import Buttons
from bot.store import Store, jobs
from bot.telemetry import metrics, trace
from bot.telemetry.log import log

# Bolt gets our client on purpose; its warning about the token in the environment is noise.
logging.getLogger("slack_bolt.AsyncApp").addFilter(
    lambda record: record.getMessage() != warning_client_prioritized_and_token_skipped()
)

EVENTS_PATH = "/slack/events"
LARGEST_BODY = 1024 * 1024
"""Maximum body size in bytes; Slack's payloads are far smaller."""


class MeasuredApp(AsyncApp):
    """Bolt's app, timed from Slack's request to our response, for both transports.

    Malformed requests and events of the bot's own messages end here.
    """

    def __init__(self, messages: Messages, notes: DeliveryNotes, **options: Any) -> None:
        super().__init__(**options)
        self._messages = messages
        self._notes = notes

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Called by Bolt for every request from Slack."""
        began = time.perf_counter()
        self._notes.accepted()
        if not is_well_formed(req.body):
            return BoltResponse(status=400, body={"error": "malformed body"})
        if self._is_our_own(req.body.get("event")):
            return BoltResponse(status=200)
        with trace.span("slack request", kind="server", slack_transport=req.mode):
            response = await super().async_dispatch(req)
        seconds = time.perf_counter() - began
        metrics.acks.labels(req.mode, response.status).observe(seconds)
        return response

    def _is_our_own(self, event: Any) -> bool:
        """Whether the event is about one of the bot's own messages."""
        if not isinstance(event, dict) or event.get("type") != "message":
            return False
        inner = event.get("message") or event.get("previous_message")
        return self._messages.is_ours(inner if isinstance(inner, dict) else event)


def is_well_formed(body: Any) -> bool:
    """Whether a request has the fields that every listener needs."""
    if not isinstance(body, dict):
        return False
    if body.get("type") == "event_callback":
        event = body.get("event")
        return isinstance(event, dict) and isinstance(event.get("type"), str)
    if "command" in body:
        return all(isinstance(body.get(key), str) for key in ("user_id", "channel_id"))
    return True


def build_app(
    settings: Settings,
    store: Store,
    client: AsyncWebClient,
    identity: Identity,
    people: People,
    rights: Rights,
    notes: DeliveryNotes,
    tools: ToolSummary,
) -> AsyncApp:
    """Bolt's app, with the listeners of all our events, commands, shortcuts and buttons."""
    token = settings.slack_bot_token.get_secret_value()

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=identity.enterprise_id or None,
            team_id=identity.team_id,
            bot_user_id=identity.user_id,
            bot_id=identity.bot_id,
            bot_token=token,
        )

    app = MeasuredApp(
        Messages(identity),
        notes,
        # Bolt gives each listener a client with the token that `authorize` returns.
        client=AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[]),
        authorize=authorize,
        request_verification_enabled=False,  # `add_events_route` verifies before it parses
        process_before_response=True,  # by default Bolt returns 200 before the listener has run
        attaching_conversation_kwargs_enabled=False,
    )
    home = Home(store, people, rights, client, identity.url)
    home.register(app)
    ChannelModal(store, people, client, home, tools).register(app)
    Listeners(store, client, identity, people, rights, settings).register(app)
    Buttons(store, rights).register(app)
    JobButtons(store, home.tell_asked).register(app)
    AnswerButtons(store, rights).register(app)
    ApprovalButtons(store, rights, client).register(app)
    for command in all_commands():
        name = f"/{settings.bot_command_prefix}{command.name.removeprefix('/')}"
        app.command(name)(_command_listener(command, store, people, rights, tools, identity.url))

    @app.error
    async def error(error: Exception, body: Mapping[str, Any]) -> None:
        log.error(
            "listener_failed",
            error=type(error).__name__,
            event_id=body.get("event_id"),
            kind=body.get("type") or body.get("command"),
            exc_info=None if isinstance(error, BotError) else error,
        )

    return app


async def _answer(command: Command, ask: Ask) -> Answer:
    place = jobs.place(ask.team_id, ask.user_id)
    reason = "" if command.for_everyone else await ask.rights.refusal_of(place, ask.user_id)
    return {"text": await ask.rights.explain(reason)} if reason else await command.answer(ask)


def _command_listener(
    command: Command,
    store: Store,
    people: People,
    rights: Rights,
    tools: ToolSummary,
    url: str,
) -> Any:
    async def listen(ack: AsyncAck, body: Mapping[str, Any], context: AsyncBoltContext) -> None:
        ask = Ask(
            team_id=installation(context),
            channel_id=body["channel_id"],
            user_id=body["user_id"],
            text=body.get("text") or "",
            store=store,
            people=people,
            rights=rights,
            tools=tools,
            url=url,
        )
        await ack(**await _answer(command, ask), response_type="ephemeral")

    return listen


@asynccontextmanager
async def open_socket_mode(
    app: AsyncApp, settings: Settings, store: Store
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Listen on Slack's WebSocket inside the block; yields a function that says if it is
    connected."""
    assert settings.slack_app_token is not None
    handler = AsyncSocketModeHandler(app, settings.slack_app_token.get_secret_value())
    async with counting(handler.client, store):
        try:
            await handler.client.connect()
            yield handler.client.is_connected
        finally:
            await handler.client.close()


def add_events_route(
    site: web.Application,
    app: AsyncApp,
    verifier: Verifier,
    notes: DeliveryNotes,
    *,
    seconds: float = REQUEST_SECONDS,
) -> None:
    """Accept Slack's signed requests at `/slack/events`.

    Unsigned requests get 401 before they are read, malformed ones 400.
    """

    async def slack_events(request: web.Request) -> web.StreamResponse:
        reason = verifier.reject_headers(request.headers)
        if reason:
            return _reject(notes, reason)
        try:
            async with asyncio.timeout(seconds):
                raw = await request.read()
        except TimeoutError:
            return _refuse(408, "the body took too long")
        if reason := verifier.reject_body(request.headers, raw):
            return _reject(notes, reason)
        try:
            bolt_request = _parse_request(request, raw)
        except (ValueError, AttributeError, TypeError, RecursionError):
            return _refuse(400, "malformed body")
        return await to_aiohttp_response(await app.async_dispatch(bolt_request))

    site.router.add_post(EVENTS_PATH, slack_events)


def _parse_request(request: web.Request, raw: bytes) -> AsyncBoltRequest:
    body = raw.decode()
    if request.content_type == "application/json" and not isinstance(json.loads(body), dict):
        raise ValueError("no object")
    headers: dict[str, str | Sequence[str]] = dict(request.headers.items())
    return AsyncBoltRequest(body=body, query=request.query_string, headers=headers)


def _reject(notes: DeliveryNotes, reason: str) -> web.Response:
    notes.rejected(reason)
    return _refuse(401, "invalid request")


def _refuse(status: int, error: str) -> web.Response:
    response = web.json_response({"error": error}, status=status)
    response.force_close()
    return response
