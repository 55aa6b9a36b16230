"""Two workers together start runs at the configured rate, however many are requested."""

from pathlib import Path

import pytest

from bot.turn.throttle import rate_and_burst
from tests.chaos.deployment import open_deployment
from tests.chaos.verdict import judge

pytestmark = pytest.mark.chaos

PER_MINUTE = 180
THREADS = 20


async def test_two_workers_share_one_run_rate(tmp_path: Path) -> None:
    async with open_deployment(
        tmp_path, BOT_RUNS_PER_MINUTE=str(PER_MINUTE), BOT_CONCURRENCY="10"
    ) as deployment:
        _, *workers = await deployment.start("web", "worker", "worker")
        for channel in deployment.new_channels(THREADS):
            await deployment.say(channel)
        await deployment.rests()
        verdict = await judge(deployment)
        assert verdict.is_clean, str(verdict)
        assert verdict.runs == THREADS
        assert all(len(worker.logged("turn_answered")) >= THREADS / 4 for worker in workers)
        rate, burst = rate_and_burst(PER_MINUTE)
        times = sorted(r.time for r in deployment.fake.requests if r.path == "/responses")
        said = min(float(said.ts) for said in deployment.said)
        for number, time in enumerate(times[burst:], 1):
            assert time >= said + number / rate
        assert times[-1] < said + THREADS / rate + 30
