"""A real Bolt app over HTTP or Socket Mode."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack


def make_client(slack: LocalSlack, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(token=token or slack.bot_token, base_url=slack.api_url, retry_handlers=[])


def make_app(slack: LocalSlack) -> AsyncApp:
    return AsyncApp(
        client=make_client(slack),
        signing_secret=slack.signing_secret,
        process_before_response=True,
    )


@contextlib.asynccontextmanager
async def served(app: AsyncApp, slack: LocalSlack) -> AsyncIterator[None]:
    """Serve the app at a request URL."""
    runner = web.AppRunner(app.server(port=0).web_app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.events_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def connected(app: AsyncApp, slack: LocalSlack) -> AsyncIterator[AsyncSocketModeHandler]:
    """Run the app in Socket Mode."""
    handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=1)
    await handler.connect_async()
    await slack.wait_for(lambda: slack.sockets.connections == 1)
    try:
        yield handler
    finally:
        await handler.close_async()
