"""The work for a text grows with its length, whatever the text consists of."""

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from bot.models import Citation
from bot.slack.markdown.clean import clean, clean_so_far, reasoning
from bot.slack.markdown.code import code_blocks
from bot.slack.markdown.growing import GrowingAnswer, Visible, stable_prefix
from bot.slack.markdown.plain import plain
from bot.slack.markdown.render import blocks, escape_mrkdwn, fallback
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.sources import with_sources
from bot.slack.markdown.split import parts

SHAPES = {
    "open fences": "```a\n",
    "closed fences": "```\na\n```\n",
    "backticks": "`",
    "code spans": "`a` ",
    "unequal backticks": "` `` ",
    "tildes": "~",
    "spaces": " ",
    "tabs": "\t",
    "newlines": "\n",
    "one line": "word ",
    "one word": "a",
    "paragraph": "word word\n",
    "nested quotes": "> ",
    "lines of quotes": "> > > a\n",
    "nested lists": "- ",
    "short items": "- a\n",
    "deep items": "- a\n  - b\n    - c\n",
    "numbers": "1. ",
    "rows": "| a | b |\n",
    "pipes": "|",
    "link openers": "[",
    "image openers": "![",
    "unfinished links": "[a](b",
    "nested links": "[[[a](b)",
    "closers": "](a)",
    "references": "[a]: b\n",
    "footnotes": "[^1]",
    "stars": "*",
    "emphasis": "**a ",
    "bold": "**重要：**明",
    "underscores": "_a_ ",
    "strikes": "~~a ",
    "angles": "<",
    "tags": "<b>a",
    "pairs": "<b>a</b>",
    "breaks": "a<br>",
    "attributes": '<a href="',
    "comments": "<!--",
    "autolinks": "<https://a|",
    "entities": "&lt;",
    "ampersands": "&",
    "backslashes": "\\",
    "formulas": "\\(a",
    "displays": "\\[a",
    "closed formulas": "\\(a\\) ",
    "dollars": "$a",
    "double dollars": "$$a ",
    "addresses": "https://a.example/b",
    "schemes": "https://",
    "wide": "https://a（",
    "mentions": "@here ",
    "citations": "\ue200cite\ue202a\ue201 ",
    "open citations": "\ue200cite",
    "brackets": "【1†",
    "references in braces": ":contentReference[",
    "cite": "citeturn0search0",
    "reasoning": "<think>a",
    "closed reasoning": "<think>a</think>",
    "lone closers": "a</think>b\n",
    "channels": "<|channel|>analysis",
    "open code and reasoning": "`<think>```\n",
    "escapes": "\x1b[",
    "links of terminals": "\x1b]8;;",
    "flags": "🇩",
    "families": "👩‍👩‍👧‍👦",
    "accents": "\u0301",
    "no-break spaces": "\xa0",
    "hashes": "#",
    "headings": "# a\n",
    "setext": "a\n=\n",
    "rules": "---\n",
}
PREFIXES = {"rows": "| a | b |\n|---|---|\n"}

MESSAGE = 1000
"""Characters of a message: both texts fill several."""


def _grow(text: str) -> None:
    growing, visible = GrowingAnswer(MESSAGE), Visible()
    for end in range(0, len(text), len(text) // 4 + 1):
        growing.advance(visible.of(text[:end]))
    growing.finish(sanitize(text))


def _cite(text: str) -> None:
    with_sources(
        text,
        [
            Citation(i, i + 1, f"s{i % 9}", url=f"https://a.example/{i}")
            for i in range(0, len(text), len(text) // 20 + 1)
        ],
    )


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "clean": clean,
    "clean_so_far": clean_so_far,
    "reasoning": reasoning,
    "code_blocks": lambda text: [*code_blocks(text)],
    "stable_prefix": stable_prefix,
    "growing": _grow,
    "plain": lambda text: plain(text, 200),
    "fallback": lambda text: fallback(text, 4000),
    "blocks": blocks,
    "escape_mrkdwn": escape_mrkdwn,
    "sanitize": sanitize,
    "with_sources": _cite,
    "parts": lambda text: [part.text for part in parts(text, MESSAGE)],
}

SIZE = 8_000
TRIES = 4
NEGLIGIBLE = 0.003
"""Seconds below which the clock says more about the machine than about the function."""


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """A collection takes as long as there are objects in the whole process."""
    gc.disable()
    yield
    gc.enable()


def cpu_seconds(function: Callable[[str], object], text: str) -> float:
    begun = time.process_time()
    function(text)
    return time.process_time() - begun


def growth(function: Callable[[str], object], small: str, large: str) -> float:
    """How many times longer the large text takes, by the least of several measurements each."""
    first, second = [], []
    for _ in range(TRIES):
        first.append(cpu_seconds(function, small))
        second.append(cpu_seconds(function, large))
        if min(second) < NEGLIGIBLE or min(second) < 2.5 * min(first):
            break
    return 0.0 if min(second) < NEGLIGIBLE else min(second) / min(first)


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_takes_at_most_two_and_a_half_times_as_long(shape: str) -> None:
    unit, before = SHAPES[shape], PREFIXES.get(shape, "")
    small, large = (before + unit * (size // len(unit)) for size in (SIZE, 2 * SIZE))
    slow = {name: growth(function, small, large) for name, function in FUNCTIONS.items()}
    assert {name: ratio for name, ratio in slow.items() if ratio >= 2.5} == {}


def test_a_quadratic_function_is_found_out() -> None:
    def quadratic(text: str) -> int:
        return sum(text.count("b") for _ in range(0, len(text), 4))

    assert growth(quadratic, "a" * 40_000, "a" * 80_000) > 2.5
