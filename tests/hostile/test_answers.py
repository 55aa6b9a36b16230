"""Answers of hostile size and shape, through the whole bot: bounded, formatted, never silent."""

from pathlib import Path

import pytest

from bot.timing import Timing
from tests.fakes.openai import Answer
from tests.slack.answers import HURRY
from tests.world import World, open_world, words

MESSAGES = 3
MORE = "All of it is in the file below._"
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
    "empty": "",
    "white space": " \n\t\n  ",
    "zero width": "\u200b\u200b",
    "control characters": "\x00\x01\x1b[31m",
}


async def answered(world: World, answer: Answer) -> str:
    """Ask for this answer; returns the `ts` of the thread's root. The next one is answered, too."""
    world.fake.answer = [answer, "fine"]
    root = await world.ask("#general", "@bot go")
    await world.ask("#general", "next", thread_ts=root)
    assert words(world.slack.replies("#general", root)[-1]) == "fine"
    return root


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["posted", "edited", "streamed"])
@pytest.mark.parametrize("shape", LONG)
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
        root = await answered(world, Answer(text, piece=len(text) // 60))
        shown = [m for m in world.slack.replies("#general", root)[:-1] if not m.file_ids]
        assert len(shown) <= MESSAGES + 1
        assert all(any(b["type"] == "markdown" for b in m.blocks) for m in shown)
        assert words(shown[-1]).endswith(MORE)
        assert words(shown[-1]).count("```") % 2 == 0 or shape in ("backticks", "fences")
        posted = [
            c for c in world.slack.calls if c.method in ("chat.postMessage", "chat.startStream")
        ]
        assert len(posted) <= MESSAGES + 2  # and one for "fine": nothing was shown to be deleted


@pytest.mark.parametrize("way", ["posted", "edited", "streamed"])
@pytest.mark.parametrize("shape", INVISIBLE)
async def test_an_answer_that_nobody_can_see_is_not_passed_off_as_one(
    redis_url: str, tmp_path: Path, shape: str, way: str
) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        timing=Timing(answer=HURRY),
        bot_streaming=way != "posted",
        bot_stream_channels=way == "streamed",
    ) as world:
        root = await answered(world, Answer(INVISIBLE[shape]))
        first, _ = map(words, world.slack.replies("#general", root))
        assert "ended without a word" in first


async def test_the_words_below_a_cut_answer_are_outside_of_its_code(
    redis_url: str, tmp_path: Path
) -> None:
    code = "Look:\n\n```python\n" + "print(1)\n" * 20_000
    async with open_world(redis_url, tmp_path, bot_answer_messages=1) as world:
        root = await answered(world, Answer(code))
        shown = "\n".join(words(m) for m in world.slack.replies("#general", root)[:-1])
        assert f"print(1)\n```\n\n_The answer is too long to be shown here. {MORE}" in shown
