"""Functions, calls and outputs as items of the Responses protocol."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bot.calls import FunctionCall, FunctionOutput, FunctionSpec
from bot.engines import RunRequest
from bot.engines.items import Item, text
from bot.models import Json

OUTPUTS: Mapping[str, str] = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "shell_call": "shell_call_output",
    "local_shell_call": "local_shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
}
"""The kind of the output by the kind of the call."""
APPROVAL = "mcp_approval_response"
ALLOWED = "allowed_tools"
RENDERED_CHARS = 4_000
RENDERED_HEAD = (
    "You have called these functions already to answer the last message. Do not call them again "
    "with the same arguments; these are the results:"
)
UNKNOWN = (
    "No result: the conversation was interrupted at this call. "
    "It is not known whether it took effect."
)
DENIED = "The conversation was interrupted before this was decided."


def calls_of(items: Iterable[Item]) -> tuple[FunctionCall, ...]:
    """The function calls and requests for approval among the items that have no output there, each
    once."""
    items = list(items)
    answered = answered_calls(items)
    found: dict[str, FunctionCall] = {}
    for item in items:
        call = _call_of(item)
        if call and call.id and call.id not in answered:
            found.setdefault(call.id, call)
    return tuple(found.values())


def _call_of(item: Item) -> FunctionCall | None:
    name, arguments = text(item.get("name")), text(item.get("arguments"))
    if item.get("type") == "function_call":
        return FunctionCall(text(item.get("call_id")), name, arguments)
    if item.get("type") == "mcp_approval_request":
        return FunctionCall(text(item.get("id")), name, arguments, text(item.get("server_label")))
    return None


def answered_calls(items: Iterable[Item]) -> set[str]:
    """The ids of calls that have an output among the items."""
    return {answered_call(item) for item in items} - {""}


def answered_call(item: Item) -> str:
    """The id of the call whose output the item is, or ""."""
    if item.get("type") == APPROVAL:
        return text(item.get("approval_request_id"))
    return text(item.get("call_id")) if item.get("type") in OUTPUTS.values() else ""


def tool_fields(request: RunRequest) -> Json:
    """The fields of a request that offer its tools.

    The list is the same in all channels, so that prompt caches stay warm; what is withheld in one
    channel is left out of `allowed_tools`.
    """
    tools = [*map(_as_tool, request.functions), *map(dict, request.hosted)]
    allowed = [tool for tool in tools if tool_key(tool) not in request.withheld]
    if not allowed:
        return {}
    if not request.may_call:
        return {"tools": tools, "tool_choice": "none"}
    if len(allowed) == len(tools):
        return {"tools": tools}
    references = [_reference(tool) for tool in allowed]
    return {
        "tools": tools,
        "tool_choice": {"type": ALLOWED, "mode": "auto", "tools": references},
    }


def without_allowed_tools(body: Json) -> Json:
    """The same request for a server that does not know `allowed_tools`: a shorter list."""
    choice = body.get("tool_choice")
    if not isinstance(choice, Mapping) or choice.get("type") != ALLOWED:
        return body
    rest = {key: value for key, value in body.items() if key != "tool_choice"}
    return rest | {"tools": [each for each in body["tools"] if _reference(each) in choice["tools"]]}


def tool_key(tool: Mapping[str, Any]) -> str:
    """Identifies a tool in `RunRequest.withheld`: functions by name, MCP servers by label."""
    kind = str(tool["type"])
    if kind == "function":
        return str(tool["name"])
    return f"mcp:{tool['server_label']}" if kind == "mcp" else f"{kind}:"


def _reference(tool: Mapping[str, Any]) -> Json:
    keys = {"function": ("type", "name"), "mcp": ("type", "server_label")}
    return {key: tool[key] for key in keys.get(str(tool["type"]), ("type",))}


def nested_tool_fields(request: RunRequest) -> Json:
    """The functions that may be called, for Assistants and chat completions, which nest what a
    function is."""
    tools = [_as_nested(function) for function in request.allowed]
    if not tools:
        return {}
    return {"tools": tools} if request.may_call else {"tools": tools, "tool_choice": "none"}


def _as_nested(function: FunctionSpec) -> Json:
    described = _as_tool(function)
    del described["type"], described["strict"]
    return {"type": "function", "function": described}


def render_outputs(outputs: Sequence[FunctionOutput]) -> str:
    """Calls with their outputs as text, for an engine that cannot be given the calls themselves."""
    if not outputs:
        return ""
    lines = [
        f"{each.call.plain_name}({each.call.plain_arguments[:RENDERED_CHARS]}): "
        f"{each.text[:RENDERED_CHARS]}"
        for each in outputs
    ]
    return "\n\n".join((RENDERED_HEAD, *lines))


def _as_tool(function: FunctionSpec) -> Json:
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": dict(function.parameters),
        "strict": False,
    }


def output_item(output: FunctionOutput) -> Json:
    """The output of a call in the conversation."""
    if output.call.server:
        response = {"type": APPROVAL, "approval_request_id": output.call.id}
        reason = {} if output.approved else {"reason": output.text}
        return {**response, "approve": output.approved, **reason}
    return _function_output(output)


def _function_output(output: FunctionOutput) -> Json:
    return {
        "type": "function_call_output",
        "call_id": output.call.id,
        "output": output.text,
    }


def pair(output: FunctionOutput) -> list[Json]:
    """A call with its output, for a conversation that has neither.

    One that the AI server made itself becomes a function call: an approval would repeat it.
    """
    call = output.call
    asked = {
        "type": "function_call",
        "call_id": call.id,
        "name": call.plain_name,
        "arguments": call.plain_arguments,
    }
    return [asked, _function_output(output)]


def pairs(outputs: Iterable[FunctionOutput], known: Collection[str] = ()) -> list[Json]:
    """The pairs of those whose call is not `known`."""
    return [item for each in outputs if each.call.id not in known for item in pair(each)]


def with_calls(given: Iterable[Json], outputs: Iterable[FunctionOutput]) -> list[Json]:
    """The items of an input, with the calls of its outputs put before them."""
    calls = {output.call.id: pair(output)[0] for output in outputs}
    made = []
    for item in given:
        is_output = item.get("type") == "function_call_output"
        call = calls.get(text(item.get("call_id"))) if is_output else None
        made += [call, item] if call else [item]
    return made


def closing_items(items: Sequence[Item], outputs: Iterable[FunctionOutput] = ()) -> list[Json]:
    """The missing outputs of all calls and approvals among the items; without them a server refuses
    every turn.

    Calls get their outcome from `outputs`; all others get "unknown".
    """
    known = {output.call.id: output.text for output in outputs}
    answered = answered_calls(items)
    approved = {item.get("approval_request_id") for item in items}
    missing: dict[str, Json] = {}
    for item in items:
        kind, call_id, item_id = text(item.get("type")), text(item.get("call_id")), item.get("id")
        if kind in OUTPUTS and call_id not in answered:
            output = known.get(call_id, UNKNOWN)
            missing[call_id] = {"call_id": call_id, **_output_of_kind(kind, output)}
        elif kind == "mcp_approval_request" and item_id not in approved:
            missing[text(item_id)] = {
                "type": APPROVAL,
                "approval_request_id": item_id,
                "approve": False,
                "reason": known.get(text(item_id), DENIED),
            }
    return list(missing.values())


def _output_of_kind(kind: str, output: str) -> Json:
    made: Json = {"type": OUTPUTS[kind], "output": output}
    if kind == "shell_call":
        outcome = {"type": "exit", "exit_code": 1}
        made["output"] = [{"stdout": "", "stderr": output, "outcome": outcome}]
    elif kind == "apply_patch_call":
        made["status"] = "failed"
    return made
