"""The real bot behind the page: what a newcomer tries first."""

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
from tests.world import Town

TABLE = "Here:\n\n| Step | Hours |\n|---|--:|\n| Prepare | 2 |\n\n```python\nprint(1)\n```"


async def test_a_mention_is_answered_in_its_thread_and_followed_up(town_page: Page) -> None:
    box = town_page.locator(".channel .composer textarea")
    await box.press_sequentially("@thr")
    await expect(town_page.get_by_role("option", name="@threadbot")).to_be_visible()
    await box.press("Enter")
    await box.press_sequentially("my name is Ada")
    await box.press("Enter")
    await expect(town_page.locator(".reply-bar .count")).to_have_text("1 reply")
    await open_thread(town_page, "my name is Ada")
    await expect(in_thread(town_page, "turn 1: my name is Ada")).to_be_visible()
    await reply(town_page, "what is my name?")
    await expect(in_thread(town_page, "turn 2: my name is Ada | what is my name?")).to_be_visible()


async def test_two_people_speak_in_one_thread(town_page: Page) -> None:
    await say(town_page, "@bot we are two")
    await open_thread(town_page, "we are two")
    await expect(in_thread(town_page, "turn 1")).to_be_visible()
    await speak_as(town_page, "bob")
    await reply(town_page, "@bot and I am Bob")
    await expect(in_thread(town_page, "turn 2")).to_be_visible()
    who = await town_page.locator(".thread article .name").all_text_contents()
    assert who[:3] == ["alice", "threadbot", "bob"]


async def test_the_word_reset_starts_a_new_conversation(town_page: Page) -> None:
    await say(town_page, "@bot the word is swordfish")
    await open_thread(town_page, "swordfish")
    await expect(in_thread(town_page, "turn 1")).to_be_visible()
    await reply(town_page, "reset")
    await expect(in_thread(town_page, FRESH_START)).to_be_visible()
    await reply(town_page, "what is the word?")
    await expect(in_thread(town_page, "turn 1: what is the word?")).to_be_visible()


async def test_the_shortcut_of_a_message_resets(town_page: Page) -> None:
    await say(town_page, "@bot remember me")
    await open_thread(town_page, "remember me")
    await expect(in_thread(town_page, "turn 1")).to_be_visible()
    await choose(town_page, in_thread(town_page, "turn 1"), "Reset conversation")
    await expect(in_thread(town_page, FRESH_START)).to_be_visible()


async def test_the_reset_command_offers_buttons_to_its_user_only(town_page: Page) -> None:
    await say(town_page, "@bot remember me")
    await expect(town_page.locator(".reply-bar .count")).to_have_text("1 reply")
    box = town_page.locator(".channel .composer textarea")
    await box.press_sequentially("/res")
    await expect(town_page.get_by_role("option", name="/reset")).to_be_visible()
    await box.press("Tab")
    await box.press("Enter")
    offered = in_channel(town_page, "Only visible to you")
    await expect(offered).to_be_visible()
    await speak_as(town_page, "bob")
    await expect(offered).to_have_count(0)
    await speak_as(town_page, "alice")
    await offered.get_by_role("button", name="Reset").first.click()
    await expect(in_channel(town_page, "I forget that conversation")).to_be_visible()
    await open_thread(town_page, "remember me")
    await expect(in_thread(town_page, FRESH_START)).to_be_visible()


async def test_a_command_in_a_thread_is_refused_as_in_slack(town_page: Page) -> None:
    await say(town_page, "@bot hello there")
    await open_thread(town_page, "hello there")
    await reply(town_page, "/reset")
    await expect(town_page.get_by_role("alert")).to_contain_text("no slash commands in threads")
    await expect(town_page.locator(".thread .composer textarea")).to_have_value("/reset")


async def test_tables_and_code_are_rendered(town: Town, town_page: Page) -> None:
    town.fake.answer = TABLE
    await say(town_page, "@bot a table please")
    await open_thread(town_page, "a table please")
    thread = town_page.locator(".thread")
    await expect(thread.get_by_role("columnheader", name="Hours")).to_be_visible()
    await expect(thread.get_by_role("cell", name="2", exact=True)).to_be_visible()
    await expect(thread.get_by_role("region", name="Code, python")).to_have_text("print(1)")


async def test_an_answer_grows_until_its_reader_stops_it(town: Town, town_page: Page) -> None:
    town.fake.answer = held("One word after the other, and no end of it in sight", after=6)
    await say(town_page, "@bot tell me a story")
    await open_thread(town_page, "tell me a story")
    await expect(town_page.locator(".thread .streaming")).to_contain_text("One word")
    await town_page.get_by_role("button", name="Stop").click()
    await expect(in_thread(town_page, "Stopped.")).to_contain_text("One word")
    await expect(town_page.get_by_role("button", name="Stop")).to_be_hidden()
    town.fake.answer = "Something shorter."
    await reply(town_page, "something shorter then")
    await expect(in_thread(town_page, "Something shorter.")).to_be_visible()


async def test_a_direct_message_opens_a_thread_of_its_own(town_page: Page) -> None:
    await town_page.get_by_role("navigation").get_by_role("button", name="threadbot").click()
    await town_page.get_by_role("button", name="What can you do?").click()
    await expect(in_thread(town_page, "turn 1: What can you do for me?")).to_be_visible()


async def test_a_reload_keeps_place_speaker_and_messages(town_page: Page) -> None:
    await speak_as(town_page, "bob")
    await say(town_page, "@bot keep this")
    await open_thread(town_page, "keep this")
    await expect(in_thread(town_page, "turn 1: keep this")).to_be_visible()
    await town_page.reload()
    await expect(in_thread(town_page, "turn 1: keep this")).to_be_visible()
    await expect(town_page.get_by_role("radio", name="bob")).to_be_checked()


async def test_what_happened_shows_the_calls_of_a_message_in_order(
    town: Town, town_page: Page
) -> None:
    await say(town_page, "@bot how does it work?")
    await open_thread(town_page, "how does it work?")
    await expect(in_thread(town_page, "turn 1")).to_be_visible()
    await town_page.get_by_role("button", name="What happened").click()
    steps = town_page.locator(".step .what code")
    await expect(steps.filter(has_text="chat.postMessage").first).to_be_visible()
    names = await steps.all_text_contents()
    assert set(names[:2]) == {"message.channels", "app_mention"}
    results = await town_page.locator(".step.slack .result").all_text_contents()
    assert all(result.startswith("ack") and result.endswith(" ms") for result in results)
    shown = [call.method for call in town.slack.calls if call.args.get("thread_ts")]
    assert [name for name in names if name in shown] == shown


async def test_it_works_on_a_small_dark_screen(town: Town, open_page: Opener) -> None:
    page = await open_page(page_url(town.slack), width=390, scheme="dark")
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
