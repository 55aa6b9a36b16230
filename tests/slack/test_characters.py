"""No control character reaches Slack, wherever it comes from."""

from pathlib import Path
from typing import Any

import pytest

from bot.slack.characters import without_controls
from tests.world import open_world


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("a\x00b\x1b[0m\x7f\x9bc", "ab[0mc"),
        ("a\tb\nc\r\nd é 😀", "a\tb\nc\r\nd é 😀"),
        ({"json": {"blocks": [{"alt_text": "a\x00"}]}}, {"json": {"blocks": [{"alt_text": "a"}]}}),
        (
            {"params": {"filename": "a\x08.txt", "length": 3}},
            {"params": {"filename": "a.txt", "length": 3}},
        ),
        ({"data": ("\x01", None, True, 1.5, b"\x00")}, {"data": ["", None, True, 1.5, b"\x00"]}),
    ],
)
def test_control_characters_are_removed_at_any_depth(given: Any, sent: Any) -> None:
    assert without_controls(given) == sent


def test_arguments_without_control_characters_are_not_copied() -> None:
    given = {"json": {"text": "a\nb", "blocks": [{"text": "c"}]}}
    assert without_controls(given) is given


async def test_every_call_of_the_bot_is_without_control_characters(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        workspace, alice = world.bot.workspaces.own, world.slack.user("alice")
        assert workspace is not None
        await workspace.client.chat_postMessage(
            channel=alice.dm(), text="a\x00b", blocks=[{"type": "divider", "block_id": "x\x07y"}]
        )
        (message,) = world.slack.messages(alice.dm())
    assert message.text == "ab"
    assert message.blocks[0]["block_id"] == "xy"
