"""A worker that is told to leave (SIGTERM) with many runs under way, beside one that stays."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from statistics import median

from tests.chaos.deployment import Deployment
from tests.chaos.verdict import Verdict, judge
from tests.fakes.openai import echo, held
from tests.world import wait_until

NAME = "openai-project"
"""A header by which a worker is known at the AI server."""
GONE = 10.0
"""Seconds in which a process that was told to leave is gone."""
SOON = 2.0
"""Seconds after the hand-over in which each run is asked for again, where a machine has nothing
else to do."""


@dataclass(frozen=True)
class Leave:
    """How it went: `seconds` until the process was gone, `times` from the hand-over until each run
    was asked for by the other worker, and what came of it all."""

    count: int
    handed_over: int
    seconds: float
    times: list[float]
    verdict: Verdict

    def broken(self, soon: float = SOON) -> list[str]:
        """The promises that were not kept, a line for each."""
        late = self.count - sum(time <= soon for time in self.times)
        promises = {
            f"left in {self.seconds:.1f} s": self.seconds < GONE,
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
    """As many threads with a run under way. They are said no faster than web takes them: what
    Slack gives up would not be judged."""
    deployment.fake.answer = lambda prompt: held(echo(prompt))
    for number, channel in enumerate(deployment.new_channels(count), 1):
        await deployment.say(channel)
        if number % 50 == 0:
            await deployment.slack.settled(30)

    async def all_run() -> bool:
        return len(deployment.fake.working) == count

    await wait_until(all_run, 60 + count / 2)


async def asked_again(deployment: Deployment, who: str, patience: float) -> dict[str, float]:
    """When each run was asked for first by the worker of that name, in epoch seconds, once all of
    them were or our patience is at its end."""
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
    """Have a worker leave with `count` runs under way, and the other one answer."""
    _, leaver = await deployment.start("web", "worker")
    await ask_many(deployment, count)
    await deployment.start("worker", OPENAI_PROJECT_ID="heir")
    leaving = asyncio.create_task(leaver.leave())
    times = await asked_again(deployment, "heir", 60)
    seconds = await leaving
    [handed_over] = leaver.told("threads_handed_over")
    since = datetime.fromisoformat(handed_over["timestamp"]).timestamp()
    waits = [max(0.0, time - since) for time in times.values()]
    deployment.fake.finish()
    await deployment.rests(60 + count / 2)
    return Leave(count, handed_over["threads"], seconds, waits, await judge(deployment))
