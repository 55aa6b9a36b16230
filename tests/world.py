"""A world for stories: a local Slack, a fake AI server, a real Redis, and the whole bot."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from bot.app import Bot, open_bot
from bot.engines.wrapper import EngineWrapper
from bot.models import Thread
from bot.settings import Settings
from bot.slack.events import EVENTS
from bot.slack.manifest import prefixed
from bot.slack.scopes import SCOPES
from bot.slack.surfaces.commands import all_commands
from bot.store import jobs
from bot.timing import AnswerTiming, CircuitTiming, EngineTiming, Timing, WorkerTiming
from local_slack.local_slack import LocalSlack
from local_slack.people import Person
from local_slack.server import open_workspace
from local_slack.workspace.model import Message
from tests.fakes.openai import FakeOpenAI, held, open_fake_openai
from tests.recording import Recording
from tests.redis_server import PATIENT

PATIENCE = 180.0
ACK_SECONDS = 20.0
"""Slack gives three, but not on a loaded machine; a delivery that is repeated is another story."""
WORKER = WorkerTiming(heartbeat=0.1, retry_first=0.05, retry_longest=1.0, recheck=0.02)
CIRCUITS = CircuitTiming(first_pause=0.1, longest_pause=1.0, resumed_per_second=100.0)
ANSWER = AnswerTiming(posts_per_second=50.0, settling=0.2)
ENGINE = EngineTiming(
    poll_first=0.05, poll_longest=0.2, error_first=0.05, lock_pause=0.1, rerun_pause=0.05
)
BASE_TIMING = Timing(
    worker=WORKER, store=replace(PATIENT, circuits=CIRCUITS), answer=ANSWER, engine=ENGINE
)
"""Shorter pauses than in production; leases are the same, and timeouts the same or longer, as a
loaded machine could exceed them."""

GROWING = replace(BASE_TIMING, answer=replace(ANSWER, short=0.05, append_every=0.1, edit_every=0.2))
"""An answer is visible as soon as it has begun."""


async def wait_until(condition: Callable[[], Awaitable[Any]], timeout: float = PATIENCE) -> Any:
    """The first true value of an awaited condition; TimeoutError."""
    async with asyncio.timeout(timeout):
        while True:
            if value := await condition():
                return value
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class World:
    """The environment of a story. Channels are named "#general" or, for DMs, by id."""

    slack: LocalSlack
    fake: FakeOpenAI
    bot: Bot
    settings: Settings
    timing: Timing
    processes: AsyncExitStack
    """Ends the bot when it is closed."""

    async def replaced(self, **changes: Any) -> "World":
        """The same world after a deploy: the bot has ended, and another one with `changes` of the
        settings has started."""
        await self.processes.aclose()
        settings = self.settings.model_copy(update=changes)
        bot = await self.processes.enter_async_context(open_bot(settings, timing=self.timing))
        return _reached(replace(self, bot=bot, settings=settings))

    @property
    def url(self) -> str:
        """The bot's own HTTP address."""
        assert self.bot.address is not None
        return f"http://{self.bot.address[0]}:{self.bot.address[1]}"

    def key(self, channel: str, thread_ts: str) -> Thread:
        workspace = self.slack.workspace
        return Thread(workspace.team_id, self.slack.channel(channel).id, thread_ts)

    async def replies(self, channel: str, thread_ts: str, count: int = 1) -> list[str]:
        """The texts of the bot's messages in a thread, once there are `count` and it is idle."""
        await self.slack.wait_for(
            lambda: len(self.slack.replies(channel, thread_ts)) >= count, PATIENCE
        )
        await self.rests(channel, thread_ts)
        return [words(message) for message in self.slack.replies(channel, thread_ts)]

    async def rests(self, channel: str, thread_ts: str) -> None:
        """Wait until no message waits in the thread and no worker holds it."""
        thread = self.key(channel, thread_ts)
        await self.slack.settled(PATIENCE)

        async def idle() -> bool:
            return (await self.bot.store.inbox.state(thread)).state == "idle"

        await wait_until(idle)

    async def jobs_done(self, *people: Person) -> None:
        """Wait until no job of these people waits or is running."""
        await self.slack.settled(PATIENCE)
        for person in people:
            await self.wait_for_state(jobs.place(self.slack.workspace.team_id, person.id), "idle")

    async def wait_for_state(self, thread: Thread, state: str) -> None:
        """Wait until the thread is `idle`, `ready`, `claimed` or `later`."""

        async def reached() -> bool:
            return (await self.bot.store.inbox.state(thread)).state == state

        await wait_until(reached)

    async def ask(self, channel: str, text: str, *, who: str = "alice", thread_ts: str = "") -> str:
        """Send a message and wait for the answer; returns the ts of the thread's root."""
        root = thread_ts
        before = len(self.slack.replies(channel, root)) if root else 0
        ts = await self.slack.user(who).says(channel, text, thread_ts=root or None)
        await self.replies(channel, root or ts, before + 1)
        return root or ts


def words(message: Message) -> str:
    """What a person reads: the markdown blocks, else the text."""
    texts = [block["text"] for block in message.blocks if block["type"] == "markdown"]
    return "\n\n".join(texts) or message.text


async def delete_while_answering(world: World, answer: str) -> None:
    """Let Alice ask in #general and delete her question while the model works on its answer."""
    world.fake.answer = [held(answer)]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot think")
    await world.slack.wait_for(lambda: world.fake.working)
    await alice.deletes("#general", root)
    world.fake.finish()
    await world.rests("#general", root)


def network_engine(world: World) -> Any:
    """The engine that calls the AI server, without its wrappers."""
    engine: Any = world.bot.engine
    while isinstance(engine, EngineWrapper):
        engine = engine._engine
    return engine


@asynccontextmanager
async def open_world(
    redis_url: str,
    directory: Path,
    *,
    engine: str = "responses",
    socket_mode: bool = True,
    fake: dict[str, Any] | None = None,
    timing: Timing = BASE_TIMING,
    recording: Recording | None = None,
    work_part: bool = True,
    scopes: Sequence[str] = SCOPES,
    events: Sequence[str] = EVENTS,
    slack_time: float = 0.02,
    ack_seconds: float = ACK_SECONDS,
    **given: Any,
) -> AsyncIterator[World]:
    """A world with the running bot. `given` are settings of the bot.

    The AI server and Slack hold what a `recording` says. `slack_time` scales Slack's pauses.
    Without the `work_part` a test runs its
    own workers.
    """
    prefix = str(given.get("bot_command_prefix", ""))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_fake_openai(**(fake or {})))
        if recording:
            recording.fill_ai(server)
        slack = await stack.enter_async_context(
            open_workspace(
                patience=PATIENCE,
                events=events,
                scopes=scopes,
                commands=[prefixed(command.name, prefix) for command in all_commands()],
                time_factor=slack_time,
                ack_seconds=ack_seconds,
                state=recording.slack if recording else None,
            )
        )
        settings = Settings(
            _env_file=None,
            **{
                "slack_bot_token": slack.bot_token,
                "slack_signing_secret": slack.signing_secret,
                "slack_app_token": slack.app_token if socket_mode else None,
                "slack_api_url": slack.api_url,
                "openai_api_key": server.api_key,
                "openai_base_url": server.base_url,
                "openai_assistant_id": server.assistant_id,
                "bot_engine": engine,
                "redis_url": redis_url,
                "bot_redis_prefix": f"story-{uuid4().hex[:8]}",
                "bot_host": "127.0.0.1",
                "port": 0,
                "bot_state_dir": directory,
                "bot_gather_seconds": 0.05,
                "bot_stream_channels": True,
            }
            | given,
        )
        processes = await stack.enter_async_context(AsyncExitStack())
        bot = await processes.enter_async_context(
            open_bot(settings, work_part=work_part, timing=timing)
        )
        yield _reached(World(slack, server, bot, settings, timing, processes))
        assert not unmarked(slack)


def _reached(world: World) -> World:
    """Give Slack the bot's address, unless it has opened a socket."""
    if not world.settings.socket_mode:
        world.slack.events_url = f"{world.url}/slack/events"
    return world


def unmarked(slack: LocalSlack) -> list[str]:
    """The bot's posts in threads that a later worker could mistake for a lost stream: no metadata,
    no files, and not streaming any more."""
    messages = [m for each in slack.workspace.messages.values() for m in each.values()]
    return [
        message.text
        for message in messages
        if message.user_id == slack.bot.id and message.is_reply
        if not message.metadata and not message.file_ids
        if not message.stream or message.stream.state != "streaming"
    ]


def now_ts() -> str:
    """A Slack `ts` of this moment."""
    return f"{time.time():.6f}"
