"""Workers are killed while they stream many answers; in the end each is there once, exactly.

The worker with the most answers is killed; others take over after eight seconds. The answers and
the times of the kills are drawn from a seed.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from bot.slack.answer.stream import LIMIT
from bot.slack.markdown.render import render
from tests.chaos.deployment import Deployment, open_deployment
from tests.chaos.leaving import GRACE
from tests.chaos.processes import BotProcess
from tests.chaos.verdict import parts_by_turn, runs_by_turn
from tests.fakes.openai import Answer, held
from tests.world import wait_until, words

pytestmark = pytest.mark.chaos

SIZES = (2_000, LIMIT + 2_000, 5_000)
"""Characters of the answers; the second one has two messages."""
SECONDS = (12.0, 22.0, 30.0)
"""Seconds of each answer: some end while no worker follows them."""
KILLS = 3
MOMENT = (0.5, 2.5)
"""Seconds for which a worker has the answers before it is killed."""

CODE = "```python\nfor line in lines:\n    print(line)\n```"
LIST = "- first\n  - *within* it\n- second, with `code`\n- [ ] third"
TABLE = "| name | count |\n|---|---|\n| apples | 3 |\n| pears | 4 |"


def write(chance: random.Random, size: int) -> str:
    """An answer with all kinds of blocks."""
    blocks = ["# An answer"]
    while sum(map(len, blocks)) < size:
        words = (f"word{chance.randrange(1000)}" for _ in range(chance.randint(10, 60)))
        prose = " ".join(words) + ", **all of it** & `a < b`."
        blocks.append(chance.choice((prose, prose, prose, CODE, LIST, TABLE)))
    return "\n\n".join([*blocks, "The end."])


async def busiest(deployment: Deployment) -> tuple[BotProcess, int]:
    """The worker with the most answers, and their number, once no dead worker has any."""
    held: Counter[BotProcess] = Counter()

    async def are_all_alive() -> bool:
        held.clear()
        for where in deployment.threads:
            state = await deployment.store.inbox.state(deployment.thread(*where))
            held.update(p for p in deployment.processes if f":{p.pid}:" in state.worker)
            if state.state == "ready":
                return False
        return all(process.alive for process in held)

    await wait_until(are_all_alive)
    [(worker, count)] = held.most_common(1)
    return worker, count


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_answers_are_complete_after_workers_were_killed_at_random_moments(
    engine: str, tmp_path: Path
) -> None:
    chance = random.Random(5)
    texts = [write(chance, size) for size in SIZES * 2]
    lengths = zip(texts, SECONDS * 2, strict=True)
    async with open_deployment(tmp_path, engine=engine) as deployment:
        deployment.fake.answer = [
            Answer(text, seconds=seconds, piece=40) for text, seconds in lengths
        ]
        await deployment.start("web", "worker")
        group = deployment.slack.user("alice").dm(
            "bob"
        )  # no streams in channels: posted and edited
        for channel in [*deployment.new_channels(len(SIZES)), *[group] * len(SIZES)]:
            await deployment.say(channel)
        ways = {"chat.startStream", "chat.update"}
        await deployment.slack.wait_for(
            lambda: ways <= {call.method for call in deployment.slack.calls}
        )
        struck = []
        for _ in range(KILLS):
            await deployment.start("worker")
            worker, count = await busiest(deployment)
            await asyncio.sleep(chance.uniform(*MOMENT))
            await worker.kill()
            struck.append(count)
        await deployment.rests()
        shown = []
        for where in deployment.threads:
            messages = deployment.slack.replies(*where)
            [parts] = parts_by_turn(messages).values()
            assert [number for number, _ in parts] == list(range(len(messages)))
            assert not [m.ts for m in messages if m.stream and m.stream.state == "streaming"]
            shown.append("\n\n".join(text for _, text in parts))
        print(f"{engine}: answers struck by each kill: {struck}")  # noqa: T201 - for who reads the run
        assert sum(struck) > len(texts)
        assert sorted(shown) == sorted(render(text) for text in texts)
        assert [len(runs) for runs in runs_by_turn(deployment).values()] == [1] * len(texts)


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_worker_closes_its_streams_on_sigterm_and_another_one_continues(
    engine: str, tmp_path: Path
) -> None:
    text = write(random.Random(6), 3_000)
    async with open_deployment(tmp_path, engine=engine) as deployment:
        deployment.fake.answer = [held(text, after=100)]
        _, worker = await deployment.start("web", "worker")
        [channel] = deployment.new_channels(1)
        said = await deployment.say(channel)
        await deployment.slack.wait_for(lambda: deployment.slack.replies(channel, said.thread_ts))
        [begun] = deployment.slack.replies(channel, said.thread_ts)
        assert await worker.leave() < GRACE
        await wait_until(lambda: _no_request_is_open(deployment))
        assert begun.text
        assert text.startswith(begun.text)
        await deployment.start("worker")
        deployment.fake.finish()
        await deployment.rests()
        [message] = deployment.slack.replies(channel, said.thread_ts)
        assert message.ts == begun.ts
        assert words(message) == render(text)
        assert [len(runs) for runs in runs_by_turn(deployment).values()] == [1]


async def test_a_stop_received_by_web_ends_the_run_of_a_worker_process(
    tmp_path: Path,
) -> None:
    async with open_deployment(tmp_path) as deployment:
        deployment.fake.answer = [held(write(random.Random(7), 3_000), after=100)]
        await deployment.start("web", "worker", "worker")
        [channel] = deployment.new_channels(1)
        said = await deployment.say(channel)
        await deployment.slack.wait_for(lambda: deployment.slack.replies(channel, said.thread_ts))
        await deployment.slack.user("alice").says(channel, "stop", thread_ts=said.thread_ts)
        await deployment.rests()
        [message] = deployment.slack.replies(channel, said.thread_ts)
        assert words(message).startswith("# An answer\n\n")
        assert words(message).endswith("\n\n_Stopped._")
        [[run]] = runs_by_turn(deployment).values()
        assert run["status"] == "cancelled"
        await wait_until(lambda: _no_request_is_open(deployment))


async def _no_request_is_open(deployment: Deployment) -> bool:
    return not deployment.fake.open_requests
