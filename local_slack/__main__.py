"""`local-slack`: a Slack workspace on this machine, for an app in any language."""

import argparse
import asyncio
import contextlib
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from local_slack.control.web_page import page_url
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from local_slack.state_file import load_state, save_state
from local_slack.workspace.model import Json

DESCRIPTION = """\
A Slack workspace on this machine, for an app in any language. Prints the settings that the app
needs as NAME=value lines and runs until Ctrl-C or SIGTERM."""
TERMINAL_PACKAGES = frozenset({"prompt_toolkit", "rich"})
EXIT_USAGE = 2


class StartError(Exception):
    """The workspace cannot be served; the message is one line for the user."""


def settings(slack: LocalSlack) -> dict[str, str]:
    """The environment variables for an app, and the address of the page."""
    return {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token if slack.events_url is None else "",
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "LOCAL_SLACK_CONTROL_URL": f"{slack.base_url}/_control",
        "LOCAL_SLACK_CONTROL_TOKEN": slack.control_token,
        "LOCAL_SLACK_PAGE": page_url(slack),
    }


async def serve(options: Namespace) -> None:
    """Run until SIGINT or SIGTERM; raises StartError if the options cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    manifest = _load_manifest(options.manifest)
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(_open(options))
        slack.manifest = manifest
        _save(slack, options.state)
        for name, value in settings(slack).items():
            sys.stdout.write(f"{name}={value}\n")
        sys.stdout.flush()
        await _run(slack, stop, terminal=options.terminal)
        _save(slack, options.state)


def _save(slack: LocalSlack, path: Path | None) -> None:
    """Keep the workspace, at the start too: a path that cannot be written is known at once."""
    if path is None:
        return
    try:
        save_state(path, slack.snapshot())
    except OSError as error:
        raise StartError(f"--state: {path} cannot be written: {error.strerror}") from None


@contextlib.asynccontextmanager
async def _open(options: Namespace) -> AsyncIterator[LocalSlack]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            state = load_state(options.state) if options.state else None
            workspace = open_workspace(port=options.port, events_url=options.events, state=state)
            slack = await stack.enter_async_context(workspace)
        except OSError as error:
            raise StartError(f"port {options.port} cannot be used: {error.strerror}") from None
        except ValueError as error:
            raise StartError(f"--state: {error}") from None
        yield slack


async def _run(slack: LocalSlack, stop: asyncio.Event, *, terminal: bool) -> None:
    """Wait for the stop signal, or for the person to leave the terminal."""
    waits: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if terminal:
        waits.append(asyncio.create_task(_chat(slack)))
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


async def _chat(slack: LocalSlack) -> None:
    try:
        from local_slack.terminal import Terminal
    except ModuleNotFoundError as error:
        if error.name not in TERMINAL_PACKAGES:
            raise
        package = "threadbot-local-slack[terminal]"
        raise StartError(f"--terminal needs {error.name}: pip install '{package}'") from None
    first = next(user for user in slack.workspace.users.values() if not user.is_bot)
    await Terminal(slack, first.name, "", {}).run()


def _load_manifest(path: Path | None) -> Json:
    """YAML, which includes JSON."""
    if path is None:
        return {}
    try:
        manifest = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())  # a YAML error has several lines
        raise StartError(f"--manifest {path} cannot be read: {reason}") from None
    if not isinstance(manifest, dict):
        raise StartError(f"--manifest {path} is not an app manifest")
    return manifest


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http(s) URL")
    return text


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local-slack", description=DESCRIPTION)
    parser.add_argument(
        *("--port", "-p"), type=_port, default=0, help="on 127.0.0.1; 0 takes a free one"
    )
    parser.add_argument(
        *("--events", "--events-url"),
        type=_http_url,
        metavar="URL",
        help="the app's request URL; without it, the app connects by Socket Mode",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="keep the workspace in a file across restarts"
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the app's manifest: commands, shortcuts and prompts for the page to offer",
    )
    parser.add_argument("--terminal", action="store_true", help="chat in this terminal as well")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """The entry point of `local-slack` and `python -m local_slack`."""
    options = make_parser().parse_args(arguments)
    try:
        asyncio.run(serve(options))
    except StartError as error:
        sys.stderr.write(f"local-slack: {error}\n")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
