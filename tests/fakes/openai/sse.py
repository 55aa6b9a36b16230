"""Server-sent events over one HTTP response, cut by faults."""

import json
from collections.abc import AsyncIterator

from aiohttp import web

from .faults import Fault
from .state import FAULT
from .work import Event

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


async def send_events(
    request: web.Request,
    events: AsyncIterator[Event],
    *,
    ends_with_done: bool = False,
    named: bool = True,
) -> web.StreamResponse:
    """Streams the events, with their names; `ends_with_done` adds a closing `[DONE]`."""
    fault: Fault | None = request.get(FAULT)
    if fault is not None and fault.kind in ("hang_after", "drop_after"):
        return web.StreamResponse()  # the server hangs or drops before the first event
    cut = fault if fault is not None and fault.kind == "drop_stream" else None
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    sent = count = 0
    async for event in events:
        if cut is not None and cut.events is not None and count >= cut.events:
            return _drop(request, response)
        name = f"event: {event.name}\n" if named else ""
        frame = f"{name}data: {json.dumps(event.data)}\n\n".encode()
        if cut is not None and cut.bytes is not None and sent + len(frame) > cut.bytes:
            await response.write(frame[: cut.bytes - sent])
            return _drop(request, response)
        await response.write(frame)
        sent, count = sent + len(frame), count + 1
    if ends_with_done:
        await response.write(b"event: done\ndata: [DONE]\n\n" if named else b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _drop(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response
