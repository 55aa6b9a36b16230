"""Answers as a person sees them appear, with the real bot behind the page."""

from pathlib import Path

from playwright.async_api import Page, expect

from bot.texts.answers import NOTHING_TO_STOP, STOPPED
from bot.texts.assistant_thread import GREETING
from bot.texts.edits import OFFER
from bot.texts.files import UNREADABLE
from tests.browser.page_actions import (
    choose,
    go_to,
    in_channel,
    in_thread,
    open_thread,
    reply,
    say,
    speak_as,
)
from tests.browser.test_page import png
from tests.fakes.openai import Answer, held, parts
from tests.world import World, wait_until

TIDES = """## The tides

The sea rises **twice a day**, since the moon pulls on it.

| Place | Metres |
|:--|--:|
| Cuxhaven | 3.1 |

1. The moon pulls
   - on the near side
2. The earth turns

```python
height = 3.1 * math.cos(hours)
```

In all $F = G \\frac{m_1 m_2}{r^2}$ it is.
"""
CITED = TIDES.index("The sea"), TIDES.index("on it.") + len("on it.")


async def test_an_answer_is_shown_while_it_is_written_and_complete_at_its_end(
    world: World, world_page: Page
) -> None:
    sources = (
        parts.url_citation(*CITED, "https://example.com/tides", "Tides, explained"),
        parts.file_citation("file-1", "handbook.pdf", CITED[1]),
    )
    tools = (parts.web_search("tides today"), parts.code("cntr_1", "print(1)"))
    world.fake.answer = [
        held(Answer(TIDES, annotations=sources, items=tools), after=8),
        "No water.",
    ]
    await say(world_page, "@bot why are there tides?")
    await expect(in_channel(world_page, "why are there")).to_contain_text("threadbot is thinking…")
    await open_thread(world_page, "why are there tides?")
    thread = world_page.locator(".thread")
    growing = thread.locator(".streaming")
    await expect(growing).to_contain_text("twice a day")
    cards = growing.locator(".task-card")
    await expect(cards).to_have_text(["✓Searching the web: tides today", "✓Running code"])
    await expect(growing).not_to_contain_text("Cuxhaven")

    await reply(world_page, "and on Mars?")
    await reply(world_page, "and on Venus?")
    await expect(thread.locator(".status")).to_have_text("threadbot is answering… queued (2)")
    world.fake.finish()
    await expect(in_thread(world_page, "No water.")).to_be_visible()
    await expect(thread.locator(".status")).to_be_empty()

    answer = in_thread(world_page, "The tides")
    await expect(answer.get_by_role("cell", name="3.1")).to_be_visible()
    await expect(answer.locator("ol > li > ul > li")).to_have_text("on the near side")
    await expect(answer.get_by_role("region", name="Code, python")).to_contain_text("math.cos")
    await expect(answer).to_contain_text(r"F = G \frac{m_1 m_2}{r^2}")
    for name in ("[1]", "Tides, explained"):
        link = answer.get_by_role("link", name=name)
        await expect(link).to_have_attribute("href", "https://example.com/tides")
    await expect(answer.locator("ol").last).to_contain_text("handbook.pdf")


async def test_a_running_tool_is_named_beside_the_stop_button(
    world: World, world_page: Page
) -> None:
    world.fake.answer = [held(Answer("Found.", items=(parts.web_search("tides"),)))]
    await say(world_page, "@bot look it up")
    await open_thread(world_page, "look it up")
    await expect(world_page.locator(".thread .task-card")).to_contain_text("Searching the web")
    await reply(world_page, "stop")
    await expect(in_thread(world_page, "Stopped.")).to_be_visible()
    await expect(world_page.get_by_role("button", name="Stop")).to_be_hidden()
    await reply(world_page, "stop")
    reported = in_thread(world_page, NOTHING_TO_STOP)
    await expect(reported).to_contain_text("Only visible to you")


async def test_a_stopped_answer_keeps_its_text(world: World, world_page: Page) -> None:
    world.slack.faults.refuse("chat.startStream", "unknown_method")
    world.fake.answer = [held("One word after the other, and no end of it in sight", after=3)]
    await say(world_page, "@bot tell me a story")
    await open_thread(world_page, "tell me a story")
    growing = in_thread(world_page, "One word after the other")
    await growing.get_by_role("button", name="Stop").click()
    await expect(growing.locator("em")).to_have_text(STOPPED.strip("_"))
    await expect(growing.get_by_role("button", name="Stop")).to_have_count(0)


async def test_a_person_gives_feedback_and_asks_for_another_answer(
    world: World, world_page: Page
) -> None:
    world.fake.answer = ["The first answer.", "The second answer."]
    await say(world_page, "@bot hi")
    await open_thread(world_page, "hi")
    first = in_thread(world_page, "The first answer.")
    await first.get_by_role("button", name="Good answer").click()
    await in_thread(world_page, "Thank you!").get_by_role("button", name="Add a note").click()
    await _fill_in(world_page, "What was good?", "Short and friendly.")
    await first.get_by_role("button", name="Answer again").click()
    second = in_thread(world_page, "The second answer.")
    await second.get_by_role("button", name="Bad answer").click()
    await _fill_in(world_page, "What was wrong or missing?", "Too short.")
    await expect(world_page.locator(".channel .count")).to_have_text("2 replies")
    await expect(first.get_by_role("button", name="Answer again")).to_have_count(0)

    async def both_saved() -> bool:
        given = {(f.vote, f.note) for f in await world.bot.store.feedback.list()}
        return given == {("positive", "Short and friendly."), ("negative", "Too short.")}

    await wait_until(both_saved)


async def _fill_in(page: Page, label: str, note: str) -> None:
    dialog = page.get_by_role("dialog", name="Your feedback")
    await dialog.get_by_label(label).fill(note)
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog).to_be_hidden()


async def test_files_go_in_and_come_out(world: World, world_page: Page, tmp_path: Path) -> None:
    drawn = Answer("A dot, larger.", items=(parts.image(png()),))
    world.fake.answer = [held("I have looked."), drawn]
    files = {"dot.png": png(), "a.pdf": b"%PDF-1.7", "notes.txt": b"two words", "all.zip": b"PK"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    await world_page.locator(".channel input[type=file]").set_input_files(
        [tmp_path / name for name in files]
    )
    await say(world_page, "@bot what is in these?")
    await open_thread(world_page, "what is in these?")
    await world.slack.wait_for(lambda: world.fake.working)
    asked = next(r.body for r in world.fake.requests if r.path == "/responses")
    kinds = [part["type"] for part in asked["input"][-1]["content"]]
    assert kinds == ["input_text", "input_image", "input_file", "input_text"]
    world.fake.finish()
    answer = in_thread(world_page, "I have looked.")
    await expect(answer).to_contain_text(f"I could not read all.zip ({UNREADABLE}).")
    await reply(world_page, "draw it larger")
    shown = world_page.locator(".thread").get_by_role("img", name="image.png")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 1
    said = await world_page.locator(".thread article").all_inner_texts()
    assert ["A dot, larger." in said[-2], "image.png" in said[-1]] == [True, True]


async def test_an_edited_question_is_answered_again_and_a_deleted_one_forgotten(
    world_page: Page,
) -> None:
    await say(world_page, "@bot capital of Austria?")
    await open_thread(world_page, "capital of Austria?")
    await expect(in_thread(world_page, "turn 1")).to_be_visible()
    await choose(world_page, in_thread(world_page, "capital of Austria?").first, "Edit message")
    editor = world_page.get_by_role("textbox", name="Edit message")
    await editor.fill("@bot capital of Australia?")
    await editor.press("Enter")
    offer = in_thread(world_page, OFFER)
    await offer.get_by_role("button", name="Answer again").click()
    await expect(in_thread(world_page, "turn 2: capital of Australia?")).to_be_visible()
    await expect(offer).to_have_count(0)

    await reply(world_page, "the password is swordfish")
    await expect(in_thread(world_page, "turn 3")).to_be_visible()
    await choose(world_page, in_thread(world_page, "swordfish").first, "Delete message")
    await world_page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await expect(in_thread(world_page, "swordfish")).to_have_count(
        1
    )  # the answer, which repeats it
    await reply(world_page, "what do you know?")
    known = in_thread(world_page, "turn 4: capital of Australia? | what do you know?")
    await expect(known).to_be_visible()


async def test_a_mention_in_the_middle_of_a_thread_includes_authors(world_page: Page) -> None:
    await say(world_page, "the deploy is red")
    await open_thread(world_page, "the deploy is red")
    await speak_as(world_page, "bob")
    await reply(world_page, "works on my machine")
    await speak_as(world_page, "alice")
    await reply(world_page, "@bot what do we do?")
    known = "alice: the deploy is red | bob: works on my machine | alice: what do we do?"
    await expect(in_thread(world_page, known)).to_be_visible()


async def test_the_agent_pane_greets_and_its_prompts_are_sent(
    world: World, world_page: Page
) -> None:
    await go_to(world_page, "threadbot")
    greeting = GREETING.partition("\n")[0]
    await expect(in_channel(world_page, greeting)).to_have_count(1)
    await world_page.get_by_role("button", name="Draft a message").click()
    asked = "Help me write a short, friendly message. Ask me first what it is about."
    await expect(in_thread(world_page, f"turn 1: {asked}")).to_be_visible()
    title = world_page.locator(".thread").get_by_role("heading", name="Help me write a short")
    await expect(title).to_have_text("Help me write a short, friendly message. Ask me first what…")
    await go_to(world_page, "general")
    await go_to(world_page, "threadbot")
    await expect(in_channel(world_page, greeting)).to_have_count(1)
