"""One answer in a local Slack, written by workers that may be killed at any request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Answer, Card, Message, Thread, Update
from bot.slack.answer.reply import Replies, Reply
from bot.store import Store
from bot.store.journal import Turn
from bot.timing import AnswerTiming
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from local_slack.workspace.model import Message as Posted
from tests.world import wait_until, words

CHANNEL = "#general"

HURRY = AnswerTiming(
    posts_per_second=1000.0,
    short=0.0,
    settling=0.0,
    append_every=0.0,
    edit_every=0.0,
    session_after=60.0,
    rate_limit_scale=1e4,
)
"""No pauses, and rate limits that are never reached."""


@dataclass
class Wire:
    """The connection to Slack: counts the calls for messages and cuts it off at one of them."""

    kill_at: int = -1
    after: bool = False
    calls: list[str] = field(default_factory=list)
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, slack: LocalSlack, session: aiohttp.ClientSession) -> AsyncWebClient:
        wire = self

        class Client(AsyncWebClient):
            async def api_call(self, api_method: str, **given: Any) -> Any:
                if not api_method.startswith(("chat.", "conversations.")):
                    return await super().api_call(api_method, **given)
                await wire.pass_by(len(wire.calls), after=False)
                wire.calls.append(api_method)
                number = len(wire.calls) - 1
                answer = await super().api_call(api_method, **given)
                await wire.pass_by(number, after=True)
                return answer

        return Client(
            token=slack.bot_token, base_url=slack.api_url, session=session, retry_handlers=[]
        )

    async def pass_by(self, number: int, *, after: bool) -> None:
        """From the kill on no response arrives."""
        if number == self.kill_at and after == self.after:
            self.dead.set()
        if self.dead.is_set():
            await asyncio.Event().wait()


@dataclass
class Harness:
    """A question in a thread, and the workers that come to answer it."""

    slack: LocalSlack
    store: Store
    session: aiohttp.ClientSession
    root: str
    thread: Thread
    workers: int = 0
    timing: AnswerTiming = HURRY

    @property
    def replies(self) -> list[Posted]:
        return self.slack.replies(CHANNEL, self.root)

    @property
    def texts(self) -> list[str]:
        return [words(message) for message in self.replies]

    async def take(self) -> Turn:
        """The turn, for a new worker; the previous one is dead."""
        if self.workers:
            await self.store.workers.hand_over(f"w{self.workers}")
        self.workers += 1
        name = f"w{self.workers}"
        entries = await self.store.inbox.read_ready(name, 1, 1)
        claim = await self.store.inbox.take(entries[0], name)
        assert claim is not None
        return self.store.turns.open(claim)

    async def answer(self, text: str, wire: Wire, *, step: int, streaming: bool = True) -> None:
        """Run one worker: it shows the answer growing by `step` characters and finishes it.

        Returns when it has finished or was killed.
        """
        turn = await self.take()
        life = asyncio.create_task(self._live(turn, text, wire, step, streaming))
        death = asyncio.create_task(wire.dead.wait())
        await asyncio.wait([life, death], return_when=asyncio.FIRST_COMPLETED)
        killed = wire.dead.is_set()
        for task in (life, death):
            task.cancel()
        await asyncio.wait([life, death])
        if not killed:
            life.result()

    async def _live(self, turn: Turn, text: str, wire: Wire, step: int, streaming: bool) -> None:
        bot_id = self.slack.bot.bot_id or ""
        client = wire.client(self.slack, self.session)
        replies = Replies(
            client,
            self.store,
            bot_id=bot_id,
            live=streaming,
            stream_channels=True,
            timing=self.timing,
        )
        async with replies.open(turn, turn.claim.messages[-1]) as reply:
            for end in range(step, len(text), step):
                await show(reply, text[:end], wire)
            await reply.finish(Answer(text, run_id="resp_1"))


async def show(reply: Reply, text: str, wire: Wire) -> None:
    """Show a text and wait until all of its showable part was shown or the worker is dead."""
    await reply.show(Update("in_progress", text, cards=(Card("s1", "Searching the web"),)))
    live = reply._live

    async def is_shown() -> bool:
        rests = live._has_failed or not live._can_grow
        idle = not live._news and not live._at_work.locked()
        return rests or idle or wire.dead.is_set()

    await wait_until(is_shown)


@asynccontextmanager
async def open_harness(
    store: Store, *, user_team_id: str = "", **workspace: Any
) -> AsyncIterator[Harness]:
    """A question to be answered; its asker may belong to another workspace."""
    async with open_workspace(**workspace) as slack, aiohttp.ClientSession() as session:
        root = await slack.user("alice").says(CHANNEL, "@bot hi")
        channel = slack.channel(CHANNEL).id
        thread = Thread(slack.workspace.team_id, channel, root)
        user = slack.user("alice").id
        await store.inbox.deliver(
            Message(thread, root, user, "hi", user_team_id=user_team_id or thread.team_id)
        )
        harness = Harness(slack, store, session, root, thread)
        yield harness
        await store.inbox.settle((await harness.take()).claim)
