"""A Chromium per process, and for each test its own pages of workspaces in it.

All tests of the folder share one event loop, so that the connection to Chromium is made once.
"""

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.manifest import manifest
from local_slack import LocalSlack, open_workspace
from local_slack.control.web_page import page_url
from local_slack.tests.bolt import make_client
from tests.world import World, open_world, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio"),
    *("--disable-dev-shm-usage", "--disable-renderer-backgrounding", "--hide-scrollbars"),
]
WIDE = 1280
PATIENCE = 60_000
"""In milliseconds: several Chromiums on a small machine are slow."""
expect.set_options(timeout=PATIENCE)
Opener = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker("browser")
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The profile folder of a running Chromium, which contains its debugging address."""
    folder = tmp_path_factory.mktemp("chromium")
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield folder
    process.terminate()
    process.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """Contexts that a test opens in it are closed after the test."""

    async def address() -> list[str]:
        reported = chromium / "DevToolsActivePort"
        lines = reported.read_text().splitlines() if reported.exists() else []
        return lines if len(lines) == 2 else []

    port, path = await wait_until(address)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(f"ws://127.0.0.1:{port}{path}")
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[Opener]:
    """Opens an address at a width and in a colour scheme. Fails the test if a script fails."""
    broken: list[str] = []
    contexts: list[BrowserContext] = []

    async def opened(url: str, width: int = WIDE, scheme: str = "light") -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            locale="en-GB",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on(
            "console", lambda m: broken.append(m.text) if "Content Security" in m.text else None
        )
        await page.goto(url)
        await page.locator(".sidebar").wait_for(state="attached")
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert broken == []


@pytest_asyncio.fixture(loop_scope="session")
async def slack() -> AsyncIterator[LocalSlack]:
    """A workspace without an app: the tests use the Web API in its place."""
    async with open_workspace(time_factor=0.01) as workspace:
        workspace.manifest = manifest()
        yield workspace


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return make_client(slack)


@pytest_asyncio.fixture(loop_scope="session")
async def page(slack: LocalSlack, open_page: Opener) -> Page:
    return await open_page(page_url(slack))


@asynccontextmanager
async def open_shown_world(redis_url: str, directory: Path, **given: Any) -> AsyncIterator[World]:
    """`given` are settings of the bot."""
    async with open_world(redis_url, directory, bot_gather_seconds=0.02, **given) as world:
        world.slack.manifest = manifest()
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The whole bot, with a fake AI server."""
    async with open_shown_world(redis_url, tmp_path) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world_page(world: World, open_page: Opener) -> Page:
    return await open_page(page_url(world.slack))
