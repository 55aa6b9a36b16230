"""The work for a text is linear in its length, whatever it contains.

Two measures for a text and one that is eight times as long: how often Python code is called or
loops, which is exact, and the CPU time, which also covers C code such as regular expressions. A
linear function takes eight times as much, a quadratic one 64 times.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import time
from collections.abc import Callable

import pytest

import bot.slack.markdown as package
from bot.models import Citation
from bot.slack.markdown.bounds import affordable, layout_work, parsing_work
from bot.slack.markdown.clean import clean, clean_so_far, reasoning
from bot.slack.markdown.code import code_blocks
from bot.slack.markdown.elements import flatten
from bot.slack.markdown.escape import escape_mrkdwn
from bot.slack.markdown.growing import GrowingAnswer, Visible
from bot.slack.markdown.plain import plain
from bot.slack.markdown.render import blocks, fallback
from bot.slack.markdown.sanitize import _remembered, sanitize
from bot.slack.markdown.sources import with_sources
from bot.slack.markdown.split import parts
from bot.slack.markdown.stable import stable_prefix
from tests.hostile.counting import counted

MARKER = "\ue200cite\ue202a\ue201<think>a</think>"
"""Characters that trigger the slow paths of the functions."""
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
    "spaces and a marker": " ",
    "tabs and a marker": "\t",
    "newlines and a marker": "\n",
    "one line": "word ",
    "one word": "a",
    "paragraph": "word word\n",
    "nested quotes": "> ",
    "lines of quotes": "> > > a\n",
    "nested lists": "- ",
    "short items": "- a\n",
    "deep items": "- a\n  - b\n    - c\n",
    "numbers": "1. ",
    "lists of numbers": "1,",
    "products": "1*",
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
    "italics": "*（必）*で",
    "all stars": "*a**b***c",
    "angles": "<",
    "tags": "<b>a",
    "pairs": "<b>a</b>",
    "nested pairs": "<b>",
    "block tags": "<p>",
    "block pairs": "<p>a</p>",
    "details": "<details><summary>",
    "items": "<ul><li>a</li></ul>",
    "breaks in quotes": "a<br>",
    "breaks": "a<br>",
    "attributes": '<a href="',
    "comments": "<!--",
    "comments over lines": "<!--\n-->\n",
    "tables of HTML": "<table>\n<tr><td>a\n",
    "table pairs": "<table>\n<tr><td>a\n</table>\n",
    "lists of HTML": "<ul>\n<li>a\n",
    "nested lists of HTML": "<ol>\n<li>",
    "code of HTML": "<pre>\n",
    "code in code of HTML": "<pre><code>\n</code></pre>\n",
    "pairs over lines": "<b>a\nb</b>\n\n",
    "open pairs over lines": "<i>\n",
    "containers": "<div>a\n",
    "nested containers": "<div>\n",
    "closing tags": "</p>\n",
    "tags over lines": "<a\nb='",
    "autolinks": "<https://a|",
    "entities": "&lt;",
    "ampersands": "&",
    "backslashes": "\\",
    "formulas": "\\(a",
    "displays": "\\[a",
    "closed formulas": "\\(a\\) ",
    "dollars": "$a",
    "double dollars": "$$a ",
    "environments": "\\begin{align}",
    "addresses": "https://a.example/b",
    "schemes": "https://",
    "wide": "https://a（",
    "mentions": "@here ",
    "citations": "\ue200cite\ue202a\ue201 ",
    "open citations": "\ue200cite",
    "brackets": "【1†",
    "references in braces": ":contentReference[",
    "cite": "citeturn0search0",
    "turns": "(cite: turn0search1,",
    "stores": "[web:1,",
    "daggers": "[1†",
    "summaries": "<details><summary>Thinking",
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
    "mixed line ends": "a\r\nb\nc\r\r\n",
    "separators": "a\x0cb\u2028c\x0b",
    "fences in quotes in lists": "- > ```py\n  > a\n  > ```\n",
    "small tables": "a|b\n-|-\n\n",
    "all headings": "a\n=\nb\n-\nc\nd\n===\n",
    "deep containers": "- > 1. > - > 1. a\n",
    "tables in lists": "- | a |\n  |---|\n  | b |\n",
    "indented code": "    a\n\n",
}
PREFIXES = {
    "rows": "| a | b |\n|---|---|\n",
    "breaks in quotes": "> " * 100,
    "spaces and a marker": MARKER,
    "tabs and a marker": MARKER,
    "newlines and a marker": MARKER,
}
ENDINGS = {
    "nested pairs": "</b>",
    "nested lists of HTML": "</ol>\n",
    "nested containers": "</div>\n",
}

MESSAGE = 100
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
    "flatten": flatten,
    "flatten_so_far": lambda text: flatten(text, whole=False),
    "blocks": blocks,
    "escape_mrkdwn": escape_mrkdwn,
    "bounds": lambda text: [affordable(text, work, 10**9) for work in (layout_work, parsing_work)],
    "sanitize": sanitize,
    "with_sources": _cite,
    "parts": lambda text: [part.text for part in parts(text, MESSAGE)],
}

COUNTED, TIMED = (250, 2000), (1000, 8000)
"""Lengths of the texts: C code needs more to be noticed."""
MOST_STEPS = 12
"""Times as many calls and loops for the larger text."""
FEW_STEPS = 100
"""Steps that a finalizer may add."""
MOST_SECONDS = 24
"""Times as much CPU time: far from 8, since the machine may be busy."""
NEGLIGIBLE = 0.01
"""Measurements of fewer seconds are noise."""
TRIES = 10


def steps(function: Callable[[str], object], text: str) -> int:
    _remembered.cache_clear()
    with counted() as count:
        function(text)
    return count.steps


def cpu_seconds(function: Callable[[str], object], text: str) -> float:
    _remembered.cache_clear()
    begun = time.thread_time()
    function(text)
    return time.thread_time() - begun


def growth_of_steps(function: Callable[[str], object], text_of: Callable[[int], str]) -> float:
    small, large = (steps(function, text_of(size)) for size in COUNTED)
    return large / max(small, FEW_STEPS)


def growth_of_seconds(function: Callable[[str], object], text_of: Callable[[int], str]) -> float:
    """By the least of several measurements, if the first one is suspicious."""
    (small, first), (large, second) = ((text_of(size), list[float]()) for size in TIMED)
    for _ in range(TRIES):
        second.append(cpu_seconds(function, large))
        if min(second) < NEGLIGIBLE:
            return 0.0
        first.append(cpu_seconds(function, small))
        if min(second) < MOST_SECONDS * min(first):
            break
    return min(second) / min(first)


def is_linear(function: Callable[[str], object], text_of: Callable[[int], str]) -> bool:
    if growth_of_steps(function, text_of) > MOST_STEPS:
        return False
    return growth_of_seconds(function, text_of) < MOST_SECONDS


@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_the_length(shape: str) -> None:
    unit, before, after = SHAPES[shape], PREFIXES.get(shape, ""), ENDINGS.get(shape, "")

    def text_of(size: int) -> str:
        count = size // len(unit + after)
        return before + unit * count + after * count

    slow = [name for name, function in FUNCTIONS.items() if not is_linear(function, text_of)]
    assert slow == []


@pytest.mark.parametrize("unit", ["<pre>\n", "<pre>a</pre>\n", "```a\n", "~~~~a\n", "~~~\n"])
def test_work_for_a_table_of_html_grows_with_its_length(unit: str) -> None:
    """Such a table may contain code."""

    def text_of(size: int) -> str:
        return f"<table><tr><td>\n{unit * (size // len(unit))}</td></tr></table>"

    assert is_linear(flatten, text_of)


GROWTH = {
    "details": ("", "<details><summary>More</summary>\n\nSome text.\n\n</details>\n\n"),
    "open details": ("<details>\n<summary>More</summary>\n\n", "Some text in it.\n\n"),
    "items": ("", "- an item\n"),
    "quotes in items": ("", "- > an item\n"),
    "one fence": ("```py\n", "print(1)\n"),
    "rows": ("| a | b |\n|---|---|\n", "| c | d |\n"),
}


@pytest.mark.parametrize("construct", GROWTH)
def test_the_work_for_a_growing_answer_is_linear(construct: str) -> None:
    """What is stable, or in an earlier message, is not read again."""
    before, unit = GROWTH[construct]

    def grow(text: str) -> None:
        growing, visible = GrowingAnswer(600), Visible()
        for end in range(500, len(text) + 1, 500):
            growing.advance(visible.of(text[:end]))

    few, many = (steps(grow, (before + unit * size)[:size]) for size in (2_500, 10_000))
    assert many < 6 * few


UNFINISHED = {
    "one paragraph": ("", "word word word "),
    "definitions": ("See [a][b].\n\n", "[b]: https://a.example\n"),
    "reasoning": ("<think>a</think>b\n\n<think>c</think>", "word word\n\n"),
    "one item": ("- an item\n\n", "  and more\n\n"),
}


@pytest.mark.parametrize("construct", UNFINISHED)
def test_a_long_unfinished_block_is_seldom_read_again(
    construct: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, unit = UNFINISHED[construct]
    read = list[int]()

    def count(text: str) -> str:
        read.append(len(text))
        return clean_so_far(text)

    monkeypatch.setattr("bot.slack.markdown.growing.clean_so_far", count)
    visible, size, shown = Visible(), 20_000, ""
    text = (before + unit * size)[:size]
    for end in range(50, size + 1, 50):
        shown = visible.of(text[:end])
    assert sum(read) < 15 * size
    assert len(shown) > 0.8 * size


def test_an_answer_behind_long_reasoning_is_shown_at_once() -> None:
    visible, text, shown = Visible(), f"<think>\n{'Perhaps. ' * 2_000}</think>\n\n", set[str]()
    for _ in range(20):
        text += "Some words.\n\n"
        shown.add(visible.of(text))
    assert len(shown) == 20


EVERYTHING = (
    f"{MARKER} **重（a）**b <p>x<sup>2</sup></p> \\(a\\) $b^2$ [^1] [a](b c) <a@b.c|d> `e` @here"
    f"{'🇩🇪' * MESSAGE}\n\n"
    "> - ```py\n  code\n  ```\n\n| a |\n|--|\n| b |\n\n"
    "<pre>\na\n</pre>\n<ul>\n<li>a\n</ul>\n<table>\n<td>a\n</table>\n\n"
)


def public_functions() -> set[str]:
    """The functions of the package that take a text."""
    found = set()
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and name[0] != "_":
                found.add(function.__qualname__)
    return found


def test_every_function_of_the_package_is_measured() -> None:
    called = set()
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_qualname))
    try:
        for function in FUNCTIONS.values():
            function(EVERYTHING * 4)
    finally:
        sys.setprofile(None)
    assert public_functions() - called == ONE_LINE


ONE_LINE = {"in_thread", "render", "render_in_thread", "join"}
"""Functions that only call others."""


def _loops(text: str) -> int:
    return sum(1 for end in range(0, len(text), 20) for _ in text[:end])


def _calls(text: str) -> list[str]:
    return [sanitize(text[:end]) for end in range(0, len(text), 100)]


def _backtracks(text: str) -> object:
    return re.search("a*b", text)


@pytest.mark.parametrize("quadratic", [_loops, _calls, _backtracks])
def test_a_quadratic_function_is_detected(quadratic: Callable[[str], object]) -> None:
    assert not is_linear(quadratic, lambda size: "a" * size)
