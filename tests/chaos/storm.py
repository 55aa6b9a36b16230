"""A storm: people send messages while the bot's processes, Redis and the other servers fail.

The events are drawn from a seed. Their timing also depends on the machine, so a failed seed gives
the same kind of storm again, not exactly the same one.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.chaos.deployment import Deployment, chatty
from tests.chaos.processes import BotProcess
from tests.chaos.verdict import Verdict, judge

CALM_PATIENCE = 600.0
"""Seconds until everything is idle: Slack allows us to end only twenty streams a minute."""
LEAVE_WITHIN = 20.0
"""In seconds; ten are guaranteed on a machine that is not overloaded."""
Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """How long the storm lasts: for `seconds`, and until there were `kills`."""

    seed: int = 0
    seconds: float = 60.0
    kills: int = 0
    threads: int = 12
    pause: tuple[float, float] = (0.5, 3.0)
    """Seconds between two faults."""

    def command(self, engine: str) -> str:
        """The command that repeats this kind of storm."""
        return (
            f"python3 dev.py chaos --seed {self.seed} --minutes {self.seconds / 60:.3g}"
            f" --kills {self.kills} --threads {self.threads} --engine {engine}"
        )


@dataclass
class Report:
    """The result of a storm."""

    acts: Counter[str] = field(default_factory=Counter)
    resumed: list[float] = field(default_factory=list)
    """Seconds from the kill of a worker until its runs were polled again."""
    undelivered: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def kills(self) -> int:
        return sum(count for act, count in self.acts.items() if act.startswith("kill"))

    def __str__(self) -> str:
        acts = ", ".join(f"{act} {count}" for act, count in sorted(self.acts.items()))
        lines = [f"kills {self.kills} ({acts}), deliveries given up {self.undelivered}"]
        if self.resumed:
            longest, middle = max(self.resumed), median(self.resumed)
            count = len(self.resumed)
            lines.append(f"resumed polls {count}: p50 {middle:.1f} s, max {longest:.1f} s")
        return "\n".join([*lines, str(self.verdict)])


class Storm:
    """One storm over a deployment; `run` returns after the verdict."""

    def __init__(self, deployment: Deployment, plan: Plan) -> None:
        self._deployment = deployment
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._report = Report()
        self._began = time.monotonic()
        self._orphans: list[tuple[str, float]] = []
        self._spells: list[asyncio.Task[None]] = []
        self._web: BotProcess
        self._workers: list[BotProcess] = []

    async def run(self) -> Report:
        deployment, plan = self._deployment, self._plan
        deployment.fake.answer = chatty(plan.seed, seconds=(0.1, 5), long=0.15, failing=0.08)
        self._web, *self._workers = await deployment.start("web", "worker", "worker")
        self._began = time.monotonic()
        channels = deployment.new_channels(max(3, plan.threads // 3))
        talks = [
            asyncio.create_task(self._talk(random.Random(f"{plan.seed}:{n}"), channels))
            for n in range(plan.threads)
        ]
        try:
            while not self._is_over:
                await asyncio.sleep(self._chance.uniform(*plan.pause))
                await self._act()
        finally:
            for talk in talks:
                talk.cancel()
            await asyncio.wait(talks)
        for talk in talks:
            if not talk.cancelled():
                talk.result()
        await self._calm()
        self._report.resumed = self._resumed()
        self._report.verdict = await judge(deployment)
        return self._report

    @property
    def _is_over(self) -> bool:
        passed = time.monotonic() - self._began
        return passed > self._plan.seconds and self._report.kills >= self._plan.kills

    async def _talk(self, chance: random.Random, channels: list[str]) -> None:
        """People write in threads one after another, with or without waiting, and open new ones."""
        deployment, channel, root = self._deployment, "", ""
        while True:
            if not root or chance.random() < 0.15:
                channel, root = chance.choice(channels), ""
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                said = await deployment.say(channel, root, who=chance.choice(("alice", "bob")))
                root = said.thread_ts
                await asyncio.sleep(chance.uniform(0, 0.3))
            await asyncio.sleep(chance.uniform(0.2, 6))

    async def _act(self) -> None:
        acts: list[tuple[int, str, Act]] = [
            (60, "kill worker", self._kill_worker),
            (20, "kill web", self._kill_web),
            (8, "kill redis", self._kill_redis),
            (8, "freeze worker", self._freeze_worker),
            (3, "freeze web", self._freeze_web),
            (6, "deploy worker", self._deploy_worker),
            (6, "shuffle deliveries", self._shuffle_deliveries),
            (5, "slack fault", self._fault_slack),
            (5, "ai fault", self._fault_ai),
        ]
        weights = [weight for weight, _, _ in acts]
        _, name, act = self._chance.choices(acts, weights)[0]
        self._report.acts[name] += 1
        await act()

    async def _kill_worker(self) -> None:
        index = self._chance.randrange(len(self._workers))
        victim = self._workers[index]
        await victim.ready()  # otherwise a slow machine would only start processes
        await victim.kill()
        at = time.time()
        self._workers[index] = self._deployment.process("worker")
        await self._workers[index].start()
        await self._note_orphans(victim, at)

    async def _note_orphans(self, victim: BotProcess, at: float) -> None:
        """The runs that a killed worker was following."""
        for thread in [self._deployment.thread(*where) for where in self._deployment.threads]:
            state = await self._deployment.store.inbox.state(thread)
            if f":{victim.pid}:" not in state.worker:
                continue
            for work in self._deployment.fake.working:
                if work.body["metadata"].get("turn") == state.turn_id:
                    self._orphans.append((work.id, at))

    async def _kill_web(self) -> None:
        await self._web.ready()
        await self._web.kill()
        self._web = self._deployment.process("web")
        await self._web.start()

    async def _deploy_worker(self) -> None:
        """An old process leaves (SIGTERM) while a new one comes."""
        index = self._chance.randrange(len(self._workers))
        old = self._workers[index]
        await old.ready()
        if old.frozen:
            return
        self._workers[index] = self._deployment.process("worker")
        await self._workers[index].start()
        self._spells.append(asyncio.create_task(_leave(old)))

    async def _shuffle_deliveries(self) -> None:
        """For a while Slack delivers everything twice, late, and with reversed twins."""
        faults = self._deployment.slack.faults
        faults.deliver_twice = faults.reverse_twins = True
        faults.delay = (0.0, 0.6)

        async def settle() -> None:
            await asyncio.sleep(self._chance.uniform(1, 4))
            faults.deliver_twice = faults.reverse_twins = False
            faults.delay = (0.0, 0.0)

        self._spells.append(asyncio.create_task(settle()))

    async def _kill_redis(self) -> None:
        redis = self._deployment.redis
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(self._chance.uniform(0, 2))
        await asyncio.to_thread(redis.start)

    async def _freeze_worker(self) -> None:
        """A frozen process resumes before or after its lease has expired."""
        await self._freeze(self._chance.choice(self._workers), self._chance.choice((1, 5, 11, 14)))

    async def _freeze_web(self) -> None:
        await self._freeze(self._web, self._chance.choice((1, 4)))

    async def _freeze(self, process: BotProcess, seconds: float) -> None:
        process.freeze()

        async def wake() -> None:
            await asyncio.sleep(seconds)
            process.thaw()

        self._spells.append(asyncio.create_task(wake()))

    async def _fault_slack(self) -> None:
        faults = self._deployment.slack.faults
        method = "chat.postMessage"
        faults.drop(method, after_effect=self._chance.random() < 0.5)
        faults.server_error(method)
        faults.rate_limit(self._chance.choice(("*", method)), times=2)

    async def _fault_ai(self) -> None:
        chance, fake = self._chance, self._deployment.fake
        kinds: Any = ("drop_before", "drop_after", "server_error", "rate_limit", "overloaded")
        fake.fault(chance.choice(kinds), "POST")
        fake.fault(chance.choice(kinds), "GET", times=2)
        fake.fault("drop_stream", events=chance.randrange(1, 6))

    async def _calm(self) -> None:
        """End all faults, send one more message to each thread, and wait until all are idle."""
        deployment = self._deployment
        await asyncio.gather(*self._spells)
        deployment.slack.faults.clear()
        deployment.fake.faults.clear()
        deployment.fake.answer = chatty(self._plan.seed, seconds=(0, 0.3), long=0)
        await self._web.ready()
        for worker in self._workers:
            await worker.ready()
        await deployment.rests(CALM_PATIENCE)
        self._report.undelivered = sum(d.state == "failed" for d in deployment.slack.deliveries)
        for channel, thread_ts in deployment.threads:
            await deployment.say(channel, thread_ts)
        await deployment.rests(CALM_PATIENCE)

    def _resumed(self) -> list[float]:
        times = []
        for run_id, at in self._orphans:
            asked = (r.time - at for r in self._deployment.fake.requests if run_id in r.path)
            later = [seconds for seconds in asked if seconds > 0]
            if later:
                times.append(min(later))
        return times


async def _leave(process: BotProcess) -> None:
    seconds = await process.leave()
    assert seconds < LEAVE_WITHIN, f"a worker took {seconds:.1f} s to leave"
