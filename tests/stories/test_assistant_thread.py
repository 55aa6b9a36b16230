"""The agent view: prompts, one greeting, a title for each thread."""

from bot.texts.assistant_thread import GREETING, PROMPTS
from tests.world import World


async def test_opening_the_messages_tab_shows_prompts_and_greets_once(world: World) -> None:
    alice = world.slack.user("alice")
    for _ in range(2):
        await alice.opens_home("messages")
        await world.slack.settled()
    pane = world.slack.agent_thread(alice.dm(), "")
    assert [prompt["title"] for prompt in pane.prompts] == [title for title, _ in PROMPTS]
    greetings = [m for m in world.slack.messages(alice.dm()) if m.text == GREETING]
    assert len(greetings) == 1


async def test_a_thread_of_the_agent_view_is_titled_by_its_first_words(world: World) -> None:
    dm = world.slack.user("alice").dm()
    long = "please explain to me how the tides work, in simple words, as if I were five years old"
    root = await world.ask(dm, long)
    await world.ask(dm, "and the moon?", thread_ts=root)
    title = world.slack.agent_thread(dm, root).title
    assert title.startswith("please explain to me how the tides work")
    assert title.endswith("…")
    assert len(title) <= 60
