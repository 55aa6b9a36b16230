"""Traces: one from Slack's event to the posted answer across all processes; no cost when off."""

import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from bot.telemetry import trace
from tests.fakes.openai import held
from tests.ops.collector import open_collector
from tests.ops.processes import ROOT, STOP_SECONDS, open_process, open_site
from tests.ports import free_port
from tests.world import PATIENCE, open_world, wait_until

WORDS = "swordfish"


async def test_one_trace_leads_from_slack_through_two_processes_to_the_post(
    redis_url: str,
) -> None:
    names = {"slack request", "turn", "conversation", "run", "follow", "post"}

    async def all_are_exported() -> bool:
        return names <= {span.name for span in collector.spans}

    async with (
        open_collector() as collector,
        open_site(redis_url) as site,
        AsyncExitStack() as bots,
    ):
        site.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        site.environment["OTEL_BSP_SCHEDULE_DELAY"] = "100"  # milliseconds
        web, worker = [
            await bots.enter_async_context(open_process(site, part)) for part in ("web", "worker")
        ]
        root = await site.slack.user("alice").says("#general", f"@bot {WORDS}")
        await site.slack.wait_for(lambda: site.slack.replies("#general", root), PATIENCE)
        await worker.said("turn_answered")
        await wait_until(all_are_exported)  # at the end a process waits only a little for it
        assert [(await process.end())[0] for process in (web, worker)] == [0, 0]
        pids = {web.process.pid, worker.process.pid}
    (turn,) = collector.named("turn")
    ours = [span for span in collector.spans if span.trace_id == turn.trace_id]
    assert {span.name for span in ours} >= names
    assert {span.pid for span in ours} == pids
    assert {span.service for span in ours} == {"threadbot"}
    (request,) = [span for span in ours if span.name == "slack request"]
    assert (request.parent_id, turn.parent_id) == ("", request.span_id)
    steps = [span for span in ours if span.pid == turn.pid and span is not turn]
    assert {span.parent_id for span in steps} <= {turn.span_id, *(span.span_id for span in steps)}
    assert turn.attributes["slack.thread"].endswith(root)
    assert WORDS.encode() not in collector.raw


async def test_a_turn_of_several_messages_is_linked_to_all_of_them(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        open_collector() as collector,
        open_world(redis_url, tmp_path, otel_exporter_otlp_endpoint=collector.endpoint) as world,
    ):
        world.fake.answer = [held("first")]
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot start")
        await world.slack.wait_for(lambda: world.fake.working)
        for text in ("one", "two", "three"):
            await alice.says("#general", f"@bot {text}", thread_ts=root)
        await world.slack.settled()
        world.fake.finish()
        await world.replies("#general", root, 2)
    last = max(collector.named("turn"), key=lambda span: span.attributes["turn.messages"])
    assert last.attributes["turn.messages"] == "3"
    assert len({last.trace_id, *last.links}) == 3


async def test_a_failed_step_is_traced_by_its_kind_only(redis_url: str, tmp_path: Path) -> None:
    async with (
        open_collector() as collector,
        open_world(redis_url, tmp_path, otel_exporter_otlp_endpoint=collector.endpoint) as world,
    ):
        world.fake.fault("error", "POST", "/responses", message=f"no {WORDS} here")
        await world.ask("#general", "@bot hello")
    assert "RunFailed" in {span.error for span in collector.named("run")}
    assert WORDS.encode() not in collector.raw


async def test_an_unreachable_collector_delays_nothing(redis_url: str) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    async with (
        open_site(redis_url) as site,
        open_process(site, "run", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as bot,
    ):
        root = await site.slack.user("alice").says("#general", f"@bot {WORDS}")
        await site.slack.wait_for(lambda: site.slack.replies("#general", root), PATIENCE)
        code, seconds = await bot.end()
    assert code == 0
    assert seconds < STOP_SECONDS
    assert WORDS not in bot.log.decode()
    assert len(bot.lines) < 50


def test_without_an_endpoint_tracing_imports_and_creates_nothing() -> None:
    # redis-py imports part of the SDK itself, for metrics that are off.
    code = "import sys, bot.app; print([n for n in sys.modules if 'otlp' in n or 'sdk.trace' in n])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"
    assert trace.current() == ""
    assert trace.span("a", parent="b") is trace.span("c")
