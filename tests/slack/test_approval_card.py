"""The card of an approval: hostile names and arguments are shown literally, without effect."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.approval_card import (
    EXCERPT,
    INLINE,
    LONGEST_NAME,
    SHOW_ALL,
    Press,
    arguments_modal,
    fallback,
    render_arguments,
    render_card,
    shown_name,
)
from bot.slack.literal import mixed_words, skeleton, visible
from bot.store import Approval, Decision
from local_slack.workspace.blocks import check_message_blocks
from local_slack.workspace.rich_text import find_pings
from local_slack.workspace.view_rules import check_view

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def approval(
    *, tool: str = "write", server: str = "files", note: str = "", **arguments: Any
) -> Approval:
    text = render_arguments(arguments)
    return Approval("0.0.0", "U1", server, tool, text, "hash", 2e9, grant="files:write", note=note)


def literal_texts(blocks: Any) -> list[str]:
    """The texts that Slack shows as they are."""
    found = []
    if isinstance(blocks, dict):
        if blocks.get("type") in ("text", "plain_text"):
            found.append(blocks["text"])
        found += [text for value in blocks.values() for text in literal_texts(value)]
    elif isinstance(blocks, list):
        found += [text for each in blocks for text in literal_texts(each)]
    return found


def mrkdwn_texts(blocks: Any) -> list[str]:
    """The texts in which mentions, links and formats take effect."""
    if isinstance(blocks, dict):
        own = [blocks["text"]] if blocks.get("type") == "mrkdwn" else []
        return own + [text for value in blocks.values() for text in mrkdwn_texts(value)]
    if isinstance(blocks, list):
        return [text for each in blocks for text in mrkdwn_texts(each)]
    return []


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_arguments_are_shown_completely_and_exactly(arguments: dict[str, Any]) -> None:
    text = render_arguments(arguments)
    assert json.loads(text) == arguments
    assert visible(text) == text


@given(st.text(), st.text(), st.dictionaries(st.text(), json_values, max_size=4))
def test_text_of_the_model_or_a_server_is_never_in_mrkdwn(
    server: str, tool: str, arguments: dict[str, Any]
) -> None:
    asked = approval(server=f"s{server}", tool=f"t{tool}", note="careful", **{"x": arguments})
    plain = approval(server="s", tool="t", note="careful")
    blocks = render_card("turn", asked, ["U2"])
    check_message_blocks(blocks)
    assert mrkdwn_texts(blocks) == mrkdwn_texts(render_card("turn", plain, ["U2"]))


@pytest.mark.parametrize(
    "name", ["<!channel>", "<@U9>", "*bold*\n> quote", "x" * 5000, "\u202eevil"]
)
def test_a_hostile_name_notifies_no_one_and_breaks_no_card(name: str) -> None:
    asked = approval(server=name, tool=name, text=name)
    blocks = check_message_blocks(render_card("turn", asked, []))
    assert set(find_pings([fallback(asked), blocks])) == {"U1"}
    assert "\n" not in fallback(asked)
    assert len(shown_name(name)) <= LONGEST_NAME


INVISIBLE = "\u202e\u200b\u00ad\u3164\ufe0f\U000e0041\x00\x1b\u2028"


@pytest.mark.parametrize("char", INVISIBLE)
def test_an_invisible_character_is_shown_as_its_escape(char: str) -> None:
    shown = visible(f"a{char}b", keep="")
    assert char not in shown
    assert json.loads(f'"{shown}"') == f"a{char}b"


def test_many_marks_on_one_letter_do_not_cover_the_lines_around() -> None:
    assert visible("e" + "\u0301" * 50).count("\u0301") <= 3
    assert visible("e\u0301") == "e\u0301"


@pytest.mark.parametrize("text", ["Grüße", "日本語", "émigré", "привет", "e\u0301", "a_b-c", "👋"])
def test_normal_text_is_unchanged(text: str) -> None:
    assert visible(text) == text
    assert mixed_words(text) == []


def test_words_with_mixed_alphabets_are_reported() -> None:
    assert mixed_words('{"path": "/etc/pаsswd", "to": "аdmin"}') == ["pаsswd", "аdmin"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("write_file", "wr\u0456te_file"),
        ("list1", "listl"),
        ("rnake", "make"),
        ("Read", "read"),
        ("\u0430", "a"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_different_names_have_different_skeletons() -> None:
    names = ["read", "write", "delete", "move", "copy", "list", "create_file", "edit_file"]
    assert len({skeleton(name) for name in names}) == len(names)


@pytest.mark.parametrize("length", [INLINE, INLINE + 1, 19_000, 100_000])
def test_long_arguments_are_all_in_the_modal(length: int) -> None:
    asked = approval(text="".join(chr(ord("a") + at % 26) for at in range(length)))
    blocks = check_message_blocks(render_card("turn", asked, []))
    assert (SHOW_ALL in str(blocks)) is (len(asked.arguments) > INLINE)
    assert asked.arguments[:EXCERPT] in "".join(literal_texts(blocks))
    pages, number = "", 0
    while True:
        view = check_view(arguments_modal(asked, "about", number))
        chunks = [b for b in view["blocks"] if "rich_text_preformatted" in str(b)]
        page = "".join(literal_texts(chunks))
        pages, number = pages + page, number + 1
        if "approval_page_next" not in str(view):
            break
    assert pages == asked.arguments


def test_the_card_says_who_asked_who_decides_until_when_and_how_it_ended() -> None:
    asked = approval(text="hello", note="one\ntwo")
    shown = str(render_card("turn", asked, ["U2"]))
    for part in ("files", "write", "hello", "<@U1>", "<@U2>", "2000000000", "one", "two"):
        assert part in shown
    for decision, words in (
        (Decision("run", "U2"), "Allowed once by <@U2>"),
        (Decision("run", "U2", in_thread=True), "Allowed in this thread by <@U2>"),
        (Decision("denied", "U1", "<!here>"), "Denied by <@U1>"),
        (Decision("expired"), "Expired"),
        (Decision("withdrawn", reason="stop"), "the answer was stopped"),
    ):
        blocks = check_message_blocks(render_card("turn", asked, ["U2"], decision))
        assert words in str(blocks)
        assert not any(block["type"] == "actions" for block in blocks)
        assert "here" not in find_pings([blocks])


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=64))
def test_a_button_contains_the_hash_of_the_shown_card(turn_id: str, id: str, shown: str) -> None:
    press = Press(turn_id, id, shown)
    assert Press.parse(press.encode()) == press


@pytest.mark.parametrize(
    "value",
    [None, "", "x", "[]", "null", '["a", "b"]', '["a", "b", 1]', "[" * 99, "[" * 100_000],
    ids=lambda value: str(value)[:9],
)
def test_the_value_of_a_foreign_button_is_refused(value: str | None) -> None:
    assert Press.parse(value) is None
