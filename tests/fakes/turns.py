"""Complete turns with the SDK."""

import asyncio
import time
from collections.abc import Callable

from openai import AsyncOpenAI
from openai.types.responses import Response

MODEL = "gpt-6-luna"


async def ask(client: AsyncOpenAI, text: str, conversation_id: str | None = None) -> Response:
    """One turn, polled to its end."""
    if conversation_id is None:
        response = await client.responses.create(model=MODEL, input=text, background=True)
    else:
        response = await client.responses.create(
            model=MODEL, input=text, background=True, conversation=conversation_id
        )
    return await poll(client, response)


async def poll(client: AsyncOpenAI, response: Response) -> Response:
    while response.status in ("queued", "in_progress"):
        await asyncio.sleep(0.002)
        response = await client.responses.retrieve(response.id)
    return response


async def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Yields to the loop until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        await asyncio.sleep(0.005)
