"""App Home, commands and refusals on the page, with the real bot."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from bot.texts.access import GUEST, OUTSIDER
from bot.texts.answers import FRESH_START
from bot.texts.commands import NONE_SUCH
from bot.texts.home import ASKED, NO, NONE, YES
from local_slack.control.web_page import page_url
from tests.browser.conftest import Opener, open_shown_world
from tests.browser.page_actions import (
    command,
    go_to,
    in_channel,
    in_thread,
    open_home,
    open_thread,
    reply,
    say,
    speak_as,
)
from tests.stories.test_usage import PRICES
from tests.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def managed(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world with prices, an admin, a guest and a person of another workspace."""
    (tmp_path / "prices.toml").write_text(PRICES)
    async with open_shown_world(
        redis_url, tmp_path, bot_prices=tmp_path / "prices.toml", openai_model="gpt-6-luna"
    ) as world:
        world.slack.add_user("chief", is_admin=True)
        world.slack.add_user("gina", is_guest=True)
        world.slack.add_user("olaf", team_id="T0ELSEWHERE")
        for name in ("chief", "gina", "olaf"):
            await world.slack.user(name).joins("#general")
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def page(managed: World, open_page: Opener) -> Page:
    return await open_page(page_url(managed.slack))


async def test_home_leads_to_conversations_and_resets_them(managed: World, page: Page) -> None:
    await managed.ask("#general", "@bot about *cats* & <dogs>")
    dm = managed.slack.user("alice").dm()
    await managed.ask(dm, "about birds")
    home = await open_home(page)
    for heading in ("What I can do", "Your conversations", "Your usage"):
        await expect(home.get_by_role("heading", name=heading)).to_be_visible()
    rows = home.locator(".section").filter(has=page.get_by_role("button", name="Reset"))
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text(re.compile(r"^about birds\s*direct message, Today"))
    await expect(home).to_contain_text(re.compile(r"Today: 2 answers, \d+ tokens .*\$0\.0"))

    await home.get_by_role("button", name="Reset the conversation: about cats").click()
    await expect(rows).to_have_count(1)
    await home.get_by_role("button", name="Send me a chart").click()
    await expect(home.locator(".actions + .context")).to_have_text(ASKED)
    await rows.get_by_role("link", name="about birds").click()
    await expect(in_thread(page, "turn 1: about birds")).to_be_visible()
    await go_to(page, "general")
    await open_thread(page, "about *cats* & <dogs>")
    await expect(in_thread(page, FRESH_START)).to_be_visible()

    await speak_as(page, "bob")
    home = await open_home(page)
    await expect(home).to_contain_text(NONE.replace("_", ""))
    await expect(home).to_contain_text("Today: nothing yet")
    await expect(home).not_to_contain_text("Channel settings")


async def test_an_admins_channel_settings_apply_from_the_next_message(
    managed: World, page: Page
) -> None:
    await say(page, "@bot hello")
    await open_thread(page, "hello")
    await expect(in_thread(page, "turn 1")).to_be_visible()
    await speak_as(page, "chief")
    home = await open_home(page)
    await home.get_by_role("combobox", name="Choose a channel").select_option("#general")
    dialog = page.get_by_role("dialog", name="Channel settings")
    await dialog.get_by_label("Instructions").fill("Speak like a pirate.")
    await dialog.get_by_label("Model").fill("gpt-6-sol")
    await dialog.get_by_label("Who may use the bot").select_option("Only the people named below")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Name at least one person")
    await dialog.get_by_role("group", name="Named people").get_by_label("alice").check()
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(home).to_contain_text("#general: own instructions; gpt-6-sol; only @alice")
    await expect(home).to_contain_text("version 1 by @chief")

    await home.get_by_role("button", name="Edit").click()
    await expect(dialog.get_by_label("Instructions")).to_have_value("Speak like a pirate.")
    await expect(
        dialog.get_by_role("group", name="Named people").get_by_label("alice")
    ).to_be_checked()
    await dialog.get_by_role("button", name="Cancel").click()

    await speak_as(page, "alice")
    await go_to(page, "general")
    await open_thread(page, "hello")
    await reply(page, "and now?")
    await expect(in_thread(page, "turn 2")).to_be_visible()
    asked = [r.body for r in managed.fake.requests if (r.method, r.path) == ("POST", "/responses")]
    assert [body["model"] for body in asked] == ["gpt-6-luna", "gpt-6-sol"]
    assert asked[1]["instructions"].endswith("Speak like a pirate.")
    await speak_as(page, "bob")
    await reply(page, "@bot and me?")
    await expect(in_thread(page, "you are not among those who may use it")).to_be_visible()


async def test_usage_is_listed_and_charted(managed: World, page: Page) -> None:
    await managed.ask("#general", "@bot hello")
    await command(page, "/usage")
    reported = in_channel(page, "Your usage")
    await expect(reported).to_contain_text(re.compile(r"Today: 1 answer, \d+ tokens"))
    await expect(reported).not_to_contain_text("People")
    await reported.get_by_role("button", name="Send me a chart").click()
    await expect(in_channel(page, ASKED)).to_be_visible()
    await go_to(page, "threadbot")
    letter = in_channel(page, "Your usage this month")
    await expect(letter.get_by_role("figure")).to_contain_text("Tokens by day")

    await speak_as(page, "chief")
    await go_to(page, "general")
    await command(page, "/usage")
    await expect(reported).to_contain_text(
        re.compile(r"1\. #general: 1 answer.*1\. @alice: 1 answer")
    )
    await reported.get_by_role("button", name="Send me a chart of the workspace").click()
    await go_to(page, "threadbot")
    letter = in_channel(page, "Usage of this workspace this month")
    await expect(letter).to_contain_text("channel 1: #general")
    await expect(letter.get_by_role("figure")).to_have_count(2)


async def test_conversations_are_searched_exported_and_forgotten(
    managed: World, page: Page
) -> None:
    await managed.ask("#general", "@bot about cats")
    await managed.ask("#random", "@bot about dogs")
    await command(page, "/bot-help")
    await expect(in_channel(page, "What I can do")).to_contain_text("/forget-me")
    await command(page, "/conversations elephants")
    await expect(in_channel(page, NONE_SUCH)).to_be_visible()
    await command(page, "/conversations dogs")
    found = in_channel(page, "Your conversations with “dogs”")
    await expect(found.get_by_role("button", name="Reset the conversation")).to_have_count(1)
    await found.get_by_role("link", name="about dogs").click()
    await expect(page.get_by_role("heading", name="random", exact=True)).to_be_visible()
    await expect(in_thread(page, "turn 1: about dogs")).to_be_visible()
    await go_to(page, "general")
    await found.get_by_role("button", name="Export").click()
    await go_to(page, "threadbot")
    async with page.expect_download() as download:
        await in_channel(page, "Your conversations").get_by_role("link").click()
    exported = json.loads((await (await download.value).path()).read_text())
    said = [each["messages"][0]["text"] for each in exported["conversations"]]
    assert said == ["about dogs", "about cats"]

    await go_to(page, "general")
    await command(page, "/forget-me")
    button = in_channel(page, "This cannot be undone.").get_by_role("button", name="Forget me")
    confirmation = page.get_by_role("alertdialog")
    for answer in (NO, YES):
        await button.click()
        await confirmation.get_by_role("button", name=answer, exact=True).click()
    await expect(in_channel(page, ASKED)).to_have_count(2)  # for the export, and after the yes
    await go_to(page, "threadbot")
    await expect(in_channel(page, "Done: 2 conversations deleted")).to_be_visible()
    assert managed.fake.conversations == {}


async def test_a_refusal_names_the_admins(managed: World, page: Page) -> None:
    for who, reason in (("gina", GUEST), ("olaf", OUTSIDER)):
        await speak_as(page, who)
        await say(page, f"@bot hello from {who}")
        await open_thread(page, f"hello from {who}")
        refusal = in_thread(page, f"This bot cannot answer you: {reason}.")
        await expect(refusal).to_contain_text("To change that, ask the person who runs this bot.")
    assert managed.fake.requests == []


async def test_a_limit_says_when_it_renews(
    redis_url: str, tmp_path: Path, open_page: Opener
) -> None:
    async with open_shown_world(redis_url, tmp_path, bot_limit_person_tokens=1) as world:
        page = await open_page(page_url(world.slack), width=420, scheme="dark")
        await say(page, "@bot one")
        await page.locator(".reply-bar").click()
        await expect(in_thread(page, "turn 1: one")).to_be_visible()
        await reply(page, "two")
        reported = in_thread(page, "Your limit of 1 tokens a day is reached.")
        await expect(reported).to_contain_text(
            re.compile(r"It renews .*in \d+ \w+: please ask again")
        )
        assert world.fake.created("/responses") == 1
