"""Files that the model makes are posted in the thread once."""

from pathlib import Path

import pytest

from bot.texts.answers import HERE
from local_slack.workspace.model import File
from tests.fakes.openai import Answer, parts
from tests.world import World, open_world, words

PNG = b"\x89PNG\r\n\x1a\n drawn"


def shown(world: World, root: str) -> list[File]:
    """The files in a thread, in order."""
    messages = world.slack.replies("#general", root)
    return [world.slack.workspace.files[i] for message in messages for i in message.file_ids]


async def test_an_image_that_the_model_draws_is_posted(world: World) -> None:
    world.fake.answer = [Answer("A cat.", items=(parts.image(PNG, "webp"),))]
    root = await world.ask("#general", "@bot draw a cat")
    assert (await world.replies("#general", root, 2))[0] == "A cat."
    (file,) = shown(world, root)
    assert (file.name, file.content) == ("image.webp", PNG)


async def test_an_image_without_text_is_an_answer(world: World) -> None:
    world.fake.answer = [Answer(calls=(), items=(parts.image(PNG),), text=" ")]
    root = await world.ask("#general", "@bot draw a cat")
    assert (await world.replies("#general", root, 2))[0] == HERE
    assert len(shown(world, root)) == 1


async def test_files_of_the_code_interpreter_are_fetched_immediately(world: World) -> None:
    file_id = world.fake.add_container_file("cntr_1", "table.csv", b"a,b\n1,2\n")
    text = "See [the table](sandbox:/mnt/data/table.csv)."
    note = parts.container_file_citation("cntr_1", file_id, "table.csv", 4, 44)
    world.fake.answer = [Answer(text, annotations=(note, note))]
    root = await world.ask("#general", "@bot a table")
    assert "sandbox:" not in (await world.replies("#general", root, 2))[0]
    (file,) = shown(world, root)
    assert (file.name, file.content) == ("table.csv", b"a,b\n1,2\n")


async def test_a_file_that_is_gone_is_named(world: World) -> None:
    note = parts.container_file_citation("cntr_gone", "cfile_1", "table.csv", 0, 3)
    world.fake.answer = [Answer("See.", annotations=(note,))]
    root = await world.ask("#general", "@bot a table")
    (answer,) = await world.replies("#general", root)
    assert "I could not attach table.csv." in answer


async def test_an_assistants_files_are_attached(assistants_world: World) -> None:
    world = assistants_world
    drawn, made = world.fake.add_file("x.png", PNG), world.fake.add_file("a.csv", b"1,2")
    link = "sandbox:/mnt/data/a.csv"
    note = parts.thread_file_path(link, 10, made)
    world.fake.answer = [Answer(f"See [it]({link}).", annotations=(note,), files=(drawn,))]
    root = await world.ask("#general", "@bot draw")
    await world.replies("#general", root, 3)
    assert sorted(file.name for file in shown(world, root)) == ["a.csv", "image.png"]


async def test_a_file_is_shared_once_if_slacks_response_was_lost(world: World) -> None:
    world.slack.faults.drop("files.completeUploadExternal", after_effect=True)
    world.fake.answer = [Answer("A cat.", items=(parts.image(PNG),))]
    root = await world.slack.user("alice").says("#general", "@bot draw a cat")
    await world.replies("#general", root, 2)
    assert words(world.slack.replies("#general", root)[0]) == "A cat."
    assert len(shown(world, root)) == 1


async def test_long_code_is_also_attached_as_a_file(world: World) -> None:
    code = "".join(f"print({number})\n" for number in range(1200))
    world.fake.answer = [Answer(f"Here:\n\n```python\n{code}```\n\nand\n\n```\nshort\n```\n")]
    root = await world.slack.user("alice").says("#general", "@bot write it")
    await world.slack.wait_for(lambda: shown(world, root))
    await world.rests("#general", root)
    (file,) = shown(world, root)
    assert (file.name, file.content.decode()) == ("code1.py", code)


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_answer_that_is_too_long_is_shown_in_part_and_attached_as_a_file(
    redis_url: str, tmp_path: Path, streaming: bool
) -> None:
    text = "\n\n".join(f"Paragraph {n} says something." for n in range(3_000))
    async with open_world(
        redis_url, tmp_path, bot_answer_messages=2, bot_streaming=streaming
    ) as world:
        world.fake.answer = [Answer(text)]
        root = await world.slack.user("alice").says("#general", "@bot tell me everything")
        await world.slack.wait_for(lambda: shown(world, root))
        await world.rests("#general", root)
        (file,) = shown(world, root)
        assert (file.name, file.content.decode()) == ("answer.md", text)
        messages = [m for m in world.slack.replies("#general", root) if not m.file_ids]
        assert 2 <= len(messages) <= 3
        assert words(messages[-1]).endswith("The file below has all of it._")
        assert "Paragraph 0 " in words(messages[0])
