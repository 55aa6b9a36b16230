"""A turn with tools is killed at every request: no effect is repeated, and the thread continues."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.engines.functions import RENDERED_HEAD
from bot.engines.router import Router
from bot.texts.tools import outcome_unknown
from bot.timing import EngineTiming, WorkerTiming
from tests.fakes.openai import Answer, Call, Prompt, calling
from tests.stories.kills import Kills
from tests.stories.tools import ENGINES, audit, effects
from tests.tools.servers import open_http
from tests.world import BASE_TIMING, World, network_engine, open_world

QUICK = WorkerTiming(
    heartbeat=0.05, rescue_every=1, stray_after=0.05, lifetime=30.0, retry_first=0.05
)
POLLED = EngineTiming(poll_first=0.01, poll_longest=0.05, error_first=0.01)
AT_ONCE = 4
REQUESTS = re.compile(r"tool |ai POST|redis \w+ (run|asked|call|answer)|redis settle")
UNKNOWN = f"Done.\n\n{outcome_unknown(['s: add'])}"


@dataclass
class Model:
    """Asks for two rounds of calls and says "Done."; answers a second question at once."""

    reported: dict[str, str] = field(default_factory=lambda: defaultdict(str))
    """The outputs that it got for the calls of a name."""

    def __call__(self, prompt: Prompt) -> Answer:
        question = prompt.user_messages[-1]
        name = question.split()[-1]
        results = " ".join(map(str, prompt.outputs.values()))
        if RENDERED_HEAD in prompt.instructions:
            results += prompt.instructions
        self.reported[name] += results
        if question.startswith("and"):
            return Answer("Fine.")
        if "about" in results or RENDERED_HEAD in results:
            return Answer("Done.")
        if results:
            return calling(Call("s__read", '{"topic": "rain"}'))
        put = Call("s__put", '{"key": "k", "value": "v"}')
        return calling(Call("s__add", f'{{"name": "{name}"}}'), put)


@pytest.fixture(params=[name for name in ENGINES if name != "echo"])
async def world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    (tmp_path / "counts").touch()
    file = tmp_path / "tools.toml"
    async with open_http(tmp_path / "counts") as url:
        file.write_text(f'[servers.s]\nurl = "{url}"\nask = "never"\n')
        timing = replace(BASE_TIMING, worker=QUICK, engine=POLLED)
        given: dict[str, Any] = {**ENGINES[request.param], "bot_streaming": False}
        async with open_world(redis_url, tmp_path, timing=timing, bot_tools=file, **given) as world:
            yield world


def world_name(world: World) -> str:
    """The name of its engine in `ENGINES`."""
    if world.settings.bot_engine == "assistants":
        return "assistants"
    options = world.fake.options
    return "responses" if options.conversations else "replayed" if options.responses else "chat"


def forget_conversation(world: World, thread: str) -> None:
    """The memory of `replay` is lost with its process."""
    engine = network_engine(world)
    memories = engine.replay._memories if isinstance(engine, Router) else {}
    for key, memory in list(memories.items()):
        if memory.work and memory.work.request.conversation.thread.key == thread:
            del memories[key]


async def test_a_killed_turn_repeats_no_effect(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fake.answer = model = Model()
    kills = Kills(REQUESTS)
    kills.install(monkeypatch)
    kills.on_kill = partial(forget_conversation, world)
    first = await world.ask("#general", "@bot do 0")
    alice, count = world.slack.user("alice"), kills.moments[world.key("#general", first).key]
    assert count > 20
    engine = list(ENGINES).index(world_name(world))
    points = list(range(1 + engine, count + 1, 3 if engine == 0 else 5))
    for start in range(0, len(points), AT_ONCE):
        threads = {}
        for point in points[start : start + AT_ONCE]:
            channel = world.slack.add_channel(f"c{point}", ["alice"]).id
            root = await alice.says(channel, f"@bot do {point}")
            kills.points[world.key(channel, root).key] = point
            threads[point] = (channel, root)
        for point, (channel, root) in threads.items():
            (said,) = await world.replies(channel, root)
            made = effects(tmp_path / "counts").count(f"add:{point}")
            assert made <= 1, f"killed at {point}: {made} effects"
            assert said == ("Done." if f"added: {point}" in model.reported[str(point)] else UNKNOWN)
            await alice.says(channel, f"and {point}", thread_ts=root)
        for point, (channel, root) in threads.items():
            _, said = await world.replies(channel, root, 2)
            assert said == "Fine.", f"killed at {point}: {said}"
    assert len(kills.killed) >= len(points) - 2, "the first turn takes a request more"
    lines = await audit(world)
    called = {(line.turn_id, line.call_id) for line in lines}
    assert len(called) == 3 * (len(points) + 1)
