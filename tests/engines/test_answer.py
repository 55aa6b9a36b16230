"""Reading responses of servers: events in any order, missing fields, unknown kinds."""

import time
from typing import Any

import pytest

from bot.engines.answer import PartialResponse
from bot.engines.items import read
from bot.engines.runs import PartialRun
from bot.engines.runs import read as read_messages
from bot.errors import RunFailed
from bot.models import Card

Json = dict[str, Any]


def event(kind: str, number: int | None = None, **data: Any) -> Json:
    return {"type": kind, "sequence_number": number, **data}


def delta(text: str, number: int | None = None, *, content_index: int = 0) -> Json:
    return event(
        "response.output_text.delta",
        number,
        item_id="msg_1",
        output_index=0,
        content_index=content_index,
        delta=text,
    )


def response(**data: Any) -> Json:
    return {"id": "resp_1", "status": "completed", **data}


def message(text: Any, **data: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": text, **data}


def test_a_text_may_begin_without_an_announcement() -> None:
    partial = PartialResponse()
    partial.take(delta("Hel"))
    partial.take(delta("lo"))
    partial.take(delta(" world", content_index=2))
    assert partial.text == "Hello world"


def test_an_event_that_comes_twice_counts_once() -> None:
    partial = PartialResponse()
    for number, text in [(0, "a"), (1, "b"), (0, "a"), (1, "b"), (2, "c")]:
        partial.take(delta(text, number))
    assert partial.text == "abc"


def test_unknown_events_change_nothing() -> None:
    partial = PartialResponse()
    partial.take(delta("Hello", 0))
    partial.take(event("response.quantum.entangled", 1, spin="up"))
    assert (partial.text, partial.seen) == ("Hello", 1)


def test_a_poll_that_shows_less_than_was_streamed_removes_nothing() -> None:
    partial = PartialResponse()
    partial.take(delta("Hello"))
    partial.take_state(response(status="in_progress"))
    assert partial.text == "Hello"
    partial.take_state(response(status="cancelled", output=[message("Hel")]))
    assert partial.finish().text == "Hello"


def test_a_poll_that_shows_more_is_believed() -> None:
    partial = PartialResponse()
    partial.take_state(response(status="in_progress", output=[message("Hello")]))
    assert partial.update().text == "Hello"


def test_a_run_that_has_not_ended_has_no_last_update() -> None:
    with pytest.raises(ValueError, match="not ended"):
        PartialResponse().finish()


def test_an_answer_without_status_usage_and_model_is_one() -> None:
    partial = PartialResponse()
    partial.take_state(response(status=None, output=[message("Hello")], usage=None, model=None))
    update = partial.finish()
    assert (update.status, update.text, update.usage, update.model) == (
        "completed",
        "Hello",
        None,
        "",
    )


def test_usage_without_details_is_usage() -> None:
    partial = PartialResponse()
    usage = {
        "input_tokens": 3,
        "output_tokens": None,
        "input_tokens_details": None,
        "output_tokens_details": None,
    }
    partial.take_state(response(output=[message("Hello")], usage=usage, model="m"))
    found = partial.finish().usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (3, 0, 0)


def test_content_may_be_a_bare_string_or_nothing() -> None:
    items = [message("Hello"), message(None), message([{"type": "output_text"}])]
    assert read(items)[0].strip() == "Hello"


def test_annotations_of_unknown_kinds_are_ignored() -> None:
    note = {"type": "file_path", "file_id": "file-1", "index": 0}
    part = {"type": "output_text", "text": "Hello", "annotations": [note]}
    assert read([message([part])]) == ("Hello", ())


@pytest.mark.parametrize(
    ("item", "title"),
    [
        ({"type": "web_search_call", "action": None}, "Searching the web"),
        ({"type": "code_interpreter_call"}, "Running code"),
        ({"type": "mcp_call", "name": "find_ticket"}, "Calling find_ticket"),
        ({"type": "function_call", "name": "get_time"}, "Calling get_time"),
    ],
)
@pytest.mark.parametrize(
    ("status", "shown"),
    [("in_progress", "in_progress"), ("completed", "complete"), ("failed", "error")],
)
def test_steps_have_a_title_and_a_state(
    item: dict[str, Any], title: str, status: str, shown: Any
) -> None:
    partial = PartialResponse()
    whole = {"id": "x_1", "status": status, **item}
    partial.take(event("response.output_item.added", 0, output_index=0, item=whole))
    assert partial.update().cards == (Card("x_1", title, shown),)


# Runs of the Assistants protocol


def run_event(kind: str, **data: Any) -> Json:
    return {"event": kind, "data": data}


def test_a_run_s_tool_calls_are_steps() -> None:
    partial = PartialRun()
    function = {"id": "call_1", "type": "function", "function": {"name": "get_time"}}
    code = {"id": "call_2", "type": "code_interpreter", "function": None}
    for status in ("in_progress", "completed"):
        partial.take(
            run_event(
                f"thread.run.step.{status}",
                id="step_1",
                status=status,
                step_details={"type": "tool_calls", "tool_calls": [function, code]},
            )
        )
    assert partial.update().cards == (
        Card("call_1", "Calling get_time", "complete"),
        Card("call_2", "Running code", "complete"),
    )


def test_a_runs_text_is_assembled_by_message_and_part() -> None:
    partial = PartialRun()
    for message_id, index, text in [("m1", 0, "Hel"), ("m1", 0, "lo"), ("m2", 0, "World")]:
        part = {"index": index, "type": "text", "text": {"value": text}}
        partial.take(run_event("thread.message.delta", id=message_id, delta={"content": [part]}))
    partial.take(run_event("thread.message.delta", id="m2", delta={"content": None}))
    assert partial.text == "Hello\n\nWorld"


def test_a_run_s_state_is_its_newest() -> None:
    assert PartialRun().status == "queued"
    assert PartialRun({"id": "run_1", "status": "expired"}).status == "expired"


def test_messages_of_other_servers_may_hold_bare_texts() -> None:
    bare = {"content": ["Hello", {"type": "text", "text": "there"}]}
    assert read_messages([bare, {"content": None}])[0].strip() == "Hellothere"


# Servers that omit fields


def test_events_without_indexes_are_assembled_by_item() -> None:
    """In the form of llama.cpp's server."""
    partial = PartialResponse()
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    kind = "response.output_text.delta"
    for happened in (
        {"type": "response.output_item.added", "item": {"type": "reasoning", "id": "rs_1"}},
        {"type": "response.output_item.added", "item": item},
        {"type": "response.content_part.added", "item_id": "msg_1", "part": {"text": ""}},
        {"type": kind, "item_id": "msg_1", "delta": "Hel"},
        {"type": kind, "item_id": "msg_1", "delta": "lo"},
    ):
        partial.take(happened)
    assert partial.text == "Hello"
    assert [item["id"] for item in partial.items] == ["rs_1", "msg_1"]


def test_deltas_without_any_name_belong_to_the_newest_item() -> None:
    partial = PartialResponse()
    for word in ("Hel", "lo"):
        partial.take({"type": "response.output_text.delta", "delta": word})
    assert partial.text == "Hello"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": "response.output_text.delta"},
        {"type": "response.output_text.delta", "delta": None, "item_id": 5, "output_index": "x"},
        {"type": "response.output_text.delta", "delta": "", "content_index": -1},
        {"type": "response.output_item.added", "item": "message"},
        {"type": "response.output_item.done", "item": {"content": 5, "type": "message"}},
        {"type": "response.content_part.done", "part": None},
        {"type": "response.output_text.annotation.added", "annotation": "see above"},
        {"type": "response.in_progress", "response": {"output": 5, "status": 7}},
    ],
)
def test_a_nonsensical_event_is_ignored(broken: dict[str, Any]) -> None:
    partial = PartialResponse()
    partial.take(event("response.created", response=response(status="in_progress")))
    partial.take(broken)
    partial.take(delta("Hello"))
    partial.take(broken)
    partial.update()
    whole = response(output=[message([{"type": "output_text", "text": "Hello there"}])])
    partial.take(event("response.completed", response=whole))
    assert partial.finish().text == "Hello there"


def test_an_item_that_is_shown_empty_in_the_end_keeps_what_was_streamed() -> None:
    partial = PartialResponse()
    partial.take(delta("Hello", 0))
    partial.take(event("response.output_item.done", 1, output_index=0, item=message([])))
    partial.take(event("response.completed", 2, response=response(output=[])))
    assert partial.finish().text == "Hello"


def test_an_endless_answer_is_cut() -> None:
    partial = PartialResponse()

    def write() -> None:
        for _ in range(10_000):
            partial.take(delta("x" * 1000))

    with pytest.raises(RunFailed, match="answer_too_large"):
        write()


def test_endless_items_are_cut() -> None:
    partial = PartialResponse()

    def add() -> None:
        for number in range(100_000):
            item = {"type": "web_search_call", "id": f"ws_{number}"}
            partial.take({"type": "response.output_item.added", "item": item})

    with pytest.raises(RunFailed, match="answer_too_large"):
        add()


def test_sparse_part_indexes_use_no_memory() -> None:
    partial = PartialResponse()
    partial.take(delta("Hello", content_index=10**12))
    assert partial.text == "Hello"


def test_a_long_answer_takes_linear_time() -> None:
    def seconds(deltas: int) -> float:
        partial, began = PartialResponse(), time.process_time()
        for number in range(deltas):
            partial.take(delta("word ", number))
        assert len(partial.text) == 5 * deltas
        return time.process_time() - began

    seconds(1000)
    assert min(seconds(40_000) for _ in range(3)) < 8 * min(seconds(10_000) for _ in range(3))


def test_before_polls_only_what_holds_nothing_is_dropped() -> None:
    partial = PartialResponse()
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
    note = message([{"type": "output_text", "text": "One moment."}], phase="commentary")
    partial.take(event("response.output_item.added", 1, output_index=0, item=note))
    partial.take(event("response.output_item.done", 2, output_index=1, item=call))
    empty = message([], id="msg_2")
    partial.take(event("response.output_item.added", 3, output_index=2, item=empty))
    partial.compact()
    assert [item["id"] for item in partial.items] == ["msg_1", "fc_1"]
    partial.take_state(response(status="completed", output=[note, call, empty]))
    assert partial.finish(takes_calls=True).last_item_id == "msg_2"


def test_a_response_that_has_ended_keeps_its_last_item() -> None:
    partial = PartialResponse()
    items = [message("done"), message([], id="msg_2")]
    partial.take(event("response.completed", 1, response=response(output=items)))
    partial.compact()
    assert partial.finish().last_item_id == "msg_2"
