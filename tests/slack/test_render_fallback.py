"""The fallback texts beside the blocks, and the blocks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.markdown.graphemes import size
from bot.slack.markdown.render import (
    NO_TEXT,
    SLACK_LIMIT,
    blocks,
    escape_mrkdwn,
    fallback,
    parts,
    render,
)
from bot.slack.markdown.sanitize import sanitize
from tests.slack.documents import answers, documents, texts, thorough


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Title\n\nSome **bold** and *it*, ~~no~~.", "Title Some bold and it, no."),
        ("Title\n=====\n\n## Part ##\nA\\\nB", "Title Part A B"),
        ("Use `x < y` & [docs](https://a.example).", "Use x &lt; y &amp; docs."),
        ("- one\n- [x] two\n\n1. three", "• one • ☑ two 1. three"),
        ("> quote\n\n---\n\nEnd", "quote End"),
        ("```py\nx = 1\n```", "x = 1"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a · b 1 · 2"),
        ("![a chart](https://a.example/c.png)", "a chart"),
        ("<https://a.example/x> <https://a.example|label>", "https://a.example/x label"),
        ("snake_case 2 * 3 * 4 \\* \\(x^2\\)", "snake_case 2 * 3 * 4 * x^2"),
        ("&lt;b&gt; &amp; R&D", "&lt;b&gt; &amp; R&amp;D"),
        ("<!channel> <@U1> @here", "&lt;!channel&gt; &lt;@U1&gt; @\u200bhere"),
        ("", NO_TEXT),
        ("---\n\n\n", NO_TEXT),
    ],
)
def test_the_fallback_is_plain_text(markdown: str, text: str) -> None:
    assert fallback(markdown) == text


def test_the_fallback_ends_at_a_word() -> None:
    assert fallback("word " * 100, limit=22) == "word word word word…"
    assert fallback("w" * 100, limit=20) == "w" * 19 + "…"


@thorough
@given(texts, st.integers(10, 300))
def test_the_fallback_is_short_and_mentions_no_one(markdown: str, limit: int) -> None:
    text = fallback(markdown, limit)
    assert text.strip()
    assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", text)
    assert text == NO_TEXT or len(re.sub(r"&\w+;|\u200b", "x", text)) <= 2 * limit


@thorough
@given(documents)
def test_the_fallback_is_the_same_before_and_after_sanitizing(markdown: str) -> None:
    shown = re.sub(r"!\[\]|【4:0†source】|\[data\]\S+ \S+", "", markdown)
    assert fallback(sanitize(shown), 80).replace("\u200b", "") == fallback(shown, 80).replace(
        "\u200b", ""
    )


def test_our_own_texts_escape_what_people_wrote() -> None:
    assert escape_mrkdwn("<!here> R&D <b> @channel me@here.com") == (
        "&lt;!here&gt; R&amp;D &lt;b&gt; @\u200bchannel me@here.com"
    )


def test_a_part_is_one_markdown_block() -> None:
    assert blocks("**Hi** & <https://a.example>") == [
        {"type": "markdown", "text": "**Hi** & <https://a.example>"}
    ]


def test_no_block_contains_a_mention() -> None:
    assert blocks("<!channel>") == [{"type": "markdown", "text": "&lt;!channel&gt;"}]


def test_a_block_does_not_outgrow_slacks_limit() -> None:
    [block] = blocks("<b> " * 2900 + "<!channel>")
    assert size(block["text"]) <= SLACK_LIMIT
    assert "<!channel>" not in block["text"]


def test_answers_of_real_models_fit_into_their_blocks() -> None:
    for answer in answers():
        for part in parts(render(answer)):
            [block] = blocks(part.text)
            assert block["text"] == part.text
            assert fallback(part.text) != NO_TEXT
