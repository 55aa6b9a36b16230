"""An answer of any length is split at good places, without loss."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.slack.markdown.blocks import dedent
from bot.slack.markdown.code import code_blocks
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.split import LIMIT, Part, join, parts
from tests.slack.documents import (
    answers,
    code,
    documents,
    parsed,
    specifications,
    texts,
    thorough,
    tidy_documents,
)

PROSE = "The quick brown fox jumps over the lazy dog. " * 3
limits = st.sampled_from((64, 65, 80, 120, 200, 400, 1000, LIMIT))


def posted(markdown: str, limit: int) -> list[str]:
    return [part.text for part in parts(markdown, limit)]


def test_a_short_answer_is_one_part() -> None:
    assert parts("Hello *there*.\n") == (Part(0, "Hello *there*.\n"),)
    assert posted("Hello *there*.\n", LIMIT) == ["Hello *there*."]


def test_an_empty_answer_has_no_parts() -> None:
    assert parts("") == ()


def test_a_limit_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        parts("text", 63)


def test_paragraphs_stay_whole() -> None:
    answer = f"{PROSE}\n\n{PROSE}\n\n{PROSE}"
    assert posted(answer, 300) == [f"{PROSE}\n\n{PROSE}".strip(), PROSE.strip()]


def test_a_fence_is_closed_and_opened_again() -> None:
    lines = [f"line_{number} = {number}" for number in range(12)]
    answer = "\n".join(["Code:", "", "```python title=x", *lines, "```", "", "Done."])
    assert posted(answer, 120) == [
        "\n".join(["Code:", "", "```python title=x", *lines[:8], "```"]),
        "\n".join(["```python title=x", *lines[8:], "```", "", "Done."]),
    ]


def test_a_fence_in_a_quoted_list_keeps_its_quote_and_marker() -> None:
    lines = [f">   line {number}" for number in range(20)]
    answer = "\n".join(["> - ~~~~sh", *lines, ">   ~~~~"])
    first, second = posted(answer, 150)
    assert first.endswith(">   line 10\n>   ~~~~")
    assert second.startswith("> ~~~~sh\n> line 11\n")
    assert code("\n".join(posted(answer, 150))) == code(answer)


def test_a_fence_left_open_is_closed() -> None:
    assert posted("```\na", LIMIT) == ["```\na\n```"]
    assert posted("- ```\n  a\n", LIMIT) == ["- ```\n  a\n  ```"]


def test_code_is_cut_at_a_blank_line() -> None:
    answer = "```\n" + "a\n" * 34 + "\n" + "b\n" * 20 + "```"
    assert posted(answer, 80)[0] == "```\n" + "a\n" * 34 + "\n```"


def test_a_cut_table_repeats_its_header() -> None:
    header = "| Name | Number |\n|:-----|-------:|\n"
    rows = [f"| row {number} | {number} |\n" for number in range(10)]
    first, second = posted(f"Table:\n\n{header}{''.join(rows)}", 120)
    assert first == f"Table:\n\n{header}{''.join(rows[:5])}".strip()
    assert second == f"{header}{''.join(rows[5:])}".strip()


def test_a_header_is_not_left_without_rows() -> None:
    header = "| Name | Number |\n|:-----|-------:|\n"
    answer = f"{'word ' * 15}\n\n{header}" + "| a row | of the table |\n" * 4
    assert posted(answer, 128)[0] == ("word " * 15).strip()


def test_list_items_stay_whole_and_a_cut_list_loses_its_indentation() -> None:
    nested = [f"    - nested {'item ' * 4}{number}" for number in range(6)]
    answer = "\n".join(["1. first", *nested, "2. second"])
    first, second = posted(answer, 150)
    assert first.endswith("item 3")
    assert second == f"- nested {'item ' * 4}4\n- nested {'item ' * 4}5\n2. second"


def test_indented_code_in_nested_lists_stays_code() -> None:
    lines = [f"line {number} of the code" for number in range(12)]
    answer = "\n".join(["- - - text", "", *(f"{' ' * 10}{line}" for line in lines)])
    texts = posted(answer, 150)
    blocks = [t.content for text in texts for t in parsed(text) if t.type == "code_block"]
    assert len(blocks) == len(texts) > 1
    assert "\n".join(block.strip() for block in blocks).split("\n") == lines


@pytest.mark.parametrize("marks", ["> ", "> > ", "- > ", ""])
def test_code_in_a_list_in_a_quote_stays_code(marks: str) -> None:
    inner = marks.replace("-", " ") + " " * 4
    code = "".join(f"{inner}x_{number} = 1\n" for number in range(60))
    text = f"{marks}10. item\n{inner}```py\n{code}{inner}```\n{inner}{'word ' * 99}\n"
    shown = [part.text for part in parts(text, 300)]
    read = "".join(found.code for each in shown for found in code_blocks(each))
    assert read.split("\n") == [*(f"x_{number} = 1" for number in range(60)), ""]


def test_an_item_that_begins_with_indented_code_stays_an_item() -> None:
    answer = f"-   {'word ' * 15}\n    *     indented\n\n      ```\n      x = 1\n      ```"
    assert code("\n".join(posted(answer, 100))) == "x = 1\n"


def test_a_heading_stays_with_its_text_and_a_lead_in_with_its_list() -> None:
    answer = f"{PROSE}\n\n## Heading\n\n{PROSE}"
    assert posted(answer, 160)[1].startswith("## Heading")
    answer = f"{PROSE}\n\nThe points are:\n\n- {'a long point ' * 9}"
    assert posted(answer, 190)[1].startswith("The points are:")


def test_a_long_paragraph_is_cut_between_words() -> None:
    for text in posted("word " * 100, 64):
        assert set(text.split()) == {"word"}


def test_a_cut_paragraph_stays_in_its_quote() -> None:
    for text in posted("> " + "word " * 40, 80):
        assert re.fullmatch(r"> (word ?)+", text)


def test_links_and_code_spans_stay_whole() -> None:
    link = "[a link of some words](https://a.example/some/path)"
    first, second = posted(f"{'word ' * 10}{link} and `code in a span`.", 90)
    assert first == ("word " * 10).strip()
    assert second == f"{link} and `code in a span`."


def test_a_code_span_longer_than_a_message_is_closed_and_opened_again() -> None:
    for text in posted("``" + "a `b` " * 30 + "``", 64):
        assert re.fullmatch(r"``.+``", text)


def test_chinese_is_cut_behind_its_punctuation() -> None:
    first, *_ = posted("一二三四五六七八九十，" * 20, 100)
    assert first.endswith("十，")


@pytest.mark.parametrize(
    "character",
    ["👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "e\u0301", "नि", "\u1112\u1161\u11ab", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "&lt;", "\\*"],
)
def test_an_overlong_word_is_cut_between_characters(character: str) -> None:
    for shift in range(3):
        texts = posted("x" * shift + character * 80, 64)
        assert len(texts) > 1
        for text in texts:
            assert text.strip("x").replace(character, "") == ""


def test_length_is_measured_in_utf_16() -> None:
    assert size("a😀") == 3
    assert all(len(text.encode("utf-16-le")) <= 128 for text in posted("😀" * 500, 64))


def test_endless_blank_lines_are_cheap() -> None:
    assert posted("a" + "\n" * 5000 + "b", 64) == ["a", "b"]
    assert posted("\n" * 5000 + "a" + " " * 5000 + "b", 64) == ["a", "b"]


@pytest.mark.parametrize("before", ["", "> ", "- ", "a\n", "```\n", "> ```\n> ", "```\na"])
@pytest.mark.parametrize("repeated", ["`", "~", " ", "\t", "\n", "\xa0", "> ", "|", "\u0301"])
@pytest.mark.parametrize("limit", [1000, LIMIT])
def test_an_endlessly_repeated_character_makes_few_parts(
    before: str, repeated: str, limit: int
) -> None:
    for after in ("", "x", "\n```\n"):
        markdown = before + repeated * 12_500 + after
        found = parts(markdown, limit)
        assert len(found) <= 3 + 3 * size(markdown) / limit
        assert join(found) == markdown
        assert all(size(part.text) <= limit for part in found)


def test_a_message_has_a_bounded_number_of_blocks() -> None:
    answer = "\n\n".join(f"## Point {number}\n\n{PROSE}" for number in range(45))
    found = parts(answer)
    assert [part.text.count("## ") for part in found] == [22, 22, 1]
    assert len(parts(answer, max_blocks=10)) == 9
    items = "\n".join(f"- item {number}\n\n  ```\n  x\n  ```" for number in range(30))
    assert len(parts(items)) == 2


def test_parts_can_start_at_an_offset() -> None:
    answer = "```sh\n" + "echo\n" * 30 + "```"
    whole = parts(answer, 100)
    assert parts(answer, 100, start=whole[1].start) == whole[1:]


def assert_whole(markdown: str, limit: int) -> None:
    found = parts(markdown, limit)
    assert join(found) == markdown
    for part in found:
        assert size(part.text) <= limit
        assert part.text.strip() or not markdown.strip()
        assert part.end == part.start + len(part.source)
        assert not part.closing.strip("`~> \t\n")
        for added in re.split(r"[\r\n]+", part.opening):
            assert added.strip("`~># \t") in markdown  # an info string, a header, or nothing
        whole = part.opening + part.source + part.closing
        shown = dedent(whole, part.dedent, part.quoted)
        assert part.text.strip() == shown.strip()


@thorough
@given(texts, limits)
@example("\n\n  \n", 64)
def test_the_parts_are_the_answer_and_within_the_limit(markdown: str, limit: int) -> None:
    assert_whole(markdown, limit)


def assert_words_whole(markdown: str, limit: int) -> None:
    """A word is cut only if it would hardly fit into one message."""
    for part in parts(markdown, limit)[1:]:
        before = re.search(r"\S*\Z", markdown[: part.start])
        after = re.match(r"\S*", markdown[part.start :])
        assert before
        assert after
        if before[0] and after[0] and before[0][-1] not in "，。":
            assert size(before[0] + after[0]) > limit // 2


@thorough
@given(documents, limits)
def test_words_are_not_cut(markdown: str, limit: int) -> None:
    assert_words_whole(markdown, limit)


def cells(markdown: str) -> list[str]:
    """The contents of all table rows, without headers."""
    found, body = [], False
    for token in parsed(markdown):
        body = token.type == "tbody_open" or (body and token.type != "tbody_close")
        if body and token.type == "inline":
            found.append(token.content)
    return found


@thorough
@given(tidy_documents, st.sampled_from((300, 500, 1000)))
def test_code_and_tables_survive_the_cut(markdown: str, limit: int) -> None:
    safe = sanitize(markdown)
    texts = posted(safe, limit)
    assert "".join(map(code, texts)).split() == code(safe).split()
    assert [cell for text in texts for cell in cells(text)] == cells(safe)


def test_answers_of_real_models_are_complete_at_every_limit() -> None:
    for answer in answers():
        safe = sanitize(answer)
        for limit in (64, 500, 3000, LIMIT):
            assert_whole(safe, limit)
        assert_words_whole(safe, 500)


def test_answers_of_real_models_keep_their_code_and_tables() -> None:
    for answer in answers():
        safe = sanitize(answer)
        for limit in (1000, 3000):
            texts = posted(safe, limit)
            assert "".join(map(code, texts)).split() == code(safe).split()
            assert [cell for text in texts for cell in cells(text)] == cells(safe)


def test_the_examples_of_the_specifications_are_complete() -> None:
    for markdown in [*specifications(), "\n\n".join(specifications())]:
        for limit in (64, 200, LIMIT):
            assert_whole(markdown, limit)
