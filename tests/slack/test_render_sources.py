"""Citations become numbered notes and a list of sources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.markdown.render import render
from bot.slack.markdown.sources import Citation, with_sources
from tests.slack.documents import code, documents, texts, thorough


def cite(answer: str, cited: str, title: str = "A page", **more: str) -> Citation:
    """A citation of the first occurrence of `cited`."""
    start = answer.index(cited)
    return Citation(start, start + len(cited), title, **more)


def test_an_answer_without_citations_stays_as_it_is() -> None:
    assert with_sources("text", []) == "text"


def test_a_page_becomes_a_linked_note_and_a_source() -> None:
    text = "The sky is blue. Water is wet."
    assert with_sources(text, [cite(text, "sky is blue.", url="https://sky.example/a")]) == (
        "The sky is blue.[[1]](https://sky.example/a) Water is wet.\n\n"
        "**Sources**\n\n1. [A page](https://sky.example/a)"
    )


def test_a_file_becomes_a_plain_note() -> None:
    text = "As the report says."
    citation = Citation(14, 14, "", file_id="file-1", filename="report.pdf")
    assert with_sources(text, [citation]) == (
        "As the report[1] says.\n\n**Sources**\n\n1. report.pdf"
    )


@pytest.mark.parametrize(
    ("text", "offset", "noted"),
    [
        ("As the report says.", 9, "As the report[1] says."),
        ("Ünïcode wörds 2026.", 10, "Ünïcode wörds[1] 2026."),
        ("潮汐由月球引起。", 2, "潮汐[1]由月球引起。"),
    ],
)
def test_a_note_follows_its_word(text: str, offset: int, noted: str) -> None:
    citation = Citation(offset, offset, "", file_id="file-1", filename="report.pdf")
    assert with_sources(text, [citation]).startswith(noted)


def test_one_source_has_one_number() -> None:
    text = "One. Two. Three."
    citations = [
        cite(text, "Three.", url="https://b.example/"),
        cite(text, "One.", "First", url="https://a.example/x?utm_source=openai&id=1"),
        cite(text, "Two.", "Again", url="https://a.example/x?id=1#part"),
        cite(text, "Two.", "Other", url="https://b.example"),
    ]
    noted, listed = with_sources(text, citations).split("**Sources**")
    assert noted == (
        "One.[[1]](https://a.example/x?utm_source=openai&id=1)"
        " Two.[[1]](https://a.example/x?utm_source=openai&id=1)[[2]](https://b.example)"
        " Three.[[2]](https://b.example)\n\n"
    )
    assert listed == (
        "\n\n1. [First](https://a.example/x?utm_source=openai&id=1)\n2. [Other](https://b.example)"
    )


def test_the_models_own_reference_is_replaced() -> None:
    text = "It is so ([a.example](https://a.example/w_(x)?utm_source=openai)). Next."
    cited = "([a.example](https://a.example/w_(x)?utm_source=openai))"
    citation = cite(text, cited, url="https://a.example/w_(x)?utm_source=openai")
    assert with_sources(text, [citation]).startswith("It is so [[1]](https://a.example/w_(x)")
    assert ". Next.\n\n**Sources**" in with_sources(text, [citation])


def test_marks_of_the_assistants_api_are_replaced() -> None:
    text = "First【4:0†source】 and second【4:1†source】."
    citations = [
        cite(text, "【4:0†source】", "", text="【4:0†source】", filename="a.txt", file_id="1"),
        cite(text, "【4:1†source】", "", text="【4:1†source】", filename="b.txt", file_id="2"),
    ]
    assert with_sources(text, citations) == (
        "First[1] and second[2].\n\n**Sources**\n\n1. a.txt\n2. b.txt"
    )


def test_a_mark_is_found_where_its_offsets_are_wrong() -> None:
    text = "😀 First【4:0†source】."
    citation = Citation(3, 15, "", text="【4:0†source】", filename="a.txt")
    assert with_sources(text, [citation]).startswith("😀 First[1].")


def test_a_link_into_the_sandbox_vanishes_and_keeps_its_note() -> None:
    text = "Here: [the data](sandbox:/mnt/data/a.csv). Done."
    citation = cite(text, "sandbox:/mnt/data/a.csv", "", filename="a.csv", file_id="cfile_1")
    assert render(text, [citation]) == "Here: the data[1]. Done.\n\n**Sources**\n\n1. a.csv"


@pytest.mark.parametrize(
    ("text", "cited", "noted"),
    [
        ("So `a code span` here", "code", "So `a code span`[1] here"),
        ("So [a link](/u) here", "lin", "So [a link](/u)[1] here"),
        ("A line \n", "A line \n", "A line[1]"),
        ("| a | b |\n|---|---|\n| c | d |", "| c | d |", "| a | b |\n|---|---|\n| c | d[1] |"),
        ("Call it (twice)", "it ", "Call it[1] (twice)"),
        ("Call it(twice)", "it", "Call it[1] (twice)"),
        ("Really!", "Really!", "Really! [1]"),
        ("```\ncode\n```", "code", "```\ncode\n```"),
        ("```\ncode", "code", "```\ncode\n```"),
    ],
)
def test_a_note_breaks_no_markup(text: str, cited: str, noted: str) -> None:
    listed = "\n\n**Sources**\n\n1. a.txt"
    assert with_sources(text, [cite(text, cited, "", filename="a.txt")]) == noted + listed


def test_a_stretch_that_is_cited_twice_is_replaced_once() -> None:
    text = "So【1†s】."
    both = [
        cite(text, "【1†s】", "", filename="a.txt"),
        cite(text, "【1†s】", "", filename="b.txt"),
        cite(text, "o【1†s】", "", filename="c.txt"),
    ]
    assert with_sources(text, both).startswith("So[2][3][1].")


def test_titles_cannot_break_out_of_their_link() -> None:
    citation = Citation(0, 1, "a] (b)\n[c <!here>", url="https://a.example/(x y)")
    assert render("x", [citation]).endswith(
        "1. [a\\] (b) \\[c &lt;!here&gt;](https://a.example/%28x%20y%29)"
    )


def test_addresses_cannot_break_out_of_their_cell() -> None:
    text = "| a | b |\n|---|---|\n| one | 2 |\n"
    noted = with_sources(text, [cite(text, "one", "\x1b[31mA page", url="https://a.example/|x")])
    assert "| one[[1]](https://a.example/%7Cx) | 2 |" in noted
    assert noted.endswith("1. [A page](https://a.example/|x)")


def test_only_web_addresses_are_linked() -> None:
    assert "](" not in with_sources("x", [Citation(0, 1, "a", url="javascript:alert(1)")])


citations = st.builds(
    Citation,
    st.integers(-5, 400),
    st.integers(-5, 400),
    st.sampled_from(("A page", "", "a [b]")),
    url=st.sampled_from((None, "https://a.example/x", "https://b.example/y z")),
    filename=st.sampled_from((None, "a.txt", "b.txt")),
    text=st.sampled_from((None, None, "【4:0†source】", "sandbox:/mnt/data/p.png")),
)


@thorough
@given(texts, st.lists(citations, max_size=5))
def test_any_offsets_give_an_answer_with_its_sources(text: str, cited: list[Citation]) -> None:
    noted = with_sources(text, cited)
    assert ("**Sources**" in noted) == bool(cited)
    for citation in cited:
        named = (citation.url or citation.filename or "").replace(" ", "%20")
        assert named in noted.rpartition("**Sources**")[2]


@thorough
@given(documents, st.lists(citations, max_size=5))
def test_notes_leave_code_alone(text: str, cited: list[Citation]) -> None:
    assert code(with_sources(text, cited)).rstrip() == code(text).rstrip()
