"""Answers of hostile size and shape through the whole bot: bounded, formatted, never dropped
silently."""

from pathlib import Path

import pytest

from bot.slack.markdown.blocks import outline
from bot.slack.markdown.bounds import WORK, layout_work
from bot.slack.markdown.clean import clean
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.render import LIMIT, parts, render
from bot.slack.markdown.split import MAX_BLOCKS
from bot.store import Store
from bot.texts.answers import REST_ATTACHED
from bot.timing import Timing
from bot.turn.files_out import first_messages
from tests.fakes.openai import Answer
from tests.hostile.counting import counted
from tests.slack.answers import HURRY, Wire, open_harness
from tests.world import World, open_world, words

MESSAGES = 3
MORE = "The file below has all of it._"
SIZE = 200_000
LONG = {
    "prose": "word " * (SIZE // 5),
    "one line": "x" * SIZE,
    "50,000 lines": "\n".join(f"line {n}" for n in range(50_000)),
    "backticks": "`" * SIZE,
    "fences": "```\n" * 10_000,
    "an open fence": "```python\n" + "print(1)\n" * 20_000,
    "a table": "| a | b |\n|---|---|\n" + "| c | d |\n" * 5_000,
    "10,000 headings": "\n\n".join(f"# Heading {n}" for n in range(10_000)),
    "nested quotes": ">" * 50_000 + " deep",
    "nested lists": "\n".join("  " * n + "- item" for n in range(500)),
    "emoji": "👩‍👩‍👧‍👦 " * 20_000,
    "combining characters": "e" + "\u0301" * SIZE,
    "CJK": "漢字かな交じり文。" * 20_000,
    "right to left": "שלום עולם. مرحبا بالعالم. " * 10_000,
    "links": "[a](https://example.com/x) " * 10_000,
    "stars": "*" * SIZE,
}
INVISIBLE = {
    "white space": " \n\t\n  ",
    "zero width": "\u200b\u200b",
    "control characters": "\x00\x01\x1b[31m",
}


async def answered(world: World, answer: Answer) -> str:
    """Ask for this answer; returns the `ts` of the thread's root. The next question must be
    answered, too."""
    world.fake.answer = [answer, "fine"]
    root = await world.ask("#general", "@bot go")
    await world.ask("#general", "next", thread_ts=root)
    assert words(world.slack.replies("#general", root)[-1]) == "fine"
    return root


@pytest.mark.parametrize("shape", LONG)
def test_a_long_answer_is_cut_to_a_few_formatted_messages(shape: str) -> None:
    shown = render(first_messages(LONG[shape], MESSAGES) + REST_ATTACHED)
    found = parts(shown)
    assert len(found) <= MESSAGES + 1
    assert found[-1].text.endswith(MORE)
    for part in found:
        assert size(part.text) <= LIMIT
        assert sum(line.blocks for line in outline(part.text).lines) <= MAX_BLOCKS
        assert part.text.count("```") % 2 == 0 or shape in ("backticks", "fences")


def test_long_reasoning_does_not_shorten_the_answer() -> None:
    thought = "<think>\n" + "Perhaps. " * 30_000 + "\n</think>\n\n"
    assert first_messages(thought + "The answer is 4.", MESSAGES) == thought + "The answer is 4."
    cut = clean(first_messages(thought + LONG["prose"], MESSAGES))
    assert cut.startswith("word word")
    assert len(parts(cut)) == MESSAGES


@pytest.mark.parametrize(
    ("shape", "way"), [("prose", "posted"), ("fences", "edited"), ("10,000 headings", "streamed")]
)
async def test_a_long_answer_is_a_few_formatted_messages_and_a_file(
    redis_url: str, tmp_path: Path, shape: str, way: str
) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        timing=Timing(answer=HURRY),
        bot_answer_messages=MESSAGES,
        bot_streaming=way != "posted",
        bot_stream_channels=way == "streamed",
    ) as world:
        world.slack.workspace.bounds.expands = True
        text = LONG[shape]
        root = await answered(world, Answer(text, piece=len(text) // 20))
        shown = [m for m in world.slack.replies("#general", root)[:-1] if not m.file_ids]
        assert len(shown) <= MESSAGES + 1
        assert all(any(b["type"] == "markdown" for b in m.blocks) for m in shown)
        assert words(shown[-1]).endswith(MORE)
        posted = [
            c for c in world.slack.calls if c.method in ("chat.postMessage", "chat.startStream")
        ]
        assert len(posted) <= MESSAGES + 2  # and one for "fine": nothing was shown to be deleted


@pytest.mark.parametrize("way", ["posted", "streamed"])
async def test_an_empty_answer_is_reported(redis_url: str, tmp_path: Path, way: str) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        timing=Timing(answer=HURRY),
        bot_streaming=way != "posted",
        bot_stream_channels=way == "streamed",
    ) as world:
        root = await answered(world, Answer(""))
        first, _ = map(words, world.slack.replies("#general", root))
        assert "returned an empty answer" in first


@pytest.mark.parametrize("shape", INVISIBLE)
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_without_anything_visible_is_reported_as_empty(
    store: Store, shape: str, streaming: bool
) -> None:
    async with open_harness(store) as harness:
        await harness.answer(INVISIBLE[shape], Wire(), step=9, streaming=streaming)
        assert "returned an empty answer" in harness.texts[0]


GROWING = {
    "angles": "<" * SIZE,
    "separators": "a\x0b\n" * (SIZE // 3),
    "line breaks": "> > a<br>" * (SIZE // 9),
    "lists of HTML": "<ul><li>a</li></ul>" * (SIZE // 19),
    "addresses": "<https://a.example|b>" * (SIZE // 21),
    "tables of HTML": "<table>\n<tr><td>a\n</table>\n" * (SIZE // 27),
}


@pytest.mark.parametrize("shape", GROWING)
def test_an_answer_that_grows_when_it_is_rendered_fits_its_messages_too(shape: str) -> None:
    shown = first_messages(GROWING[shape], 1)
    assert shown
    assert len(parts(render(shown))) == 1


HEAVY = {
    "items": "- a\n",
    "nested items": "- a\n  - b\n    - c\n",
    "line ends": "a\r\nb\rc\n",
    "separators": "a\x0cb\u2028",
    "brackets": "[",
    "daggers": "[1†",
    "links": "[a](b",
    "tables": "a|b\n-|-\n\n",
}


@pytest.mark.parametrize("shape", HEAVY)
def test_the_work_for_an_answer_is_bounded_by_its_messages_and_not_by_its_length(
    shape: str,
) -> None:
    """What is not shown is not laid out, and no message holds thousands of tiny lines."""
    unit = HEAVY[shape]
    small, large = (unit * (size // len(unit)) for size in (50_000, 200_000))
    shown = first_messages(large, 1)
    assert layout_work(shown) <= 1.1 * WORK
    assert first_messages(small, 1) == shown
    with counted() as few:
        first_messages(small, 1)
    with counted() as many:
        first_messages(large, 1)
    assert many.steps < 1.5 * few.steps


def test_usual_long_answers_are_within_the_bound() -> None:
    listing = "".join(f"    for index, item in enumerate(values[{n}]):\n" for n in range(260))
    table = (
        "| name | value |\n|---|---|\n"
        + "| `a name` | **12** of [all](https://a.example) |\n" * 200
    )
    items = "".join(f"- **Point {n}**: it says `something`.\n" for n in range(300))
    for text in (f"```python\n{listing}```\n", table, items, "A sentence. " * 950):
        assert len(text) > 9_000
        assert layout_work(text) <= 0.9 * WORK


def test_the_note_below_a_cut_answer_is_outside_of_its_code() -> None:
    cut = first_messages("Look:\n\n```python\n" + "print(1)\n" * 20_000, 1) + REST_ATTACHED
    assert f"print(1)\n```\n\n_The answer is too long to be shown here. {MORE}" in cut
