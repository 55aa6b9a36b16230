"""The bot in front of real AI servers. Optional: `python3 dev.py test --servers` installs them."""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.cli import doctor
from bot.engines.api import Api
from bot.engines.checks import open_checks
from bot.engines.client import open_client
from bot.engines.events import EventStream
from bot.settings import Settings
from bot.texts.answers import WORDS
from tests.servers.processes import KINDS, VARIABLE, RealServer, program
from tests.world import World, open_world, wait_until, words

pytestmark = [
    pytest.mark.skipif(VARIABLE not in os.environ, reason="needs dev.py test --servers"),
    pytest.mark.timeout(600),
]
ANSWER_SECONDS = 120.0
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """One process of each kind for all tests of the module."""
    kind = KINDS[request.param]
    if program(request.param, kind.command) is None:
        pytest.skip(f"{request.param} is not installed")
    with kind.open(tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def in_front(
    server: RealServer, redis_url: str, tmp_path: Path
) -> AbstractAsyncContextManager[World]:
    """A world whose AI server is the real one."""
    return open_world(redis_url, tmp_path, **server.settings)


async def said(world: World, text: str, root: str = "", **given: Any) -> tuple[str, str]:
    """Send a message; returns the root of the thread and the answer."""
    before = len(world.slack.replies("#general", root)) if root else 0
    ts = await world.slack.user("alice").says("#general", text, thread_ts=root or None, **given)
    thread = world.key("#general", root or ts)

    async def answered() -> bool:
        shown = world.slack.replies("#general", root or ts)
        state = await world.bot.store.inbox.state(thread)
        return len(shown) > before and state.state == "idle"

    await wait_until(answered, ANSWER_SECONDS)
    return root or ts, words(world.slack.replies("#general", root or ts)[-1])


def is_apology(answer: str) -> bool:
    """Whether there is nothing before a warning. The random model writes as much as it may."""
    return not answer.partition("⚠️")[0].strip()


def settings_of(server: RealServer, **changes: Any) -> Settings:
    values: dict[str, Any] = {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}
    return Settings(_env_file=None, **(values | server.settings | changes))


async def test_the_doctor_finds_nothing_wrong(server: RealServer) -> None:
    async with open_checks(settings_of(server)) as checks:
        lines = await doctor.run(checks, lambda line: None)
    assert [line for line in lines if line.finding.level == "failed"] == []


async def test_a_turn_and_a_follow_up_with_its_context(
    in_front: AbstractAsyncContextManager[World], server: RealServer
) -> None:
    with capture_logs() as logs:
        async with in_front as world:
            root, first = await said(world, "@bot the word is abracadabra")
            _, second = await said(world, "@bot which word?", root)
    assert not is_apology(first + second)
    used = [entry["input_tokens"] for entry in logs if entry["event"] == "turn_answered"]
    assert used[1] > used[0] > 0
    if server.echoes:
        assert "abracadabra | which word?" in second


async def test_a_new_worker_knows_the_thread(
    in_front: AbstractAsyncContextManager[World], server: RealServer
) -> None:
    async with in_front as world:
        root, _ = await said(world, "@bot one")
        world = await world.replaced()
        _, answer = await said(world, "@bot two", root)
    assert not is_apology(answer)
    if server.echoes:
        assert "one | two" in answer


async def test_the_answer_is_streamed(server: RealServer) -> None:
    settings = settings_of(server)
    body = {"model": server.model, "input": "hello", "stream": True}
    async with open_client(settings) as client:
        api = Api(client)
        stream = await api.stream("responses", body=body, timeout=api.slow_timeout(ANSWER_SECONDS))
        assert isinstance(stream, EventStream)
        async with stream:
            kinds = [event["type"] async for events in stream for event in events]
    assert "response.output_text.delta" in kinds
    assert kinds[-1] == "response.completed"


async def test_the_chat_dialect_is_answered_too(
    server: RealServer, redis_url: str, tmp_path: Path
) -> None:
    given = server.settings | {"bot_protocol": "chat"}
    async with open_world(redis_url, tmp_path, **given) as world:
        root, first = await said(world, "@bot one")
        _, second = await said(world, "@bot two", root)
    assert not is_apology(first + second)


async def test_files_are_read_or_named(in_front: AbstractAsyncContextManager[World]) -> None:
    async with in_front as world:
        _, text = await said(world, "@bot sum up", files={"notes.txt": b"the secret is 42"})
        _, image = await said(world, "@bot describe", files={"dot.png": PIXEL})
    assert not is_apology(text)
    assert not is_apology(image) or "dot.png" in image


async def test_an_unknown_model_is_reported(
    server: RealServer, redis_url: str, tmp_path: Path
) -> None:
    if server.any_model:
        pytest.skip(f"{server.name} serves its model under any name")
    given = server.settings | {"openai_model": "no-such-model"}
    async with open_world(redis_url, tmp_path, **given) as world:
        _, answer = await said(world, "@bot hello")
    assert WORDS["model_not_found"] in answer


async def test_a_wrong_key_is_reported(server: RealServer, redis_url: str, tmp_path: Path) -> None:
    if not server.checks_keys:
        pytest.skip(f"{server.name} accepts every key")
    given = server.settings | {"openai_api_key": "sk-wrong"}
    async with open_world(redis_url, tmp_path, **given) as world:
        _, answer = await said(world, "@bot hello")
    assert WORDS["authentication"] in answer


async def test_a_reset_forgets(
    in_front: AbstractAsyncContextManager[World], server: RealServer
) -> None:
    async with in_front as world:
        root, _ = await said(world, "@bot the word is abracadabra")
        await said(world, "@bot reset", root)
        _, answer = await said(world, "@bot which word?", root)
    assert not is_apology(answer)
    if server.echoes:
        assert "abracadabra" not in answer
