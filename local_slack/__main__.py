"""`python -m local_slack`: a workspace of its own, for a bot in any language."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import yaml

from local_slack.control.web_page import page_url
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from local_slack.workspace.model import Json


def settings(slack: LocalSlack) -> dict[str, str]:
    """What the bot needs in its environment."""
    return {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token if slack.events_url is None else "",
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "PLAYGROUND_CONTROL_URL": f"{slack.base_url}/_control",
        "PLAYGROUND_CONTROL_TOKEN": slack.control_token,
        "PLAYGROUND_PAGE": page_url(slack),
    }


async def serve(
    port: int, events_url: str | None, state_file: Path | None, manifest_file: Path | None
) -> None:
    """Run until SIGINT or SIGTERM; with a state file go on from it and write it at the end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state = _load(state_file)
    async with open_workspace(port=port, events_url=events_url, state=state) as slack:
        slack.manifest = _load_manifest(manifest_file)
        for name, value in settings(slack).items():
            sys.stdout.write(f"{name}={value}\n")
        sys.stdout.flush()
        await stop.wait()
        if state_file is not None:
            _save(state_file, slack.snapshot())


def _load(path: Path | None) -> Json | None:
    if path is None or not path.exists():
        return None
    state: Json = json.loads(path.read_text())
    return state


def _load_manifest(path: Path | None) -> Json:
    """YAML, of which JSON is a part."""
    manifest: Json = yaml.safe_load(path.read_text()) if path else {}
    return manifest


def _save(path: Path, state: Json) -> None:
    path.write_text(json.dumps(state))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local_slack", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--events-url", help="the bot's request URL; without it: Socket Mode")
    parser.add_argument("--state", type=Path, help="a file to keep the workspace in")
    parser.add_argument(
        "--manifest", type=Path, help="the app's manifest, for what the page offers"
    )
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.events_url, options.state, options.manifest))


if __name__ == "__main__":
    main()
