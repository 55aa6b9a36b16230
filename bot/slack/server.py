"""The Bolt app with all its listeners, and the two ways in: signed HTTP and Socket Mode."""

import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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

from bot.errors import BotError
from bot.settings import Settings
from bot.slack.client import Identity
from bot.slack.events import Listeners, installation
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.surfaces.channel_modal import ChannelModal
from bot.slack.surfaces.commands import COMMANDS, Answer, Ask, Command
from bot.slack.surfaces.feedback import AnswerButtons
from bot.slack.surfaces.home import Home
from bot.slack.surfaces.job_buttons import ErrandButtons
from bot.slack.surfaces.shortcuts import Buttons
from bot.store import Store, jobs
from bot.telemetry import metrics, trace
from bot.telemetry.log import log

# We give Bolt a client on purpose, and that the token is in the environment as well is no news.
logging.getLogger("slack_bolt.AsyncApp").addFilter(
    lambda record: record.getMessage() != warning_client_prioritized_and_token_skipped()
)

EVENTS_PATH = "/slack/events"
LARGEST_BODY = 1024 * 1024
"""Bytes; Slack's own payloads stay far below."""


class MeasuredApp(AsyncApp):
    """Bolt's app, timed from Slack's request to our answer, by either way in."""

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """What Bolt calls for every request of Slack."""
        began = time.perf_counter()
        with trace.span("slack request", kind="server", slack_transport=req.mode):
            response = await super().async_dispatch(req)
        seconds = time.perf_counter() - began
        metrics.acks.labels(req.mode, response.status).observe(seconds)
        return response


def build_app(
    settings: Settings,
    store: Store,
    client: AsyncWebClient,
    identity: Identity,
    people: People,
    rights: Rights,
) -> AsyncApp:
    """Bolt's app, with a listener for every event, command, shortcut and button of ours."""
    token = settings.slack_bot_token.get_secret_value()
    secret = settings.slack_signing_secret

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=identity.enterprise_id or None,
            team_id=identity.team_id,
            bot_user_id=identity.user_id,
            bot_id=identity.bot_id,
            bot_token=token,
        )

    app = MeasuredApp(
        # Bolt gives each listener a client with the token that `authorize` returns.
        client=AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[]),
        authorize=authorize,
        signing_secret=secret.get_secret_value() if secret else "",
        process_before_response=True,  # by default Bolt says 200 before the listener has run
        attaching_conversation_kwargs_enabled=False,
    )
    home = Home(store, people, rights, client, identity.url)
    home.register(app)
    ChannelModal(store, people, client, home).register(app)
    Listeners(store, client, identity, people, rights, settings).register(app)
    Buttons(store, rights).register(app)
    ErrandButtons(store, home.tell_asked).register(app)
    AnswerButtons(store, rights).register(app)
    for command in COMMANDS:
        app.command(command.name)(_command_listener(command, store, people, rights, identity.url))

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
    command: Command, store: Store, people: People, rights: Rights, url: str
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
            url=url,
        )
        await ack(**await _answer(command, ask), response_type="ephemeral")

    return listen


@asynccontextmanager
async def open_socket_mode(
    app: AsyncApp, settings: Settings
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Listen on Slack's WebSocket until the end of the block; gives whether we are connected."""
    assert settings.slack_app_token is not None
    handler = AsyncSocketModeHandler(app, settings.slack_app_token.get_secret_value())
    try:
        await handler.client.connect()
        yield handler.client.is_connected
    finally:
        await handler.client.close()


def add_events_route(site: web.Application, app: AsyncApp) -> None:
    """Take Slack's signed requests at `/slack/events`.

    A body that is too large, no UTF-8 or no JSON is refused with 4xx before Bolt sees it.
    """

    async def slack_events(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if not request.headers.get("X-Slack-Request-Timestamp", "").isdecimal():
            return web.json_response({"error": "invalid request"}, status=401)
        try:
            body = raw.decode()
            if request.content_type == "application/json" and not isinstance(
                json.loads(body), dict
            ):
                raise ValueError("no object")
            bolt_request = AsyncBoltRequest(
                body=body,
                query=request.query_string,
                headers=dict(request.headers.items()),
            )
        except (ValueError, AttributeError, TypeError):
            return web.json_response({"error": "malformed body"}, status=400)
        return await to_aiohttp_response(await app.async_dispatch(bolt_request))

    site.router.add_post(EVENTS_PATH, slack_events)
