"""The quick parser finds the same blocks as markdown-it with its own rules."""

from collections.abc import Iterable, Iterator
from random import Random

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.slack.markdown.block_parser import BlockParser

UNITS = [
    *("a", "word\n", "\n", "\n", "\n\n", "\r\n", "\r", "\t", " ", "  ", "    ", "\0", "\\|", "`"),
    *("> ", ">", "- ", "* ", "+ ", "-", "1. ", "2) ", "10. ", "# ", "#", "###### ", "***", "_ _ _"),
    *(
        "=",
        "===",
        "---",
        "```",
        "~~~",
        "````",
        "|",
        "a|b",
        "-|-",
        "|---|",
        ":-:",
        "[a]: b",
        "<div>",
    ),
]
SKIPPED = {"inline", "thead_open"}
"""Tokens that begin no line of their own."""


def plain() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["html_block", "reference"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def documents(random: Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield "".join(random.choices(UNITS, k=random.choice([5, 20, 60]))) + "\n"


def blocks(tokens: Iterable[Token]) -> list[tuple[str, list[int], int, str, bool]]:
    return [
        (token.type, token.map, token.level, token.info, bool(token.content))
        for token in tokens
        if token.map and token.type not in SKIPPED
    ]


@pytest.mark.parametrize("seed", range(10))
def test_the_blocks_are_those_of_markdown_it(seed: int) -> None:
    usual, quick = plain(), BlockParser()
    for text in documents(Random(seed), 40):
        assert blocks(quick.parse(text)) == blocks(usual.parse(text)), text
