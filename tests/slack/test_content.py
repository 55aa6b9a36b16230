"""The visible content of a message reaches the model as text, whatever its shape."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.slack.client import Identity
from bot.slack.content import MOST_CHARS, read_content
from bot.slack.messages import Messages
from bot.texts.prompts import BARE_MENTION, CUT, NO_WORDS
from tests.mutations import mutate

Json = dict[str, Any]
SAMPLES = Path(__file__).parent.parent / "data" / "slack"
CORPUS = Path(__file__).parents[3] / "shared" / "data" / "slack-payloads"
MESSAGES = Messages(Identity("T1", "", "UBOT", "BBOT", ""))


def seen(message: Json) -> str:
    """All the text of a message, as the model reads it."""
    content = read_content(message)
    return content.text(content.own)


def rich(*elements: Json) -> list[Json]:
    return [{"type": "rich_text", "elements": list(elements)}]


def section(*elements: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(elements)}


def mrkdwn(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


FORWARD = {
    "is_share": True,
    "is_msg_unfurl": True,
    "author_name": "Dana",
    "channel_name": "ops",
    "text": "The staging certificate expires on <!date^1|Friday>.",
    "from_url": "https://x.slack.com/archives/C1/p1?a=1&b=2",
    "fallback": "[January 1st] dana: The staging certificate expires on Friday.",
}


def test_a_forwarded_message_is_quoted_below_its_author() -> None:
    assert seen({"text": "", "attachments": [FORWARD]}) == (
        "[Forwarded message from Dana (#ops, https://x.slack.com/archives/C1/p1?a=1&b=2)]\n"
        "> The staging certificate expires on Friday."
    )


def test_a_comment_comes_before_what_it_forwards() -> None:
    text = seen({"text": "what should we do about this?", "attachments": [FORWARD]})
    assert text.startswith("what should we do about this?\n\n[Forwarded message from Dana")


def test_a_forward_with_text_only_in_blocks_is_read() -> None:
    inner = {"message": {"blocks": rich(section({"type": "text", "text": "Ship it & go"}))}}
    forward = {"is_share": True, "author_id": "U7", "message_blocks": [inner]}
    assert seen({"attachments": [forward]}) == "[Forwarded message from @U7]\n> Ship it & go"


def test_files_of_a_forwarded_message_are_files_of_the_message() -> None:
    file = {"id": "F1", "name": "plan.pdf", "mimetype": "application/pdf", "size": 9}
    inner = {"files": [file | {"id": "F2"}]}
    message = {
        "files": [file | {"id": "F0"}],
        "attachments": [FORWARD | {"files": [file], "attachments": [inner]}],
    }
    assert [f.id for f in read_content(message).files] == ["F0", "F1", "F2"]


def test_files_in_blocks_are_files_of_the_message() -> None:
    blocks = [{"type": "file", "file": {"id": "F1", "name": "a"}}, {"slack_file": {"id": "F2"}}]
    assert [f.id for f in read_content({"blocks": blocks}).files] == ["F1", "F2"]


TABLE = {
    "type": "table",
    "rows": [
        [
            rich(section({"type": "text", "text": "Region"}))[0],
            {"type": "raw_text", "text": "Orders"},
        ],
        ["North", {"type": "raw_number", "value": 4711, "text": "4711"}],
        ["South", {"type": "raw_number", "value": 815}],
    ],
}


@pytest.mark.parametrize(
    "message",
    [
        {"attachments": [{"fallback": "[no preview available]", "blocks": [TABLE]}]},
        {"blocks": [*rich(section({"type": "text", "text": "which sold more?"})), TABLE]},
    ],
)
def test_a_pasted_table_comes_in_rows(message: Json) -> None:
    assert seen({"text": "which sold more?"} | message).replace("\n\n", "\n") == (
        "which sold more?\n| Region | Orders |\n| North | 4711 |\n| South | 815 |"
    )


def test_a_table_of_words_that_the_text_has_too_is_read() -> None:
    table = {"type": "table", "rows": [["North", "4711"], ["South", "815"]]}
    text = "North 4711 South 815"
    assert seen({"text": text, "blocks": [table]}) == f"{text}\n| North | 4711 |\n| South | 815 |"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"blocks": rich(section({"type": "color", "value": "#4a154b"}))}, "#4a154b"),
        (
            {"attachments": [{"entity": {"title": "Acme", "fields": [{"label": "Won"}]}}]},
            "Acme\nWon",
        ),
    ],
    ids=["a color", "an object of another app"],
)
def test_rare_elements_are_read(message: Json, text: str) -> None:
    assert seen({"text": ""} | message) == text


RED = {"text": {"text": "Red"}, "description": {"text": "warm"}, "value": "r"}
DISK = "*Disk nearly full* on db-7: 93 %"
NOTHING = "[no preview available]"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            {"blocks": [mrkdwn(DISK)]},
            DISK,
        ),
        (
            {
                "attachments": [
                    {
                        "fallback": "[no preview available]",
                        "blocks": [mrkdwn(DISK)],
                    }
                ]
            },
            "*Disk nearly full* on db-7: 93 %",
        ),
        (
            {
                "attachments": [
                    {
                        "title": "Latency high",
                        "title_link": "https://grafana.example/d/1",
                        "text": "p99 is 4 s",
                        "fields": [{"title": "Service", "value": "checkout"}],
                        "fallback": "Latency high",
                    }
                ]
            },
            "Latency high (https://grafana.example/d/1)\np99 is 4 s\nService: checkout",
        ),
        (
            {
                "text": "Deploy failed",
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "Deploy failed"}},
                    {"type": "divider"},
                    {
                        "type": "section",
                        "fields": [
                            {"type": "mrkdwn", "text": "*Stage*\nproduction"},
                            {"type": "plain_text", "text": "a &amp; b"},
                        ],
                        "accessory": {
                            "type": "button",
                            "text": {"type": "plain_text", "text": "Open logs"},
                            "url": "https://ci.example/1",
                            "value": "machine-value",
                            "action_id": "logs",
                        },
                    },
                    {
                        "type": "image",
                        "image_url": "https://i.example/a",
                        "alt_text": "a graph",
                    },
                    {"type": "context", "elements": [{"type": "mrkdwn", "text": "build 77"}]},
                    {"type": "markdown", "text": "## Logs\n- one < two"},
                ],
            },
            "Deploy failed\n*Stage*\nproduction\na & b\n[Open logs] (https://ci.example/1)\n"
            "image: a graph (https://i.example/a)\nbuild 77\n## Logs\n- one < two",
        ),
        ({"attachments": [{"fallback": "build 12 passed"}]}, "build 12 passed"),
        (
            {
                "blocks": [
                    {
                        "type": "actions",
                        "elements": [
                            {
                                "type": "radio_buttons",
                                "options": [RED, {"text": {"text": "Blue"}, "value": "b"}],
                                "initial_option": RED,
                            },
                            {"type": "overflow", "options": [{"text": {"text": "Delete"}}]},
                        ],
                    },
                    {"type": "input", "element": {"initial_value": "Bob"}},
                ]
            },
            "☑ Red – warm\n☐ Blue\nBob",
        ),
        (
            {
                "text": "[no preview available]",
                "attachments": [{"fallback": "[no preview available]"}],
            },
            "",
        ),
        (
            {"text": "This content can't be displayed.", "blocks": [mrkdwn(DISK)]},
            DISK,
        ),
        (
            {
                "text": "This message contains interactive elements.",
                "blocks": [mrkdwn(DISK)],
                "bot_id": "B1",
            },
            DISK,
        ),
        (
            {
                "blocks": [
                    {"type": "card_of_2027", "title": {"text": "New"}, "p": [{"body": "kind"}]}
                ]
            },
            "New\nkind",
        ),
    ],
)
def test_posts_of_other_apps_are_read_completely(message: Json, text: str) -> None:
    assert seen({"bot_id": "B7"} | message) == text


def test_rich_text_keeps_its_layout() -> None:
    blocks = rich(
        section(
            {"type": "text", "text": "Hi "},
            {"type": "user", "user_id": "U1"},
            {"type": "text", "text": " and "},
            {"type": "usergroup", "usergroup_id": "S1"},
            {"type": "text", "text": ", "},
            {"type": "broadcast", "range": "here"},
            {"type": "text", "text": " in "},
            {"type": "channel", "channel_id": "C1"},
            {"type": "emoji", "name": "wave", "skin_tone": 2},
            {"type": "link", "url": "https://a.example?x=1&y=2", "text": "docs"},
            {"type": "text", "text": " x<y ", "style": {"code": True}},
        ),
        {
            "type": "rich_text_list",
            "style": "ordered",
            "offset": 2,
            "indent": 1,
            "elements": [section({"type": "text", "text": "three"})],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [section({"type": "text", "text": "dot"})],
        },
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "a\nb"}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "if a < b:"}]},
    )
    assert seen({"blocks": blocks}) == (
        "Hi @U1 and @S1, @here in #C1:wave::skin-tone-2:docs (https://a.example?x=1&y=2)` x<y `\n"
        "    3. three\n• dot\n> a\n> b\n```\nif a < b:\n```"
    )


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        (
            "*Hey* <@U1>, see <https://a.example|a.example> in <#C1|general> :smile: &amp; `x`",
            [
                {"type": "text", "text": "Hey", "style": {"bold": True}},
                {"type": "text", "text": " "},
                {"type": "user", "user_id": "U1"},
                {"type": "text", "text": ", see "},
                {"type": "link", "url": "https://a.example", "text": "a.example"},
                {"type": "text", "text": " in "},
                {"type": "channel", "channel_id": "C1"},
                {"type": "text", "text": " "},
                {"type": "emoji", "name": "smile"},
                {"type": "text", "text": " & "},
                {"type": "text", "text": "x", "style": {"code": True}},
            ],
        ),
        (
            "これは*重点*です",
            [
                {"type": "text", "text": "これは"},
                {"type": "text", "text": "重点", "style": {"bold": True}},
                {"type": "text", "text": "です"},
            ],
        ),
    ],
)
def test_content_in_both_text_and_blocks_is_read_once(text: str, elements: list[Json]) -> None:
    assert seen({"text": text, "blocks": rich(section(*elements))}) == seen({"text": text})


def test_a_link_preview_is_read_but_is_not_an_edit() -> None:
    preview = {"from_url": "https://a.example", "title": "A page", "text": "About it"}
    message = {"text": "<https://a.example>", "attachments": [preview]}
    assert "A page\nAbout it" in seen(message)
    before, after = read_content({"text": "<https://a.example>"}), read_content(message)
    assert (before.own, before.attached) == (after.own, after.attached)


def test_slacks_transcript_of_a_voice_clip_is_read() -> None:
    clip = {
        "id": "F1",
        "name": "audio_message.m4a",
        "subtype": "slack_audio",
        "mimetype": "video/mp4",
        "transcription": {
            "status": "complete",
            "locale": "en-US",
            "preview": {"content": "call the landlord", "has_more": False},
        },
    }
    content = read_content({"text": "", "files": [clip]})
    assert content.text(content.own).endswith("transcribed by Slack]\ncall the landlord")
    assert content.files[0].transcribed
    assert not read_content(
        {"files": [clip | {"transcription": {"status": "processing"}}]}
    ).by_slack


# The author's words, the mention, and commands


def parse(text: str, **fields: Any) -> Any:
    event = {"type": "message", "user": "U1", "channel": "C1", "ts": "2.000001", "text": text}
    return MESSAGES.parse(event | fields, "T1", "Ev1")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("<@UBOT> hi", "hi"),
        ("<@UBOT|assistant>, <@UBOT>: hi", "hi"),
        (
            "Hey <@UBOT>, can <@UBOT>'s answers be shorter?",
            "Hey @UBOT, can @UBOT's answers be shorter?",
        ),
        ("ask <@UBOT>", "ask @UBOT"),
        ("<@UBOT>'s answers are long", "@UBOT's answers are long"),
        ("<@UBOT>\u00a0hi\x00 \x1bthere", "hi there"),
        ("due <!date^1700000000^{date_num}|14 Nov>", "due 14 Nov"),
        ("due <!date^1700000000^{date_num}>", "due 2023-11-14 22:13 UTC"),
        ("due <!date^9999999999999999^{date}> <!date^x>", "due 9999999999999999 x"),
    ],
)
def test_only_a_leading_mention_of_the_bot_is_removed(wire: str, text: str) -> None:
    assert parse(wire).text == text


@pytest.mark.parametrize(
    "wire",
    [
        *("<@UBOT> stop", "stop <@UBOT>", "Stop!", " stop. ", "*stop*", "stop\u200b", "STOP !!!"),
        *("\u200fstop\u200f", "`stop`", "“Stop.”"),
    ],
)
def test_a_command_is_recognized_before_and_after_the_mention(wire: str) -> None:
    assert parse(wire).kind == "stop"


def test_a_bare_mention_refers_to_the_message_above() -> None:
    assert parse("<@UBOT>", thread_ts="1.000001").text == BARE_MENTION
    assert parse("<@UBOT>").text == BARE_MENTION
    assert parse("", blocks=[{"type": "divider"}]).text == NO_WORDS
    assert parse("<@UBOT> \u200b\u2060\ufeff").text == BARE_MENTION
    assert parse("\u200b\u3164\ufe0f").text == NO_WORDS
    assert "Hello" not in BARE_MENTION + NO_WORDS


def test_a_mention_in_blocks_alone_is_a_mention() -> None:
    assert MESSAGES.mentions_us({"text": "", "blocks": [mrkdwn("<@UBOT> go")]})
    assert not MESSAGES.mentions_us({"text": "see", "attachments": [{"text": "<@UBOT>"}]})


def test_a_forward_below_a_bare_mention_is_the_message() -> None:
    assert parse("<@UBOT>", attachments=[FORWARD]).text.startswith("[Forwarded message")


# Senders


@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ({}, "person"),
        ({"subtype": "me_message"}, "person"),
        ({"subtype": "file_share"}, "person"),
        ({"subtype": "thread_broadcast"}, "person"),
        ({"subtype": "channel_join"}, ""),
        ({"subtype": {"odd": 1}}, ""),
        ({"user": "UBOT"}, ""),
        ({"user": "U9", "bot_id": "BBOT"}, ""),
        ({"user": None}, ""),
        ({"user": "USLACK"}, ""),
        ({"user": "USLACKBOT"}, "slackbot"),
        ({"user": "USLACKBOT", "bot_id": "B01", "subtype": "bot_message"}, "slackbot"),
        ({"user": "U1", "bot_id": "B2", "app_id": "A2"}, "app"),
        ({"user": None, "bot_id": "B2", "subtype": "bot_message"}, "app"),
        ({"ts": "now"}, ""),
        ({"ts": None}, ""),
        ({"ts": 12.5}, ""),
        ({"channel": "C1:C2"}, ""),
        ({"channel": ["C1"]}, ""),
    ],
)
def test_the_author_of_a_message_is_classified(fields: Json, sender: str) -> None:
    event = {"user": "U1", "channel": "C1", "ts": "1.000001", "text": "hi"} | fields
    assert MESSAGES.sender(event) == sender


# Any shape


def test_size_and_depth_are_bounded() -> None:
    deep: Json = {"type": "section", "text": {"type": "mrkdwn", "text": "bottom"}}
    for _ in range(500):
        deep = {"type": "container", "elements": [deep], "is_share": True, "attachments": [deep]}
    began = time.process_time()
    assert seen({"text": "top", "blocks": [deep], "attachments": [deep]})
    many = [{"is_share": True, "text": "word " * 20} for _ in range(10_000)]
    long = seen({"text": "x" * 100_000, "attachments": many})
    assert len(long) < MOST_CHARS + 100
    assert long.endswith(CUT)
    assert time.process_time() - began < 3


READ = {"text", "blocks", "attachments", "message"}


def payloads() -> list[Json]:
    """Messages of our samples, and those of real events if available."""
    real = (*CORPUS.glob("events/*.json"), *CORPUS.glob("socket/*.json"))
    found: list[Json] = []
    for path in (SAMPLES / "messages.json", *real):
        body = json.loads(path.read_text())
        for each in body if isinstance(body, list) else [body]:
            inner = each.get("payload", each) if isinstance(each, dict) else {}
            event = inner.get("event", inner) if isinstance(inner, dict) else {}
            if isinstance(event, dict) and {"text", "blocks", "attachments", "message"} & set(
                event
            ):
                found.append(event)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_no_shape_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    for original in payloads():
        event = mutate(original, chance)
        if not isinstance(event, dict):
            continue
        read_content(event)
        if MESSAGES.sender(event):
            MESSAGES.parse(event, "T1", "Ev1")


def words_of(value: Any, key: str = "") -> list[str]:
    """Every readable word of a message, found by brute force."""
    if isinstance(value, dict):
        return [word for name, part in value.items() for word in words_of(part, name)]
    if isinstance(value, list):
        return [word for part in value for word in words_of(part, key)]
    readable = ("text", "title", "value", "pretext", "alt_text", "footer", "author_name")
    return value.split() if isinstance(value, str) and key in readable else []


def scattered(chance: random.Random, depth: int = 0) -> Json:
    """A message with unique words in any visible place."""

    def word() -> str:
        return f"w{chance.randrange(10**9)}"

    def text(kind: str = "mrkdwn") -> Json:
        return {"type": kind, "text": word()}

    makers: list[Callable[[], Json]] = [
        lambda: {"type": "section", "text": text(), "fields": [text(), text("plain_text")]},
        lambda: {"type": "header", "text": text("plain_text")},
        lambda: {"type": "context", "elements": [text(), {"type": "image", "alt_text": word()}]},
        lambda: {"type": "markdown", "text": word()},
        lambda: {"type": "actions", "elements": [{"type": "button", "text": text("plain_text")}]},
        lambda: {"type": "video", "title": text("plain_text"), "description": text("plain_text")},
        lambda: {"type": "table", "rows": [[word(), text("raw_text")], [word(), word()]]},
        lambda: {"type": "kind_of_tomorrow", "parts": [{"title": text()}, {"text": word()}]},
        lambda: rich(
            section({"type": "text", "text": word()}),
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": word()}]},
        )[0],
    ]
    blocks = [chance.choice(makers)() for _ in range(chance.randrange(4))]
    attachments = [
        {
            "pretext": word(),
            "title": word(),
            "text": word(),
            "fields": [{"title": word(), "value": word()}],
            "footer": word(),
            "is_share": chance.random() < 0.5,
            **scattered(chance, depth + 1),
        }
        for _ in range(chance.randrange(3) if depth < 2 else 0)
    ]
    return {"text": word(), "blocks": blocks, "attachments": attachments}


@pytest.mark.parametrize("seed", range(50))
def test_no_text_is_lost(seed: int) -> None:
    message = scattered(random.Random(seed))
    text = seen(message)
    assert [word for word in words_of(message) if word not in text] == []
