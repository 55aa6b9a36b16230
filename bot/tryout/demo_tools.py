"""The MCP server of `bot try`: a tool that reads, one that writes, and one with a form.

It runs in the process of the page, so that it outlives a worker that is killed.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from mcp.server.mcpserver import (
    AcceptedElicitation,
    Elicit,
    ElicitationResult,
    MCPServer,
    Resolve,
)
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

TOOLS_FILE = "tools.toml"
NOTES_FILE = "notes.txt"
HINT = (
    'A demo server has tools; /tools lists them. Say `call demo__look_up {"topic": "tides"}`, '
    '`call demo__add_note {"text": "milk"}` (asks you first) or `call demo__book_room` (a form).'
)
_FACTS = {
    "tides": "The Moon pulls water towards it; most coasts see two high tides a day.",
    "coffee": "Coffee beans are the seeds of a cherry.",
}
_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, open_world_hint=False)


class Booking(BaseModel):
    """What the form asks for."""

    room: Literal["Atrium", "Library", "Roof"]
    people: int = Field(ge=1, le=20, title="How many people")
    coffee: bool = Field(default=False, title="With coffee")


def build(notes: Path) -> MCPServer[Any]:
    """The server; what it writes goes into the file `notes`."""
    server = MCPServer("demo")

    def write(line: str) -> str:
        with notes.open("a") as file:
            file.write(f"{' '.join(line.split())}\n")
        count = len(notes.read_text().splitlines())
        return f"Written as line {count} of {notes.name}."

    @server.tool(annotations=_READ)
    def look_up(topic: str) -> str:
        """Look up a topic."""
        return _FACTS.get(topic.lower(), f"Nothing is known about it, only of {', '.join(_FACTS)}.")

    @server.tool(annotations=_WRITE)
    def add_note(text: str) -> str:
        """Add a note to a file."""
        return write(text)

    async def booking() -> Elicit[Booking]:
        return Elicit("Which room do you want?", Booking)

    @server.tool(annotations=_WRITE)
    def book_room(booking: Annotated[ElicitationResult[Booking], Resolve(booking)]) -> str:
        """Book a room. The person is asked for the details."""
        if not isinstance(booking, AcceptedElicitation):
            return "No room was booked: the person gave no details."
        extra = " with coffee" if booking.data.coffee else ""
        return write(f"{booking.data.room} for {booking.data.people}{extra}")

    return server


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the page."""
        yield


@asynccontextmanager
async def open_demo(directory: Path) -> AsyncIterator[Path]:
    """The server on a free port of this machine; yields the file for BOT_TOOLS that names it."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = build(directory / NOTES_FILE).streamable_http_app()
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
    config.log_level = logging.CRITICAL  # it reports the streams that are open at the end
    config.configure_logging()
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    file = directory / TOOLS_FILE
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    file.write_text(f'own = ["current_time"]\n\n[servers.demo]\nurl = "{url}"\n')
    try:
        yield file
    finally:
        server.should_exit = True
        await serving
        listening.close()
