"""Every kind of content through every way in and out."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Thread
from bot.slack.channels import Channels
from bot.slack.client import Identity
from bot.slack.content import read_content
from bot.slack.markdown.clean import clean
from bot.slack.markdown.growing import GrowingAnswer, Visible
from bot.slack.markdown.render import blocks, fallback, parts, render
from bot.slack.messages import Messages
from bot.slack.names import Names
from bot.slack.people import People
from bot.slack.threads import Threads

Json = dict[str, Any]
IDENTITY = Identity("T1", "", "UBOT", "BBOT", "")
MESSAGES = Messages(IDENTITY)


# In


def rich(*elements: Json) -> list[Json]:
    return [
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [*elements]}]}
    ]


IN: dict[str, tuple[Json, str]] = {
    "words": ({"text": "one &amp; two"}, "one & two"),
    "blocks": ({"text": "", "blocks": rich({"type": "text", "text": "one"})}, "one"),
    "forward": (
        {"attachments": [{"is_share": True, "author_name": "Dana", "text": "one"}]},
        "> one",
    ),
    "forward in blocks": (
        {
            "attachments": [
                {
                    "is_share": True,
                    "fallback": "[no preview available]",
                    "message_blocks": [
                        {"message": {"blocks": rich({"type": "text", "text": "one"})}}
                    ],
                }
            ]
        },
        "> one",
    ),
    "messages behind a link": (
        {
            "attachments": [
                {
                    "is_msg_unfurl": True,
                    "message_blocks": [
                        {"message": {"blocks": rich({"type": "text", "text": "zero"})}},
                        {"message": {"blocks": rich({"type": "text", "text": "one"})}},
                    ],
                }
            ]
        },
        "> one",
    ),
    "chart": (
        {
            "blocks": [
                {
                    "type": "data_visualization",
                    "title": "Sales",
                    "chart": {
                        "type": "bar",
                        "series": [{"name": "EU", "data": [{"label": "one", "value": 4.5}]}],
                    },
                }
            ]
        },
        "Sales\nEU\none: 4.5",
    ),
    "table": ({"text": "", "blocks": [{"type": "table", "rows": [["one", "2"]]}]}, "| one | 2 |"),
    "alert": (
        {
            "attachments": [
                {"title": "High", "text": "one", "fields": [{"title": "On", "value": "db"}]}
            ]
        },
        "High\none\nOn: db",
    ),
    "choices": (
        {"blocks": [{"type": "checkboxes", "options": [{"text": {"text": "one"}}]}]},
        "☐ one",
    ),
    "preview": ({"attachments": [{"from_url": "https://a.example", "text": "one"}]}, "one"),
    "fallback": ({"attachments": [{"fallback": "one"}]}, "one"),
    "me": ({"subtype": "me_message", "text": "wonders about one"}, "wonders about one"),
    "transcript": (
        {
            "files": [
                {
                    "id": "F1",
                    "name": "clip",
                    "transcription": {"status": "complete", "preview": {"content": "one"}},
                }
            ]
        },
        "\none",
    ),
    "name": ({"text": "see <http://main.py|main.py>"}, "see main.py"),
    "group": ({"text": "ask <!subteam^S1|@ops>"}, "ask @ops"),
    "own name": ({"text": "Hey <@UBOT>, hi"}, "Hey @UBOT, hi"),
    "controls": ({"text": "on\x00e"}, "one"),
    "lone surrogate": ({"text": "one \ud83d"}, "one \ufffd"),
    "lone surrogate in a block": (
        {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "one \ud83d"}}]},
        "one \ufffd",
    ),
    "two surrogates of a character": ({"text": "one \ud83d\ude00"}, "one 😀"),
    "bar in a table": (
        {"blocks": [{"type": "table", "rows": [["a|b", "one"]]}]},
        "| a\\|b | one |",
    ),
    "call": (
        {
            "blocks": [
                {"type": "call", "call": {"v1": {"name": "one", "join_url": "https://a.co/1"}}}
            ]
        },
        "one\nhttps://a.co/1",
    ),
}


def event_of(fields: Json) -> Json:
    return {"type": "message", "user": "U1", "channel": "C1", "ts": "2.000001", "text": ""} | fields


def as_event(fields: Json) -> str:
    return MESSAGES.parse(event_of(fields), "T1").text


def in_thread(fields: Json) -> str:
    """Read with `conversations.replies`, as before the first mention and for a rebuild."""

    class Client(AsyncWebClient):
        async def api_call(self, api_method: str, **given: Any) -> Any:
            return {"messages": [event_of(fields)]}

    client = Client(token="xoxb-1")
    people = People(client)
    threads = Threads(client, Names(client, people, Channels(client, people)), IDENTITY)
    (line,) = asyncio.run(threads.messages_before(Thread("T1", "C1", "1.000001"), "3.000001"))
    return line.text


def as_edit(fields: Json) -> str:
    """Both versions of a `message_changed` are read like a message of a thread."""
    content = read_content(event_of(fields))
    return content.text(content.own)


WAYS_IN: tuple[Callable[[Json], str], ...] = (as_event, as_edit, in_thread)


@pytest.mark.parametrize("kind", IN)
def test_content_reaches_the_model_by_every_way_in(kind: str) -> None:
    fields, text = IN[kind]
    for way in WAYS_IN:
        assert text in way(fields), way.__name__
        assert "no preview" not in way(fields)


# Out

OUT: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "citations": (
        "Rain \ue200cite\ue202turn0search0\ue201 and [web:3] snow 【4:0†a】 (cite: turn0search1).",
        ("Rain", "snow"),
        ("cite", "turn0", "web:3", "†", "\ue200"),
    ),
    "reasoning": (
        "<think>\nHidden plan.\n</think>\n\nThe answer.",
        ("The answer",),
        ("Hidden", "think"),
    ),
    "chat template": (
        "<|im_start|>assistant\nHello there.<|im_end|>",
        ("Hello there",),
        ("<|", "im_"),
    ),
    "tags": (
        "One<br>two <b>three</b>.<ul><li>four</li></ul>",
        ("One", "three", "four"),
        ("<", "br>", "&lt;"),
    ),
    "comments": ("One<!-- hidden --> two.", ("One", "two"), ("hidden", "<!")),
    "controls": ("\x1b[31mOne\x1b[0m\x00 two\u202e.", ("One", "two"), ("\x1b", "\x00", "\u202e")),
    "formulas": (r"So \(a\,b\) holds and H$_2$O.", (r"a\,b", "H₂O"), (r"\(", "$")),
    "East Asian": ("これは*「重点」*です。", ("「重点」",), ()),
    "footnotes": ("One[^1].\n\n[^1]: The note.", ("One¹", "The note"), ("[^",)),
    "links": ("See [it](/docs) and [that](javascript:x).", ("it (/docs)",), ("](",)),
    "notifications": ("Ask <!channel>, <@U1> and @here.", ("Ask",), ("<!", "<@", "@here")),
    "nested bold": (
        "<details><summary><b>More</b> info</summary>\nInner</details>",
        ("More", "info", "Inner"),
        ("****", "<"),
    ),
    "formula over lines": (
        "$$\n\\begin{aligned}\na &= b\n\\end{aligned}\n$$",
        ("{aligned}",),
        ("$$",),
    ),
    "formula in East Asian text": ("其中$m$是质量，价格$5和$6。", ("m", "$5", "$6"), ("$m$",)),
    "formula before an address": ("$x$https://e.example/a", ("https://e.example/a",), ()),
    "terminal link": (
        "\x1b]8;;https://e.example\x07docs\x1b]8;;\x1b\\ end",
        ("docs", "end"),
        ("8;;", "\x1b"),
    ),
    "turn of a chat": (
        "<start_of_turn>model\nHello there.<end_of_turn>",
        ("Hello there",),
        ("model", "turn"),
    ),
    "code": ("Run `<think> [web:3] <br>` now.", ("<think> [web:3] <br>",), ()),
}
STORED = {"tags", "comments", "formulas", "footnotes", "links", "notifications"}
STORED |= {"nested bold", "formula over lines", "formula in East Asian text"}
"""Kinds that only the posts spell differently: the record keeps the Markdown as written."""


def posted(text: str) -> str:
    """Posted and edited messages have the same blocks."""
    return "".join(blocks(part.text)[0]["text"] for part in parts(render(text)))


def streamed(text: str) -> str:
    growing, visible, out = GrowingAnswer(), Visible(), ""
    for end in range(len(text) + 1):
        out += "".join(each.text for each in growing.advance(visible.of(text[:end])))
    out += "".join(each.text for each in growing.finish(render(text)))
    assert not growing.diverged
    return out


def notified(text: str) -> str:
    return fallback(text).replace("&lt;", "<").replace("&gt;", ">")


WAYS_OUT: tuple[Callable[[str], str], ...] = (posted, streamed, notified, clean)


@pytest.mark.parametrize("kind", OUT)
def test_markup_is_legible_by_every_way_out(kind: str) -> None:
    text, shown, hidden = OUT[kind]
    for way in WAYS_OUT:
        if way is clean and kind in STORED:
            continue
        out = way(text)
        assert [word for word in shown if word not in out] == [], way.__name__
        if way is not notified or kind != "notifications":
            assert [word for word in hidden if word in out] == [], way.__name__
