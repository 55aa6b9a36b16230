"""`bot try` as a person starts it: the page, the bot's processes, faults, and a restart."""

import asyncio
import re
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from bot.texts.access import GUEST
from bot.texts.install import ADD, INSTALLED
from tests.browser.conftest import Opener
from tests.browser.page_actions import in_channel, in_thread, open_thread, reply, say, speak_as
from tests.fakes.openai import after_polls, open_fake_openai
from tests.test_cli import environment


class Program:
    """A running `bot try --browser`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def leave(self) -> int:
        self.process.send_signal(signal.SIGINT)
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def bot_try(directory: Path, *options: str, **given: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "try", "--browser", *options),
        cwd=directory,
        env=environment(**given),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Program(process, await _address(process))
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(120):
        async for line in process.stdout:
            if found := re.search(rb"http://127\.0\.0\.1:\d+/\?token=\S+", line):
                return found.group().decode()
    raise AssertionError("bot try ended without an address")


async def test_everything_is_remembered_until_a_fresh_start(
    tmp_path: Path, open_page: Opener
) -> None:
    async with bot_try(tmp_path) as first:
        page = await open_page(first.url)
        await say(page, "@bot my name is Ada")
        await open_thread(page, "my name is Ada")
        await expect(in_thread(page, "1 message")).to_be_visible()
        acme = await add_workspace(page, "Acme")
        await add_person(acme, "gina", "Guest")
        await say(acme, "@bot am I welcome?")
        await expect(in_thread(acme, GUEST)).to_be_visible()
        await speak_as(acme, "alice")
        await say(acme, "@bot my name is Eve")
        await expect(in_thread(acme, "1 message")).to_be_visible()
        assert await first.leave() == 0
        await expect(page.locator(".connection")).to_have_text("reconnecting…")
        kept = tmp_path / ".bot" / "page.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.with_name("workspaces.json").stat().st_mode) == 0o600
        async with bot_try(tmp_path) as second:
            assert second.url == first.url  # the page that is still open reconnects
            await expect(page.locator(".connection")).to_have_text("")
            await reply(page, "what is my name?")
            await expect(in_thread(page, "2 messages")).to_be_visible()
            await expect(acme.locator(".connection")).to_have_text("")
            await reply(acme, "what is my name?")
            await expect(in_thread(acme, "2 messages")).to_be_visible()
            assert await second.leave() == 0
    async with bot_try(tmp_path, "--fresh") as third:
        page = await open_page(third.url)
        await expect(in_channel(page, "my name is Ada")).to_have_count(0)


async def test_nothing_is_lost_under_faults(tmp_path: Path, open_page: Opener) -> None:
    async with bot_try(tmp_path) as program:
        page = await open_page(program.url)
        await page.get_by_role("button", name="Faults").click()
        await page.get_by_role("switch", name="Deliver twice").click()
        await _next_time(page, "429 from Slack")
        await _next_time(page, "Error of the AI server")
        await say(page, "@bot " + "count these words " * 12)
        await open_thread(page, "count these words")
        await expect(page.locator(".thread .status")).to_contain_text("thinking")
        switches = page.get_by_role("region", name="Switches")
        await switches.get_by_role("button", name="Kill").click()
        await expect(in_thread(page, "1 message")).to_be_visible()
        await reply(page, "and again")
        await expect(in_thread(page, "2 messages")).to_be_visible()
        assert await page.locator(".thread article").count() == 4
        await page.get_by_role("button", name="What happened").click()
        await page.get_by_role("checkbox", name="Whole thread").check()
        steps = page.locator(".steps")
        for reported in ("SIGKILL", "ratelimited", "ai request refused", "message seen before"):
            await expect(steps).to_contain_text(reported)


async def test_the_requests_to_the_ai_server_are_shown_with_their_status(
    tmp_path: Path, open_page: Opener
) -> None:
    async with open_fake_openai() as fake:
        fake.answer = [after_polls("first", 3), after_polls("second", 0)]
        fake.fault("server_error", "POST", "/responses")
        given = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key}
        async with bot_try(tmp_path, BOT_STREAMING="false", **given) as program:
            page = await open_page(program.url)
            await say(page, "@bot hello")
            await open_thread(page, "hello")
            await expect(in_thread(page, "first")).to_be_visible()
            await reply(page, "and now?")
            await expect(in_thread(page, "second")).to_be_visible()
            await page.get_by_role("button", name="What happened").click()
            await page.get_by_role("checkbox", name="Whole thread").check()
            requests = page.locator(".step.ai")
            await expect(requests.filter(has_text="POST /v1/responses")).to_have_count(3)
            shown = await requests.all_inner_texts()
    rows = [" ".join(text.split()) for text in shown]
    asked = [row for row in rows if "POST /v1/responses" in row]
    assert ["500" in asked[0], "200" in asked[-1]] == [True, True]
    polls = [row for row in rows if "GET /v1/responses/" in row and "200" in row]
    sent = [r for r in fake.requests if r.method == "GET" and r.path.startswith("/responses/")]
    assert len(polls) == len(sent) >= 4


async def add_workspace(page: Page, name: str) -> Page:
    """Add a workspace, and the app to it, as a person does; returns the workspace's page."""
    await page.get_by_role("button", name="Local Slack").click()
    await page.get_by_role("menuitem", name="Add a workspace").click()
    form = page.get_by_role("dialog", name="Add a workspace")
    await form.get_by_label("Name").fill(name)
    await form.get_by_role("button", name="Add").click()
    await expect(form).to_be_hidden()
    await page.get_by_role("button", name="Local Slack").click()
    async with page.context.expect_page() as opened:
        await page.get_by_role("menuitem", name=f"Open {name}").click()
    added = await opened.value
    async with page.context.expect_page() as opened:
        await added.get_by_role("link", name="Add it").click()
    oauth = await opened.value
    await oauth.get_by_role("link", name=ADD).click()
    await expect(oauth.get_by_role("heading")).to_have_text(f"The app asks for access to {name}")
    await oauth.get_by_role("link", name="Allow").click()
    await expect(oauth.get_by_role("heading")).to_have_text(INSTALLED)
    await oauth.close()
    await expect(added.get_by_role("link", name="Add it")).to_be_hidden()
    return added


async def add_person(page: Page, name: str, role: str) -> None:
    """Add a person and write as this person."""
    await page.get_by_role("button", name="Add a person").click()
    form = page.get_by_role("dialog", name="Add a person")
    await form.get_by_label("Name").fill(name)
    await form.get_by_label("Role").select_option(role)
    await form.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("radio", name=name)).to_be_checked()


async def _next_time(page: Page, title: str) -> None:
    row = page.locator(".switch-row").filter(has_text=title)
    await row.get_by_role("button", name="Next time").click()
