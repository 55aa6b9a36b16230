"""The workspaces that a person adds in `bot try`, and the settings with which they install the bot.

The bot keeps their tokens in Redis, encrypted, so the key is kept between runs as well.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.sealing import generate_key
from bot.slack.events import EVENTS
from bot.slack.install import INSTALL_PATH
from bot.slack.lifecycle import EVENTS as LIFECYCLE
from bot.slack.manifest import CALLBACK_PATH
from local_slack.added import AddedWorkspaces
from local_slack.local_slack import LocalSlack
from local_slack.state_file import load_state

SAVE_EVERY = 2.0


@asynccontextmanager
async def open_added(slack: LocalSlack, file: Path) -> AsyncIterator[dict[str, Any]]:
    """The added workspaces of the file, which is kept up to date; yields settings of the bot."""
    try:
        kept = load_state(file) or {}
        app = {
            "port": _free_port(int(kept.get("port", 0))),
            "encryption_key": str(kept.get("encryption_key") or generate_key()),
        }
        url = f"http://127.0.0.1:{app['port']}"
        async with AddedWorkspaces(
            slack, url + CALLBACK_PATH, url + INSTALL_PATH, (*EVENTS, *LIFECYCLE)
        ) as added:
            await added.restore(kept.get("workspaces", []))
            _save(file, app, added)
            saving = asyncio.create_task(_keep_saving(file, app, added))
            try:
                yield {
                    "slack_client_id": added.distribution.client_id,
                    "slack_client_secret": added.distribution.client_secret,
                    "bot_public_url": url,
                    "bot_encryption_keys": app["encryption_key"],
                    "port": app["port"],
                }
            finally:
                saving.cancel()
                _save(file, app, added)
    except ValueError as error:
        raise ConfigError("BOT_STATE_DIR", f"{error}; start with --fresh") from None


async def _keep_saving(file: Path, app: dict[str, Any], added: AddedWorkspaces) -> None:
    seen = added.changes
    while True:
        await asyncio.sleep(SAVE_EVERY)
        if added.changes != seen:
            seen = added.changes
            with suppress(OSError):  # a full disk; the save at the end reports it
                _save(file, app, added)


def _save(file: Path, app: dict[str, Any], added: AddedWorkspaces) -> None:
    """Replace the file atomically; only its owner may read the key."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    content = json.dumps(app | {"workspaces": added.snapshot()})
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        out.write(content)
    new.replace(file)


def _free_port(wanted: int) -> int:
    """The wanted port of loopback, or another one if it is taken."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as server:
                return int(server.getsockname()[1])
        except OSError:
            continue
    raise ConfigError("PORT", "no port is free")
