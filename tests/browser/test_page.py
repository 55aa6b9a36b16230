"""What the page shows and what people can do on it, without a bot."""

import asyncio
import re
import struct
import zlib
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect
from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.control.web_page import page_url
from local_slack.tests.bolt import connected, make_app
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


def png() -> bytes:
    """An image of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\x20\x80\x70")
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


async def start_stream(slack: LocalSlack, client: AsyncWebClient, ts: str, text: str) -> str:
    started = await client.chat_startStream(
        channel=slack.channel("#general").id,
        thread_ts=ts,
        recipient_user_id=slack.user("alice").id,
        recipient_team_id=slack.workspace.team_id,
        markdown_text=text,
    )
    return str(started["ts"])


async def test_a_streamed_answer_grows_on_screen_until_it_is_stopped(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    general = slack.channel("#general").id
    ts = await slack.user("alice").says("#general", "@bot tell me")
    await open_thread(page, "tell me")
    stream = await start_stream(slack, client, ts, "It **begins")
    await expect(in_thread(page, "It **begins")).to_be_visible()
    await expect(page.locator(".thread .streaming")).to_have_count(1)
    await client.chat_appendStream(channel=general, ts=stream, markdown_text="** and grows")
    await expect(page.locator(".thread strong")).to_have_text("begins")
    await expect(in_thread(page, "It begins and grows")).to_be_visible()
    await client.chat_stopStream(channel=general, ts=stream, markdown_text=" and ends.")
    await expect(in_thread(page, "It begins and grows and ends.")).to_be_visible()
    await expect(page.locator(".thread .streaming")).to_have_count(0)
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()


async def test_stop_ends_the_stream_and_notifies_the_app(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    ts = await slack.user("alice").says("#general", "@bot tell me")
    await open_thread(page, "tell me")
    await start_stream(slack, client, ts, "An endless")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".thread .streaming")).to_have_count(0)
    assert "agent_session_stopped" in [delivery.name for delivery in slack.deliveries]


async def test_an_agent_shows_status_title_prompts_and_session(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    dm = slack.user("alice").dm()
    await client.assistant_threads_setSuggestedPrompts(
        channel_id=dm, prompts=[{"title": "Summarise", "message": "Summarise the week"}]
    )
    await page.get_by_role("navigation").get_by_role("button", name="threadbot").click()
    await page.get_by_role("button", name="Summarise").click()
    await expect(in_thread(page, "Summarise the week")).to_be_visible()
    [root] = slack.messages(dm)
    where: dict[str, Any] = {"channel_id": dm, "thread_ts": root.ts}
    await client.assistant_threads_setTitle(**where, title="The week")
    await client.assistant_threads_setStatus(**where, status="is thinking…")
    await expect(page.get_by_role("heading", name="The week")).to_be_visible()
    await expect(page.locator(".thread .status")).to_contain_text("threadbot is thinking…")
    await client.api_call("agents.sessions.setStatus", json={**where, "status": "processing"})
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await client.chat_postMessage(channel=dm, thread_ts=root.ts, text="Done")
    await expect(page.locator(".thread .status")).not_to_contain_text("thinking")


async def test_an_ephemeral_message_is_seen_by_its_person_only(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    general, alice = slack.channel("#general").id, slack.user("alice")
    await client.chat_postEphemeral(channel=general, user=alice.id, text="psst")
    await expect(in_channel(page, "psst")).to_contain_text("Only visible to you")
    await speak_as(page, "bob")
    await expect(in_channel(page, "psst")).to_have_count(0)


async def test_messages_are_edited_and_deleted_by_their_author(
    slack: LocalSlack, page: Page
) -> None:
    await say(page, "a frist try")
    await expect(in_channel(page, "a frist try")).to_be_visible()
    await page.locator(".channel .composer textarea").press("ArrowUp")
    editor = page.get_by_role("textbox", name="Edit message")
    await expect(editor).to_have_value("a frist try")
    of_message = page.locator(".message").filter(has=editor)
    await expect(of_message.get_by_role("group", name="Message actions")).to_be_hidden()
    await editor.fill("a first try")
    await editor.press("Enter")
    await expect(in_channel(page, "a first try")).to_contain_text("(edited)")
    dialog = page.get_by_role("alertdialog", name="Delete this message?")
    for key in ("Escape", "Enter"):  # which cancel: deleting is not where the focus is
        await choose(page, in_channel(page, "a first try"), "Delete message")
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press(key)
        await expect(dialog).to_have_count(0)
    await expect(in_channel(page, "a first try")).to_be_visible()
    await choose(page, in_channel(page, "a first try"), "Delete message")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(in_channel(page, "a first try")).to_have_count(0)
    assert slack.messages("#general") == []
    await slack.user("bob").says("#general", "mine")
    await in_channel(page, "mine").hover()
    await in_channel(page, "mine").get_by_role("button", name="More actions").click()
    await expect(page.get_by_role("menuitem", name="What happened")).to_be_visible()
    await expect(page.get_by_role("menuitem", name="Delete message")).to_have_count(0)


async def test_reactions_are_added_and_removed(slack: LocalSlack, page: Page) -> None:
    ts = await slack.user("bob").says("#general", "nice?")
    message = in_channel(page, "nice?")
    await message.hover()
    await message.get_by_role("button", name="Add a reaction").click()
    await page.get_by_role("menuitem", name="tada").click()
    await expect(message.get_by_role("button", name="tada, 1")).to_be_visible()
    await slack.user("bob").reacts("#general", ts, "tada")
    await message.get_by_role("button", name="tada, 2").click()
    await expect(message.get_by_role("button", name="tada, 1")).to_be_visible()
    assert slack.thread("#general", ts)[0].reactions == {"tada": [slack.user("bob").id]}


async def test_files_are_attached_and_images_shown(
    slack: LocalSlack, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "dot.png").write_bytes(png())
    (tmp_path / "notes.txt").write_text("two words")
    files = page.locator(".channel input[type=file]")
    await files.set_input_files([tmp_path / "dot.png", tmp_path / "notes.txt"])
    await expect(page.get_by_role("button", name="Remove notes.txt")).to_be_visible()
    await say(page, "look")
    shown = in_channel(page, "look").get_by_role("img", name="dot.png")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 1
    async with page.expect_download() as download:
        await in_channel(page, "look").get_by_role("link", name="notes.txt").click()
    assert (await (await download.value).path()).read_text() == "two words"
    [message] = slack.messages("#general")
    assert message.subtype == "file_share"


async def test_unread_marks_come_and_go(slack: LocalSlack, page: Page) -> None:
    random = page.get_by_role("navigation").get_by_role("button", name="random")
    await slack.user("bob").says("#random", "one")
    await slack.user("bob").says("#random", "two")
    await expect(random.get_by_label("2 unread")).to_be_visible()
    await random.click()
    await expect(random.get_by_label(re.compile("unread"))).to_have_count(0)
    await expect(page.locator(".fresh")).to_have_count(0)  # everything is unread here
    await page.get_by_role("navigation").get_by_role("button", name="general").click()
    await slack.user("bob").says("#random", "three")
    await random.click()
    await expect(page.locator(".fresh + article")).to_contain_text("three")


async def test_new_messages_are_announced(slack: LocalSlack, page: Page) -> None:
    await slack.user("bob").says("#general", "good morning")
    announced = page.locator("#announcer[aria-live=polite]")
    await expect(announced).to_have_text("bob: good morning")


async def test_a_reply_can_also_go_to_the_channel(slack: LocalSlack, page: Page) -> None:
    await slack.user("bob").says("#general", "the root")
    await open_thread(page, "the root")
    await page.get_by_role("checkbox", name="Also send to the channel").check()
    await reply(page, "for all to see")
    await expect(in_channel(page, "for all to see")).to_be_visible()
    assert slack.messages("#general")[1].subtype == "thread_broadcast"


async def test_a_click_opens_a_modal_and_its_values_reach_the_app(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    app = make_app(slack)
    submitted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    element = {"type": "plain_text_input", "action_id": "note", "multiline": True}
    options = [{"text": {"type": "plain_text", "text": "Wrong"}, "value": "wrong"}]
    choice = {"type": "static_select", "action_id": "kind", "options": options}
    modal = {
        "type": "modal",
        "callback_id": "why",
        "title": {"type": "plain_text", "text": "Tell us more"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            _input("kind", "Kind", choice),
            _input("note", "Note", element),
        ],
    }

    @app.action("feedback")
    async def feedback(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        assert body["actions"][0]["value"] == "bad"
        await client.views_open(trigger_id=body["trigger_id"], view=modal)

    @app.view("why")
    async def why(ack: AsyncAck, view: dict[str, Any]) -> None:
        values = view["state"]["values"]
        if values["note"]["note"]["value"] == "too short":
            await ack(response_action="errors", errors={"note": "A little more, please."})
            return
        await ack()
        submitted.set_result(values)

    async with connected(app, slack):
        await client.chat_postMessage(
            channel=slack.channel("#general").id, text="An answer", blocks=_feedback()
        )
        await page.get_by_role("button", name="Bad").click()
        dialog = page.get_by_role("dialog", name="Tell us more")
        await dialog.get_by_role("button", name="Send").click()
        await expect(dialog.get_by_role("alert").first).to_contain_text("required")
        await dialog.get_by_label("Kind").select_option("Wrong")
        await dialog.get_by_label("Note").fill("too short")
        await dialog.get_by_role("button", name="Send").click()
        await expect(dialog.get_by_role("alert")).to_have_text("A little more, please.")
        await dialog.get_by_label("Note").fill("it was too short")
        await dialog.get_by_role("button", name="Send").click()
        await expect(dialog).to_be_hidden()
        values = await submitted
    assert values["kind"]["kind"]["selected_option"]["value"] == "wrong"
    assert values["note"]["note"]["value"] == "it was too short"


def _input(block_id: str, label: str, element: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "input", "block_id": block_id, "label": text, "element": element}


def _feedback() -> list[dict[str, Any]]:
    def half(text: str) -> dict[str, Any]:
        return {"text": {"type": "plain_text", "text": text}, "value": text.lower()}

    element = {
        "type": "feedback_buttons",
        "action_id": "feedback",
        "positive_button": half("Good"),
        "negative_button": half("Bad"),
    }
    return [
        {"type": "markdown", "text": "An answer"},
        {"type": "context_actions", "elements": [element]},
    ]


async def test_an_action_that_asks_for_a_confirmation_happens_after_it(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    def text(words: str, kind: str = "plain_text") -> dict[str, Any]:
        return {"type": kind, "text": words}

    asked = {
        "title": text("Drop the table?"),
        "text": text("*All* of <script>it</script>.", "mrkdwn"),
        "confirm": text("Drop it"),
        "deny": text("Keep it"),
        "style": "danger",
    }
    options = [{"text": text("Orders"), "value": "orders"}]
    elements = [
        {"type": "button", "text": text("Drop"), "action_id": "drop", "confirm": asked},
        {"type": "static_select", "action_id": "which", "options": options, "confirm": asked},
    ]
    await client.chat_postMessage(
        channel=slack.channel("#general").id,
        text="A table",
        blocks=[{"type": "actions", "elements": elements}],
    )
    dialog = page.get_by_role("alertdialog", name="Drop the table?")
    select = page.get_by_label("Choose")
    await select.select_option("Orders")
    await expect(dialog).to_contain_text("All of <script>it</script>.")
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(select).to_have_value("")
    await page.get_by_role("button", name="Drop").click()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.get_by_role("button", name="Drop").click()
    await dialog.get_by_role("button", name="Drop it").click()
    await expect(page.get_by_role("alert")).to_contain_text("the app did not answer")


async def test_an_action_without_an_app_says_that_it_failed(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    await client.chat_postMessage(
        channel=slack.channel("#general").id, text="An answer", blocks=_feedback()
    )
    await page.get_by_role("button", name="Good").click()
    await expect(page.get_by_role("alert")).to_contain_text("the app did not answer")


async def test_app_home_is_shown_and_its_buttons_work(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    app = make_app(slack)
    button = {"type": "button", "action_id": "new", "text": {"type": "plain_text", "text": "New"}}
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "*2* conversations"}}

    @app.action("new")
    async def new(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        done = {"type": "section", "text": {"type": "mrkdwn", "text": "A new one"}}
        await client.views_publish(
            user_id=body["user"]["id"], view={"type": "home", "blocks": [done]}
        )

    @app.event("app_home_opened")
    async def opened(event: dict[str, Any], client: AsyncWebClient) -> None:
        view = {"type": "home", "blocks": [section | {"accessory": button}]}
        if event["tab"] == "home":
            await client.views_publish(user_id=event["user"], view=view)

    async with connected(app, slack):
        await page.get_by_role("navigation").get_by_role("button", name="threadbot").click()
        await page.get_by_role("tab", name="Home").click()
        home = page.get_by_role("tabpanel", name="Home")
        await expect(home).to_contain_text("2 conversations")
        await home.get_by_role("button", name="New").click()
        await expect(home).to_have_text("A new one")


async def test_a_select_in_a_message_reports_its_choice(
    slack: LocalSlack, client: AsyncWebClient, page: Page
) -> None:
    app = make_app(slack)
    options = [
        {"text": {"type": "plain_text", "text": name}, "value": name} for name in ("Short", "Long")
    ]
    select = {"type": "static_select", "action_id": "length", "options": options}

    @app.action("length")
    async def length(ack: AsyncAck, action: dict[str, Any], respond: AsyncRespond) -> None:
        await ack()
        await respond(f"You chose {action['selected_option']['value']}", replace_original=True)

    async with connected(app, slack):
        await client.chat_postMessage(
            channel=slack.channel("#general").id,
            text="How long?",
            blocks=[{"type": "actions", "elements": [select]}],
        )
        await page.get_by_role("combobox", name="Choose").select_option("Long")
        await expect(in_channel(page, "You chose Long")).to_be_visible()


async def test_faults_are_switched_and_shown(slack: LocalSlack, page: Page) -> None:
    await page.get_by_role("button", name="Faults").click()
    await page.get_by_role("switch", name="Deliver twice").click()
    await expect(page.get_by_role("switch", name="Deliver twice")).to_be_checked()
    await page.get_by_role("switch", name="Deliver late and shuffled").click()
    await expect(page.get_by_role("switch", name="Deliver late and shuffled")).to_be_checked()
    await page.get_by_role("button", name="Next time").first.click()
    await expect(page.get_by_text("2 to come")).to_be_visible()
    assert slack.faults.deliver_twice
    assert slack.faults.delay[1] > 0
    assert [fault.kind for fault in slack.faults.methods] == ["rate_limit"]
    await page.get_by_role("switch", name="Deliver twice").click()
    await expect(page.get_by_role("switch", name="Deliver twice")).not_to_be_checked()
    assert not slack.faults.deliver_twice


async def test_light_and_dark_follow_the_system_until_they_are_chosen(
    slack: LocalSlack, open_page: Opener
) -> None:
    page = await open_page(page_url(slack), scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(ground)
    await page.get_by_role("button", name="Switch between light and dark").click()
    light = await page.evaluate(ground)
    assert (dark, light) == ("rgb(24, 29, 29)", "rgb(255, 255, 255)")
    await page.reload()
    await page.locator(".sidebar").wait_for()
    assert await page.evaluate(ground) == light


async def test_everything_can_be_done_with_the_keyboard(slack: LocalSlack, page: Page) -> None:
    await slack.user("bob").says("#general", "by keys alone")
    await page.get_by_role("region", name="Messages in general").focus()
    await page.keyboard.press("ArrowUp")
    await expect(in_channel(page, "by keys alone")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_accessible_name("Reply in thread")
    await page.keyboard.press("Enter")
    await expect(page.locator(".thread .composer textarea")).to_be_focused()
    await page.keyboard.type("hands off the mouse")
    await page.keyboard.press("Enter")
    await expect(in_thread(page, "hands off the mouse")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".thread")).to_be_hidden()
    await expect(in_channel(page, "by keys alone")).to_be_focused()
    await page.get_by_role("button", name="Faults", exact=True).press("Enter")
    await page.get_by_role("button", name="Close Faults").press("Enter")
    await expect(page.get_by_role("button", name="Faults", exact=True)).to_be_focused()
    await page.get_by_role("radio", name="alice").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("radio", name="bob")).to_be_checked()
    await expect(page.get_by_role("radio", name="bob")).to_be_focused()


async def test_every_control_has_a_name(slack: LocalSlack, page: Page) -> None:
    await slack.user("bob").says("#general", "hello")
    await open_thread(page, "hello")
    for role in ("button", "textbox", "combobox", "checkbox", "radio", "link"):
        for control in await page.get_by_role(role).all():
            await expect(control).to_have_accessible_name(re.compile(r"\S"))


async def test_forwards_tables_and_posts_of_other_apps_are_shown(
    slack: LocalSlack, page: Page
) -> None:
    alice = slack.user("alice")
    original = await alice.says("#random", "The certificate expires on *Friday*.")
    await alice.forwards("#random", original, "#general", "look")
    forward = in_channel(page, "look").locator(".attachment")
    await expect(forward).to_contain_text("alice")
    await expect(forward.locator("strong").last).to_have_text("Friday")
    await alice.says("#general", "numbers", table=[["Region", "Orders"], ["North", "4711"]])
    await expect(in_channel(page, "numbers").get_by_role("cell", name="4711")).to_be_visible()
    fields = [{"title": "Service", "value": "checkout"}]
    alert = {"title": "Latency high", "title_link": "javascript:alert(1)", "fields": fields}
    await alice.posts("#general", "alert", attachments=[alert])
    await expect(in_channel(page, "alert").locator(".attachment")).to_contain_text("checkout")
    await expect(in_channel(page, "alert").locator("a")).to_have_count(0)


async def test_attachments_of_any_shape_do_not_break_the_page(
    slack: LocalSlack, page: Page
) -> None:
    odd: list[dict[str, Any]] = [
        {"blocks": [{"type": "markdown"}, {"type": "section"}, {"type": "context", "elements": 3}]},
        {"blocks": "none", "fields": {"a": 1}, "text": 5, "title": 7},
        {"blocks": [None, {"type": "table", "rows": []}], "fields": [None, {}]},
    ]
    await slack.user("alice").posts("#general", "odd one", attachments=odd)
    await expect(in_channel(page, "odd one").locator(".attachment")).to_have_count(3)
    await slack.user("alice").says("#general", "still here")
    await expect(in_channel(page, "still here")).to_be_visible()
    await page.reload()
    await expect(in_channel(page, "still here")).to_be_visible()
