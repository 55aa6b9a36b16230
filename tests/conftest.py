"""Fixtures for all tests: a Redis server per process, a store per test."""

import importlib
import io
import logging
import os
from collections.abc import AsyncIterator, Generator, Iterator

import hypothesis
import pytest
import structlog

from bot.store import Store
from bot.telemetry.log import log
from bot.timing import Timing
from tests.redis_server import RedisServer, open_clean_store, run_server
from tests.redis_topologies import (
    RedisCluster,
    SentinelGroup,
    run_cluster,
    run_sentinels,
)
from tests.skips import summary
from tests.world import BASE_TIMING

unhurried = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("repeatable", unhurried, derandomize=True)
hypothesis.settings.register_profile("random", unhurried)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
"""All runs try the same examples, on a slow machine too. `HYPOTHESIS_PROFILE=random` looks for
new ones."""


LATE = {
    "bot.process": ("running", "serving", "web_part", "work_part"),
    "bot.tools": ("mcp", "stdio", "oauth"),
    "openai.resources": ("responses", "conversations", "chat", "beta", "files", "containers"),
}
"""What is imported when it is first needed."""


def pytest_configure(config: pytest.Config) -> None:
    """Import all of it before the tests of a parallel process, and when dev.py compiles the tests.

    Otherwise the first test of each process would, and block its event loop for seconds.
    """
    if hasattr(config, "workerinput") or config.option.collectonly:
        for package, modules in LATE.items():
            for module in modules:
                importlib.import_module(f"{package}.{module}")


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """Reset the log, whatever `bot.telemetry.log.configure` did in the previous test.

    Otherwise structlog would render a traceback for seconds, blocking the loop.
    """
    vars(log).pop("bind", None)  # a logger caches the first configuration that it saw
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """A stream for the log of a test, which sends it there with `bot.telemetry.log.configure`."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        yield io.StringIO()
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.fixture
def timing(request: pytest.FixtureRequest) -> Timing:
    """The timing of the bot under test: `TIMING` of the test's module, if it has one."""
    timing: Timing = getattr(request.module, "TIMING", BASE_TIMING)
    return timing


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests of a process. Tests that kill or fill a server start their own."""
    with run_server() as server:
        yield server


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[RedisCluster]:
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture
def redis_cluster(whole_cluster: RedisCluster) -> RedisCluster:
    """A Redis Cluster, whole at first, whose nodes a test may kill."""
    whole_cluster.heal()
    return whole_cluster


@pytest.fixture(scope="session")
def whole_sentinels() -> Iterator[SentinelGroup]:
    with run_sentinels() as group:
        yield group


@pytest.fixture
def sentinels(whole_sentinels: SentinelGroup) -> SentinelGroup:
    """A primary, replicas and Sentinels; all run at first, and a test may kill some."""
    whole_sentinels.heal()
    return whole_sentinels


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of the server."""
    return redis_server.url


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """An empty store that no other test sees."""
    async with open_clean_store(redis_url) as store:
        yield store


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the longest tests evenly: each process of xdist begins with a contiguous share."""
    longest = [item for item in items if item.get_closest_marker("chaos")]
    others = [item for item in items if not item.get_closest_marker("chaos")]
    for number, item in enumerate(longest):
        others.insert(number * (len(items) // len(longest)), item)
    items[:] = others


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates that a test printed: xdist cannot send them to its controller."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    longrepr = str(report.longrepr or "")
    if longrepr != longrepr.encode("utf-8", "replace").decode():
        report.longrepr = longrepr.encode("utf-8", "backslashreplace").decode()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that could not run at the end, with the reasons."""
    skipped = terminalreporter.stats.get("skipped", [])
    if line := summary(str(report.longrepr[2]) for report in skipped):
        terminalreporter.write_line(line)
