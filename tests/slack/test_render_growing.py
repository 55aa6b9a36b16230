"""The shown part of a growing answer is never taken back and ends as the answer."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.slack.markdown.blocks import Outline, outline
from bot.slack.markdown.counting import BlockCount
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.growing import Append, GrowingAnswer, Visible
from bot.slack.markdown.render import render
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.split import LIMIT, MAX_BLOCKS, parts
from bot.slack.markdown.stable import stable_prefix
from tests.slack.documents import answers, code, documents, soup, texts, thorough


@pytest.mark.parametrize(
    ("so_far", "shown"),
    [
        ("", ""),
        ("  \n ", ""),
        ("Hello wor", "Hello "),
        ("Hello world. ", "Hello "),
        ("Hello `world`", "Hello "),
        ("See [the do", "See "),
        ("See [the docs](https://a.exa", "See "),
        ("See [the docs](https://a.example) f", "See [the docs](https://a.example) "),
        ("Run `make te", "Run "),
        ("It is **very impor", "It is "),
        ("It is **very** impor", "It is **very** "),
        ("Ask <https://a.example|the peo", "Ask "),
        ("Tell @chan", "Tell "),
        ("As said 【4:0†sou", "As said "),
        ("Text:\n\n``", "Text:\n\n"),
        ("Text:\n\n```pyth", "Text:\n\n"),
        ("Text:\n\n```python\nx = 1\n  ret", "Text:\n\n```python\nx = 1\n"),
        ("Text:\n\n```python\n", "Text:\n\n"),
        ("```python\nx = 1\n```\n", "```python\nx = 1\n"),
        ("```python\nx = 1\n``", "```python\nx = 1\n"),
        ("- one\n- ", "- one\n"),
        ("Text\n\n## ", "Text\n\n"),
        ("Table:\n\n| a | b |\n|--", "Table:\n\n"),
        ("| a | b |\n|---|---|\n| 1 | 2", "| a | b |\n|---|---|\n"),
    ],
)
def test_only_settled_text_is_shown(so_far: str, shown: str) -> None:
    prefix = so_far[: stable_prefix(so_far)]
    assert prefix.rstrip() == shown.rstrip()
    assert so_far.startswith(prefix)


@thorough
@given(texts, st.integers(0, 30))
def test_shown_text_only_grows(markdown: str, first: int) -> None:
    whole = sanitize(markdown)
    for end in range(first, len(markdown) + 1, 1 + len(markdown) // 30):
        stable = stable_prefix(markdown[:end])
        assert stable <= end
        assert stable == 0 or not markdown[stable].isspace()
        assert whole.startswith(sanitize(markdown[:stable]))


def written(markdown: str, limit: int, ends: list[int]) -> list[str]:
    """The messages of an answer that arrives in chunks ending at these offsets."""
    growing, messages = GrowingAnswer(limit), [""]

    def add(appends: list[Append]) -> None:
        for append in appends:
            messages[-1] += append.text
            assert size(messages[-1]) <= limit
            if append.ends:
                messages.append("")

    for end in ends:
        add(growing.advance(sanitize(markdown[: stable_prefix(markdown[:end])])))
    add(growing.finish(sanitize(markdown)))
    assert not growing.diverged
    assert messages.pop() == ""
    return messages


def test_an_answer_grows_message_by_message() -> None:
    answer = "Code:\n\n```sh\n" + "".join(f"echo {number}\n" for number in range(20)) + "```\nDone."
    messages = written(answer, 100, list(range(len(answer))))
    assert messages[0].startswith("Code:\n\n```sh\necho 0\n")
    assert all(message.startswith("```sh\necho") for message in messages[1:-1])
    assert all(message.endswith("\n```") for message in messages[:-1])
    assert messages[-1].endswith("Done.")
    assert "".join(map(code, messages)) == code(answer)


def test_a_message_that_is_nearly_full_ends_with_a_block() -> None:
    answer = "\n\n".join(["word " * 18, "more " * 18])
    first, second = written(answer, 100, list(range(len(answer))))
    assert set(first.split()) == {"word"}
    assert set(second.split()) == {"more"}


def test_an_answer_in_one_piece_equals_its_parts() -> None:
    answer = "\n\n".join(f"Paragraph {number} of the answer." for number in range(30))
    assert written(answer, 200, []) == [part.text for part in parts(answer, 200)]


def test_a_long_block_that_pauses_is_shown_to_its_end() -> None:
    """While a tool runs, only the cards change."""
    visible, text = Visible(), "word " * 600
    shown = visible.of(text)
    paused = f"{text}Let me look that up. "
    assert visible.of(paused) == shown
    assert visible.of(paused).endswith("Let me look that ")


def test_a_text_that_does_not_continue_the_shown_text_is_not_appended() -> None:
    growing = GrowingAnswer()
    assert growing.advance("The sky is blue and ") == [Append("The sky is blue and ")]
    assert growing.finish("The sky[1] is blue and wide.") == []
    assert growing.diverged


@pytest.mark.parametrize(
    "answer",
    [
        "items[0]: Price: 10 and more",
        "- [2]: doi:10.1/x and more",
        "see [x]: R&D and more",
        "see [x]: <foo> and more",
        "see [x]: ht:tp and more",
        "see [x]:\nFirst: one",
        "> see [x]:\n> a:b c\n\nmore",
        "see [x]:\n\nFirst: one",
        "see [x]:\n```py:x\na\n```\nmore",
    ],
)
def test_a_label_is_shown_once_it_is_known_whether_it_is_a_definition(answer: str) -> None:
    for step in (1, 2, 5):
        (shown,) = written(answer, LIMIT, list(range(0, len(answer), step)))
        assert shown == sanitize(answer).rstrip()


def test_a_definition_ends_with_its_paragraph() -> None:
    assert sanitize("see [x]:\n\nFirst: one") == "see [x]:\n\nFirst: one"
    assert sanitize("see [x]:\nFirst: one") == "see [x]\u200b:\nFirst: one"


def test_a_shorter_text_is_waited_out() -> None:
    growing = GrowingAnswer()
    growing.advance("one two ")
    assert growing.advance("one ") == []
    assert growing.advance("one two three ") == [Append("three ")]
    assert not growing.diverged


def test_the_starts_of_its_messages_let_another_process_finish() -> None:
    answer = "\n\n".join(f"Paragraph {number} of the answer." for number in range(30))
    growing = GrowingAnswer(200)
    growing.advance(answer[:500])
    rest = parts(answer, 200, start=growing.starts[-1])
    assert answer[: growing.starts[-1]] + "".join(part.source for part in rest) == answer


@pytest.mark.parametrize(
    "text",
    [
        *("a<p>\n\nb\n</p>\nc", "a<p>\nb\n</p>\nc", "<p>\n\nb\n</p>\nc"),
        "a\n\n<!-- b\n\nc <!-- d\n\ne -->\n\nf",
    ],
)
def test_a_closing_tag_changes_nothing_that_was_shown(text: str) -> None:
    visible, whole = Visible(), render(text)
    assert all(whole.startswith(visible.of(text[:end])) for end in range(len(text)))


def test_a_label_before_an_angle_bracket_is_held_back_until_it_is_shown() -> None:
    markdown = "[x]( <b> <https://a.example/x?y=1&z=2> [1]"
    assert "".join(written(markdown, 64, list(range(len(markdown))))) == sanitize(markdown)


@pytest.mark.parametrize(
    "unit",
    [
        "A paragraph of an answer that people read.\n\n",
        "- an item with `code`\n",
        "| a cell | `another` |\n",
        "Words with <b> that nothing closes.\n\n",
        "Some <b>bold\nwords</b> and others.\n\n",
        "<table>\n<tr><td>a</td><td>b</td></tr>\n</table>\n\nWords.\n\n",
        "```python\nprint(1)\n```\n\n",
    ],
)
def test_a_growing_answer_is_not_read_again_from_its_start(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "| a | b |\n|---|---|\n" if unit.startswith("|") else ""
    text, read = (head + unit * 600)[:12_000], 0

    def counting(given: str) -> Outline:
        nonlocal read
        read += len(given)
        return outline(given)

    for module in ("growing", "counting"):
        monkeypatch.setattr(f"bot.slack.markdown.{module}.outline", counting)
    visible, growing = Visible(), GrowingAnswer(LIMIT)
    for end in range(200, len(text) + 1, 200):
        growing.advance(visible.of(text[:end]))
    assert read < 12 * len(text)  # 60 times from the start would be 30
    assert visible.of(text) == Visible().of(text)


@thorough
@given(documents, st.sampled_from((64, 150, 400, LIMIT)), st.randoms(use_true_random=False))
def test_a_growing_answer_is_appended_only_and_within_the_limit(
    markdown: str, limit: int, chance: random.Random
) -> None:
    ends = sorted(chance.randrange(len(markdown) + 1) for _ in range(20))
    written(markdown, limit, ends)


def test_answers_of_real_models_grow_into_their_messages() -> None:
    chance = random.Random(1)
    for number, answer in enumerate(answers()):
        ends = sorted(chance.randrange(len(answer) + 1) for _ in range(8))
        messages = written(answer, LIMIT if number % 2 else 1000, ends)
        assert "".join(map(code, messages)).split() == code(sanitize(answer)).split()


@thorough
@given(documents | soup, st.integers(5, 200))
@example("a a a\n\n12) ```\n    ```\n\n12) a a", 5)  # at first its last line is a paragraph "1"
@example("> a\n>\n> b\n>\n> c\n", 1)  # what begins within a quote opens no other
@example("- a\n- | x |\n  |---|\n- b", 1)
def test_blocks_are_counted_the_same_as_they_grow(markdown: str, step: int) -> None:
    count = BlockCount()
    for end in range(0, len(markdown), step):
        found = outline(markdown[:end])
        assert count.of(markdown[:end], 0) == sum(line.blocks for line in found.lines)


def test_a_message_of_a_growing_answer_has_a_bounded_number_of_blocks() -> None:
    answer = "\n\n".join(f"## Point {number}\n\nSome words." for number in range(45))
    messages = written(answer, LIMIT, list(range(0, len(answer), 40)))
    assert len(messages) == 3
    for message in messages:
        assert sum(line.blocks for line in outline(message).lines) <= MAX_BLOCKS


def test_half_a_character_is_held_back_until_the_other_half_comes() -> None:
    visible, whole = Visible(), "one \U0001f600 two three"
    shown = [visible.of(text) for text in ("one \ud83d", "one \ud83d\ude00 two three")]
    assert all(whole.startswith(each) for each in shown)
    assert "\U0001f600" in shown[1]
