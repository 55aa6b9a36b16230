"""Workers and `web` are killed at every step of an approval: one card, one decision, one effect.

First each of many turns is held at a different step before its card, then between the decision and
the answer. A call that was cut off is reported as unknown.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from bot.slack import approval_card as card
from bot.texts.tools import UNKNOWN
from local_slack.workspace.model import Message
from tests.chaos.deployment import Deployment, open_deployment
from tests.chaos.gatekeeper import Gatekeeper, Point, watched_worker
from tests.chaos.processes import BotProcess
from tests.chaos.relays import open_http_relay
from tests.fakes.openai import Answer, Call, Prompt, calling
from tests.tools.servers import serve_http
from tests.world import wait_until, words

pytestmark = pytest.mark.chaos

ASKING = [
    *[("request_approvals", 1), ("slack POST /api/chat.postMessage", 1), ("suspend", 1)],
    ("record card:0.0.0", 1),
]
RESUMING = [
    *[("begin call:0.0.0", 1), ("record call:0.0.0", 1), ("record card_closed:0.0.0", 1)],
    *[("slack POST /api/chat.update", 1), ("ai POST /v1/responses", 1)],
]
"""Steps at which a worker must be killed."""


def effects_server(effects: Path) -> MCPServer[Any]:
    """A server with one tool, whose effect must not happen twice."""
    server = MCPServer("effects")

    @server.tool(annotations=ToolAnnotations(read_only_hint=False))
    def note(text: str) -> str:
        """Write a line."""
        with effects.open("a") as file:
            file.write(text + "\n")
        return "noted"

    return server


def model(prompt: Prompt) -> Answer | str:
    """Calls the tool once, with the channel as its argument, and then repeats the result."""
    result = next(iter(prompt.outputs.values()), "")
    if result in ("noted", UNKNOWN):  # a call that the bot lost with its run is made again
        return f"outcome: {result}"
    return calling(Call("s__note", f'{{"text": "{prompt.user_messages[-1].split()[-1]}"}}'))


@dataclass
class Approvals:
    """The deployment, and the threads in which something was asked, by their channel."""

    deployment: Deployment
    effects: Path
    tools_url: str
    roots: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def worker(self, gatekeeper: Gatekeeper) -> AsyncIterator[BotProcess]:
        """A worker of which every request passes the gatekeeper."""
        base = self.tools_url.removesuffix("/mcp")
        async with (
            open_http_relay("tool", base, gatekeeper) as relay,
            watched_worker(self.deployment, gatekeeper, TOOLS_URL=f"{relay.url}/mcp") as worker,
        ):
            yield worker

    async def ask(self, channels: list[str]) -> None:
        """Ask a question that needs an approval in each channel."""
        for channel in channels:
            alice = self.deployment.slack.user("alice")
            self.roots[channel] = await alice.says(channel, f"@bot {channel}")

    async def allow(self, channels: list[str]) -> None:
        """Press Allow on the one card of each channel."""
        for channel in channels:
            [asked] = self.cards(channel)
            await self.deployment.slack.user("alice").clicks(channel, asked.ts, card.ALLOW)

    def cards(self, channel: str) -> list[Message]:
        return [
            message
            for message in self.deployment.slack.replies(channel, self.roots[channel])
            if (message.metadata or {}).get("event_type") == "bot_approval"
        ]

    async def suspended(self, channels: list[str]) -> None:
        """Wait until the turns wait for a person."""
        await self._reach("later", channels)

    async def answered(self, channels: list[str]) -> None:
        """Wait until the turns have ended."""
        await self._reach("idle", channels)

    async def _reach(self, wanted: str, channels: list[str]) -> None:
        async def reached() -> bool:
            inbox = self.deployment.store.inbox
            threads = [self.deployment.thread(each, self.roots[each]) for each in channels]
            return all([(await inbox.state(thread)).state == wanted for thread in threads])

        await wait_until(reached, 60)

    def lines(self) -> list[str]:
        """The effects: one line for each, with the channel of the call."""
        return self.effects.read_text().split()

    def judge(self, channel: str) -> None:
        """At most one effect, and zero or one if the outcome is reported as unknown."""
        [asked] = self.cards(channel)
        said = " ".join(
            words(message)
            for message in self.deployment.slack.replies(channel, self.roots[channel])
            if message is not asked
        )
        effects = self.lines().count(channel)
        assert not any(block["type"] == "actions" for block in asked.blocks), channel
        if "outcome: noted" in said:
            assert effects == 1, said
        else:
            assert effects <= 1, said
            assert "It may have taken effect or not" in said


@asynccontextmanager
async def open_approvals(tmp_path: Path) -> AsyncIterator[Approvals]:
    effects, file = tmp_path / "effects", tmp_path / "tools.toml"
    effects.touch()
    file.write_text('[servers.s]\nurl = "${TOOLS_URL}"\n')
    async with (
        serve_http(effects_server(effects)) as url,
        open_deployment(
            tmp_path, BOT_TOOLS=str(file), TOOLS_URL=url, BOT_GATHER_SECONDS="0"
        ) as deployment,
    ):
        deployment.fake.answer = model
        await deployment.start("web")
        yield Approvals(deployment, effects, url)


async def learn(approvals: Approvals, gatekeeper: Gatekeeper) -> tuple[list[Point], list[Point]]:
    """The points of a turn until it is suspended, and from the decision to its end."""
    asking: list[Point] = []
    for channel in approvals.deployment.new_channels(2):  # the first loads the scripts
        await approvals.ask([channel])
        await approvals.suspended([channel])
        asking = list(gatekeeper.steps[channel])
        gatekeeper.start_over()
        await approvals.allow([channel])
        await approvals.answered([channel])
    return _without_claims(asking), _without_claims(gatekeeper.steps[channel])


def _without_claims(points: list[Point]) -> list[Point]:
    """Holding the reply to a claim would block all other turns."""
    return [point for point in dict.fromkeys(points) if point.step not in ("XREADGROUP", "take")]


async def kill_at(
    points: list[Point],
    channels: list[str],
    gatekeeper: Gatekeeper,
    victim: BotProcess,
    do: Callable[[list[str]], Awaitable[None]],
) -> set[Point]:
    """Do something in each channel, and kill the worker with each turn held at its own point;
    returns the points that were reached."""
    gatekeeper.start_over()
    gatekeeper.points = dict(zip(channels, points, strict=True))
    await do(channels)
    await gatekeeper.hold_all()
    await victim.kill()
    gatekeeper.let_go.set()
    return {gatekeeper.points[channel] for channel in gatekeeper.held}


def assert_reached(steps: list[tuple[str, int]], points: set[Point]) -> None:
    for step, number in steps:
        assert Point(step, number, "before") in points
        assert Point(step, number, "after") in points


@pytest.mark.timeout(300)
async def test_a_worker_killed_at_any_step_of_an_approval_leaves_one_card_and_one_effect(
    tmp_path: Path,
) -> None:
    async with open_approvals(tmp_path) as approvals:
        deployment, gatekeeper = approvals.deployment, Gatekeeper()
        async with approvals.worker(gatekeeper) as victim:
            asking, resuming = await learn(approvals, gatekeeper)
            channels = deployment.new_channels(len(asking))
            held = await kill_at(asking, channels, gatekeeper, victim, approvals.ask)
            assert_reached(ASKING, held)
        gatekeeper = Gatekeeper()
        async with approvals.worker(gatekeeper) as victim:
            more = deployment.new_channels(max(0, len(resuming) - len(channels)))
            await approvals.ask(more)
            channels = [*channels, *more]
            await approvals.suspended(channels)
            assert [len(approvals.cards(channel)) for channel in channels] == [1] * len(channels)
            assert not set(approvals.lines()) & set(channels)
            resumed = channels[: len(resuming)]
            held = await kill_at(resuming, resumed, gatekeeper, victim, approvals.allow)
            assert_reached(RESUMING, held)
        await deployment.start("worker")
        await approvals.answered(resumed)
        for channel in resumed:
            approvals.judge(channel)
