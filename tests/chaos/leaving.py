"""A worker that gets SIGTERM with many runs under way, beside one that stays."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from statistics import median

from tests.chaos.deployment import Deployment
from tests.chaos.verdict import Verdict, judge
from tests.fakes.openai import echo, held
from tests.world import PATIENCE, wait_until

NAME = "openai-project"
"""A header by which a worker is known at the AI server."""
GONE = 10.0
"""Seconds within which a process must exit after SIGTERM, on an idle machine."""
GRACE = 30.0
"""What Heroku and Kubernetes give it."""
SOON = 2.0
"""Seconds after the hand-over within which each run is polled again, on an idle machine."""


@dataclass(frozen=True)
class Leave:
    """The result: `seconds` until the process exited, `times` from the hand-over until the other
    worker polled each run, and the verdict."""

    count: int
    handed_over: int
    seconds: float
    times: list[float]
    verdict: Verdict

    def broken(self, soon: float = SOON, gone: float = GONE) -> list[str]:
        """The broken guarantees, one line each."""
        late = self.count - sum(time <= soon for time in self.times)
        promises = {
            f"left in {self.seconds:.1f} s": self.seconds < gone,
            f"handed over {self.handed_over} of {self.count} runs": self.handed_over == self.count,
            f"{late} runs not asked for within {soon:g} s of the hand-over": not late,
            f"{self.verdict.runs} runs for {self.count} messages": self.verdict.runs == self.count,
            f"{self.verdict}": self.verdict.is_clean,
        }
        return [line for line, kept in promises.items() if not kept]

    def __str__(self) -> str:
        times = self.times or [inf]
        return (
            f"{self.count} runs: {self.handed_over} handed over, left in {self.seconds:.1f} s, "
            f"asked for again after the hand-over: p50 {median(times):.2f} s, "
            f"max {max(times):.2f} s"
        )


async def ask_many(deployment: Deployment, count: int) -> None:
    """Start `count` threads with a run under way, no faster than web accepts them: messages that
    Slack gives up would not be judged."""
    deployment.fake.answer = lambda prompt: held(echo(prompt))
    for number, channel in enumerate(deployment.new_channels(count), 1):
        await deployment.say(channel)
        if number % 50 == 0:
            await deployment.slack.settled()

    async def all_run() -> bool:
        return len(deployment.fake.working) == count

    await wait_until(all_run, PATIENCE + count / 2)


async def asked_again(deployment: Deployment, who: str, patience: float) -> dict[str, float]:
    """When the named worker first polled each run, in epoch seconds; returns once all were polled
    or after a timeout."""
    waiting = {work.id for work in deployment.fake.working}
    times: dict[str, float] = {}
    seen = 0

    async def all_were() -> bool:
        nonlocal seen
        for request in deployment.fake.requests[seen:]:
            run_id = request.path.rpartition("/")[2]
            if run_id in waiting and request.headers.get(NAME) == who:
                times.setdefault(run_id, request.time)
        seen = len(deployment.fake.requests)
        return len(times) == len(waiting)

    with suppress(TimeoutError):
        await wait_until(all_were, patience)
    return times


async def leave(deployment: Deployment, count: int) -> Leave:
    """Let a worker leave with `count` runs under way, and the other one answer."""
    _, leaver = await deployment.start("web", "worker")
    await ask_many(deployment, count)
    await deployment.start("worker", OPENAI_PROJECT_ID="heir")
    leaving = asyncio.create_task(leaver.leave())
    times = await asked_again(deployment, "heir", 60)
    seconds = await leaving
    [handed_over] = leaver.logged("threads_handed_over")
    since = datetime.fromisoformat(handed_over["timestamp"]).timestamp()
    waits = [max(0.0, time - since) for time in times.values()]
    deployment.fake.finish()
    await deployment.rests(PATIENCE + count / 2)
    return Leave(count, handed_over["threads"], seconds, waits, await judge(deployment))
