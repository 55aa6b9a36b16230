# ruff: noqa: E501 - the cases are easier to read in one line each
"""The nodes of a Markdown text for the page, and where they are added."""

import json
import time

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.control.markdown import Node, parse


def paragraph(*children: Node) -> list[Node]:
    return [["paragraph", {}, *children]]


@pytest.mark.parametrize(
    ("text", "children"),
    [
        ("<@U1|al> *x*", [["control", {}, "<@U1|al>"], " ", ["em", {}, "x"]]),
        ("https://x.org/a_b_c.", [["link", {"href": "https://x.org/a_b_c"}, "https://x.org/a_b_c"], "."]),
        ("(HTTPS://x.org/(y))", ["(", ["link", {"href": "HTTPS://x.org/(y)"}, "HTTPS://x.org/(y)"], ")"]),
        ("xhttps://x.org", ["xhttps://x.org"]),
        ("`https://x.org`", [["code", {}, "https://x.org"]]),
        ("[https://x.org](https://y.org)", [["link", {"href": "https://y.org"}, "https://x.org"]]),
        ("![](https://x.org/i.png)", [["link", {"href": "https://x.org/i.png"}, "https://x.org/i.png"]]),
        ("<b>x</b> &copy; &lt;", ["<b>x</b> &copy; <"]),
        ("&#0; &#x110000;", ["\ufffd \ufffd"]),
        ("[x](javascript:y)", [["link", {"href": "javascript:y"}, "x"]]),
    ],
)  # fmt: skip
def test_inline_markdown_becomes_nodes(text: str, children: list[Node]) -> None:
    assert parse(text) == paragraph(*children)


def test_tasks_are_items_with_a_state() -> None:
    assert parse("- [x] a\n- [ ] **b**\n- [z] c")[0][2:] == [
        ["item", {"done": True}, "a"],
        ["item", {"done": False}, ["strong", {}, "b"]],
        ["item", {}, "[z] c"],
    ]


async def test_the_page_gets_the_nodes_and_the_app_does_not(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    posted = await client.chat_postMessage(channel=general, markdown_text="**hello**")
    assert "nodes" not in posted["message"]["blocks"][0]
    nodes = paragraph(["strong", {}, "hello"])
    headers = {"Authorization": f"Bearer {slack.control_token}"}
    async with aiohttp.ClientSession(f"{slack.base_url}/_control/", headers=headers) as session:
        async with session.get("state") as response:
            [message] = (await response.json())["messages"][general]
            assert message["blocks"][0]["nodes"] == nodes
        async with session.get("changes", params={"after": "0"}) as feed:
            async for line in feed.content:
                if b'"nodes"' in line:
                    break
            assert b'["strong", {}, "hello"]' in line


def words(node: Node) -> str:
    return node if isinstance(node, str) else "".join(words(child) for child in node[2:])


def test_deeply_nested_emphasis_keeps_its_text() -> None:
    """A thousand levels would fail in the JSON of every page that shows the message."""
    for depth in (10, 1_000):
        [shown] = parse("*a _b " * depth + "c" + "_ d*" * depth)
        assert '"em"' in json.dumps(shown)
        assert words(shown) == "a b " * depth + "c" + " d" * depth


@pytest.mark.parametrize(
    "text", ["*", "[", "![", "](", "`", "> ", "http:", "<", "&", "[a](", "<@U1"]
)
def test_hostile_texts_are_parsed_in_time(text: str) -> None:
    began = time.thread_time()
    parse(text * (12_000 // len(text)))
    assert time.thread_time() - began < 2  # 0.05 s on a machine at rest
