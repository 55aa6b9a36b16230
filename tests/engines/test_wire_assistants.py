"""Responses of servers of the Assistants protocol, byte by byte."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.engines import RunRequest
from bot.engines.assistants import open_assistants
from bot.errors import RunFailed
from bot.models import Update
from bot.settings import Settings
from tests.engines.engines import FAST, OPTIONS, known_as, last_update, said
from tests.engines.raw_server import open_raw_server, replying, settings_for

RUN = {"id": "run_1", "status": "queued"}
MESSAGE = {"id": "msg_2", "role": "assistant", "run_id": "run_1", "content": "Hello world"}
EARLIER = MESSAGE | {"id": "msg_1", "content": "First", "created_at": 1}


@asynccontextmanager
async def answering(
    answers: Mapping[str, Any], asked: list[str] | None = None
) -> AsyncIterator[Settings]:
    """The settings for a server with these JSON answers by the last part of the path; 400 for
    others. `asked` collects these parts."""

    def reply(head: bytes) -> bytes:
        part = head.split(b" ")[1].partition(b"?")[0].rpartition(b"/")[2].decode()
        if asked is not None:
            asked.append(part)
        status = "200 OK" if part in answers else "400 X"
        body = json.dumps(answers.get(part, {}))
        lines = f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json"
        return "\r\n".join([*lines, "", body]).encode()

    async with open_raw_server(replying(reply)) as url:
        yield settings_for(url, openai_assistant_id="asst_1")


async def the_answer(
    page: Any,
    run: Mapping[str, Any] = RUN | {"status": "completed"},
    asked: list[str] | None = None,
) -> Update:
    answers = {"runs": RUN, "run_1": run, "messages": page, "cancel": RUN}
    async with answering(answers, asked) as settings, open_assistants(settings, FAST) as engine:
        conversation = known_as(engine, "thread_1")
        begun = await engine.start(RunRequest(conversation, [said("hello")], OPTIONS, "turn-1"))
        return await last_update(engine, begun, conversation)


@pytest.mark.parametrize("more", [True, False, "false"])
@pytest.mark.parametrize("message_id", ["msg_2", 2])
async def test_a_page_that_comes_again_counts_once(more: object, message_id: object) -> None:
    page = {"data": [MESSAGE | {"id": message_id}], "has_more": more}
    assert (await the_answer(page)).text == "Hello world"


@pytest.mark.parametrize("status", ["completed", "Completed", "succeeded"])
async def test_the_end_of_a_run_has_many_names(status: str) -> None:
    assert (await the_answer({"data": [MESSAGE]}, RUN | {"status": status})).text == "Hello world"


async def test_messages_in_the_wrong_order_are_sorted() -> None:
    page = {"data": [MESSAGE | {"created_at": 2}, EARLIER], "has_more": False}
    assert (await the_answer(page)).text == "First\n\nHello world"


CALL = {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}


@pytest.mark.parametrize(
    "action",
    [None, {"type": "approve"}, {"submit_tool_outputs": {"tool_calls": [CALL]}}],
    ids=["nothing", "unknown", "refused outputs"],
)
async def test_a_run_that_waits_for_what_no_one_can_give_does_not_lock_its_thread(
    action: Any,
) -> None:
    asked: list[str] = []
    run = RUN | {"status": "requires_action", "required_action": action}
    with pytest.raises(RunFailed) as raised:
        await the_answer({"data": []}, run, asked)
    assert raised.value.reason == "requires_action"
    assert asked[-1] == "cancel"
