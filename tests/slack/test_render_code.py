"""The fenced code of an answer, which is attached as a file if it is long."""

import time

import pytest
from hypothesis import given

from bot.slack.markdown.code import CodeBlock, code_blocks
from bot.turn.files_out import SNIPPET_CHARS, long_code
from tests.slack.documents import documents, parsed, thorough


def test_the_language_and_the_content_of_each_fence_are_found() -> None:
    text = "```python title=x\na = 1\n```\n\n~~~~\n```\n~~~~\n`not code`"
    assert [*code_blocks(text)] == [CodeBlock("python", "a = 1\n"), CodeBlock("", "```\n")]


def test_quote_marks_and_list_indentation_are_no_part_of_the_code() -> None:
    text = "> - item\n>\n>   ```sh\n>   if true; then\n>     echo > x\n>   fi\n>   ```"
    assert [*code_blocks(text)] == [CodeBlock("sh", "if true; then\n  echo > x\nfi\n")]


def test_code_that_is_never_closed_reaches_to_the_end() -> None:
    assert [*code_blocks("Text:\n```\na\nb")] == [CodeBlock("", "a\nb")]


@thorough
@given(documents)
def test_the_code_is_what_a_parser_finds(markdown: str) -> None:
    found = [block.code.split() for block in code_blocks(markdown)]
    assert found == [token.content.split() for token in parsed(markdown) if token.type == "fence"]


def test_only_long_code_becomes_a_file() -> None:
    long = "x = 1\n" * SNIPPET_CHARS
    text = f"```\nshort\n```\n\n```python\n{long}```\n\n~~~\n{long}~~~"
    assert long_code(text) == [("code1.py", long), ("code2.txt", long)]


def test_code_that_begins_after_very_much_text_or_is_incomplete_is_no_file() -> None:
    """It is in the file with the whole answer: the search for code is bounded."""
    long, items = "x = 1\n" * SNIPPET_CHARS, "- a\n" * 20_000
    first = f"```python\n{long}```\n\n"
    assert long_code(first + items + first) == [("code1.py", long)]
    assert long_code(f"{first}```python\n{6 * long}```\n") == [("code1.py", long)]


@pytest.mark.parametrize("unit", ["```a\n", "`", "~~~\n", "```\n~~~\n", "> ```\n"])
def test_unclosed_fences_are_cheap(unit: str) -> None:
    begun = time.process_time()
    long_code(unit * (100_000 // len(unit)))
    assert time.process_time() - begun < 5
