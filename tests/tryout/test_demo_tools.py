"""The demo server of `bot try`, called as the bot calls it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.tools.config import load_tools
from bot.tools.tool import Caller
from bot.tools.toolbox import Toolbox, open_toolbox
from bot.tryout.demo_tools import NOTES_FILE, open_demo

CALLER = Caller("T1", "C1", "1.0", "U1")


@pytest.fixture
async def toolbox(tmp_path: Path) -> AsyncIterator[Toolbox]:
    async with open_demo(tmp_path) as file, open_toolbox(load_tools(file)) as toolbox:
        yield toolbox


async def test_it_reads_writes_and_asks(toolbox: Toolbox, tmp_path: Path) -> None:
    functions = (await toolbox.offer("C1")).functions
    assert list(functions) == [
        "current_time",
        "demo__add_note",
        "demo__book_room",
        "demo__look_up",
    ]
    decisions = [toolbox.decide(tool, "C1", read_external=False) for tool in functions.values()]
    assert decisions == ["allow", "ask", "ask", "allow"]
    found = await toolbox.call(functions["demo__look_up"], {"topic": "Tides"}, CALLER)
    assert "Moon" in found.text
    written = await toolbox.call(functions["demo__add_note"], {"text": "milk\nand tea"}, CALLER)
    assert written.text == f"Written as line 1 of {NOTES_FILE}."
    assert (tmp_path / NOTES_FILE).read_text() == "milk and tea\n"
    asked = await toolbox.call(functions["demo__book_room"], {}, CALLER)
    assert asked.outcome == "input_required"
    key, state = next(iter(asked.request["inputRequests"])), asked.request["requestState"]
    for action in ("decline", "cancel"):
        answers = {"responses": {key: {"action": action}}, "state": state}
        ended = await toolbox.call(functions["demo__book_room"], {}, CALLER, answers)
        assert ended.text == "No room was booked: the person gave no details."
    content = {"room": "Roof", "people": 4, "coffee": True}
    answers = {"responses": {key: {"action": "accept", "content": content}}, "state": state}
    booked = await toolbox.call(functions["demo__book_room"], {}, CALLER, answers)
    assert booked.text == f"Written as line 2 of {NOTES_FILE}."
