"""An approval survives the death of every process: one decision, at most one effect.

All turns wait for a person. The only process is killed while decisions are on their way to Redis.
Then another worker takes each turn up to a different step between the decision and the
end, and is killed there. The steps are chosen such that every turn reaches them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.slack import approval_card as card
from local_slack.workspace.model import Message
from tests.chaos.deployment import Deployment, open_deployment
from tests.chaos.gatekeeper import Gatekeeper, Point, watched_worker
from tests.chaos.relays import Moment, open_http_relay, open_redis_relay
from tests.fakes.openai import Answer, Call, Prompt, calling
from tests.forks import OWN_ROUND_TRIPS
from tests.tools.servers import open_http
from tests.world import wait_until, words

pytestmark = pytest.mark.chaos

MOMENTS: tuple[Moment, ...] = ("before", "after")
DECIDING = [Point("decide", 1, moment) for moment in MOMENTS]
"""The decision of a click, before and after Redis has it."""
STEPS = ("begin call:0.0.0", "tool POST /mcp", "ai POST /v1/responses", "settle")
RESUMING = [Point(step, 1, moment) for step in STEPS for moment in MOMENTS]
"""What the worker does once a decision was made."""


def model(prompt: Prompt) -> Answer | str:
    """Calls the tool once, with the channel as its argument, then repeats the result."""
    if prompt.outputs:
        return f"outcome: {next(iter(prompt.outputs.values()))}"
    return calling(Call("s__add", f'{{"name": "{prompt.user_messages[-1].split()[-1]}"}}'))


@dataclass
class Approvals:
    """The deployment, and the threads in which something was asked, by their channel."""

    deployment: Deployment
    counts: Path
    tools_url: str
    roots: dict[str, str] = field(default_factory=dict)

    async def ask(self, channels: list[str]) -> None:
        """Ask for a write in each channel; returns once all turns wait for a person."""
        alice = self.deployment.slack.user("alice")
        for channel in channels:
            self.roots[channel] = await alice.says(channel, f"@bot {channel}")
        await self.reach("later")

    async def allow(self, channels: list[str]) -> None:
        """Press Allow in each channel."""
        alice = self.deployment.slack.user("alice")
        await asyncio.gather(
            *(alice.clicks(each, self.card(each).ts, card.ALLOW) for each in channels)
        )

    async def reach(self, wanted: str) -> None:
        """Wait until all threads are in a state."""

        async def reached() -> bool:
            inbox = self.deployment.store.inbox
            threads = [self.deployment.thread(*where) for where in self.roots.items()]
            states = [(await inbox.state(thread)).state for thread in threads]
            return set(states) == {wanted}

        await wait_until(reached)

    def card(self, channel: str) -> Message:
        [asked] = [
            message
            for message in self.deployment.slack.replies(channel, self.roots[channel])
            if (message.metadata or {}).get("event_type") == "bot_approval"
        ]
        return asked

    def judge(self, channel: str) -> str:
        """The outcome that the person read; the effect must match it."""
        asked = self.card(channel)
        replies = self.deployment.slack.replies(channel, self.roots[channel])
        said = " ".join(words(message) for message in replies if message is not asked)
        effects = self.counts.read_text().split().count(f"add:{channel}")
        assert not any(block["type"] == "actions" for block in asked.blocks), channel
        if f"added: {channel}" in said:
            assert effects == 1, said
            return "done"
        assert effects <= 1, said
        assert "It may have taken effect or not" in said
        return "unknown"


@asynccontextmanager
async def open_approvals(tmp_path: Path) -> AsyncIterator[Approvals]:
    counts, file = tmp_path / "counts", tmp_path / "tools.toml"
    counts.touch()
    file.write_text('[servers.s]\nurl = "${TOOLS_URL}"\n')
    async with (
        open_http(counts) as url,
        open_deployment(
            tmp_path,
            BOT_TOOLS=str(file),
            TOOLS_URL=url,
            BOT_GATHER_SECONDS="0",
            BOT_STREAMING="false",
        ) as deployment,
    ):
        deployment.fake.answer = model
        yield Approvals(deployment, counts, url)


async def forget_dead_workers(deployment: Deployment) -> None:
    """End the leases of killed workers now; other tests wait for their end."""
    store = deployment.store
    known = await store.redis.zrange(store.keys.workers, 0, -1)
    await store.redis.zadd(store.keys.workers, {str(name): 1.0 for name in known})


async def test_no_approval_is_lost_and_no_effect_repeated(tmp_path: Path) -> None:
    clicks, calls = Gatekeeper(), Gatekeeper()
    async with open_approvals(tmp_path) as approvals:
        deployment = approvals.deployment
        channels = deployment.new_channels(len(RESUMING))
        async with open_redis_relay(deployment.redis.socket, clicks) as link:
            [whole] = await deployment.start("run", REDIS_URL=link.url, **OWN_ROUND_TRIPS)
            await approvals.ask(channels)
            clicks.points = dict(zip(channels, DECIDING, strict=False))
            clicked = asyncio.create_task(approvals.allow(list(clicks.points)))
            await clicks.hold_all()
            await whole.kill()
            clicks.let_go.set()
            await clicked
        calls.points = dict(zip(channels, RESUMING, strict=True))
        base = approvals.tools_url.removesuffix("/mcp")
        web = asyncio.create_task(deployment.start("web"))
        async with (
            open_http_relay("tool", base, calls) as relay,
            watched_worker(deployment, calls, TOOLS_URL=f"{relay.url}/mcp") as victim,
        ):
            await web
            await approvals.allow(channels)  # the first decision of each counts
            await calls.hold_all()
            await victim.kill()
            calls.let_go.set()
        assert calls.held == set(channels), calls.steps
        await forget_dead_workers(deployment)
        await deployment.start("worker")
        await approvals.reach("idle")
        outcomes = [approvals.judge(channel) for channel in channels]
        print(dict(zip(map(str, RESUMING), outcomes, strict=True)))  # noqa: T201
        assert outcomes.count("unknown") <= 5, outcomes
        assert len(outcomes) == len(RESUMING)
