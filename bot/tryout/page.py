"""`bot try` in the browser: the local Slack's page, and the bot behind it as it would be deployed.

The bot's two halves are processes of their own, so that the worker can be killed before one's
eyes. What they log is what the page shows under "What happened".
"""

import asyncio
import json
import os
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click

from bot.app import stop_on_signals
from bot.slack.manifest import manifest
from bot.telemetry import log
from bot.tryout.child import FAIL_NEXT_RUN
from bot.tryout.place import Place, engine_line, open_place, state_directory
from bot.tryout.programs import Program, open_program
from local_slack.control.web_page import page_url
from local_slack.switches import Switch

ADDRESS = "page.json"
"""Where port and token are kept: a page that is still open goes on after a restart."""


async def serve(*, fresh: bool) -> None:
    """Show the page until SIGINT or SIGTERM."""
    stop = stop_on_signals()
    log.configure("WARNING")
    async with open_page(fresh=fresh) as place:
        address = page_url(place.slack)
        click.echo(f"{engine_line(place.settings)}\n\n  {address}\n")
        click.echo("Open this address in a browser. Ctrl-C ends; everything is remembered.")
        if _has_browser():
            await asyncio.to_thread(webbrowser.open, address)
        await stop.wait()


@asynccontextmanager
async def open_page(*, fresh: bool = False) -> AsyncIterator[Place]:
    """The local Slack with its page, and the bot's processes, ready to be talked to."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(_open_place(fresh=fresh))
        place.slack.manifest = manifest()
        programs = [
            await stack.enter_async_context(open_program(part, place)) for part in ("web", "worker")
        ]
        _add_switches(place, programs[1])
        for program in programs:
            await program.is_ready()
        yield place


@asynccontextmanager
async def _open_place(*, fresh: bool) -> AsyncIterator[Place]:
    """At the address of the last time, where it is free."""
    kept = {} if fresh else _read(state_directory() / ADDRESS)
    async with AsyncExitStack() as stack:
        try:
            opening = open_place(fresh=fresh, port=int(kept.get("port", 0)))
            place = await stack.enter_async_context(opening)
        except OSError:
            place = await stack.enter_async_context(open_place(fresh=fresh))
        slack = place.slack
        slack.control_token = str(kept.get("token", slack.control_token))
        port = slack.base_url.rpartition(":")[2]
        _write(place.directory / ADDRESS, {"port": port, "token": slack.control_token})
        yield place


def _read(file: Path) -> dict[str, str]:
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def _write(file: Path, values: dict[str, str]) -> None:
    """The token is for nobody else's eyes."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(values, out)


def _add_switches(place: Place, worker: Program) -> None:
    async def kill() -> None:
        worker.kill()

    async def fail() -> None:
        (place.directory / FAIL_NEXT_RUN).touch()
        place.slack.trace("fault", "the next run meets an error of the AI server")

    place.slack.add_switch(
        Switch(
            "ai_error",
            "Error of the AI server",
            "The next run is refused with a 500, whatever the AI server would say.",
            "Next time",
            fail,
        )
    )
    place.slack.add_switch(
        Switch(
            "kill_worker",
            "Kill the worker",
            "SIGKILL, in the middle of whatever it does. A new one is started at once and takes up "
            "what the dead one left, after about ten seconds.",
            "Kill",
            kill,
            state=f"process {worker.pid}",
        )
    )
    worker.when_started(lambda pid: place.slack.set_switch("kill_worker", f"process {pid}"))


def _has_browser() -> bool:
    """Whether a browser can be expected to open on the screen of the one who typed."""
    if not sys.stdin.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
