"""Server-sent events over one HTTP response, cut by faults."""

import json
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from .faults import Fault
from .state import FAULT
from .work import Event

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


async def send_events(
    request: web.Request,
    batches: AsyncIterator[Sequence[Event]],
    *,
    ends_with_done: bool = False,
    named: bool = True,
) -> web.StreamResponse:
    """Streams the events, with their names; `ends_with_done` adds a closing `[DONE]`.

    The events of a batch come at the same moment, and so in one packet.
    """
    fault: Fault | None = request.get(FAULT)
    if fault is not None and fault.kind in ("hang_after", "drop_after"):
        return web.StreamResponse()  # the server hangs or drops before the first event
    cut = fault if fault is not None and fault.kind == "drop_stream" else None
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    sent = count = 0
    async for batch in batches:
        kept = batch if cut is None or cut.events is None else batch[: cut.events - count]
        frames = b"".join(_frame(event, named=named) for event in kept)
        left = len(frames) if cut is None or cut.bytes is None else cut.bytes - sent
        await response.write(frames[:left])
        if len(kept) < len(batch) or left < len(frames):
            return _drop(request, response)
        sent, count = sent + len(frames), count + len(batch)
    if ends_with_done:
        await response.write(b"event: done\ndata: [DONE]\n\n" if named else b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def one_by_one(events: AsyncIterator[Event]) -> AsyncIterator[Sequence[Event]]:
    """A batch for each event."""
    async for event in events:
        yield (event,)


def _frame(event: Event, *, named: bool) -> bytes:
    name = f"event: {event.name}\n" if named else ""
    return f"{name}data: {json.dumps(event.data)}\n\n".encode()


def _drop(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response
