"""The example app as a separate process, over HTTP and in Socket Mode."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local_slack import LocalSlack
from local_slack.__main__ import settings
from local_slack.tests.ports import free_port, is_listening

ECHO_BOT = Path(__file__).parents[1] / "examples" / "echo_bot.py"
START_SECONDS = 120.0


@asynccontextmanager
async def echo_bot(slack: LocalSlack, **given: str) -> AsyncIterator[None]:
    environment = os.environ | settings(slack) | given
    process = await asyncio.create_subprocess_exec(sys.executable, str(ECHO_BOT), env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_it_repeats_a_mention_in_socket_mode(slack: LocalSlack) -> None:
    async with echo_bot(slack):
        await slack.wait_for(lambda: slack.sockets.connections, START_SECONDS)
        ts = await slack.user("alice").says("#general", "@bot how are you?")
        [answer] = await slack.wait_for(lambda: slack.replies("#general", ts), START_SECONDS)
        assert answer.text == "You said: how are you?"


async def test_it_repeats_a_mention_over_http(slack: LocalSlack) -> None:
    port = free_port()
    slack.events_url = f"http://127.0.0.1:{port}/slack/events"
    async with echo_bot(slack, PORT=str(port)):
        await slack.wait_for(lambda: is_listening(port), START_SECONDS)
        ts = await slack.user("alice").says("#general", "@bot hello")
        [answer] = await slack.wait_for(lambda: slack.replies("#general", ts), START_SECONDS)
        assert answer.text == "You said: hello"
        await slack.settled()
        assert {delivery.state for delivery in slack.deliveries} == {"acknowledged"}
        assert slack.sockets.connections == 0
