"""Detects another deployment that uses the same app over Socket Mode.

Slack distributes an app's events over all its connections, and reports their number with each new
one. If there are more than this deployment has, another one gets part of the messages.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMessage

from bot.checks import Finding, warning
from bot.errors import StoreUnavailable
from bot.slack.delivery_notes import KEPT_SECONDS, describe_age
from bot.store import Store
from bot.store.sockets import ALIVE_SECONDS
from bot.telemetry.log import log

CONNECTIONS = "socket_connections"


@asynccontextmanager
async def counting(client: Any, store: Store) -> AsyncIterator[None]:
    """Register the client's connection while the block lasts, and compare when it is open.

    Only the first connection is compared: while one replaces another, both are counted.
    """
    name = secrets.token_hex(8)
    first = True

    async def on_message(message: WSMessage) -> None:
        nonlocal first
        if first and (count := parse_hello(message.data)):
            first = False
            await _compare(store, name, count)

    client.on_message_listeners.append(on_message)
    await _keep(store, name)
    keeping = asyncio.create_task(_keep_alive(store, name))
    try:
        yield
    finally:
        keeping.cancel()
        await _drop(store, name)


def parse_hello(data: object) -> int:
    """How many connections the app has, by Slack's greeting; 0 for any other message."""
    if not isinstance(data, str) or '"hello"' not in data:
        return 0
    try:
        message = json.loads(data)
    except ValueError:
        return 0
    if not isinstance(message, dict) or message.get("type") != "hello":
        return 0
    count = message.get("num_connections")
    return count if isinstance(count, int) else 0


def judge_connections(note: str | None, now: float) -> Finding | None:
    """From the note of `counting`; None if all connections are of this deployment."""
    try:
        at, theirs, ours = (note or "").split()
        others, age = int(theirs) - int(ours), now - float(at)
    except ValueError:
        return None
    if others <= 0:
        return None
    return warning(
        f"{others} of {theirs} Socket Mode connections are of another deployment "
        f"({describe_age(age)}): it takes its share of the messages",
        "stop the other one, or give it an app of its own: `bot manifest --name NAME --prefix P`",
    )


async def _compare(store: Store, name: str, count: int) -> None:
    try:
        ours = await store.sockets.keep(name)
        await store.flags.note(CONNECTIONS, f"{time.time():.0f} {count} {ours}", KEPT_SECONDS)
    except StoreUnavailable as error:
        log.debug("socket_not_counted", error=str(error))
        return
    if count > ours:
        log.warning("socket_shared", connections=count, ours=ours)


async def _keep_alive(store: Store, name: str) -> None:
    while True:
        await asyncio.sleep(ALIVE_SECONDS / 3)
        await _keep(store, name)


async def _keep(store: Store, name: str) -> None:
    try:
        await store.sockets.keep(name)
    except StoreUnavailable as error:
        log.debug("socket_not_counted", error=str(error))


async def _drop(store: Store, name: str) -> None:
    try:
        await store.sockets.drop(name)
    except StoreUnavailable as error:
        log.debug("socket_not_counted", error=str(error))
