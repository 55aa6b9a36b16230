"""Text of the model pings no one and is otherwise unchanged."""

import re

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from bot.slack.markdown import sanitize as module
from bot.slack.markdown.growing import Visible
from bot.slack.markdown.render import blocks, fallback, render
from bot.slack.markdown.sanitize import sanitize
from tests.slack.documents import (
    answers,
    code,
    documents,
    parsed,
    seen,
    specifications,
    texts,
    thorough,
)

CONTROL = re.compile(r"<(![a-z]+[|>^]|[@#][A-Z]\w+[|>])")


@pytest.mark.parametrize(
    ("written", "posted"),
    [
        ("<!channel> and <!here|here>", "&lt;!channel&gt; and &lt;!here|here&gt;"),
        ("<!everyone> <!subteam^S1|@team>", "&lt;!everyone&gt; &lt;!subteam^S1|@team&gt;"),
        ("<@U024BE7LH> in <#C024BE7LR>", "&lt;@U024BE7LH&gt; in &lt;#C024BE7LR&gt;"),
        ("@channel, @Here (@everyone)", "@\u200bchannel, @\u200bHere (@\u200beveryone)"),
        (r"\@here", "\\@\u200bhere"),
        ("[<!here>]: x", "[&lt;!here&gt;]: x"),
        ("[a <!channel> b]: https://x.y", "[a &lt;!channel&gt; b]: https://x.y"),
        ("[@here]: x", "[@\u200bhere]: x"),
        ("me@here.com, @hereby, /@here", "me@here.com, @hereby, /@here"),
        ("a < b && c > d -> e", "a &lt; b && c &gt; d -&gt; e"),
        ("R&D &lt;b&gt; &amp; &copy;", "R&D &lt;b&gt; &amp; &copy;"),
        ("a <b>bold</b><br>", "a **bold**"),
        (r"\<!here\> \* \\<", r"&lt;!here&gt; \* \\&lt;"),
        ("<div>\n<!channel>\n</div>", "\n&lt;!channel&gt;\n"),
    ],
)
def test_what_could_ping_or_link_is_shown_as_it_was_written(written: str, posted: str) -> None:
    assert sanitize(written) == posted


@pytest.mark.parametrize(
    "markdown",
    [
        "<https://a.example/x?a=1&b=2>",
        "<mailto:a@b.example> <a@b.example>",
        '[text](https://a.example/?q=a&b=c_(d) "title")',
        "> quote\n> > deeper\n>without a blank",
        "- [x] done\n- [ ] open\n  1. one\n  2. two\n     > quote in a list",
        "| a | b |\n|:--|--:|\n| 1 | 2 |",
        "# Title\n\n**bold** *it* ~~no~~ `code`\n\n---\n",
        "```html\n<!-- <!channel> -->\n<@U024BE7LH>\n```",
        "``<!here> ` `` and `a < b`",
        "- item\n\n      ```\n      <T>\n      ```",
    ],
)
def test_markdown_that_slack_knows_is_left_alone(markdown: str) -> None:
    assert sanitize(markdown) == markdown


@pytest.mark.parametrize(
    ("written", "posted"),
    [
        ("![a chart](https://a.example/c.png)", "[a chart](https://a.example/c.png)"),
        ("![](https://a.example/c.png)", "[image](https://a.example/c.png)"),
        ("[![build](/b.svg)](/ci)", "build (/ci)"),
        ("![dot](data:image/png;base64,AAAA)", "dot"),
        ("[the file](sandbox:/mnt/data/my file.csv) is ready", "the file is ready"),
        ("![plot](sandbox:/mnt/data/p.png)", "plot"),
        ("<https://a.example/x|the [docs]>", r"[the \[docs\]](https://a.example/x)"),
        ("[t](<https://a.example/a b>)", "[t](https://a.example/a%20b)"),
        ("as it says【4:0†source】.", "as it says."),
        ("`![a](b)` and `【4:0†source】`", "`![a](b)` and `【4:0†source】`"),
    ],
)
def test_what_slack_cannot_show_becomes_a_link_or_its_text(written: str, posted: str) -> None:
    assert sanitize(written) == posted


@pytest.mark.parametrize(
    "markdown",
    [
        "~~~\n<!channel>\n~~~",
        "    <!channel>",
        "`over\n<!channel> lines`",
        "```<!channel>\nx\n```",
        "`over\nlines` and `<@U024BE7LH>`",
    ],
)
def test_code_that_slack_may_take_for_prose_is_broken_invisibly(markdown: str) -> None:
    posted = sanitize(markdown)
    assert not CONTROL.search(posted)
    assert posted.replace("\u200b", "") == markdown


def test_a_lone_surrogate_does_not_stop_an_answer() -> None:
    assert sanitize("a \ud83d b") == "a \ufffd b"


@thorough
@given(texts)
def test_sanitizing_twice_changes_nothing(markdown: str) -> None:
    once = sanitize(markdown)
    assert sanitize(once) == once


def assert_harmless(markdown: str) -> None:
    for token in parsed(sanitize(markdown), "entity"):
        if token.type in ("text", "text_special"):
            assert "<" not in token.content
        if token.type == "code_block" or (token.type == "fence" and token.markup[0] == "~"):
            assert not CONTROL.search(token.content)


@thorough
@given(texts)
def test_no_angle_bracket_is_left_outside_code(markdown: str) -> None:
    assert_harmless(markdown)


@thorough
@given(documents)
def test_people_see_the_written_words(markdown: str) -> None:
    assert seen(sanitize(markdown)) == seen(markdown)


@thorough
@given(documents)
def test_code_in_fences_is_kept(markdown: str) -> None:
    assert code(sanitize(markdown)).replace("\u200b", "") == code(markdown)


def test_answers_of_real_models_are_harmless_and_keep_their_code() -> None:
    for answer in answers():
        assert_harmless(answer)
        assert code(sanitize(answer)) == code(answer)
        assert sanitize(sanitize(answer)) == sanitize(answer)


def test_the_examples_of_the_specifications_are_harmless() -> None:
    examples = specifications()
    assert len(examples) >= 30
    for example in examples:
        assert_harmless(example)
        assert sanitize(sanitize(example)) == sanitize(example)


def test_a_short_answer_is_sanitized_once_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def sanitized(text: str) -> str:
        read.append(text)
        return text

    monkeypatch.setattr(module, "_sanitized", sanitized)
    text = render("An answer in one sentence, number 20771.")
    assert blocks(text)[0]["text"] == fallback(text) == text
    assert read == [text]


@pytest.mark.parametrize(
    ("written", "posted"),
    [
        ("3*4 = 12, 5*6 = 30", r"3\*4 = 12, 5\*6 = 30"),
        ("a*b*c and 1.5*2*x.", r"a\*b\*c and 1.5\*2\*x."),
        ("**2*3** and *a*", "**2*3** and *a*"),
        ("`2*3*4`, 2 * 3, some*thing*else", "`2*3*4`, 2 * 3, some*thing*else"),
    ],
)
def test_signs_of_multiplication_are_not_marks_of_emphasis(written: str, posted: str) -> None:
    visible = Visible()
    assert sanitize(written) == sanitize(posted) == posted
    shown = [visible.of(f"{written}\n\nx"[:end]) for end in range(len(written) + 3)]
    assert all(posted.startswith(each.rstrip()) for each in shown)


@pytest.mark.parametrize("label", ["<!channel>", "@channel", "<@U1>", "x<!here|here>", "a`b"])
def test_the_label_of_a_footnote_mentions_no_one(label: str) -> None:
    text = f"see[^{label}] `<!here>`"
    assert_harmless(text)
    assert "@channel" not in sanitize(text)
    assert Visible().of(f"{text}\n\nmore").startswith(sanitize(text))


@pytest.mark.parametrize(
    "removed", ["<!-- x -->", "<sub></sub>", "![](data:x)", "[](#x)", "<br>", "<hr>", "> <br>"]
)
def test_a_tag_before_a_fence_does_not_turn_code_into_prose(removed: str) -> None:
    """The second fence begins the code; with the first one it would end there."""
    text = f"{removed}```\nfoo\n```\n<!channel>\n```\nend\n\n"
    whole, visible = sanitize(text), Visible()
    assert_harmless(text)
    assert sanitize(whole) == whole
    assert whole.startswith(visible.of(text))


def test_a_formula_among_stray_backticks_mentions_no_one() -> None:
    assert "<!here>" not in sanitize(r"`` ` x \(<!here>\)")


@pytest.mark.parametrize(
    "text",
    [
        "[a](javascript:alert(1)<b>) x",
        "[a](data:text/html,<b>) x",
        "[a](javascript:((x))) x",
        "[a](\njavascript:x) y",
        "[a](JavaScript:x\n) y",
        "[a](&#106;avascript:((x))) y",
        "[a](javascript:<!-- -->) x",
        "![a](javascript:x<@U1>) x",
        "[[a](javascript:<b>)](javascript:<b>)",
        "[a](\xa0javascript:x) y",
    ],
)
def test_no_target_that_only_other_parsers_see_ends_a_link(text: str) -> None:
    """With HTML, nested parentheses or a new line in it; while the text grows, too."""
    whole, visible = sanitize(text), Visible()
    assert "](" not in whole
    shown = [visible.of(text[:end]) for end in range(len(text) + 1)]
    assert [each for each in shown if not whole.startswith(each)] == []


@pytest.mark.parametrize("before", ["", "  ", "> ", "- ", "> - ", "# a\n"])
@pytest.mark.parametrize("label", ["r", "r\\]s", "a\\[b", "r\ns", "*r*", "x" * 120])
@pytest.mark.parametrize(
    "target",
    [
        "javascript:a",
        "<javascript:a>",
        "JAVASCRIPT&colon;a",
        "&#106;avascript:a",
        "vbscript:a 't'",
        "data:text/html,a",
    ],
)
def test_no_definition_names_a_target_that_is_not_allowed(
    before: str, label: str, target: str
) -> None:
    parser = MarkdownIt("commonmark")
    setattr(parser, "validateLink", lambda _: True)  # noqa: B010
    for gap in ("", " ", "\t", "\n", "\n  ", " \n", "\n> "):
        shown = sanitize(f"{before}[{label}]:{gap}{target}\n\n[{label}]")
        assert "href" not in parser.render(shown)
