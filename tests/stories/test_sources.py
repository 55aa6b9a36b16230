"""The sources of an answer are shown; the model's commentary is not."""

from tests.fakes.openai import Answer, Said, parts
from tests.world import World


async def test_web_sources_become_numbered_links(world: World) -> None:
    text = "Redis is fast."
    note = parts.url_citation(0, 14, "https://redis.io/docs?utm_source=openai", "Redis docs")
    world.fake.answer = [Answer(text, annotations=(note, note))]
    root = await world.ask("#general", "@bot is it?")
    (answer,) = await world.replies("#general", root)
    assert answer == (
        "Redis is fast.[[1]](https://redis.io/docs?utm_source=openai)\n\n**Sources**\n\n"
        "1. [Redis docs](https://redis.io/docs?utm_source=openai)"
    )


async def test_files_that_were_searched_are_named(world: World) -> None:
    note = parts.file_citation("file-1", "handbook.pdf", 8)
    world.fake.answer = [Answer("Rule one.", annotations=(note,))]
    root = await world.ask("#general", "@bot rules?")
    (answer,) = await world.replies("#general", root)
    assert answer == "Rule one[1].\n\n**Sources**\n\n1. handbook.pdf"


async def test_links_into_the_sandbox_vanish(world: World) -> None:
    text = "See [the table](sandbox:/mnt/data/a.csv)."
    note = parts.container_file_citation("cntr_1", "cfile_1", "a.csv", 4, 40)
    world.fake.answer = [Answer(text, annotations=(note,))]
    root = await world.ask("#general", "@bot table?")
    (answer,) = await world.replies("#general", root)
    assert "sandbox:" not in answer
    assert "See the table" in answer
    assert "1. a.csv" in answer


async def test_citation_marks_of_an_assistant_become_notes_with_the_file_name(
    assistants_world: World,
) -> None:
    world = assistants_world
    file_id = world.fake.add_file("handbook.pdf", b"rules")
    text = "Rule one【4:0†source】."
    note = parts.thread_file_citation("【4:0†source】", 8, file_id)
    world.fake.answer = [Answer(text, annotations=(note,))]
    root = await world.ask("#general", "@bot rules?")
    (answer,) = await world.replies("#general", root)
    assert answer == "Rule one[1].\n\n**Sources**\n\n1. handbook.pdf"


async def test_a_refusal_is_posted(world: World) -> None:
    world.fake.answer = [Answer(refusal="I will not help with that.")]
    root = await world.ask("#general", "@bot do it")
    assert await world.replies("#general", root) == ["I will not help with that."]


async def test_only_the_final_answer_is_posted(world: World) -> None:
    said = (Said("Let me think.", "commentary"), Said("Forty-two.", "final_answer"))
    world.fake.answer = [Answer(said=said)]
    root = await world.ask("#general", "@bot answer")
    assert await world.replies("#general", root) == ["Forty-two."]
