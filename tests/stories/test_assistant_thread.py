"""The agent view: prompts, one greeting, a title for each thread."""

import re
from pathlib import Path

from bot.slack.surfaces.commands import COMMANDS
from bot.texts.assistant_thread import GREETING, PROMPTS
from tests.world import World, open_world


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


async def test_a_workspace_that_refuses_prompts_is_greeted_nevertheless(world: World) -> None:
    alice = world.slack.user("alice")
    for _ in range(2):
        world.slack.faults.refuse("assistant.threads.setSuggestedPrompts", "internal_error")
        await alice.opens_home("messages")
        await world.slack.settled()
    assert [m.text for m in world.slack.messages(alice.dm())] == [GREETING]


async def test_texts_name_the_commands_as_this_app_has_them(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_command_prefix="test-") as world:
        alice = world.slack.user("alice")
        await alice.opens_home("messages")
        await world.slack.settled()
        await alice.slash("/test-bot-help")
        await alice.opens_home()
        root = await world.ask("#general", "@bot hello")
        await world.ask("#general", "reset", thread_ts=root)
        await alice.says("#general", "reset", thread_ts=root)
        await world.rests("#general", root)
        reported = [m.text for m in (*world.slack.messages(alice.dm()), *alice.ephemerals())]
        texts = "\n".join([*reported, str(alice.home)])
    named = set(re.findall(r"`(/[a-z-]+)`", texts))
    ours = {f"/test-{command.name.removeprefix('/')}" for command in COMMANDS}
    assert {"/test-bot-help", "/test-reset", "/test-forget-me", "/test-usage"} <= named <= ours
