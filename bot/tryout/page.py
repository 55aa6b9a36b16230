"""`bot try` in the browser: the local Slack's page, with the bot behind it as in a deployment.

`web` and `worker` are separate processes, so that the worker can be killed from the page. Their
logs are shown under "What happened".
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
from bot.errors import ConfigError
from bot.store.shards import open_shards
from bot.telemetry import log
from bot.tryout.audit_page import audit_page
from bot.tryout.config import state_directory
from bot.tryout.programs import Program, open_program
from bot.tryout.sandbox import ReportProgress, Sandbox, open_sandbox
from bot.tryout.state_dir import ADDRESS, FAIL_NEXT_RUN
from local_slack.control.web_page import page_url
from local_slack.seed import SeedError, apply_seed, read_seed
from local_slack.switches import Switch

PARTS = ("web", "worker")


async def serve(*, fresh: bool, port: int = 0, seed: Path | None = None) -> None:
    """Show the page until SIGINT or SIGTERM."""
    stop = stop_on_signals()
    log.configure("WARNING")
    async with open_page(report=click.echo, fresh=fresh, port=port, seed=seed) as sandbox:
        address = page_url(sandbox.slack)
        click.echo(f"\n  {address}\n")
        click.echo("Open this address in a browser. Ctrl-C ends; the next start continues here.")
        if _has_browser():
            await asyncio.to_thread(webbrowser.open, address)
        await stop.wait()


@asynccontextmanager
async def open_page(
    *,
    report: ReportProgress = lambda line: None,
    fresh: bool = False,
    port: int = 0,
    seed: Path | None = None,
) -> AsyncIterator[Sandbox]:
    """The local Slack with its page and the bot's processes, ready for use."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(_open_sandbox(report, fresh=fresh, port=port))
        shards = await stack.enter_async_context(open_shards(sandbox.settings))
        sandbox.slack.add_page(audit_page(sandbox.slack, shards.home))
        if seed:
            _plant(sandbox, seed)
        report("Starting web and worker…")
        programs = [await stack.enter_async_context(open_program(part, sandbox)) for part in PARTS]
        _add_switches(sandbox, programs[PARTS.index("worker")])
        for part, program in zip(PARTS, programs, strict=True):
            await program.is_ready()
            report(f"  {part}: ready")
        yield sandbox


def _plant(sandbox: Sandbox, seed: Path) -> None:
    try:
        apply_seed(sandbox.slack, read_seed(seed))
    except SeedError as error:
        raise ConfigError("--seed", str(error)) from None


@asynccontextmanager
async def _open_sandbox(
    report: ReportProgress, *, fresh: bool, port: int
) -> AsyncIterator[Sandbox]:
    """Use the requested port, else the last one, so that an open page reconnects."""
    kept = {} if fresh else _read(state_directory() / ADDRESS)
    async with AsyncExitStack() as stack:
        try:
            opening = open_sandbox(
                report=report, fresh=fresh, port=port or int(kept.get("port", 0)), installable=True
            )
            sandbox = await stack.enter_async_context(opening)
        except OSError as error:
            if port:
                raise ConfigError("--port", f"{port} cannot be used: {error.strerror}") from None
            sandbox = await stack.enter_async_context(
                open_sandbox(report=report, fresh=fresh, installable=True)
            )
        slack = sandbox.slack
        slack.control_token = str(kept.get("token", slack.control_token))
        used = slack.base_url.rpartition(":")[2]
        _write(sandbox.directory / ADDRESS, {"port": used, "token": slack.control_token})
        yield sandbox


def _read(file: Path) -> dict[str, str]:
    """The address of the last run, if it can be used again."""
    try:
        kept = json.loads(file.read_text())
        return {"port": str(int(kept["port"])), "token": str(kept["token"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(file: Path, values: dict[str, str]) -> None:
    """Write the file, readable by its owner only: it contains the token."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(values, out)


def _add_switches(sandbox: Sandbox, worker: Program) -> None:
    async def kill() -> None:
        worker.kill()

    async def fail() -> None:
        (sandbox.directory / FAIL_NEXT_RUN).touch()
        sandbox.slack.trace("fault", "the next run meets an error of the AI server")

    sandbox.slack.add_switch(
        Switch(
            "ai_error",
            "Error of the AI server",
            "The next run is refused with a 500, whatever the AI server would say.",
            "Next time",
            fail,
        )
    )
    sandbox.slack.add_switch(
        Switch(
            "kill_worker",
            "Kill the worker",
            "SIGKILL, whatever it is doing. A new one starts at once and takes over its work "
            "after about ten seconds.",
            "Kill",
            kill,
            state=f"process {worker.pid}",
            dare="Kill the worker now: another one continues this answer.",
        )
    )
    worker.when_started(lambda pid: sandbox.slack.set_switch("kill_worker", f"process {pid}"))


def _has_browser() -> bool:
    """Whether opening a browser would reach the user's screen."""
    if not sys.stdin.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
