"""Approvals, forms and the audit on the page, in both themes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from bot.tryout.audit_page import audit_page
from bot.tryout.demo_tools import open_demo
from local_slack.control.web_page import page_url
from tests.browser.conftest import Opener, open_shown_world
from tests.browser.page_actions import in_thread, open_thread, say, speak_as
from tests.world import World

NOTE = 'call demo__add_note {"text": "milk *bold*"}'
LITERAL = "milk *bold*"


@pytest_asyncio.fixture(loop_scope="session")
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with (
        open_demo(tmp_path) as tools,
        open_shown_world(redis_url, tmp_path, engine="echo", bot_tools=tools) as world,
    ):
        world.slack.add_page(audit_page(world.slack, world.bot.store))
        yield world


async def test_a_call_is_approved_a_form_filled_in_and_both_are_audited(
    world: World, open_page: Opener
) -> None:
    page = await open_page(page_url(world.slack))
    await say(page, f"@bot add a note\n{NOTE}")
    await open_thread(page, "add a note")
    asked = page.locator(".thread article").nth(1)
    await expect(asked).to_contain_text(LITERAL)
    await expect(asked.get_by_role("button", name="Allow once")).to_be_visible()

    await speak_as(page, "bob")
    await asked.get_by_role("button", name="Allow once").click()
    await expect(page.get_by_text("only the person who asked")).to_be_visible()
    await speak_as(page, "alice")
    await asked.get_by_role("button", name="Allow once").click()
    await expect(asked).to_contain_text("Allowed once by")
    await expect(asked.get_by_role("button", name="Allow once")).to_have_count(0)
    await expect(in_thread(page, "Written as line")).to_be_visible()

    await page.get_by_role("button", name="Switch between light and dark").click()
    await book_a_room(page)
    audit = await open_page_of_audit(page, world)
    await expect(audit.get_by_role("row").filter(has_text="demo: add_note")).to_contain_text(
        "alice"
    )
    await expect(audit.get_by_role("row").filter(has_text="demo: book_room").last).to_be_visible()
    await expect(audit.get_by_text("no line was changed or removed")).to_be_visible()
    assert LITERAL not in await audit.content()
    assert await audit.evaluate("document.documentElement.dataset.theme") == "dark"


async def book_a_room(page: Page) -> None:
    """Allow a call that asks with a form, and fill it in: wrong at first."""
    await page.get_by_role("button", name="Close thread").click()
    await say(page, "@bot book a room\ncall demo__book_room")
    await open_thread(page, "book a room")
    thread = page.locator(".thread")
    await thread.get_by_role("button", name="Allow once").click()
    await thread.get_by_role("button", name="Answer").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Room").select_option("Library")
    await form.get_by_label("How many people").fill("99")
    await form.get_by_role("button", name="Send").click()
    await expect(form.get_by_text("At most 20")).to_be_visible()
    await form.get_by_label("How many people").fill("4")
    await form.get_by_role("button", name="Send").click()
    await expect(form).to_have_count(0)
    await expect(in_thread(page, "Written as line")).to_be_visible()


async def open_page_of_audit(page: Page, world: World) -> Page:
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Tool audit").click()
    return await opened.value
