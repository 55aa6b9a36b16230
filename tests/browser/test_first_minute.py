"""Usability of the page: hints, menus, copying, long channels."""

import asyncio
import re
from typing import Any

from playwright.async_api import Page, Route, expect
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.control.web_page import page_url
from local_slack.workspace.model import Message
from tests.browser.conftest import Opener
from tests.browser.page_actions import (
    go_to,
    in_channel,
    in_thread,
    open_thread,
    reply,
    say,
    speak_as,
)


def fill(slack: LocalSlack, count: int) -> None:
    """Messages of bob in #general, left by an earlier run."""
    general, bob = slack.channel("#general").id, slack.user("bob").id
    for number in range(count):
        ts = slack.clock.next_ts()
        slack.workspace.index(Message(general, ts, bob, f"message {number}"))


async def test_the_first_visit_to_the_app_does_not_change_the_place(
    slack: LocalSlack, page: Page
) -> None:
    """Opening a direct message takes a request, which is held here."""
    may_open = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_open.wait()
        await route.continue_()

    await page.route("**/_control/acts", hold)
    await go_to(page, "threadbot")
    await go_to(page, "random")
    async with page.expect_response("**/_control/acts"):
        may_open.set()
    await say(page, "alice is still here")
    await expect(in_channel(page, "alice is still here")).to_be_visible()
    await expect(page.get_by_role("heading", level=1, name="random")).to_be_visible()

    await go_to(page, "general")
    await speak_as(page, "bob")
    may_open.clear()
    prompt = page.locator(".channel").get_by_role("button", name="What can you do?")
    box = page.locator(".channel .composer textarea")
    await expect(prompt).to_be_visible()
    await go_to(page, "threadbot")
    await expect(prompt).to_be_hidden()
    await box.fill("written meanwhile")
    may_open.set()
    await prompt.click()
    await expect(page.locator(".thread article")).to_contain_text("What can you do")
    await expect(box).to_have_value("written meanwhile")
    assert not slack.messages("#general")
    await speak_as(page, "carol")
    may_open.clear()
    await go_to(page, "threadbot")
    await page.get_by_role("tab", name="Home").click()
    async with page.expect_response("**/_control/acts"):
        may_open.set()
    await expect(page).to_have_url(re.compile(r"#/D\w+:home$"))
    await expect(page.get_by_role("tab", name="Home", selected=True)).to_be_visible()


async def test_an_empty_channel_offers_questions_that_mention_the_app(
    slack: LocalSlack, page: Page
) -> None:
    await expect(page.locator(".channel .composer textarea")).to_be_focused()
    prompts = page.locator(".channel").get_by_role("group", name="Suggested prompts")
    await prompts.get_by_role("button").first.click()
    await expect(page.locator(".thread article")).to_have_count(1)
    [message] = slack.messages("#general")
    assert message.text.startswith(f"<@{slack.bot.id}> ")
    await expect(prompts).to_be_hidden()


async def test_a_question_without_a_mention_gets_a_hint(slack: LocalSlack, page: Page) -> None:
    hint = page.get_by_text("@threadbot was not mentioned")
    await say(page, "what is new?")
    await expect(hint).to_be_visible()
    await page.get_by_role("button", name="Ask @threadbot").click()
    await expect(hint).to_be_hidden()
    await expect(page.locator(".thread article")).to_contain_text("what is new?")
    assert f"<@{slack.bot.id}> what is new?" in [m.text for m in slack.messages("#general")]
    await say(page, "and @bob?")
    await expect(hint).to_be_visible()
    await go_to(page, "random")
    await expect(hint).to_be_hidden()
    await say(page, "@bot hello")
    await expect(hint).to_be_hidden()


async def test_a_long_channel_opens_at_its_end_and_can_be_read_backwards(
    slack: LocalSlack, open_page: Opener
) -> None:
    fill(slack, 400)
    page = await open_page(page_url(slack))
    await expect(in_channel(page, "message 399")).to_be_in_viewport()
    latest = page.locator(".channel").get_by_role("button", name="Jump to latest")
    await expect(latest).to_be_hidden()
    await expect(in_channel(page, "message 100")).to_have_count(0)
    earlier = page.locator(".channel").get_by_role("button", name="Show earlier messages")
    for _ in range(2):
        await earlier.click()
    await expect(earlier).to_be_hidden()
    await expect(page.locator(".channel article")).to_have_count(400)
    await page.locator(".channel .list .scroll").evaluate("(list) => { list.scrollTop = 0; }")
    await expect(latest).to_be_visible()
    await slack.user("carol").says("#general", "while you read")
    await expect(in_channel(page, "while you read")).not_to_be_in_viewport()
    await latest.click()
    await expect(in_channel(page, "while you read")).to_be_in_viewport()
    await expect(latest).to_be_hidden()


SEND = """(text) => new Promise((resolve) => {
  const list = document.querySelector(".channel .messages");
  let built = 0;
  const look = (changes) => {
    for (const change of changes) built += change.addedNodes.length;
    if (list.lastElementChild?.textContent.includes(text)) resolve(built);
  };
  new MutationObserver(look).observe(list, { childList: true });
  const box = document.querySelector(".channel .composer textarea");
  box.value = text;
  box.form.requestSubmit();
})"""
"""Sends a message; returns how many rows of the list were built until it was shown."""


async def test_a_message_in_a_channel_of_five_thousand_rebuilds_no_other(
    slack: LocalSlack, open_page: Opener
) -> None:
    """The work is counted, not timed: see `benchmarks/` for the time."""
    fill(slack, 5_000)
    page = await open_page(page_url(slack))
    await expect(in_channel(page, "message 4999")).to_be_visible()
    assert max([await page.evaluate(SEND, f"long {number}") for number in range(3)]) <= 3


async def test_code_and_messages_can_be_copied(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    general = slack.channel("#general").id
    posted = await client.chat_postMessage(
        channel=general, markdown_text="So:\n\n```py\nx = 1\n```"
    )

    async def clipboard() -> str:
        text: str = await page.evaluate("navigator.clipboard.readText()")
        return text

    message = in_channel(page, "So:")
    await message.locator(".code").hover()
    await message.get_by_role("button", name="Copy").click()
    await expect(page.get_by_text("Code copied.")).to_be_visible()
    assert await clipboard() == "x = 1"
    for item, expected in (
        ("Copy text", "So:\n\n```py\nx = 1\n```"),
        ("Copy link", f"{slack.base_url}/#/{general}/{posted['ts']}"),
    ):
        await message.hover()
        await message.get_by_role("button", name="More actions").click()
        await page.get_by_role("menuitem", name=item).click()
        await expect(
            page.get_by_text(f"{item.removeprefix('Copy ').title()} copied.")
        ).to_be_visible()
        assert await clipboard() == expected


async def test_a_message_is_rebuilt_when_anything_it_shows_changes(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    """There is no hand-kept list of fields: each of these was once missing from one."""
    alice, general = slack.user("alice"), slack.channel("#general").id
    ts = await alice.says("#general", "hello @bob")
    message = in_channel(page, "hello")
    await slack.user("bob").says("#general", "one", thread_ts=ts)
    await expect(message).to_contain_text("1 reply")
    await client.assistant_threads_setStatus(channel_id=general, thread_ts=ts, status="is reading")
    await expect(message).to_contain_text("threadbot is reading")
    await client.assistant_threads_setTitle(channel_id=general, thread_ts=ts, title="A title")
    await expect(message).to_contain_text("A title")
    await slack.user("carol").reacts("#general", ts, "tada")
    await expect(message.get_by_role("button", name="tada, 1")).to_have_attribute(
        "aria-pressed", "false"
    )
    await speak_as(page, "carol")
    await expect(message.get_by_role("button", name="tada, 1")).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(message.locator(".mention.mine")).to_have_count(0)
    await speak_as(page, "bob")
    await expect(message.locator(".mention.mine")).to_have_text("@bob")


async def test_roles_are_named_beside_the_people(slack: LocalSlack, open_page: Opener) -> None:
    slack.user("alice").user.is_admin = True
    slack.add_user("gina", is_guest=True)
    slack.add_user("olaf", team_id="T0ELSEWHERE")
    page = await open_page(page_url(slack))
    for name, role in (("alice", "admin"), ("gina", "guest"), ("olaf", "other workspace")):
        await expect(page.get_by_role("radio", name=name)).to_contain_text(role)


async def test_a_question_asked_on_the_page_can_be_followed_up(
    slack: LocalSlack, page: Page
) -> None:
    await say(page, "@bot hello")
    await reply(page, "and more")
    await expect(in_thread(page, "and more")).to_be_visible()
    thread: list[Any] = slack.thread("#general", slack.messages("#general")[0].ts)
    assert len(thread) == 2


async def test_a_reload_keeps_drafts_and_closes_modals(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    alice = slack.user("alice")
    ts = await alice.says("#general", "a question")
    await open_thread(page, "a question")
    drafts = {".channel": "for all", ".thread": "for the thread"}
    for pane, text in drafts.items():
        await page.locator(f"{pane} .composer textarea").fill(text)
    title = {"type": "plain_text", "text": "A modal"}
    await client.views_open(
        trigger_id=slack.interactions.issue_trigger(alice.id),
        view={"type": "modal", "title": title, "blocks": []},
    )
    dialog = page.get_by_role("dialog", name="A modal")
    await expect(dialog).to_be_visible()
    await page.reload()
    for pane, text in drafts.items():
        await expect(page.locator(f"{pane} .composer textarea")).to_have_value(text)
    await expect(dialog).to_be_hidden()
    await reply(page, "sent")
    await expect(in_thread(page, "sent")).to_be_visible()
    await page.reload()
    await expect(in_thread(page, "sent")).to_be_visible()
    await expect(page.locator(".thread .composer textarea")).to_have_value("")
    assert [message.text for message in slack.thread("#general", ts)] == ["a question", "sent"]


async def test_messages_are_found_and_the_keys_are_listed(slack: LocalSlack, page: Page) -> None:
    ts = await slack.user("bob").says("#random", "the launch code is 4711")
    await slack.user("alice").says("#random", "a reply about the Launch", thread_ts=ts)
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("LAUNCH")
    await expect(page.locator(".found button")).to_have_count(2)
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".found button").first).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.type(" code")
    await expect(page.locator(".found button")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(in_thread(page, "a reply about the Launch")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Search (Ctrl K)").click()
    await page.keyboard.type("nothing like it")
    await expect(page.get_by_text("Nothing found.")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("region", name="Messages in random").focus()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search messages")
