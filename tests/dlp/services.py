"""A DLP service over HTTP that refuses texts with a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class FakeService:
    """Refuses texts that contain `word`; answers with `status`, `body` and `delay` if set."""

    word: str = "secret"
    url: str = ""
    status: int = 200
    body: Any = None
    delay: float = 0
    pieces: int = 1
    """The number of pieces in which the body arrives."""
    asked: list[list[str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        texts = (await request.json())["texts"]
        self.asked.append(texts)
        self.tokens.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(self.delay)
        if self.body is not None:
            return await self._in_pieces(request)
        refused = [
            {"index": index, "reason": f"the word\n{self.word}"}
            for index, text in enumerate(texts)
            if self.word in text
        ]
        return web.json_response({"refused": refused}, status=self.status)

    async def _in_pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        size = len(self.body) // self.pieces + 1
        for start in range(0, len(self.body), size):
            await response.write(self.body[start : start + size])
            await asyncio.sleep(0.01)
        return response


@asynccontextmanager
async def open_service() -> AsyncIterator[FakeService]:
    service = FakeService()
    site = web.Application(client_max_size=50_000_000)
    site.router.add_post("/check", service.answer)
    runner = web.AppRunner(site, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/check"
        yield service
    finally:
        await runner.cleanup()
