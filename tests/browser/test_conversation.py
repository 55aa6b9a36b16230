"""The first things that a new user tries, with the real bot behind the page."""

from playwright.async_api import Page, expect

from bot.texts.answers import FRESH_START
from local_slack.control.web_page import page_url
from tests.browser.conftest import Opener
from tests.browser.page_actions import (
    choose,
    in_channel,
    in_thread,
    open_thread,
    reply,
    say,
    speak_as,
)
from tests.fakes.openai import held
from tests.world import World, wait_until

TABLE = "Here:\n\n| Step | Hours |\n|---|--:|\n| Prepare | 2 |\n\n```python\nprint(1)\n```"


async def test_a_mention_is_answered_in_its_thread_and_followed_up(world_page: Page) -> None:
    box = world_page.locator(".channel .composer textarea")
    await box.press_sequentially("@thr")
    await expect(world_page.get_by_role("option", name="@threadbot")).to_be_visible()
    await box.press("Enter")
    await box.press_sequentially("my name is Ada")
    await box.press("Enter")
    await expect(world_page.locator(".reply-bar .count")).to_have_text("1 reply")
    await open_thread(world_page, "my name is Ada")
    await expect(in_thread(world_page, "turn 1: my name is Ada")).to_be_visible()
    await reply(world_page, "what is my name?")
    await expect(in_thread(world_page, "turn 2: my name is Ada | what is my name?")).to_be_visible()


async def test_two_people_speak_in_one_thread(world_page: Page) -> None:
    await say(world_page, "@bot we are two")
    await open_thread(world_page, "we are two")
    await expect(in_thread(world_page, "turn 1")).to_be_visible()
    await speak_as(world_page, "bob")
    await reply(world_page, "@bot and I am Bob")
    await expect(in_thread(world_page, "turn 2")).to_be_visible()
    who = await world_page.locator(".thread article .name").all_text_contents()
    assert who[:3] == ["alice", "threadbot", "bob"]


async def test_the_word_reset_starts_a_new_conversation(world_page: Page) -> None:
    await say(world_page, "@bot the word is swordfish")
    await open_thread(world_page, "swordfish")
    await expect(in_thread(world_page, "turn 1")).to_be_visible()
    await reply(world_page, "reset")
    await expect(in_thread(world_page, FRESH_START)).to_be_visible()
    await reply(world_page, "what is the word?")
    await expect(in_thread(world_page, "turn 1: what is the word?")).to_be_visible()


async def test_the_shortcut_of_a_message_resets(world_page: Page) -> None:
    await say(world_page, "@bot remember me")
    await open_thread(world_page, "remember me")
    await expect(in_thread(world_page, "turn 1")).to_be_visible()
    await choose(world_page, in_thread(world_page, "turn 1"), "Reset conversation")
    await expect(in_thread(world_page, FRESH_START)).to_be_visible()


async def test_the_reset_command_offers_buttons_to_its_user_only(world_page: Page) -> None:
    await say(world_page, "@bot remember me")
    await expect(world_page.locator(".reply-bar .count")).to_have_text("1 reply")
    box = world_page.locator(".channel .composer textarea")
    await box.press_sequentially("/res")
    await expect(world_page.get_by_role("option", name="/reset")).to_be_visible()
    await box.press("Tab")
    await box.press("Enter")
    offered = in_channel(world_page, "Only visible to you")
    await expect(offered).to_be_visible()
    await speak_as(world_page, "bob")
    await expect(offered).to_have_count(0)
    await speak_as(world_page, "alice")
    await offered.get_by_role("button", name="Reset").first.click()
    await expect(in_channel(world_page, "I have reset that conversation")).to_be_visible()
    await open_thread(world_page, "remember me")
    await expect(in_thread(world_page, FRESH_START)).to_be_visible()


async def test_a_command_in_a_thread_is_refused_as_in_slack(world_page: Page) -> None:
    await say(world_page, "@bot hello there")
    await open_thread(world_page, "hello there")
    await reply(world_page, "/reset")
    await expect(world_page.get_by_role("alert")).to_contain_text("no slash commands in threads")
    await expect(world_page.locator(".thread .composer textarea")).to_have_value("/reset")


async def test_tables_and_code_are_rendered(world: World, world_page: Page) -> None:
    world.fake.answer = TABLE
    await say(world_page, "@bot a table please")
    await open_thread(world_page, "a table please")
    thread = world_page.locator(".thread")
    await expect(thread.get_by_role("columnheader", name="Hours")).to_be_visible()
    await expect(thread.get_by_role("cell", name="2", exact=True)).to_be_visible()
    await expect(thread.get_by_role("region", name="Code, python")).to_have_text("print(1)")


async def test_an_answer_grows_until_it_is_stopped(world: World, world_page: Page) -> None:
    world.fake.answer = held("One word after the other, and no end of it in sight", after=6)
    await say(world_page, "@bot tell me a story")
    await open_thread(world_page, "tell me a story")
    await expect(world_page.locator(".thread .streaming")).to_contain_text("One word")
    await world_page.get_by_role("button", name="Stop").click()
    await expect(in_thread(world_page, "Stopped.")).to_contain_text("One word")
    await expect(world_page.get_by_role("button", name="Stop")).to_be_hidden()
    world.fake.answer = "Something shorter."
    await reply(world_page, "something shorter then")
    await expect(in_thread(world_page, "Something shorter.")).to_be_visible()


async def test_a_direct_message_opens_a_thread_of_its_own(world_page: Page) -> None:
    await world_page.get_by_role("navigation").get_by_role("button", name="threadbot").click()
    await world_page.get_by_role("button", name="What can you do?").click()
    await expect(in_thread(world_page, "turn 1: What can you do for me?")).to_be_visible()


async def test_a_reload_keeps_place_speaker_and_messages(world_page: Page) -> None:
    await speak_as(world_page, "bob")
    await say(world_page, "@bot keep this")
    await open_thread(world_page, "keep this")
    await expect(in_thread(world_page, "turn 1: keep this")).to_be_visible()
    await world_page.reload()
    await expect(in_thread(world_page, "turn 1: keep this")).to_be_visible()
    await expect(world_page.get_by_role("radio", name="bob")).to_be_checked()


async def test_what_happened_shows_the_calls_of_a_message_in_order(
    world: World, world_page: Page
) -> None:
    await say(world_page, "@bot how does it work?")
    await open_thread(world_page, "how does it work?")
    await expect(in_thread(world_page, "turn 1")).to_be_visible()
    await world_page.get_by_role("button", name="What happened").click()
    steps = world_page.locator(".step .what code")
    await expect(steps.filter(has_text="chat.postMessage").first).to_be_visible()
    assert set((await steps.all_text_contents())[:2]) == {"message.channels", "app_mention"}

    async def all_are_shown() -> bool:
        called = [call.method for call in world.slack.calls if call.args.get("thread_ts")]
        return [n for n in await steps.all_text_contents() if n in called] == called

    await wait_until(all_are_shown)
    results = await world_page.locator(".step.slack .result").all_text_contents()
    assert all(result.startswith("ack") and result.endswith(" ms") for result in results)


async def test_it_works_on_a_small_dark_screen(world: World, open_page: Opener) -> None:
    page = await open_page(page_url(world.slack), width=390, scheme="dark")
    await say(page, "@bot from my pocket")
    await page.locator(".reply-bar").click()
    await expect(in_thread(page, "turn 1: from my pocket")).to_be_visible()
    await expect(page.locator(".channel")).to_be_hidden()
    await reply(page, "and again")
    await expect(in_thread(page, "turn 2")).to_be_visible()
    overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(overflow)
    await page.get_by_role("button", name="Close thread").click()
    await page.get_by_role("button", name="Show channels and people").click()
    await page.get_by_role("navigation").get_by_role("button", name="random").click()
    await expect(page.get_by_role("heading", name="random", exact=True)).to_be_visible()
