"""Mutated payloads of every kind over HTTP and Socket Mode: the processes survive, their memory is
flat, and people are answered."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.slack.surfaces.commands import COMMANDS
from bot.slack.surfaces.shortcuts import SHORTCUTS
from local_slack.delivery.delivery import Delivery, Transport
from local_slack.workspace.errors import SlackError
from tests.chaos.deployment import Deployment
from tests.chaos.processes import BotProcess
from tests.mutations import mutate
from tests.world import wait_until

AT_ONCE = 8
ACK_SECONDS = 10.0
WARM_UP = 0.25
"""The share of the time after which memory must not grow any more."""
MOST_GROWTH = 48 << 20
"""Bytes that a process may grow after the warm-up."""
ASKED = 5


@dataclass
class Mutations:
    """The result."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    growth: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    answered: int = 0

    def broken(self) -> list[str]:
        """The broken guarantees, one line each."""
        grown = [
            f"{name} grew by {size >> 20} MB"
            for name, size in self.growth.items()
            if size > MOST_GROWTH
        ]
        ended = [f"{name} ended" for name in self.dead]
        unanswered = [] if self.answered == ASKED else [f"{ASKED - self.answered} unanswered"]
        crashed = [f"{self.statuses[each]} × {each}" for each in self.statuses if each[0] == "5"]
        return [*grown, *ended, *unanswered, *crashed]

    def __str__(self) -> str:
        growth = ", ".join(
            f"{name} {size / (1 << 20):+.1f} MB" for name, size in self.growth.items()
        )
        return f"sent {dict(self.sent)}; answers {dict(self.statuses)}; memory {growth}"


async def throw(deployment: Deployment, seconds: float, seed: int) -> Mutations:
    """Send mutated payloads for a while, half of them over Socket Mode."""
    processes = await deployment.start("web", "worker")
    socket = {
        "SLACK_APP_TOKEN": deployment.slack.app_token,
        "SLACK_SIGNING_SECRET": "",
        "PORT": "0",
    }
    processes += await deployment.start("web", **socket)
    samples = await _record(deployment)
    storm = _Storm(deployment, samples, random.Random(seed), processes)
    await storm.run(seconds)
    storm.result.answered = await _ask(deployment)
    return storm.result


async def _record(deployment: Deployment) -> list[Delivery]:
    """Real payloads: events, commands, shortcuts, buttons, and modals."""
    slack, alice = deployment.slack, deployment.slack.user("alice")
    channel = deployment.new_channels(1)[0]
    root = await alice.says(channel, "@bot hello", files={"a.txt": b"text"})
    await deployment.rests()
    await alice.says(channel, "@bot more", thread_ts=root, table=[["a", "b"], ["1", "2"]])
    await alice.forwards(channel, root, alice.dm(), "look")
    await deployment.rests()
    await alice.edits(channel, root, "@bot hello again")
    await alice.opens_home()
    for command in COMMANDS:
        await alice.slash(command.name, "x", channel)
    for shortcut in SHORTCUTS:
        await alice.shortcut(shortcut.callback_id, channel, root)
        with suppress(SlackError):
            await alice.submits()
    for message in slack.replies(channel, root):
        for action_id in set(_action_ids(message.blocks)):
            with suppress(SlackError):
                await alice.clicks(channel, message.ts, action_id)
    await alice.deletes(channel, root)
    await deployment.rests()
    return list(slack.deliveries)


def _action_ids(value: Any) -> Iterator[str]:
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from _action_ids(part)
    if isinstance(value, dict) and isinstance(value.get("action_id"), str):
        yield value["action_id"]


class _Storm:
    def __init__(
        self,
        deployment: Deployment,
        samples: list[Delivery],
        chance: random.Random,
        processes: list[BotProcess],
    ) -> None:
        self.result = Mutations()
        self._ways: tuple[Transport, ...] = (deployment.slack.http, deployment.slack.sockets)
        self._samples = samples
        self._chance = chance
        self._processes = processes
        self._end = 0.0

    async def run(self, seconds: float) -> None:
        began = time.monotonic()
        await self._send_until(began + seconds * WARM_UP)
        before = self._memory()
        await self._send_until(began + seconds)
        after = self._memory()
        self.result.growth = {name: after[name] - before[name] for name in before}
        self.result.dead = [_name(each) for each in self._processes if not each.alive]

    async def _send_until(self, end: float) -> None:
        self._end = end
        await asyncio.gather(*(self._send_all() for _ in range(AT_ONCE)))

    async def _send_all(self) -> None:
        while time.monotonic() < self._end:
            sample = self._chance.choice(self._samples)
            delivery = Delivery(0, sample.kind, sample.name, self._mutated(sample))
            way = self._chance.choice(self._ways)
            answer = await way.send(delivery, ACK_SECONDS, 0, "")
            self.result.sent[sample.kind] += 1
            self.result.statuses[str(answer.status or answer.reason)] += 1

    def _mutated(self, sample: Delivery) -> Any:
        """The whole payload, or only its event, so that most of them get beyond the envelope."""
        if self._chance.random() < 0.7 and "event" in sample.payload:
            event = mutate(sample.payload["event"], self._chance)
            ids = {"event_id": f"Ev{self._chance.randrange(1 << 40):X}"}
            return sample.payload | {"event": event} | ids
        mutated = mutate(sample.payload, self._chance)
        return mutated if isinstance(mutated, dict) else {"type": mutated}

    def _memory(self) -> dict[str, int]:
        return {_name(each): _resident(each.pid) for each in self._processes if each.alive}


def _name(process: BotProcess) -> str:
    return process.log.stem


def _resident(pid: int) -> int:
    statm = Path(f"/proc/{pid}/statm").read_text().split()
    return int(statm[1]) * os.sysconf("SC_PAGE_SIZE")


async def _ask(deployment: Deployment) -> int:
    """Ask in new threads; returns how many were answered."""
    slack = deployment.slack
    roots = [
        (channel, await slack.user("bob").says(channel, "@bot still there?"))
        for channel in deployment.new_channels(ASKED)
    ]

    async def all_answered() -> bool:
        return all(slack.replies(channel, root) for channel, root in roots)

    with suppress(TimeoutError):
        await wait_until(all_answered)
    return sum(bool(slack.replies(channel, root)) for channel, root in roots)
