"""Items of Responses and Conversations, made of input and of answers."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from openai.types.responses.response_input_audio_param import ResponseInputAudioParam

from .answers import Answer, Json, Said
from .errors import ApiError, invalid
from .parameters import find_problem

_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fc",
    "reasoning": "rs",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "compaction": "cmp",
}

_CALLS = {
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "shell_call": "shell call",
    "apply_patch_call": "apply patch call",
}

NewId = Callable[[str], str]


def from_input(given: Any, new_id: NewId) -> list[Json]:
    """The items of a request's `input` (or of `conversations.items.create`), with ids."""
    if given is None:
        return []
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    return [_complete(deepcopy(item), new_id) for item in given]


def without_sound(body: Any) -> Any:
    """The body less its `input_audio` parts; raises ApiError for a bad one."""
    if not isinstance(body, dict) or not isinstance(body.get("input"), list):
        return body
    return {**body, "input": [_silenced(item) for item in body["input"]]}


def _silenced(item: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return item
    parts = item["content"]
    sounds = [part for part in parts if part.get("type") == "input_audio"]
    for sound in sounds:
        problem = find_problem(sound, ResponseInputAudioParam)
        if problem is not None:
            raise problem.as_error()
    return {**item, "content": [part for part in parts if part not in sounds]}


def _complete(item: Json, new_id: NewId) -> Json:
    kind = item.setdefault("type", "message")
    item.setdefault("id", new_id(_PREFIXES.get(kind, "item")))
    if kind not in ("reasoning", "compaction", "item_reference"):
        item["status"] = item.get("status") or "completed"
    if kind == "message":
        item["content"] = _content(item)
    return item


def _content(message: Json) -> list[Json]:
    content = message["content"]
    if not isinstance(content, str):
        return [_part(part) for part in content]
    if message["role"] == "assistant":
        return [_output_text(content)]
    return [{"type": "input_text", "text": content}]


def _part(part: Json) -> Json:
    return {"annotations": [], "logprobs": [], **part} if part["type"] == "output_text" else part


def _output_text(text: str, annotations: Iterable[Json] = ()) -> Json:
    return {
        "type": "output_text",
        "text": text,
        "annotations": list(annotations),
        "logprobs": [],
    }


def from_answer(answer: Answer, new_id: NewId) -> list[Json]:
    """The output of a completed answer: tool items, calls, messages."""
    output = [_complete(deepcopy(item), new_id) for item in answer.items]
    messages = [assistant_message(said, new_id) for said in answer.messages]
    if answer.refusal is not None:
        refusal = {"type": "refusal", "refusal": answer.refusal}
        messages.append({**assistant_message(Said(""), new_id), "content": [refusal]})
    calls = [
        {
            "type": "function_call",
            "id": new_id("fc"),
            "call_id": call.call_id or new_id("call"),
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for call in answer.calls
    ]
    if answer.status == "incomplete":
        for message in messages:
            message["status"] = "incomplete"
    return [*output, *messages, *calls]


def assistant_message(said: Said, new_id: NewId) -> Json:
    message = {
        "type": "message",
        "id": new_id("msg"),
        "role": "assistant",
        "status": "completed",
        "content": [_output_text(said.text, said.annotations)],
    }
    return {**message, "phase": said.phase} if said.phase else message


def text_of(item: Json) -> str:
    """The text of a message, part by part; of other items what counts as tokens."""
    if item["type"] != "message":
        return str(item.get("output") or item.get("arguments") or "")
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in item["content"])


def is_message_of(item: Json, role: str) -> bool:
    return bool(item["type"] == "message" and item["role"] == role)


def count_tokens(items: Iterable[Json], *texts: str) -> int:
    return sum(len(text) for text in [*texts, *map(text_of, items)]) // 4 + 1


def find_unanswered_call(memory: list[Json], new: list[Json]) -> ApiError | None:
    """A function call without its output makes every further request fail; so does an output
    without its call."""
    everything = [*memory, *new]
    answered = {item["call_id"] for item in everything if item["type"].endswith("_call_output")}
    called = {item["call_id"] for item in everything if item["type"] == "function_call"}
    for item in everything:
        if item["type"] in _CALLS and item["call_id"] not in answered:
            text = f"No tool output found for {_CALLS[item['type']]} {item['call_id']}."
            return invalid(text, param="input")
    decided = {item.get("approval_request_id") for item in everything}
    for item in everything:
        if item["type"] == "mcp_approval_request" and item["id"] not in decided:
            text = f"The following MCP approval requests do not have an approval: {item['id']}"
            return invalid(text, param="input")
    for item in new:
        if item["type"] == "function_call_output" and item["call_id"] not in called:
            text = f"No tool call found for function call output with call_id {item['call_id']}."
            return invalid(text, param="input")
    return None


def newest_outputs(given: list[Json]) -> Json:
    """The outputs behind the last message; that of a request for approval is whether it was
    given."""
    last = max((i for i, item in enumerate(given) if item["type"] == "message"), default=-1)
    found: Json = {}
    for item in given[last + 1 :]:
        if item["type"] == "function_call_output":
            found[item["call_id"]] = item["output"]
        elif item["type"] == "mcp_approval_response":
            found[item["approval_request_id"]] = item["approve"]
    return found
