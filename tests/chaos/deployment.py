"""A deployment: the bot as processes, between a local Slack, a fake AI server and a Redis."""

import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.errors import StoreUnavailable
from bot.models import Thread
from bot.slack.events import EVENTS
from bot.slack.scopes import SCOPES
from bot.slack.surfaces.commands import COMMANDS
from bot.store import Store, open_store
from local_slack.delivery.delivery import Delivery
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.chaos.processes import BotProcess, Part
from tests.fakes.openai import Answer, FakeOpenAI, Prompt, open_fake_openai
from tests.ports import free_port
from tests.redis_server import PATIENT, RedisServer, run_server
from tests.world import PATIENCE, wait_until

WORD = re.compile(r"\bw\d{6}\b")
TIME_FACTOR = 0.1
"""Slack's retries come after 100 ms, 6 s and 30 s."""
LONG_TAIL = "\n\n".join(f"Paragraph {n}. " + "blah " * 120 for n in range(24))
"""Makes the fake model give an answer of two posts."""


@dataclass(frozen=True)
class Said:
    """A message of a person; `word` is its unique text."""

    channel_id: str
    thread_ts: str
    ts: str
    word: str
    mention: bool = False


@dataclass
class Deployment:
    """The environment of a test of the bot's processes."""

    slack: LocalSlack
    fake: FakeOpenAI
    redis: RedisServer
    store: Store
    directory: Path
    engine: str
    environment: dict[str, str]
    said: list[Said] = field(default_factory=list)
    processes: list[BotProcess] = field(default_factory=list)

    def process(self, part: Part, **environment: str) -> BotProcess:
        """A process of the bot, not started yet."""
        log = self.directory / f"{len(self.processes):03}-{part}.log"
        process = BotProcess(part, self.environment | environment, log)
        self.processes.append(process)
        return process

    async def start(self, *parts: Part, **environment: str) -> list[BotProcess]:
        """Start processes and wait until they are ready."""
        started = [self.process(part, **environment) for part in parts]
        for process in started:
            await process.start()
        for process in started:
            await process.ready()
        return started

    async def say(
        self, channel_id: str, thread_ts: str = "", *, who: str = "alice", mention: bool = False
    ) -> Said:
        """Send a new message: in a thread, or a mention that opens one."""
        word = f"w{len(self.said):06}"
        text = f"@bot {word}" if mention or not thread_ts else word
        ts = await self.slack.user(who).says(channel_id, text, thread_ts=thread_ts or None)
        said = Said(channel_id, thread_ts or ts, ts, word, mention)
        self.said.append(said)
        return said

    def thread(self, channel_id: str, thread_ts: str) -> Thread:
        return Thread(self.slack.workspace.team_id, channel_id, thread_ts)

    @property
    def threads(self) -> list[tuple[str, str]]:
        """All threads with messages, as (channel, thread_ts)."""
        return list(dict.fromkeys((said.channel_id, said.thread_ts) for said in self.said))

    def new_channels(self, count: int) -> list[str]:
        """Channels with all users, so that no limit per channel slows a test down."""
        return [self.slack.add_channel(self._name(), ["alice", "bob"]).id for _ in range(count)]

    def _name(self) -> str:
        return f"c{len(self.slack.workspace.channels)}"

    async def rests(self, timeout: float = PATIENCE) -> None:
        """Wait until all deliveries have ended and the backlog is empty."""
        await self.slack.settled(timeout)

        async def idle() -> bool:
            try:
                depth = await self.store.inbox.depth()
            except StoreUnavailable:  # a busy machine
                return False
            return depth.waiting + depth.claimed + depth.later == 0

        try:
            await wait_until(idle, timeout)
        except TimeoutError:
            raise TimeoutError(f"no rest: {await self.store.inbox.depth()}") from None

    def delivered(self, said: Said) -> list[Delivery]:
        """The deliveries of a message that the bot has acknowledged."""
        return [
            delivery
            for delivery in self.slack.deliveries
            if (delivery.channel_id, delivery.ts) == (said.channel_id, said.ts)
            and delivery.state == "acknowledged"
        ]


def chatty(seed: int, *, seconds: tuple[float, float], long: float, failing: float = 0.0) -> Any:
    """The script of a model that repeats its input. It takes `seconds`; some answers have two
    posts, some fail.
    """
    chance = random.Random(seed)

    def answer(prompt: Prompt) -> Answer:
        words = " | ".join(WORD.findall(" ".join(prompt.user_messages)))
        tail = f"\n\n{LONG_TAIL}" if chance.random() < long else ""
        made = Answer(f"turn {prompt.turn}: {words}{tail}\n\nThe end.", piece=2000)
        if chance.random() < failing:
            made = Answer(status="failed", error_code="server_error")
        return replace(made, seconds=chance.uniform(*seconds))

    return answer


@asynccontextmanager
async def open_deployment(
    directory: Path, *, engine: str = "responses", seed: int = 0, **environment: str
) -> AsyncIterator[Deployment]:
    """A deployment without processes of the bot yet, reached over HTTP at a fixed port."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(run_server())
        store = await stack.enter_async_context(open_store(redis.url, timing=PATIENT))
        fake = await stack.enter_async_context(open_fake_openai(seed=seed))
        slack = await stack.enter_async_context(
            open_workspace(
                patience=PATIENCE,
                events=EVENTS,
                scopes=SCOPES,
                commands=[command.name for command in COMMANDS],
                time_factor=TIME_FACTOR,
            )
        )
        port = free_port()
        slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        own = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "OPENAI_API_KEY": fake.api_key,
            "OPENAI_BASE_URL": fake.base_url,
            "OPENAI_ASSISTANT_ID": fake.assistant_id,
            "BOT_ENGINE": engine,
            "BOT_HOST": "127.0.0.1",
            "PORT": str(port),
            "REDIS_URL": redis.url,
            "BOT_STATE_DIR": str(directory),
            "BOT_FOLLOW_UPS": "always",
            "BOT_STREAM_CHANNELS": "true",
            # A conversation is judged by its words, which a summary would lose.
            "BOT_ROLLOVER_MESSAGES": "100000",
        }
        deployment = Deployment(slack, fake, redis, store, directory, engine, own | environment)
        try:
            yield deployment
        finally:
            for process in deployment.processes:
                if process.alive:
                    await process.kill()
