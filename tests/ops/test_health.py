"""Health, readiness and metrics of a process."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.app import open_bot
from bot.errors import ConfigError
from bot.telemetry import metrics
from bot.timing import Timing, WorkerTiming
from tests.fakes.openai import after_polls
from tests.ops.processes import STOP_SECONDS, open_process, open_site
from tests.redis_server import run_server
from tests.world import World, open_world, wait_until

TOKEN = "a-token-for-the-scraper"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def get(world: World, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(world.url + path, headers=headers) as response,
    ):
        return response.status, await response.text()


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def status_is(world: World, path: str, status: int) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return (await get(world, path))[0] == status

    return is_so


@pytest.mark.parametrize("socket_mode", [True, False], ids=["socket", "http"])
async def test_a_process_that_can_work_says_so(
    redis_url: str, tmp_path: Path, socket_mode: bool
) -> None:
    async with open_world(redis_url, tmp_path, socket_mode=socket_mode) as world:
        assert (await get(world, "/healthz"))[0] == 200

        async def ready() -> str:
            status, text = await get(world, "/readyz")
            return text if status == 200 else ""

        text = await wait_until(ready)
    needed = {"redis", "slack", "worker"} | ({"socket"} if socket_mode else set())
    assert json.loads(text) == dict.fromkeys(needed, "ok")


async def test_without_redis_a_process_lives_and_is_not_ready(tmp_path: Path) -> None:
    with run_server() as server:
        async with open_world(server.url, tmp_path, bot_metrics_token=TOKEN) as world:
            server.kill()
            await wait_until(status_is(world, "/readyz", 503))
            assert (await get(world, "/healthz"))[0] == 200
            status, text = await get(world, "/metrics", **BEARER)
            assert status == 200
            assert "bot_redis_up 0.0" in text
            assert sample("bot_redis_errors_total", error="ConnectionError") > 0
            server.start()
            await wait_until(status_is(world, "/readyz", 200))
            assert "bot_redis_up 1.0" in (await get(world, "/metrics", **BEARER))[1]


@pytest.mark.parametrize("timing", [Timing(worker=WorkerTiming(lifetime=-1.0))])
async def test_a_worker_without_a_heartbeat_is_not_ready(world: World) -> None:
    status, text = await get(world, "/readyz")
    assert status == 503
    assert json.loads(text)["worker"] == "failed"


async def test_a_socket_that_is_cut_is_not_ready(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, engine="echo", socket_mode=True) as world:
        world.slack.faults.refuse("apps.connections.open", "internal_error", times=1000)
        await world.slack.sockets.cut()
        await wait_until(status_is(world, "/readyz", 503))
        assert json.loads((await get(world, "/readyz"))[1])["socket"] == "failed"


async def test_metrics_on_the_public_port_need_their_token(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_metrics_token=TOKEN) as world:
        assert (await get(world, "/metrics"))[0] == 401
        assert (await get(world, "/metrics", Authorization="Bearer wrong"))[0] == 401
        assert (await get(world, "/metrics", **BEARER))[0] == 200


async def test_a_port_in_use_is_reported_in_one_line(world: World) -> None:
    assert world.bot.address is not None
    settings = world.settings.model_copy(update={"port": world.bot.address[1]})
    with pytest.raises(ConfigError, match="PORT: cannot listen"):
        async with open_bot(settings):
            pass


async def test_unreadable_prices_are_reported_first(world: World) -> None:
    nowhere = {"bot_prices": Path("nowhere.toml"), "redis_url": "redis://127.0.0.1:1/0"}
    with pytest.raises(ConfigError, match="BOT_PRICES"):
        async with open_bot(world.settings.model_copy(update=nowhere), work_part=False):
            pass


async def test_without_a_token_the_public_port_has_no_metrics(world: World) -> None:
    assert (await get(world, "/metrics"))[0] == 404


async def test_a_turn_is_counted_from_the_event_to_the_answer(
    redis_url: str, tmp_path: Path
) -> None:
    def figures() -> dict[str, float]:
        return {
            "acks": sample("bot_ack_seconds_count", transport="http", status="200"),
            "messages": sample("bot_messages_total", delivery="new"),
            "again": sample("bot_messages_total", delivery="again"),
            "turns": sample("bot_turns_total", outcome="completed"),
            "queued": sample("bot_queue_seconds_count"),
            "first": sample("bot_first_text_seconds_count"),
            "answers": sample("bot_answer_seconds_count"),
            "input": sample("bot_tokens_total", kind="input", model="gpt-6-luna"),
            "done": sample("bot_polls_total", result="done"),
            "lag": sample("bot_poll_lag_seconds_count"),
        }

    before = figures()
    async with open_world(
        redis_url, tmp_path, socket_mode=False, bot_streaming=False, bot_metrics_token=TOKEN
    ) as world:
        world.fake.answer = [after_polls("done", 1)]
        await world.ask("#general", "@bot hello")
        _, text = await get(world, "/metrics", **BEARER)
    grown = {name: value - before[name] for name, value in figures().items()}
    assert grown["turns"] == grown["first"] == grown["answers"] == grown["queued"] == 1
    assert grown["messages"] == grown["again"] == 1  # the mention and its twin
    assert grown["acks"] >= 2
    assert grown["input"] > 0
    assert grown["done"] == grown["lag"] == 1
    shown = {family.name for family in text_string_to_metric_families(text)}
    assert {"bot_turns", "bot_queue_threads", "bot_workers", "process_cpu_seconds"} <= shown
    assert sample("bot_workers") == 1
    assert sample("bot_turns_active") == 0


async def test_faults_of_slack_and_of_the_ai_server_are_counted(world: World) -> None:
    model = f"ai:responses:{world.settings.openai_model}"
    before = {
        "slack": sample("bot_slack_errors_total", error="rate_limited"),
        "engine": sample("bot_engine_errors_total", error="status"),
        "retries": sample("bot_retries_total", reason="status", dependency=model),
    }
    world.slack.faults.rate_limit("chat.postMessage")
    world.fake.fault("server_error", "POST", "/responses", retry_after=0.1)
    await world.ask("#general", "@bot hello")
    assert sample("bot_slack_errors_total", error="rate_limited") == before["slack"] + 1
    assert sample("bot_engine_errors_total", error="status") == before["engine"] + 1
    retries = sample("bot_retries_total", reason="status", dependency=model)
    assert retries == before["retries"] + 1


async def test_no_series_has_a_person_channel_or_thread_label(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    text = generate_latest(metrics.REGISTRY).decode()
    ids = (root, world.key("#general", root).channel_id, world.slack.user("alice").id)
    assert not [found for found in ids if found in text]


async def test_a_separate_worker_serves_metrics_at_its_own_port(redis_url: str) -> None:
    async with open_site(redis_url) as site:
        async with open_process(site, "worker") as worker:

            async def counted() -> bool:
                return "bot_workers 1.0" in (await worker.get("/metrics"))[1]

            async def ready() -> bool:
                return (await worker.get("/readyz"))[0] == 200

            await wait_until(counted)
            await wait_until(ready)
            code, seconds = await worker.end()
        assert code == 0
        assert seconds < STOP_SECONDS


def test_a_label_is_a_single_word() -> None:
    assert metrics.kind("bug:KeyError") == "bug"
    assert metrics.kind("status 503") == "status"
    assert metrics.kind("503") == "other"
    assert len(metrics.kind("x" * 500)) == 40
