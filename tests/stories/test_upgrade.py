"""The bot is upgraded while it is busy: it continues with the Redis of the earlier version.

`tests/data/previous_version/README.md` says what each thread of the recordings is about.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from bot.timing import StoreTiming, Timing
from tests.fakes.openai import Prompt
from tests.recording import Recording, load_recording
from tests.redis_server import RedisServer
from tests.stories.test_ai_faults import ENGINE, RUNS, THROTTLE, WORKER
from tests.world import ANSWER, World, open_world, wait_until, words

TIMING = Timing(
    worker=replace(WORKER, lifetime=3.0, stray_after=0.5),
    store=StoreTiming(restore_check=0.1),
    throttle=THROTTLE,
    engine=replace(ENGINE, read_timeout=5.0, lock_pause=1.0),
    answer=ANSWER,
)
NAMES = [
    f"{engine}-{mode}" for engine in ("responses", "assistants") for mode in ("streamed", "polled")
]
SORRY = "⚠️ I tried several times and could not answer this."
FORGOTTEN = "Done: I have forgotten this conversation."
EXPECTED = {
    "rested": ["turn 1: rested one"],
    "waiting": [
        "turn 1: waiting one",
        "turn 2: waiting one | waiting two hold",
        "turn 3: waiting one | waiting two hold | waiting three | waiting four",
    ],
    "forgotten": ["turn 1: forgotten one", FORGOTTEN],
    "stopping": ["turn 1: stopping one", "_Stopped._"],
    "resetting": ["turn 1: resetting one", "_Stopped._", FORGOTTEN],
    "retracting": ["turn 1: retracting one", "turn 2: retracting one | retracting two hold"],
    "editing": [
        "turn 1: editing one",
        "turn 2: editing one | editing two hold",
        "turn 3: editing one | editing two hold | editing three",
    ],
    "dead": [SORRY],
    "apologizing": [SORRY],
    "running": ["turn 1: running one hold"],
    "streaming": ["turn 1: streaming one hold streaming"],
    "begun": ["turn 1: begun one hold"],
    "appended": ["turn 1: appended one hold"],
    "started": ["turn 1: started one hold"],
    "unstarted": ["turn 1: unstarted one hold"],
    "posted": ["turn 1: posted one"],
    "delayed": ["turn 1: delayed one hold"],
    "last": ["turn 1: last one hold"],
    "queued": ["turn 1: queued one"],
    "queued behind": ["turn 1: queued behind one | queued behind two"],
}
"""The beginnings of the first lines of the bot's messages, by thread."""
NEW_RUNS = {
    "waiting",
    "editing",
    "begun",
    "appended",
    "unstarted",
    "delayed",
    "queued",
    "queued behind",
}
"""The threads in which a run was still to be started."""
REST = "The rest of it. " * 6


def answer(prompt: Prompt) -> str:
    """The answers of the recorded server, without holding any."""
    return f"turn {prompt.turn}: {' | '.join(prompt.user_messages)}\n\n{REST}"


@pytest.fixture(params=NAMES)
def recording(
    request: pytest.FixtureRequest, redis_server: RedisServer, redis_url: str
) -> Recording:
    """A recording, written into the empty Redis at `redis_url`."""
    recording = load_recording(request.param, f"story-{uuid4().hex[:8]}")
    with redis_server.client() as client:
        recording.fill_redis(client)
    return recording


@pytest.fixture
async def upgraded(recording: Recording, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose bot continues the recording."""
    async with open_world(
        redis_url,
        tmp_path,
        engine=recording.engine,
        socket_mode=False,
        timing=TIMING,
        recording=recording,
        bot_redis_prefix=recording.prefix,
        bot_streaming=recording.streamed,
        bot_stream_channels=recording.engine == "responses",
        bot_follow_ups="always",
    ) as world:
        world.fake.answer = answer
        yield world


async def test_a_busy_bot_is_upgraded(upgraded: World, recording: Recording) -> None:
    """Each question is answered once and in order, by no second run, and nothing is forgotten."""
    world = upgraded
    await _runs_are_followed(world, recording)
    for name in ("stopping", "resetting"):
        await world.rests(*recording.threads[name])
    if recording.engine == "responses":
        await _second_run_is_refused(world)
    world.fake.finish()
    for name in recording.threads:
        await world.rests(*recording.threads[name])

    for name in recording.threads:
        assert _beginnings(world, recording, name) == EXPECTED[name], name
    assert _texts(world, recording, "streaming") == [
        f"{EXPECTED['streaming'][0]}\n\n{REST}".strip()
    ]
    runs_path = RUNS[recording.engine]
    assert world.fake.created(runs_path) == len(NEW_RUNS & recording.threads.keys())
    await _dead_letters_can_be_retried(world, recording)
    await _conversation_continues(world, recording)
    await _settings_are_kept(world, recording)


async def _runs_are_followed(world: World, recording: Recording) -> None:
    """Wait until the bot has polled each running run whose id is in a journal."""
    runs = recording.known_runs
    assert len(runs) == 8

    async def all_are() -> bool:
        paths = [request.path for request in world.fake.requests]
        return all(any(run in path for path in paths) for run in runs)

    await wait_until(all_are)


async def _second_run_is_refused(world: World) -> None:
    """Wait until the server has just refused a run in a conversation in which one is running whose
    id was lost. It would take one from a worker that has looked for the answer just before it came.
    """

    async def is_refused() -> bool:
        runs = [r for r in world.fake.requests if (r.method, r.path) == ("POST", "/responses")]
        return bool(runs) and runs[-1].status == 400 and time.time() - runs[-1].time < 0.3

    await wait_until(is_refused)


def _texts(world: World, recording: Recording, name: str) -> list[str]:
    replies = world.slack.replies(*recording.threads[name])
    assert not any(reply.stream and reply.stream.state == "streaming" for reply in replies)
    return [words(reply) for reply in replies]


def _beginnings(world: World, recording: Recording, name: str) -> list[str]:
    """The first line of each message of the bot; of a fixed text the sentence in EXPECTED."""
    lines = [text.partition("\n")[0] for text in _texts(world, recording, name)]
    return [next((s for s in (SORRY, FORGOTTEN) if line.startswith(s)), line) for line in lines]


async def _dead_letters_can_be_retried(world: World, recording: Recording) -> None:
    letters = await world.bot.store.dead.list()
    assert sorted(letter.messages[0].text for letter in letters) == ["apologizing one", "dead one"]
    for letter in letters:
        assert await world.bot.store.dead.retry(letter.id)
    for name in ("apologizing", "dead"):
        await world.replies(*recording.threads[name], 2)
        assert _beginnings(world, recording, name) == [SORRY, f"turn 1: {name} one"]


async def _conversation_continues(world: World, recording: Recording) -> None:
    channel, root = recording.threads["rested"]
    before = await world.bot.store.conversations.find(world.key(channel, root))
    await world.ask(channel, "rested two", thread_ts=root)
    after = await world.bot.store.conversations.find(world.key(channel, root))
    assert before
    assert after
    assert before.id == after.id
    assert _beginnings(world, recording, "rested")[1] == "turn 2: rested one | rested two"
    said = await world.bot.store.conversations.history(world.key(channel, root))
    assert [record.text for record in said if record.role == "user"] == ["rested one", "rested two"]


async def _settings_are_kept(world: World, recording: Recording) -> None:
    store, workspace = world.bot.store, world.slack.workspace
    channel, _ = recording.threads["rested"]
    settings = await store.channels.find(workspace.team_id, channel)
    assert (settings.instructions, settings.follow_ups) == ("Answer in verse.", "always")
    assert world.fake.prompts[-1].instructions.endswith("Answer in verse.")
    assert [feedback.note for feedback in await store.feedback.list()] == ["good"]
    assert await store.spending.rows([recording.day])
