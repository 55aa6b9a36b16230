"""A bare request URL that records requests."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from local_slack import LocalSlack

Answering = Callable[[int], Awaitable[web.Response]]


class Receiver:
    """A request URL that records requests; `answer` is called with the number of the request."""

    def __init__(self, answer: Answering) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._answer = answer

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.json()))
        return await self._answer(len(self.requests))

    @property
    def types(self) -> list[str]:
        return [body["event"]["type"] for _, body in self.requests]


@contextlib.asynccontextmanager
async def receiving(slack: LocalSlack, answer: Answering | None = None) -> AsyncIterator[Receiver]:
    async def ok(number: int) -> web.Response:
        return web.Response()

    receiver = Receiver(answer or ok)
    app = web.Application()
    app.router.add_post("/slack/events", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.events_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield receiver
    finally:
        await runner.cleanup()
